package dataplane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/ledger"
	"segue/dataplane/settle"
)

// maxLooks bounds the looks at many outcomes that are remembered by their order.
const maxLooks = 16

// looks are the looks at many outcomes that orders asked for.
type looks struct {
	mu    sync.Mutex
	asked map[string]*query.Verified
	order []string
	ends  map[string]context.CancelFunc // of those under way
	over  bool
	idle  sync.WaitGroup
}

// begin notes an order. false: it is known, or the agent stops.
func (l *looks) begin(id string) (*query.Verified, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.asked[id] != nil {
		return nil, false
	}
	if l.asked == nil {
		l.asked = map[string]*query.Verified{}
	}
	v := &query.Verified{Known: true}
	l.asked[id] = v
	if l.order = append(l.order, id); len(l.order) > maxLooks {
		delete(l.asked, l.order[0])
		l.order = l.order[1:]
	}
	return v, true
}

// stop ends what is under way: what was not asked is found by the schedule.
func (l *looks) stop() {
	l.mu.Lock()
	l.over = true
	for _, end := range l.ends {
		end()
	}
	l.mu.Unlock()
	l.idle.Wait()
}

// run does the work of an order, within its time.
func (l *looks) run(id string, within time.Duration, do func(context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	if l.ends == nil {
		l.ends = map[string]context.CancelFunc{}
	}
	l.ends[id] = cancel
	l.idle.Go(func() {
		do(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		cancel()
		delete(l.ends, id)
	})
}

// told is what an order came to so far.
func (l *looks) told(id string) query.Verified {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.asked[id]
	if v == nil {
		return query.Verified{Rows: []query.VerifiedOne{}}
	}
	out := *v
	out.Rows = slices.Clone(v.Rows)
	return out
}

// lookFor looks for the outcomes that an order names, as far as they are this agent's to drive. It goes on until the order ends.
func (a *Agent) lookFor(o policy.Order) {
	l := &a.parts.looks
	v, fresh := l.begin(o.ID)
	if !fresh {
		return
	}
	l.run(o.ID, o.Ends().Sub(a.cfg.Now()), func(ctx context.Context) {
		rows, found, err := a.parts.driver.Open(ctx, o.Open, o.At)
		if err != nil {
			a.cfg.Log.Error("an order about open transactions could not be carried out", "order", o.ID, "error", err)
		}
		l.mu.Lock()
		v.Found, v.Rows = found, openRows(rows)
		l.mu.Unlock()
		a.parts.driver.VerifyAll(ctx, rows, func(i int, c settle.Checked) {
			l.mu.Lock()
			defer l.mu.Unlock()
			came(&v.Rows[i], c)
		})
		l.mu.Lock()
		v.Done = true
		l.mu.Unlock()
	})
}

// verified answers what an order came to here, or what one would look for.
func (a *Agent) verified(ctx context.Context, q query.Question) (query.Verified, error) {
	if q.Open == nil {
		return a.parts.looks.told(q.Order), nil
	}
	if q.Open.Limit < 1 || q.Open.Limit > policy.MaxOpen {
		return query.Verified{}, fmt.Errorf("%d is not between 1 and %d transactions", q.Open.Limit, policy.MaxOpen)
	}
	rows, found, err := a.parts.driver.Open(ctx, q.Open, a.cfg.Now())
	if err != nil {
		return query.Verified{}, fmt.Errorf("dataplane: %w", err)
	}
	return query.Verified{Known: true, Found: found, Rows: openRows(rows)}, nil
}

func openRows(rows []*ledger.Transaction) []query.VerifiedOne {
	out := make([]query.VerifiedOne, len(rows))
	for i, t := range rows {
		out[i] = query.VerifiedOne{
			Transaction: t.ID, Service: t.Key.Service, Operation: t.Operation, Provider: t.Current().Provider, State: t.State.String(), Created: t.Created,
			Value: t.Value, Result: query.VerifyWaits,
		}
	}
	return out
}

// came notes what a look came to.
func came(row *query.VerifiedOne, c settle.Checked) {
	row.Why = c.Why
	if c.Tx != nil {
		row.State = c.Tx.State.String()
	}
	switch {
	case c.Tx != nil && !c.Tx.Pending():
		row.Result, row.Why = query.VerifyClosed, sentence(c.Tx)
	case c.Asked:
		row.Result = query.VerifyOpen
	default:
		row.Result = query.VerifyLeft
	}
}
