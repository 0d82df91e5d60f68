package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// synthesize makes one run of a synthetic: its steps, and what takes away what they made. While an earlier run's leavings are not taken
// away there is no other: whatever goes wrong, at most one is there of each.
func (p *Prober) synthesize(ctx context.Context, t target, l *lane) Result {
	l.busy.Lock()
	defer l.busy.Unlock()
	begun := time.Now()
	r := Result{Service: t.service, Provider: t.provider, Kind: t.kind, Name: t.name, At: begun}
	if waits, left := p.leavings.of(t); left > 0 {
		r.Word, r.Why = Bad, "what an earlier run made is not taken away yet: "+waits
		return r
	}
	bounded, cancel := context.WithTimeout(ctx, RunTimeout)
	defer cancel()
	x := &run{record: newRecord(t, l, begun), client: p.client, journal: p.journal, candidate: l.candidate}
	x.steps(bounded)
	r.Elapsed = time.Since(begun)
	waits := x.clean(bounded, time.Now())
	if waits != "" {
		p.leavings.add(x.record)
	}
	if r.At = time.Now(); x.leave > 0 {
		p.pace.leave(t.provider, r.At.Add(x.leave))
	}
	switch {
	case ctx.Err() != nil:
		r.Word, r.Why = Cut, "the agent stopped, or its policy changed"
	case waits != "":
		r.Word, r.Why = Bad, strings.TrimPrefix(x.Failed+"; what it made is not taken away yet: "+waits, "; ")
	case x.leave > 0 && x.Failed != "":
		r.Word, r.Why = Busy, "it asks to be left alone for "+x.leave.String()
	case x.Failed != "":
		r.Word, r.Why = Bad, x.Failed
	default:
		r.Word, r.Why = Good, steps(len(x.Plan.Steps))
	}
	return r
}

func steps(n int) string {
	if n == 1 {
		return "1 step as expected"
	}
	return itoa(n) + " steps as expected"
}

func newRecord(t target, l *lane, begun time.Time) *record {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	id := "st-" + hex.EncodeToString(b[:])
	return &record{
		Format: recordFormat, ID: id, Service: t.service, Provider: t.provider, Account: l.candidate.Account, Endpoint: l.candidate.Endpoint,
		Plan: *l.plan, Vars: map[string]string{policy.RunMark: id}, Begun: begun,
	}
}

// sweep takes away what runs left, in this life or an earlier one, for as long as it takes. It ends with ctx.
func (p *Prober) sweep(ctx context.Context) {
	for {
		now := time.Now()
		for _, w := range p.leavings.due(now) {
			p.takeAway(ctx, w, now)
		}
		timer := time.NewTimer(p.leavings.next(time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-p.leavings.wake:
			timer.Stop()
		}
	}
}

// takeAway tries one record's cleanup. Who asked to be left alone is left alone, and what the policy does not have any more waits.
func (p *Prober) takeAway(ctx context.Context, w *leaving, now time.Time) {
	t := w.target()
	c := p.candidate(w.record)
	if c == nil {
		w.Waits = "the policy has no provider " + w.Provider + " with the account " + w.Account
		p.leavings.again(w, now, maxAgain)
		return
	}
	if away := p.away(t, now); away > 0 {
		p.leavings.again(w, now, away)
		return
	}
	if !pause(ctx, p.pace.turn(t.provider, now)) {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, RunTimeout)
	defer cancel()
	x := &run{record: w.record, client: p.client, journal: p.journal, candidate: c, saved: true}
	waits := x.clean(bounded, now)
	if x.leave > 0 {
		p.pace.leave(t.provider, time.Now().Add(x.leave))
	}
	e := health.Event{At: time.Now(), Kind: "check", Service: w.Service, Provider: w.Provider}
	switch {
	case waits == "":
		p.leavings.remove(w)
		e.Level, e.Text = "ok", w.Provider+": what the synthetic "+w.Plan.Name+" made is taken away"
		p.board.Note(e)
	case ctx.Err() == nil:
		p.leavings.again(w, time.Now(), backOff(w.Tries))
		if w.Tries == 1 {
			e.Level, e.Text = "bad", w.Provider+": what the synthetic "+w.Plan.Name+" made is not taken away yet: "+waits
			p.board.Note(e)
		}
	}
	p.tell(t, Result{}, time.Time{})
}

// candidate is where a record's run was, as the policy has it now.
func (p *Prober) candidate(r *record) *policy.Candidate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.snap == nil {
		return nil
	}
	svc, ok := p.snap.Service(r.Service)
	if !ok {
		return nil
	}
	for _, c := range svc.Candidates {
		if c.Provider == r.Provider && c.Account == r.Account {
			return c
		}
	}
	return nil
}
