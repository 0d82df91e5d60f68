package settle

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/route"
	"segue/dataplane/standing"
)

// Bounds of a drive.
const (
	// SendBy is how long after its INTENT an attempt's first byte may leave. A sender that was paused for longer sends nothing: by
	// then somebody else may have concluded that nothing comes any more.
	SendBy     = 2 * time.Second
	maxSends   = ledger.MaxSends
	maxAsks    = ledger.MaxAsks
	lookedAt   = 16 // rows of unknown outcome that are looked at when they are counted
	lookLimit  = 100 * time.Millisecond
	writeLimit = 5 * time.Second // for a write of the row; the caller's deadline does not bound it: what was sent must be recorded
)

// Config is what a Driver is made of.
type Config struct {
	Store ledger.Store
	Beside
	Board   *standing.Board
	Client  *provider.Client
	Vault   *Vault
	Agent   string // the runs of this agent begin with it and a slash
	Run     string // this life of the agent
	Region  string
	Fence   time.Duration // a run whose beat stands still for so long is taken for dead; default DefaultFence
	Now     func() time.Time
	Boot    func() time.Duration // settle.Boot
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: not registered
}

// Beside is what a driver needs beside the rows.
type Beside struct {
	Runs     ledger.Runs                              // nil: nobody else drives what is in the store, and this run needs no lease
	Payloads ledger.Payloads                          // nil: no request is kept
	Watches  ledger.Watches                           // nil: what is watched is forgotten at the end
	Offline  ledger.Offline                           // nil: nothing is done without a quorum
	Time     func(context.Context) (time.Time, error) // of the store; nil: this machine's clock is the store's
}

// Driver drives transactions to their outcomes.
type Driver struct {
	cfg      Config
	crowd    crowd
	unknowns unknowns
	strays   strays
	lease    lease
	sight    sight
	keeper   keeper
	metrics  *metrics
	policy   atomic.Pointer[policy.Snapshot]
}

// New makes a driver. Start begins its work in the background.
func New(cfg Config) *Driver {
	if cfg.Fence <= 0 {
		cfg.Fence = DefaultFence
	}
	d := &Driver{cfg: cfg, metrics: newMetrics(cfg.Metrics)}
	d.lease.run.Store(&cfg.Run)
	d.policy.Store(&policy.Snapshot{Region: cfg.Region})
	return d
}

// Swap takes a new policy.
func (d *Driver) Swap(snap *policy.Snapshot) {
	d.metrics.serve(snap.Services)
	d.policy.Store(snap)
}

// Caller is the exchange that a drive is made for.
type Caller interface {
	message.Reply // takes an answer that is too large to be kept, after its outcome is written
	// Decided is told each choice after the first; d is only lent.
	Decided(d *route.Decision)
	// Ended is told each send that ended, and how long it took.
	Ended(a *ledger.Attempt, spent time.Duration, now time.Time)
	// Beside writes what has to be durable with the outcome. It runs beside the final write and shares its group commit.
	Beside(ctx context.Context, t *ledger.Transaction) error
}

// Job is one exchange's wish. Tx is claimed by this run, and durable: in Intent, with Permit as its right to send; or taken over as it was
// found (Resume), where nothing may be sent before the ledger says so.
type Job struct {
	Tx        *ledger.Transaction
	Service   *policy.Service
	Operation string
	Leave     policy.Leave
	Request   *message.Request // nil: nothing can be sent
	RequestID string
	Object    string // the provider's own id of the object that the call is about, where calls are mapped
	Facts     policy.Facts
	Candidate int
	Permit    route.Permit
	Begun     time.Duration // Boot when the INTENT was made
	Deadline  time.Time
	Way
	Caller Caller                                                                               // nil: nobody waits
	Carry  func(context.Context, *policy.Candidate, *message.Request) (*message.Request, error) // provider.Call's
}

// Way is how a job's row is driven.
type Way struct {
	Resume  bool // as it was found: nothing is sent before the ledger says so
	PinAt   int8 // policy.Operation's
	Offline bool // there is no quorum: the row is on this agent's disk, and what is sent goes to the operation's pin
}

// End is how a drive ended.
type End struct {
	Kind     ledger.StepKind // Finish, Hold or Refuse
	Tx       *ledger.Transaction
	Answer   *message.Answer // the provider's own; nil: it gave none that can be passed on, or Streamed
	Streamed bool            // the caller has the answer already
	Decision *route.Decision // Refuse: the choice that found nobody; nil: there was none
	Err      error           // the ledger could not be written: what it says may be behind
	Looked   Looked
}

// drive is one run of a job.
type drive struct {
	*Driver
	job      *Job
	caller   Caller
	tx       *ledger.Transaction
	who      *policy.Candidate
	permit   route.Permit
	facts    policy.Facts
	decision route.Decision
	answer   collector
	theirs   string // the provider's own id of what was made, where the caller is shown another
	progress
}

// progress is how far a drive came.
type progress struct {
	run       string // who drives; another run of this agent may have come since
	begun     time.Duration
	before    int             // attempts that were there before this call's first
	sends     int             // sends of the first attempt before this call
	asks      int             // lookups and cancels
	e         ledger.Evidence // the last
	step      ledger.Step     // what it asks for
	news      bool            // the row in hand says more than the one that is stored
	object    string          // the id of what a lookup found
	lost      error           // the final write failed while the answer was coming
	unreached bool            // no connection could be had for the last send
	looked    Looked
}

// Run drives a job to its end and returns what the caller is to be told. For a caller it does not heed ctx's end, only its values: his
// leaving stops nothing that began. The deadline does.
func (d *Driver) Run(ctx context.Context, j *Job) End {
	d.crowd.enter()
	defer d.crowd.leave()
	if j.Caller != nil {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, j.Deadline.Sub(d.cfg.Now()))
	defer cancel()
	w := &drive{Driver: d, job: j, caller: j.Caller, tx: j.Tx, who: j.Service.Candidates[j.Candidate], permit: j.Permit, facts: j.Facts}
	defer w.abandon()
	w.run, w.begun, w.before, w.sends = j.Tx.Run, j.Begun, len(j.Tx.Attempts)-1, j.Tx.Current().Sends-1
	if w.caller == nil {
		w.caller = &background{d: d}
	}
	w.answer.begins = func() { d.cfg.Board.Answered(&w.permit) }
	w.answer.overflows, w.answer.to = func() (bool, error) { return w.pass(ctx) }, w.caller
	if j.Resume {
		w.before, w.sends = w.before+1, w.sends+1
		w.weigh(w.timer())
	} else {
		w.send(ctx)
	}
	for {
		if end, done := w.follow(ctx); done {
			end.Looked = w.looked
			if end.Looked.Why == "" {
				end.Looked.Why = w.step.Why
			}
			return end
		}
	}
}

// Enter counts an effect in before its claim, so that Wait waits for it too; Leave counts it out.
func (d *Driver) Enter() { d.crowd.enter() }

// Leave counts an effect out.
func (d *Driver) Leave() { d.crowd.leave() }

// Wait returns when no effect is under way, or when ctx ends: what is open then is found by the next run.
func (d *Driver) Wait(ctx context.Context) error { return d.crowd.wait(ctx) }

// Unknowns counts the transactions of this agent whose outcome is not known, by service. It looks at the rows of a few of them: an agent
// that shares the store may have settled them for a caller who came to it.
func (d *Driver) Unknowns() map[string]Unknown {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	for _, k := range d.unknowns.some(lookedAt) {
		if t, err := d.cfg.Store.Load(ctx, k); err == nil && !(t.Pending() && d.mine(t)) {
			d.unknowns.remove(k)
		}
	}
	return d.unknowns.byService()
}

// background is the caller of a drive for which nobody waits.
type background struct{ d *Driver }

// Begin, Write and End take an answer that is too large to be kept.
func (*background) Begin(int, message.Header) error { return nil }

// Write drops bytes.
func (*background) Write([]byte) error { return nil }

// End drops the end.
func (*background) End(error) error { return nil }

// Decided is told a choice.
func (*background) Decided(*route.Decision) {}

// Ended is told a send that ended.
func (*background) Ended(*ledger.Attempt, time.Duration, time.Time) {}

// Beside records who owns what was made.
func (b *background) Beside(ctx context.Context, t *ledger.Transaction) error { return b.d.own(ctx, t) }

// own records the owner of the object that t made.
func (d *Driver) own(ctx context.Context, t *ledger.Transaction) error {
	if t.Answer == nil || t.Answer.ObjectID == "" || t.State != ledger.DoneSucceeded {
		return nil
	}
	a := t.Settled()
	return d.cfg.Store.Own(ctx, ledger.Object{
		App: t.Key.App, Service: t.Key.Service, ID: t.Answer.ObjectID, Provider: a.Provider, Account: a.Account, Transaction: t.ID,
	})
}

// mine tells whether a run of this agent drives t.
func (d *Driver) mine(t *ledger.Transaction) bool { return strings.HasPrefix(t.Run, d.cfg.Agent+"/") }

// abandon gives back what a drive still holds: after a panic the row stays open, and the permit must not stay away for ever.
func (w *drive) abandon() {
	if w.permit.Valid() {
		w.open()
		w.done(provider.Result{Outcome: ledger.Unknown})
	}
}

// done gives the permit back with what the send showed.
func (w *drive) done(r provider.Result) {
	r.Sample.Again = w.tx.Current().Sends > 1 && r.Status != 0
	r.Sample.Stated, r.Sample.Told = w.job.Service.Stated(w.index(), &w.facts, &r.Stated)
	w.cfg.Board.Done(w.permit, r.Sample, health.Outcome(r.Outcome), w.cfg.Now())
	w.permit = route.Permit{}
}
