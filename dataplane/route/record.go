package route

import (
	"fmt"
	"time"

	"segue/controlplane/policy"
)

// RecordVersion is the form that Record writes. Replay reads it and the one before, which told nothing of a provider's good answers since it was asked
// again: then none had them, as then none was given calls for them. A record that Replay would misread is refused.
const (
	RecordVersion = 3
	oldestRecord  = 2
)

// Record is a decision with all its inputs, in itself: it replays without the policy, the board or the clock that it was made with.
type Record struct {
	Version    int               `json:"version"`
	Service    string            `json:"service"`
	Strategy   string            `json:"strategy"` // weighted | priority | nearest | adaptive
	At         time.Time         `json:"at"`       // for people; the choice knows only the distances below
	Facts      RecordFacts       `json:"facts"`
	Steering   RecordSteering    `json:"steering,omitzero"`
	Past       Past              `json:"past,omitzero"`
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
	RecordRequest
}

// RecordRequest is what strategies and rules read of the request.
type RecordRequest struct {
	Op       int16            `json:"op,omitempty"`
	Client   int8             `json:"client"`
	Minute   int16            `json:"minute,omitempty"`
	Value    policy.Money     `json:"value,omitempty"`
	Currency policy.Currency  `json:"currency,omitempty"`
	Use      policy.Use       `json:"use,omitzero"`
	Operands []policy.Operand `json:"operands,omitempty"` // without those at the end that are missing
}

// RecordSteering is what the service is steered by, beside its strategy, as far as the choice looks at it.
type RecordSteering struct {
	Objective policy.Objective `json:"objective,omitzero"`
	HighValue policy.HighValue `json:"high_value,omitzero"`
	Spend     policy.Spend     `json:"spend,omitzero"`
	Near      []uint8          `json:"near,omitempty"`  // of the user's region
	Rules     []string         `json:"rules,omitempty"` // their names; what each candidate met stands in seen
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
		Version: RecordVersion, Service: svc.Name, Strategy: svc.Strategy.String(), At: d.At.Round(0), Facts: d.facts(), Past: d.Past,
		Winner: d.Winner, Reason: d.Reason, Candidates: make([]RecordCandidate, min(int(d.N), len(svc.Candidates))),
		Steering: RecordSteering{
			Objective: svc.Objective, HighValue: svc.HighValue, Spend: svc.Spend, Near: nearness(svc, d.Facts.Client),
		},
	}
	for i := range svc.Rules {
		r.Steering.Rules = append(r.Steering.Rules, svc.Rules[i].Name)
	}
	for i := range r.Candidates {
		c := svc.Candidates[i]
		r.Candidates[i] = RecordCandidate{
			Provider: c.Provider, Weight: weight(svc, i), Limits: c.Limits, Seen: d.Seen[i], Gate: d.Scores[i].Gate,
		}
	}
	return r
}

func (d *Decision) facts() RecordFacts {
	f := &d.Facts
	r := RecordFacts{
		Draw: f.Draw, Tried: f.Tried, Pinned: f.Pinned, Owner: f.Owner, Read: f.Read, Barred: f.Barred, Unmapped: f.Unmapped,
		RecordRequest: RecordRequest{Op: f.Op, Client: f.Client, Minute: f.Minute, Value: f.Value, Currency: f.Currency, Use: f.Use},
	}
	if !f.Deadline.IsZero() {
		left := f.Deadline.Sub(d.At)
		r.Left = &left
	}
	n := len(f.Operands)
	for n > 0 && f.Operands[n-1] == (policy.Operand{}) {
		n--
	}
	if n > 0 {
		r.Operands = append(r.Operands, f.Operands[:n]...)
	}
	return r
}

func (r *RecordFacts) facts(at time.Time) policy.Facts {
	f := policy.Facts{
		Draw: r.Draw, Tried: r.Tried, Pinned: r.Pinned, Owner: r.Owner, Read: r.Read, Barred: r.Barred, Unmapped: r.Unmapped,
		Op: r.Op, Client: r.Client, Minute: r.Minute, Value: r.Value, Currency: r.Currency, Use: r.Use,
	}
	if r.Left != nil {
		f.Deadline = at.Add(*r.Left)
	}
	copy(f.Operands[:], r.Operands)
	return f
}

// Replay decides again from the record's inputs, by the code that decides live calls. Whoever changes a weight in the record first sees
// what would have been.
func Replay(r *Record) (Decision, error) {
	d := Decision{}
	svc, err := r.Policy()
	if err != nil {
		return d, err
	}
	f := r.Facts.facts(r.At)
	d.reset(len(r.Candidates), &f, r.At)
	d.Past = r.Past
	for i := range r.Candidates {
		d.Seen[i] = r.Candidates[i].Seen
		d.Seen[i].salt = salt(r.Candidates[i].Provider)
	}
	d.choose(svc)
	return d, nil
}

// Policy is the service as far as the choice looked at it: enough for Explain.
func (r *Record) Policy() (*policy.Service, error) {
	if r.Version < oldestRecord || r.Version > RecordVersion {
		return nil, fmt.Errorf("route: a record of version %d; this program reads versions %d to %d", r.Version, oldestRecord, RecordVersion)
	}
	if len(r.Candidates) > policy.MaxCandidates {
		return nil, fmt.Errorf("route: a record of %d candidates; at most %d", len(r.Candidates), policy.MaxCandidates)
	}
	svc := &policy.Service{Name: r.Service}
	svc.Objective, svc.HighValue, svc.Spend = r.Steering.Objective, r.Steering.HighValue, r.Steering.Spend
	if len(r.Steering.Near) > 0 { // the one user's region that counts
		svc.Near = make([][]uint8, 1+max(r.Facts.Client, 0))
		svc.Near[max(r.Facts.Client, 0)] = r.Steering.Near
	}
	for _, name := range r.Steering.Rules {
		svc.Rules = append(svc.Rules, policy.Rule{Name: name, When: func(*policy.Facts) bool { return false }})
	}
	for _, s := range [...]policy.Strategy{policy.Weighted, policy.Priority, policy.Nearest, policy.Adaptive} {
		if s.String() == r.Strategy {
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
