package proxy

import (
	"context"
	"errors"

	"segue/controlplane/query"
	"segue/dataplane/message"
)

// Try takes a call the way of a dry run, and tells what was decided with its candidates, gates and scores. Nothing is sent, taken or
// written.
func (p *Proxy) Try(ctx context.Context, c *Call) query.Tried {
	c.DryRun = true
	x := &Exchange{}
	x.begin(p, c, nowhere{})
	defer x.release()
	t := query.Tried{Service: c.Service, Region: x.view.snap.Region}
	err := x.walk(ctx)
	if x.op != nil {
		t.Operation, t.Read = x.op.Name, x.op.Read
	}
	if err != errAnswered {
		t.Refused = "the request came to no decision"
		var problem *Problem
		if errors.As(err, &problem) {
			t.Refused = string(problem.Type) + ": " + problem.Detail
		}
		return t
	}
	d := &x.decision
	c1 := choice{at: d.At, revision: x.view.snap.Revision, why: d.Why(x.svc.Service), money: x.svc.money(), record: d.Record(x.svc.Service)}
	t.Decision, t.Sentences = c1.explain(), d.Explain(x.svc.Service)
	return t
}

// walk takes the steps until one ends the path.
func (x *Exchange) walk(ctx context.Context) error {
	for _, step := range x.proxy.path {
		if err := step(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// nowhere is the reply of a call that nobody waits for.
type nowhere struct{}

func (nowhere) Begin(int, message.Header) error { return nil }
func (nowhere) Write([]byte) error              { return nil }
func (nowhere) End(error) error                 { return nil }
