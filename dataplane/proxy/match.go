package proxy

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/session"
)

// match finds out what is asked: service, operation, key, deadline and session.
func (p *Proxy) match(_ context.Context, x *Exchange) error {
	c := x.call
	if x.svc = x.view.services[c.Service]; x.svc == nil {
		return NoService(c.Service)
	}
	op, ok := x.svc.Match(c.Request.Method, c.Request.Path)
	if !ok {
		return noOperation(x.svc.Service, c.Request.Method, c.Request.Path)
	}
	x.op, x.facts.Read, x.facts.Unmapped = op, op.Read, op.Unmapped
	if err := x.limit(); err != nil {
		return err
	}
	if err := x.talkTo(); err != nil {
		return err
	}
	if op.Read {
		return nil
	}
	return x.key()
}

// limit sets the deadline: the caller's, but never more than the policy's.
func (x *Exchange) limit() error {
	left := x.svc.Attempts.Deadline
	if x.call.Timeout > 0 {
		if x.call.Timeout < minimum {
			return tooShort(x.call.Timeout, minimum)
		}
		left = min(left, x.call.Timeout)
	}
	x.clock.deadline = x.call.Arrived.Add(left)
	x.facts.Deadline = x.clock.deadline
	return nil
}

// talkTo names the session, and makes one up for a caller without one. What looks random in a choice comes from its name, so that a
// session that was not written yet comes back to the same place.
func (x *Exchange) talkTo() error {
	id := x.call.Session
	if id == "" {
		id, x.talk.made = newSessionID(), true
	} else if !message.SaneID(id) {
		return BadHeader("Session-Id", "at most 128 letters, digits, dots, - and _")
	}
	x.talk.key = session.Key{App: x.call.App, ID: id}
	x.facts.Draw = draw(id)
	return nil
}

// newSessionID is 100 random bits: nobody guesses the session of another.
func newSessionID() string {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz"
	var b [24]byte
	copy(b[:], "ses_")
	a, c := rand.Uint64(), rand.Uint64()
	for i := 4; i < 14; i++ {
		b[i], b[i+10] = letters[a&31], letters[c&31]
		a, c = a>>5, c>>5
	}
	return string(b[:])
}

// draw is FNV-1a: the same on every agent and after every restart.
func draw(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// take asks for the body. What comes after it counts from when it is here: a large one may be on the way for longer than a policy gives
// a provider to answer.
func (p *Proxy) take(_ context.Context, x *Exchange) error {
	if b := x.call.Body; b != nil {
		if problem := b.Fetch(x.looksInside()); problem != nil {
			return problem
		}
		if err := x.arrived(); err != nil {
			return err
		}
	}
	if x.op.Read {
		x.look()
		return nil
	}
	if x.work.n == 0 {
		if err := x.derive(x.now()); err != nil {
			return err
		}
	}
	x.work.fingerprint = ledger.Fingerprint(x.op.Name, x.call.Request)
	if err := x.worth(); err != nil {
		return err
	}
	x.look()
	return nil
}

// look takes down what rules, costs and budgets want to know of the request, each field once.
func (x *Exchange) look() {
	f, r := &x.facts, x.call.Request
	f.Client = int8(slices.Index(x.view.snap.Regions, x.call.Client)) // a region that the policy does not have is not told
	if len(x.svc.Rules) > 0 {
		f.Minute = policy.MinuteOf(x.call.Arrived)
	}
	if x.work.value != (policy.Value{}) && x.svc.Exchange != nil {
		x.svc.Worth(f, x.work.value)
	}
	x.svc.Look(f, x.op, r.Path, r.Header.Get("Content-Type"), r.Body, x.header)
}

// header is the first line of a name, also of those that speak to Segue.
func (x *Exchange) header(name string) string {
	switch name {
	case "Segue-Client-Region":
		return x.call.Client
	case "Segue-Value":
		return x.call.Value
	case "Session-Id":
		return x.call.Session
	default:
		if strings.HasPrefix(name, "Segue-") {
			return x.call.Told.Get(name)
		}
		return x.call.Request.Header.Get(name)
	}
}

// worth notes what the call is worth: by its body, or where that does not say, by its header.
func (x *Exchange) worth() error {
	r := x.call.Request
	var said bool
	if x.work.value, said = x.op.Worth(r.Path, r.Header.Get("Content-Type"), r.Body, r.Header.Get); said || x.call.Value == "" {
		return nil
	}
	amount, currency, ok := message.Amount(x.call.Value)
	if !ok {
		return BadHeader("Segue-Value", "write the smallest unit and the currency, like 12900;cur=EUR")
	}
	v, err := policy.ParseValue(amount, currency, false)
	if err != nil {
		return BadHeader("Segue-Value", err.Error())
	}
	x.work.value = v
	return nil
}

// looksInside tells whether a field of the body decides anything: then the body is held in memory.
func (x *Exchange) looksInside() bool {
	inBody := func(f policy.Field) bool { return f.In == "body" }
	for i := range x.svc.Session {
		if inBody(x.svc.Session[i].At) {
			return true
		}
	}
	for i := range x.svc.Reads {
		if slices.ContainsFunc(x.svc.Reads[i].From, inBody) {
			return true
		}
	}
	return x.op.Maps || slices.ContainsFunc(x.op.Follows, inBody) || x.work.n == 0 && slices.ContainsFunc(x.op.Key.Derive, inBody)
}

// arrived begins the call's time anew: the policy's whole, and what is left of the caller's.
func (x *Exchange) arrived() error {
	now := x.now()
	if x.call.Timeout > 0 {
		x.call.Timeout = max(1, x.call.Timeout-now.Sub(x.call.Arrived))
	}
	x.call.Arrived = now
	return x.limit()
}

// key takes the caller's key. One that is derived needs the body.
func (x *Exchange) key() error {
	if len(x.call.Key) > 0 {
		key, err := ledger.ParseKey(x.call.Key)
		if err != nil {
			return keyMalformed(err)
		}
		x.name(key)
		return nil
	}
	if len(x.op.Key.Derive) == 0 {
		return keyMissing(x.op)
	}
	return nil
}

// derive makes the key, and those of the windows beside: the same intent may stand under the last one, or under the next where the clock
// was set back since. now is not the call's arrival: its body may have been on the way for longer than a window.
func (x *Exchange) derive(now time.Time) error {
	key, previous, err := ledger.DeriveKey(x.op, x.call.Request, now)
	if err != nil {
		return keyUnderived(x.op, err)
	}
	x.name(key)
	if previous == "" {
		return nil
	}
	next, _, err := ledger.DeriveKey(x.op, x.call.Request, now.Add(x.op.Key.Within))
	if err != nil {
		return keyUnderived(x.op, err)
	}
	x.name(previous)
	x.name(next)
	return nil
}

// name adds a key under which the transaction may stand.
func (x *Exchange) name(key string) {
	w := &x.work
	w.keys[w.n] = ledger.Key{App: x.call.App, Service: x.svc.Name, Key: key}
	w.n++
}

// left is the time until the deadline.
func (x *Exchange) left(now time.Time) time.Duration { return x.clock.deadline.Sub(now) }
