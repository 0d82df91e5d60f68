package proxy

import (
	"encoding/json"
	"slices"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/route"
)

// Why tells what was decided for a transaction and when; nothing if its exchange was in an earlier run, or too long ago.
func (p *Proxy) Why(id string) ([]query.Decision, []query.Moment) {
	e := p.log.find(id)
	if e == nil {
		return nil, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]query.Decision, 0, len(e.choices))
	for i := range e.choices {
		out = append(out, e.choices[i].explain())
	}
	return out, slices.Clone(e.moments)
}

// explain replays the record: what is told is what the code that decides says of these inputs.
func (c *choice) explain() query.Decision {
	q := query.Decision{At: c.at, Revision: c.revision, Why: c.why}
	r := c.record
	svc, err := r.Policy()
	if err != nil {
		q.Why += " (" + err.Error() + ")"
		return q
	}
	if q.Record, err = json.Marshal(r); err != nil {
		q.Why += " (" + err.Error() + ")"
	}
	d, err := route.Replay(r)
	if err != nil {
		return q
	}
	reasons := d.Reasons(svc)
	for i := range r.Candidates {
		k := &r.Candidates[i]
		chosen := i == int(r.Winner)
		if chosen {
			q.Winner = k.Provider
		}
		row := query.Candidate{Provider: k.Provider, Gate: k.Gate.String(), Why: reasons[i], Weight: k.Weight, Rank: d.Scores[i].Rank, Chosen: chosen}
		if svc.Strategy == policy.Adaptive {
			row.Rank, row.Unit = row.Rank/float64(policy.Unit), c.money
		}
		q.Candidates = append(q.Candidates, row)
	}
	return q
}
