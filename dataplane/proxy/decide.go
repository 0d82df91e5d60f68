package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/route"
)

// decide chooses the provider and takes the permit. Nothing is sent yet. The clock is the one of the call's arrival.
func (p *Proxy) decide(_ context.Context, x *Exchange) error {
	if x.first() { // every region makes the first attempt there; as with an owned object, that moves no session
		x.facts.Owner, x.talk.owned = x.op.PinAt-1, true
	}
	if x.call.DryRun {
		p.cfg.Board.Preview(&x.decision, x.svc.Service, &x.facts, x.call.Arrived)
		return x.send(dryRun(x))
	}
	if x.work.resume { // it is about an attempt that was made: its provider is chosen already
		return nil
	}
	permit, ok := p.cfg.Board.Choose(&x.decision, x.svc.Service, &x.facts, x.call.Arrived)
	x.svc.past.decided(x.svc.Service, &x.decision)
	x.svc.failovers.chosen(x.svc, &x.decision)
	x.told.second, x.told.instead, x.told.nobody = second(&x.decision), instead(&x.decision), !ok
	if !ok {
		return x.unchosen(x.refused(&x.decision))
	}
	x.permit = permit
	x.talk.now = x.winner().Provider
	return nil
}

// unchosen tells a caller that nobody is eligible. What his key's row says is told with it: that nothing was executed only once the row says
// that it was told; of an open one nothing is denied.
func (x *Exchange) unchosen(p *Problem) *Problem {
	t := x.work.tx
	if x.first() { // a region without a quorum may have sent it
		p.Open = true
	}
	if t == nil {
		return p
	}
	p.Transaction = t.ID
	if x.work.redrive {
		p.Open = true
		return p
	}
	return x.tellUnsent(t, p)
}

// tellUnsent writes that the caller is told not_sent, before he is.
func (x *Exchange) tellUnsent(t *ledger.Transaction, p *Problem) *Problem {
	if t.Told || len(t.Attempts) == 0 {
		return p
	}
	d := x.proxy.cfg.Driver
	err := t.Tell()
	if err == nil {
		d.Stamp(t, x.now())
		err = d.Put(context.Background(), t)
	}
	p.Open = err != nil
	return p
}

// dry is the answer to a call that only asks what would be decided.
type dry struct {
	DryRun     bool            `json:"dry_run"`
	Service    string          `json:"service"`
	Operation  string          `json:"operation"`
	Region     string          `json:"region"`
	Policy     uint64          `json:"policy"`
	Provider   string          `json:"provider"` // "": nobody is eligible
	Why        string          `json:"why"`
	Candidates []GatedProvider `json:"candidates"`
}

func dryRun(x *Exchange) *message.Answer {
	d := dry{
		DryRun: true, Service: x.svc.Name, Operation: x.op.Name, Region: x.view.snap.Region, Policy: x.view.snap.Revision,
		Why: x.decision.Why(x.svc.Service),
	}
	if x.decision.Winner >= 0 {
		d.Provider = x.winner().Provider
	}
	for i, why := range x.decision.Reasons(x.svc.Service) {
		d.Candidates = append(d.Candidates, GatedProvider{
			Provider: x.svc.Candidates[i].Provider, Gate: x.decision.Scores[i].Gate.String(), Reason: why,
		})
	}
	body, err := json.Marshal(d)
	if err != nil { // texts and numbers are always written
		body = []byte(`{"dry_run":true}`)
	}
	return &message.Answer{Status: 200, Header: message.Header{{Name: "Content-Type", Value: "application/json"}}, Body: body}
}

// Decided is told each choice after the first, by the driver and by the reads' own loop: a failover, or that nobody is left.
func (x *Exchange) Decided(d *route.Decision) {
	x.work.entry.decided(x, d)
	x.svc.past.decided(x.svc.Service, d)
	x.svc.failovers.chosen(x.svc, d)
	if d.Winner < 0 {
		return
	}
	x.decision = *d
	to := x.svc.Candidates[d.Winner].Provider
	x.talk.now = to
	if len(x.trail) == 0 {
		return
	}
	last := &x.trail[len(x.trail)-1]
	if last.provider == to {
		return
	}
	why := reason(last)
	x.svc.handles.failedOver(last.provider, to, why)
	e := health.Event{
		At: d.At, Kind: "failover", Service: x.svc.Name, Provider: last.provider, Level: "warn",
		Text: fmt.Sprintf("%s: %s went on to %s after %s (%s)", x.svc.Name, x.op.Name, to, last.provider, why),
	}
	if x.work.tx != nil {
		e.Transaction = x.work.tx.ID
	}
	x.proxy.cfg.Board.Note(e)
}

// reason is why a call went on elsewhere, from a small closed set: it is a label of a metric.
func reason(h *hop) string {
	switch {
	case h.err != "":
		return h.err
	case h.status == 429:
		return "limited"
	case h.status >= 500:
		return "server_error"
	case h.status != 0:
		return "refused"
	default:
		return "no_answer"
	}
}

// hopped notes an attempt that ended.
func (x *Exchange) hopped(h hop, now time.Time) {
	x.trail = append(x.trail, h)
	x.clock.providers += h.elapsed
	x.svc.handles.attempt(h.provider, h.outcome)
	x.cost(h.provider, h.outcome)
	x.svc.past.ended(x.svc.Service, h.provider, h.outcome, h.elapsed, now)
	x.svc.failovers.ended(h.provider, h.outcome, h.status, now.Add(-h.elapsed))
	x.work.entry.ended(&h, now)
}
