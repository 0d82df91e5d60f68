package dataplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/ledger"
)

// Bounds of a list of transactions.
const (
	defaultListed = 50
	maxListed     = 500
)

// Answer answers a question from the control plane about this agent's data.
func (a *Agent) Answer(ctx context.Context, q query.Question) ([]byte, error) {
	var answer any
	var err error
	switch q.Kind {
	case query.Transactions:
		answer, err = a.transactions(ctx, q)
	case query.One:
		answer, err = a.why(ctx, q.Transaction)
	case query.Probe:
		answer = a.probed(q.Order)
	case query.Hints:
		answer = a.parts.hints.stand(ctx, q)
	case query.Sessions:
		answer = a.sessionsInUse()
	case query.OneSession:
		answer, err = a.oneSession(ctx, q)
	case query.SessionVerify:
		answer, err = a.sessionVerified(ctx, q.Session)
	case query.VerifyAll:
		answer, err = a.verified(ctx, q)
	case query.TryOne:
		answer, err = a.try(ctx, q)
	case query.ReplayAll:
		answer, err = a.replay(ctx, q)
	case query.HintReplay:
		answer = a.parts.hints.replayed(q.Order)
	default:
		return nil, fmt.Errorf("this agent does not know the question %q", q.Kind)
	}
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("dataplane: answer: %w", err)
	}
	return body, nil
}

func (a *Agent) transactions(ctx context.Context, q query.Question) ([]query.Transaction, error) {
	want := ledger.Query{Service: q.Service, Key: q.Key, Provider: q.Provider}
	if q.State != "" {
		s, ok := ledger.ParseState(q.State)
		if !ok {
			return nil, fmt.Errorf("%q is no state of a transaction: intent, held, cancelling, succeeded, declined or not_sent", q.State)
		}
		want.State = s
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultListed
	}
	limit = min(limit, maxListed)
	want.Limit = limit
	if !a.owned { // others' rows are among them
		want.Limit = maxListed
	}
	rows, err := a.store.Ledger().Recent(ctx, want)
	if err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	out := make([]query.Transaction, 0, min(limit, len(rows)))
	for _, t := range rows {
		if len(out) < limit && a.mine(t) {
			out = append(out, a.shown(t))
		}
	}
	return out, nil
}

// probed tells what the checks of an order showed here.
func (a *Agent) probed(order string) query.Probed {
	results, done, known := a.parts.prober.Asked(order)
	p := query.Probed{Known: known, Done: done, Results: make([]query.Check, len(results))}
	for i, r := range results {
		p.Results[i] = query.Check{Service: r.Service, Kind: r.Kind, Name: r.Name, Word: r.Word, Why: r.Why, At: r.At, Elapsed: r.Elapsed}
	}
	return p
}

// mine tells whether a row is this agent's. Agents that share a store each speak for their own, so that nothing is told twice.
func (a *Agent) mine(t *ledger.Transaction) bool {
	return a.owned || strings.HasPrefix(t.Run, a.cfg.ID+"/")
}

func (a *Agent) why(ctx context.Context, id string) (query.Why, error) {
	t, err := a.store.Ledger().ByID(ctx, id)
	if err == nil && !a.mine(t) {
		err = ledger.ErrNotFound
	}
	if errors.Is(err, ledger.ErrNotFound) {
		return query.Why{}, fmt.Errorf("%s has no transaction %s", a.cfg.ID, id)
	}
	if err != nil {
		return query.Why{}, fmt.Errorf("dataplane: %w", err)
	}
	w := query.Why{Transaction: a.shown(t), Sentence: sentence(t)}
	w.Decisions, w.Timeline = a.parts.proxy.Why(id)
	if len(w.Decisions) == 0 {
		w.Sentence += " Why each provider was chosen is not known any more: decisions are kept in memory, since the agent's last start."
	}
	if r, ok := a.parts.driver.Resolved(ctx, t); ok {
		w.Timeline = append(w.Timeline, query.Moment{
			After: r.At.Sub(t.Created), Level: "warn", Word: "resolved",
			Text: fmt.Sprintf("%s by %s: %s. Evidence (SHA-256 %s): %s", r.Outcome, r.Actor, r.Reason, r.Hash, r.Evidence),
		})
	}
	return w, nil
}

// shown is a row for people, with when its outcome is looked for next.
func (a *Agent) shown(t *ledger.Transaction) query.Transaction {
	q := shown(t)
	if n := len(q.Attempts); t.Pending() && n > 0 {
		q.Attempts[n-1].NextCheck = a.parts.driver.NextCheck(t)
	}
	return q
}

// dialect is what a service's callers take for an error.
func (a *Agent) dialect(service string) policy.Dialect {
	if snap := a.force.snapshot.Load(); snap != nil {
		if svc, ok := snap.Service(service); ok && svc.Speaks != nil {
			return svc.Speaks.Dialect
		}
	}
	return policy.Stripe
}
