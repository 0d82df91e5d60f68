package proxy

import (
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/route"
	"segue/dataplane/session"
	"segue/dataplane/settle"
)

// Exchange is one call on its way. It is pooled: nothing may hold it after Serve.
type Exchange struct {
	proxy    *Proxy
	call     *Call
	to       message.Reply
	view     *view
	svc      *service
	op       *policy.Operation
	talk     conversation
	facts    policy.Facts
	decision route.Decision
	permit   route.Permit
	work     work
	gate     gate
	trail    []hop
	clock    clock
	told     told
}

// conversation is the session that a call belongs to.
type conversation struct {
	key    session.Key
	made   bool   // the caller sent no Session-Id: the session begins here
	theirs string // the id of that object at its provider, where the caller knows it by another
	owned  bool   // the call is about an object that a provider owns: it moves no session
	blind  bool   // the store did not say where it is pinned: nothing is concluded from that, nor written
	pinned string
	now    string           // the provider that it is with after this call
	state  *session.Session // with fields of this service, or nil
	held   string           // the pinned field that keeps the session where it is
}

// work is an effect's part of an exchange.
type work struct {
	keys        [3]ledger.Key // the first is the call's; where it is derived, its row may stand under the others too
	n           int           // of keys
	counted     bool          // the driver counts it among what is under way
	live        bool          // the keys are taken in the live set
	fingerprint [32]byte
	value       policy.Value
	tx          *ledger.Transaction
	old         bool // the row was there before this exchange: it is advanced, not claimed
	redrive     bool // the caller's retry takes an open row over, to send the same request again
	offline     bool // there is no quorum: the call goes to its operation's pin, and its row is on this agent's disk
	resume      bool // or to look, wait or cancel: nothing is sent before the ledger says so
	candidate   int  // resume: whom the open attempt went to
	begun       time.Duration
	end         settle.End
	entry       *entry // its place in the log of decisions
}

// earlier tells whether nothing was sent now, but may have been before: then nothing is denied. A drive that went on with the row says what
// it found.
func (w *work) earlier() bool { return w.redrive || w.resume && w.end.Tx == nil }

// clock is when things happened.
type clock struct {
	deadline  time.Time
	sent      time.Time     // when the attempt under way was begun
	claim     time.Duration // the claim's write
	final     time.Time     // when the write of the outcome began
	providers time.Duration // all the time that providers were waited for
	answered  time.Time     // when the caller was given the first byte
}

// told is how the call ended for its caller.
type told struct {
	outcome ledger.Outcome
	begun   bool // the caller has a header: nothing else can be said any more
	second  bool // for the first choice there was a second provider
	nobody  bool // nobody was eligible
	instead bool // whoever takes it now does so in another's place
}

func (x *Exchange) begin(p *Proxy, c *Call, to message.Reply) {
	x.proxy, x.call, x.to, x.view = p, c, to, p.view.Load()
	x.facts = policy.Facts{Pinned: -1, Owner: -1, Client: -1}
	x.told.outcome = ledger.NotSent
}

// reset keeps only the memory of the lists: nothing of one application may be seen by the next call.
func (x *Exchange) reset() {
	trail, spare := x.trail[:cap(x.trail)], x.gate.kept.Body
	clear(trail)
	*x = Exchange{decision: x.decision, trail: trail[:0]} // Decide fills every field of a decision
	if cap(spare) <= maxSwallowed {
		x.gate.kept.Body = spare[:0]
	}
}

// release gives back what the exchange holds. It runs after a panic too.
func (x *Exchange) release() {
	if x.permit.Valid() {
		x.proxy.cfg.Board.Release(x.permit)
		x.permit = route.Permit{}
	}
	if x.work.live {
		x.proxy.live.leave(x.work.keys[:x.work.n])
		x.work.live = false
	}
	if x.work.counted {
		x.proxy.cfg.Driver.Leave()
		x.work.counted = false
	}
}

func (x *Exchange) now() time.Time { return x.proxy.cfg.Now() }

// count counts the call as its caller saw it. A dry run is none.
func (x *Exchange) count() {
	if x.svc == nil || x.call.DryRun {
		return
	}
	if x.clock.answered.IsZero() {
		x.clock.answered = x.now()
	}
	overhead := x.overhead()
	if c := x.proxy.cfg.Carrier; c != nil && x.talk.now != "" && x.decision.Winner >= 0 && !x.talk.owned {
		c.Used(x.svc.Service, x.facts.Draw, x.decision.Winner, x.facts.Barred, x.call.Arrived)
	}
	x.recovers()
	g := x.gains()
	x.proxy.cfg.Board.Call(x.svc.Name, health.CallEnd{
		Outcome: health.Outcome(x.told.outcome), FailedOver: x.failedOver(), Overhead: overhead, Covered: g.covered, Elsewhere: g.elsewhere, Worth: g.worth,
	})
	x.svc.handles.call(x.told.outcome, overhead, x.clock.claim)
}

// overhead is Segue's own part of the call: all the time that no provider was waited for.
func (x *Exchange) overhead() time.Duration {
	return max(0, x.clock.answered.Sub(x.call.Arrived)-x.clock.providers)
}

func (x *Exchange) failedOver() bool {
	for i := range x.trail {
		if x.trail[i].provider != x.trail[0].provider {
			return true
		}
	}
	return false
}

// candidate returns the index of a provider, or -1.
func (x *Exchange) candidate(provider string) int8 {
	for i, c := range x.svc.Candidates {
		if c.Provider == provider {
			return int8(i)
		}
	}
	return -1
}

// winner is the candidate that the last decision chose.
func (x *Exchange) winner() *policy.Candidate { return x.svc.Candidates[x.decision.Winner] }
