package route

import (
	"fmt"
	"time"

	"segue/controlplane/policy"
)

// RecordVersion is the form that Record writes. Replay reads this one and no other: a record that it would misread is refused.
const RecordVersion = 1

// Record is a decision with all its inputs, in itself: it replays without the policy, the board or the clock that it was made with.
type Record struct {
	Version    int               `json:"version"`
	Service    string            `json:"service"`
	Strategy   string            `json:"strategy"` // weighted | priority
	At         time.Time         `json:"at"`       // for people; the choice knows only the distances below
	Facts      RecordFacts       `json:"facts"`
	Candidates []RecordCandidate `json:"candidates"`
	Winner     int8              `json:"winner"`
	Reason     Reason            `json:"reason"`
}

// RecordFacts are the facts of the request.
type RecordFacts struct {
	Draw   uint64         `json:"draw,string"` // a string: 64 bits do not fit a JavaScript number
	Tried  policy.Set     `json:"tried,omitempty"`
	Pinned int8           `json:"pinned"`
	Owner  int8           `json:"owner"`
	Barred policy.Set     `json:"barred,omitempty"`
	Read   bool           `json:"read,omitempty"`
	Left   *time.Duration `json:"left,omitempty"` // until the deadline; null: none
	// Unmapped are the candidates whose contract does not map the operation.
	Unmapped policy.Set `json:"unmapped,omitempty"`
}

// RecordCandidate is a provider as it stood: its policy, what was seen of it, and the gate that it met.
type RecordCandidate struct {
	Provider string        `json:"provider"`
	Weight   float64       `json:"weight"`
	Limits   policy.Limits `json:"limits"`
	Seen     Seen          `json:"seen"`
	Gate     Gate          `json:"gate"`
}

// Record writes the decision down with the service that it was decided by.
func (d *Decision) Record(svc *policy.Service) *Record {
	r := &Record{
		Version: RecordVersion, Service: svc.Name, Strategy: strategy(svc.Strategy), At: d.At.Round(0),
		Winner: d.Winner, Reason: d.Reason, Candidates: make([]RecordCandidate, min(int(d.N), len(svc.Candidates))),
		Facts: RecordFacts{
			Draw: d.Facts.Draw, Tried: d.Facts.Tried, Pinned: d.Facts.Pinned, Owner: d.Facts.Owner, Read: d.Facts.Read,
			Barred: d.Facts.Barred, Unmapped: d.Facts.Unmapped,
		},
	}
	if !d.Facts.Deadline.IsZero() {
		left := d.Facts.Deadline.Sub(d.At)
		r.Facts.Left = &left
	}
	for i := range r.Candidates {
		c := svc.Candidates[i]
		r.Candidates[i] = RecordCandidate{
			Provider: c.Provider, Weight: weight(svc, i), Limits: c.Limits, Seen: d.Seen[i], Gate: d.Scores[i].Gate,
		}
	}
	return r
}

// Replay decides again from the record's inputs, by the code that decides live calls. Whoever changes a weight in the record first sees
// what would have been.
func Replay(r *Record) (Decision, error) {
	d := Decision{}
	svc, err := r.Policy()
	if err != nil {
		return d, err
	}
	f := policy.Facts{
		Draw: r.Facts.Draw, Tried: r.Facts.Tried, Pinned: r.Facts.Pinned, Owner: r.Facts.Owner, Read: r.Facts.Read,
		Barred: r.Facts.Barred, Unmapped: r.Facts.Unmapped,
	}
	if r.Facts.Left != nil {
		f.Deadline = r.At.Add(*r.Facts.Left)
	}
	d.reset(len(r.Candidates), &f, r.At)
	for i := range r.Candidates {
		d.Seen[i] = r.Candidates[i].Seen
		d.Seen[i].salt = salt(r.Candidates[i].Provider)
	}
	d.choose(svc)
	return d, nil
}

// Policy is the service as far as the choice looked at it: enough for Explain.
func (r *Record) Policy() (*policy.Service, error) {
	if r.Version != RecordVersion {
		return nil, fmt.Errorf("route: a record of version %d; this program reads version %d", r.Version, RecordVersion)
	}
	if len(r.Candidates) > policy.MaxCandidates {
		return nil, fmt.Errorf("route: a record of %d candidates; at most %d", len(r.Candidates), policy.MaxCandidates)
	}
	svc := &policy.Service{Name: r.Service}
	for _, s := range [...]policy.Strategy{policy.Weighted, policy.Priority} {
		if strategy(s) == r.Strategy {
			svc.Strategy = s
		}
	}
	if svc.Strategy == 0 {
		return nil, fmt.Errorf("route: a record of strategy %q", r.Strategy)
	}
	for i := range r.Candidates {
		c := &r.Candidates[i]
		svc.Candidates = append(svc.Candidates, &policy.Candidate{Provider: c.Provider, Weight: c.Weight, Limits: c.Limits})
	}
	return svc, nil
}

// Explain replays the record and tells it in sentences. A record that replays to another winner was made by other code, and says so.
func (r *Record) Explain() ([]string, error) {
	d, err := Replay(r)
	if err != nil {
		return nil, err
	}
	svc, err := r.Policy()
	if err != nil {
		return nil, err
	}
	lines := d.Explain(svc)
	if d.Winner != r.Winner || d.Reason != r.Reason {
		lines = append(lines, fmt.Sprintf("replayed by other code: recorded was candidate %d by %s", r.Winner, r.Reason))
	}
	return lines, nil
}

func strategy(s policy.Strategy) string {
	switch s {
	case policy.Weighted:
		return "weighted"
	case policy.Priority:
		return "priority"
	default:
		return "unknown"
	}
}
