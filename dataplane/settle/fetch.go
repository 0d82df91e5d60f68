package settle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/route"
)

// ErrUnasked is why a fetch is not made: the provider takes no call now.
var ErrUnasked = errors.New("settle: the provider is not asked now")

// Fetch is one read of the agent's own.
type Fetch struct {
	Service   *policy.Service
	Candidate int
	Operation string
	Request   *message.Request
	Max       int // bytes of the answer
	Within    time.Duration
}

// Fetch makes a read at one provider, within its limits and behind its circuit, and returns the whole answer with what it proves. It is no
// transaction: it changes nothing, and is not made again.
func (d *Driver) Fetch(ctx context.Context, f *Fetch) (*message.Answer, ledger.Outcome, error) {
	now := d.cfg.Now()
	facts := policy.Facts{Pinned: -1, Owner: int8(f.Candidate), Read: true, Deadline: now.Add(f.Within)}
	var decision route.Decision
	permit, ok := d.cfg.Board.Choose(&decision, f.Service, &facts, now)
	if !ok {
		return nil, ledger.NotSent, fmt.Errorf("%w: %s", ErrUnasked, decision.Why(f.Service))
	}
	who := f.Service.Candidates[decision.Winner]
	ctx, cancel := context.WithTimeout(ctx, f.Within)
	defer cancel()
	to := &fetched{most: f.Max}
	d.cfg.Board.Sent(&permit, now)
	r := d.cfg.Client.Send(ctx, &provider.Call{
		Candidate: who, Service: f.Service.Name, Operation: f.Operation, Request: f.Request, Read: true, PerTry: f.Within,
	}, to)
	d.cfg.Board.Done(permit, r.Sample, health.Outcome(r.Outcome), d.cfg.Now())
	if r.Err != nil || !to.whole {
		return nil, ledger.Unknown, errors.Join(fmt.Errorf("settle: no whole answer: %s", r.Error), r.Err)
	}
	return &to.answer, r.Outcome, nil
}

// fetched takes a whole answer, up to a bound.
type fetched struct {
	answer message.Answer
	most   int
	whole  bool
}

var errLarger = errors.New("settle: the answer is larger than what is fetched")

// Begin takes status and header.
func (f *fetched) Begin(status int, h message.Header) error {
	f.answer = message.Answer{Status: status, Header: slices.Clone(h)}
	return nil
}

// Write keeps the bytes, or ends the answer.
func (f *fetched) Write(p []byte) error {
	if len(f.answer.Body)+len(p) > f.most {
		return errLarger
	}
	f.answer.Body = append(f.answer.Body, p...)
	return nil
}

// End takes the end.
func (f *fetched) End(cut error) error {
	f.whole = cut == nil
	return nil
}
