package simulator

import (
	"cmp"
	"slices"
	"time"
)

// None stands where nothing was measured.
const None = -1.0

// Result is what came of one player in one scenario at one rate, over all seeds.
type Result struct {
	Scenario string  `json:"scenario"`
	Rate     float64 `json:"rate"`
	Player   string  `json:"player"`
	Runs     int     `json:"runs"`
	Calls    uint64  `json:"calls"`
	Service
	Money
	Care
	Reaction
}

// Service is what callers got.
type Service struct {
	Success float64 `json:"success_percent"`
	Unknown float64 `json:"unknown_percent"` // told that it is not known
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	P999    float64 `json:"p999_ms"`
}

// Money is per 1,000 calls.
type Money struct {
	Fees    float64 `json:"fees_per_1000"`
	Loss    float64 `json:"loss_per_1000"`            // fees, and what failures and duplicates cost
	Doubled float64 `json:"duplicates_cost_per_1000"` // of it
	Regret  float64 `json:"regret_percent"`           // of the oracle's loss; None: there was no oracle
}

// Care is what was done with what is not known.
type Care struct {
	Duplicates    uint64  `json:"duplicates"`
	PerHundred    float64 `json:"duplicates_per_100000"`
	Blind         uint64  `json:"blind_resends"` // of effects, elsewhere, though nobody knew whether they were executed
	Held          uint64  `json:"held"`
	Resolved      uint64  `json:"resolved"`
	ResolveP50    float64 `json:"resolve_p50_seconds"`
	ResolveP99    float64 `json:"resolve_p99_seconds"`
	Wasted        float64 `json:"wasted_percent"` // sends beyond one for each call that ended well
	Amplification float64 `json:"amplification"`  // sends for each wish of a caller
}

// Reaction is how the player took trouble and its end.
type Reaction struct {
	SeenSeconds float64 `json:"seen_seconds"`    // median, from the fault to the gate
	SeenCalls   float64 `json:"seen_calls"`      // median, ends at the provider by then
	Missed      int     `json:"missed"`          // regions and runs in which no gate shut
	AllOff      float64 `json:"all_off_seconds"` // the worst run: from the first failure until the last region's gate
	OffP50      float64 `json:"off_p50_seconds"`
	OffP95      float64 `json:"off_p95_seconds"`
	Left        float64 `json:"left_seconds"`       // until the provider had less than half its share
	Back        float64 `json:"back_seconds"`       // from the fault's end until it had 90 % of its share again
	BackAfter   float64 `json:"back_after_seconds"` // the same from when its circuit let it back
	Gates       int     `json:"gates"`
	FalseGates  int     `json:"false_gates"`
	FalseADay   float64 `json:"false_gates_a_day"`
	Verdicts    []int   `json:"verdicts"`             // by kind: none, path, provider, region, ours
	Queued      float64 `json:"others_queue_seconds"` // the longest wait for a server at a provider that is not the target
	Turns       []Turn  `json:"turns,omitempty"`
}

// Result sums a tally up. oracle is the oracle's, or nil.
func (t *Tally) Result(oracle *Tally) Result {
	calls := float64(max(t.Calls, 1))
	r := Result{Scenario: t.Scenario, Rate: t.Rate, Player: t.Player, Runs: t.Runs, Calls: t.Calls}
	r.Service = Service{
		Success: 100 * float64(t.Good) / calls, Unknown: 100 * float64(t.Unknown) / calls,
		P50: t.Latency.quantile(.5), P99: t.Latency.quantile(.99), P999: t.Latency.quantile(.999),
	}
	wishes := float64(max(t.Wishes, 1))
	r.Money = Money{Fees: 1000 * t.Fees / wishes, Loss: t.Loss(), Doubled: 1000 * float64(t.Duplicates) * DuplicateCost / wishes, Regret: None}
	if oracle != nil && oracle.Loss() > 0 {
		r.Regret = 100 * (t.Loss()/oracle.Loss() - 1)
	}
	r.Care = Care{
		Duplicates: t.Duplicates, Blind: t.Blind, PerHundred: 1e5 * float64(t.Duplicates) / calls, Held: t.Unknown, Resolved: t.Resolved,
		ResolveP50: inSeconds(t.Resolve.quantile(.5)), ResolveP99: inSeconds(t.Resolve.quantile(.99)),
		Wasted: 100 * (float64(t.Sends) - float64(t.Good)) / calls, Amplification: float64(t.Sends) / float64(max(t.Wishes, 1)),
	}
	r.Reaction = t.reaction()
	return r
}

func inSeconds(ms float64) float64 {
	if ms < 0 {
		return None
	}
	return ms / 1000
}

// Loss is what 1,000 calls cost: the fees, what was lost with those whose caller was told no outcome, and what duplicates cost.
func (t *Tally) Loss() float64 {
	bad := float64(t.Failed+t.Unknown)*FailureCost + float64(t.Duplicates)*DuplicateCost
	return 1000 * (t.Fees + bad) / float64(max(t.Wishes, 1))
}

func (t *Tally) reaction() Reaction {
	queued := 0.0
	for p, x := range t.Over {
		if p != t.watch.target {
			queued = max(queued, x)
		}
	}
	days := t.Span.Hours() / 24 * float64(t.Runs)
	r := Reaction{
		SeenSeconds: median(t.Seen), SeenCalls: None, AllOff: None, OffP50: None, OffP95: None, Left: None, Back: None, BackAfter: t.backAfter(),
		Gates: t.Gates, FalseGates: t.FalseGates, Verdicts: t.Verdicts[:], Queued: queued, Turns: t.Turns,
	}
	if days > 0 {
		r.FalseADay = float64(t.FalseGates) / days
	}
	calls := make([]float64, len(t.SeenCalls))
	for i, n := range t.SeenCalls {
		calls[i] = float64(n)
	}
	r.SeenCalls = median(calls)
	for _, s := range t.Seen {
		if s < 0 {
			r.Missed++
		}
	}
	if len(t.AllOff) > 0 {
		r.AllOff, r.OffP50, r.OffP95 = slices.Max(t.AllOff), median(t.AllOff), quantile(t.AllOff, .95)
		if slices.Min(t.AllOff) < 0 { // somewhere it was never seen
			r.AllOff = None
		}
	}
	r.Left, r.Back = t.moved()
	return r
}

// median is the middle one.
func median(of []float64) float64 { return quantile(of, .5) }

// quantile is the one behind so many of them; what was never seen is later than everything.
func quantile(of []float64, q float64) float64 {
	if len(of) == 0 {
		return None
	}
	sorted := slices.Clone(of)
	slices.SortFunc(sorted, func(a, b float64) int {
		if (a < 0) != (b < 0) {
			return cmp.Compare(b, a) // what was never seen goes last
		}
		return cmp.Compare(a, b)
	})
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// moved tells from the shares of first choices, over all runs, when the target was left and when it was back; None: it was not.
func (t *Tally) moved() (left, back float64) {
	w, width := &t.watch, t.Span.Seconds()/Bins
	if w.target < 0 || w.onset == never {
		return None, None
	}
	from, to := int(time.Duration(w.onset).Seconds()/width), int(time.Duration(w.over).Seconds()/width)
	usual := t.share(from-from/2, from)
	left, back = None, None
	for i := from; i < to && left < 0; i++ {
		if t.share(i, i+1) < usual/2 {
			left = float64(i-from) * width
		}
	}
	if left < 0 {
		return left, back
	}
	for i := to; i+1 < Bins && back < 0; i++ {
		if t.share(i, i+2) >= .9*usual {
			back = float64(i-to) * width
		}
	}
	return left, back
}

// share is the target's part of the first choices in those bins.
func (t *Tally) share(from, to int) float64 {
	mine, every := 0.0, 0.0
	for i := max(from, 0); i < min(to, Bins); i++ {
		for p, n := range t.Series[i].First {
			every += float64(n)
			if p == t.watch.target {
				mine += float64(n)
			}
		}
	}
	if every == 0 {
		return 0
	}
	return mine / every
}

// backAfter is how long after its probes the target had 90 % of its usual share; None: it never had, or no circuit let it back.
func (t *Tally) backAfter() float64 {
	w := &t.watch
	if w.target < 0 || w.onset == never {
		return None
	}
	from := int(time.Duration(w.onset).Seconds() / (t.Span.Seconds() / Bins))
	usual := t.share(from-from/2, from)
	for i := 0; i+1 < RampSlots; i++ {
		mine, every := t.Back[i][0]+t.Back[i+1][0], t.Back[i][1]+t.Back[i+1][1]
		if every > 0 && float64(mine) >= .9*usual*float64(every) {
			return float64(i) / 2
		}
	}
	return None
}
