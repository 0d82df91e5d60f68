package route

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// arbitrary makes a world in which every gate, reason and strategy comes up.
func arbitrary(r *rand.Rand) *world {
	weights := make([]float64, 1+r.IntN(4))
	for i := range weights {
		weights[i] = float64(r.IntN(4)) * 100 / 3
	}
	w := newWorld(policy.Weighted+policy.Strategy(r.IntN(4)), weights...)
	w.now = time.Now() // with a monotonic reading, as live calls have
	for i, row := range w.st.Rows {
		arbitraryRow(r, w, i, row)
	}
	n := len(weights)
	if r.IntN(8) == 0 { // a provider is out, and the others are nearly full
		for i, row := range w.st.Rows {
			w.svc.Candidates[i].Limits, row.InFlight = policy.Limits{InFlight: 20}, 16+r.Int32N(4)
		}
	}
	some, of := policy.Set(r.IntN(1<<n)), policy.Set(r.IntN(1<<n)) // few of them, by both
	barred := policy.Set(r.Uint32() & r.Uint32())
	w.f = policy.Facts{Draw: r.Uint64(), Tried: some & of, Pinned: -1, Owner: -1, Barred: barred & of, Read: r.IntN(2) == 0}
	if r.IntN(3) == 0 {
		w.f.Pinned = int8(r.IntN(n + 1))
	}
	if r.IntN(5) == 0 {
		w.f.Owner = int8(r.IntN(n + 1))
	}
	arbitrarySteering(r, w)
	if r.IntN(2) == 0 {
		w.f.Deadline = w.now.Add(time.Duration(r.Int64N(int64(10*time.Second))) - time.Second/2)
	}
	return w
}

// arbitrarySteering gives the service all that it can be steered by, and the call what that reads.
func arbitrarySteering(r *rand.Rand, w *world) {
	n := len(w.svc.Candidates)
	w.st.Past = NewCalls()
	w.f.Client, w.f.Minute, w.f.Op = int8(r.IntN(4)-1), int16(r.IntN(10080)), int16(r.IntN(5))
	if r.IntN(3) > 0 {
		w.f.Value, w.f.Currency = policy.Money(r.Int64N(int64(1000*euro))), policy.CurrencyOf("EUR")
	}
	w.f.Use = policy.Use{In: r.Int32N(5000), Out: r.Int32N(900), Segments: r.Int32N(4)}
	w.svc.Objective = policy.Objective{
		Margin: r.Float64() / 10, Failure: policy.Money(r.Int64N(int64(3 * euro))), Second: policy.Money(r.Int64N(int64(euro))), Stay: policy.Money(r.Int64N(int64(euro) / 10)),
	}
	if r.IntN(3) == 0 {
		w.svc.HighValue = policy.HighValue{Above: 500 * euro, Prefer: policy.PreferReliability}
	}
	if r.IntN(4) == 0 {
		w.svc.Spend = policy.Spend{Limit: euro, Per: 24 * time.Hour, Then: []policy.SpendThen{policy.SpendRefuse, policy.SpendCheapest}[r.IntN(2)]}
		w.st.Past.stretch(w.svc, w.now)
		w.st.Past.spent = policy.Money(r.Int64N(int64(2 * euro)))
	}
	if r.IntN(4) == 0 {
		w.svc.Attempts.Budget = policy.RetryBudget{Ratio: .2, Floor: float64(r.IntN(2)) / 10}
	}
	for range r.IntN(30) {
		w.st.Past.values.note(r.Int64N(int64(1000 * euro)))
	}
	for range 3 {
		near := make([]uint8, n)
		for i := range near {
			near[i] = uint8(r.IntN(3))
		}
		w.svc.Near = append(w.svc.Near, near)
	}
	for k := range r.IntN(3) {
		w.svc.Rules = append(w.svc.Rules, policy.Rule{
			Name: fmt.Sprint("rule ", k), Only: policy.Set(r.Uint32() | r.Uint32()),
			When: func(f *policy.Facts) bool { return f.Operands[k].Number > 3 },
		})
		w.svc.Reads = append(w.svc.Reads, policy.OperandAt{From: []policy.Field{{In: "body", Name: fmt.Sprint("n", k)}}, As: policy.IsNumber})
		w.f.Operands[k] = policy.Operand{Kind: policy.IsNumber, Number: r.Float64() * 5}
	}
	for i := range n {
		mean := 1 - r.Float64()/20
		w.shows(i, mean, mean-r.Float64()/50, time.Duration(r.Int64N(int64(3*time.Second))))
		if r.IntN(3) > 0 {
			w.costs(i, policy.Money(r.Int64N(int64(euro))), r.Int64N(30_000_000))
		}
		if r.IntN(3) == 0 {
			w.st.Rows[i].fees.learned = Learned{Ratio: .25 + 3*r.Float32(), Answers: feesEnough + r.Uint32N(500)}
		}
		if r.IntN(4) == 0 {
			w.shows(i, .99, .98, time.Second) // some are as good
			w.costs(i, euro/4, 10_000_000)
		}
	}
}

func arbitraryRow(r *rand.Rand, w *world, i int, row *Standing) {
	row.normal = float64(r.IntN(40))
	if r.IntN(6) == 0 {
		arbitraryRamp(r, w, row)
		return
	}
	limits := &w.svc.Candidates[i].Limits
	if r.IntN(3) == 0 {
		limits.InFlight, row.InFlight = 3, int32(r.IntN(5))
	}
	if r.IntN(3) == 0 {
		limits.Rate = r.Float64() * 50
		ahead := time.Duration(r.Int64N(int64(time.Second))) - time.Second/2
		row.bucket = bucket{taken: w.now, ahead: ahead, over: ahead - burst(interval(limits.Rate))}
	}
	if r.IntN(8) == 0 {
		row.closed = w.now.Add(time.Duration(r.Int64N(int64(time.Second))) - time.Second/2)
	}
	if r.IntN(6) == 0 {
		row.Drained = w.now.Add(time.Duration(r.Int64N(int64(time.Hour))) - time.Minute)
	}
	if r.IntN(2) == 0 {
		return
	}
	now := w.now
	w.now = w.now.Add(-time.Duration(r.Int64N(int64(50 * time.Second))))
	w.open(i, 1+r.IntN(5))
	if r.IntN(2) == 0 {
		held, _, _ := row.Circuit.Enter(w.now.Add(30*time.Second), r.Uint64())
		if good := r.IntN(3); good > 0 {
			row.Circuit.Step(breaker.Success, held, w.now, 0)
			for range r.IntN(9) {
				row.Circuit.Step(breaker.Success, row.Circuit.Beyond(), w.now, 0)
			}
		}
	}
	w.now = now
}

// arbitraryRamp leaves the row somewhere on a ramp, either way.
func arbitraryRamp(r *rand.Rand, w *world, row *Standing) {
	c, now := &row.Circuit, w.now.Add(-time.Duration(r.Int64N(int64(50*time.Minute))))
	c.Configure(breaker.Settings{Failures: 1, Successes: 1, Reset: time.Second, Lease: time.Second, Back: time.Hour, Away: time.Hour, Salt: row.salt})
	if r.IntN(2) == 0 {
		row.alarmed(Cause{Alarm: health.Slowing, Evidence: health.Evidence{Slow: 14, Answers: 16, Usual: 310 * time.Millisecond}}, now, r.Uint64())
		return
	}
	held, _, _ := c.Enter(now, 0)
	c.Step(breaker.Failure, held, now, 0)
	held, _, _ = c.Enter(now.Add(time.Minute), 0)
	c.Step(breaker.Success, held, now.Add(time.Minute), 0)
}

func TestReplayIsTheSameBitForBit(t *testing.T) {
	const n = 10_000 // by JSON; TestReplayOfALog does many more
	r := seeded(t, 20261121)
	reasons, gates := map[Reason]int{}, map[Gate]int{}
	for k := range n {
		w := arbitrary(r)
		d := w.decide()
		text, err := json.Marshal(d.Record(w.svc))
		if err != nil {
			t.Fatal(err)
		}
		var back Record
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		got, err := Replay(&back)
		if err != nil {
			t.Fatal(err)
		}
		if !sameDecision(&got, d) {
			t.Fatalf("decision %d of this seed\ngot  %+v\nwant %+v\n%s", k, got, *d, text)
		}
		reasons[d.Reason]++
		for i := range d.N {
			gates[d.Scores[i].Gate]++
		}
	}
	for _, reason := range []Reason{NoReason, ByOwner, ByPin, ByWeight, ByPriority, ByFallback, ByProbe, LastResort, ByNearness, ByValue, BySpread, ByRamp} {
		if reasons[reason] < 5 {
			t.Errorf("%v came up only %d times", reason, reasons[reason])
		}
	}
	for g := Passed; g <= NoRetry; g++ {
		if g == Unmapped {
			continue // a set, as Tried is
		}
		if gates[g] < 5 {
			t.Errorf("%v came up only %d times", g, gates[g])
		}
	}
}

func sameDecision(a, b *Decision) bool {
	if a.Winner != b.Winner || a.Reason != b.Reason || a.Probe != b.Probe || a.Moved != b.Moved || a.N != b.N ||
		a.Scores != b.Scores || a.Seen != b.Seen || !a.At.Equal(b.At) {
		return false
	}
	f, g := a.Facts, b.Facts
	if !f.Deadline.Equal(g.Deadline) {
		return false
	}
	f.Deadline, g.Deadline = time.Time{}, time.Time{}
	return reflect.DeepEqual(f, g)
}

func TestARecordThatWouldBeMisreadIsRefused(t *testing.T) {
	good := newWorld(policy.Weighted, 70, 30)
	cases := []struct {
		name string
		bend func(*Record)
		want string
	}{
		{"a later version", func(r *Record) { r.Version = 4 }, "version 4"},
		{"one that is too old", func(r *Record) { r.Version = 1 }, "version 1"},
		{"no version", func(r *Record) { r.Version = 0 }, "version 0"},
		{"another strategy", func(r *Record) { r.Strategy = "whim" }, `"whim"`},
		{"too many candidates", func(r *Record) { r.Candidates = make([]RecordCandidate, 17) }, "17 candidates"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := good.decide().Record(good.svc)
			tc.bend(r)
			if _, err := Replay(r); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v", err)
			}
			if _, err := r.Explain(); err == nil {
				t.Error("it explains itself all the same")
			}
		})
	}
	if err := json.Unmarshal([]byte(`{"reason":"whim"}`), &Record{}); err == nil {
		t.Error("an unknown reason was read")
	}
	if err := json.Unmarshal([]byte(`{"candidates":[{"gate":"whim"}]}`), &Record{}); err == nil {
		t.Error("an unknown gate was read")
	}
}

func TestARecordAnswersWhatIf(t *testing.T) {
	w := newWorld(policy.Weighted, 100, 0)
	r := w.decide().Record(w.svc)
	r.Candidates[0].Weight, r.Candidates[1].Weight = 0, 100
	if d, err := Replay(r); err != nil || d.Winner != 1 {
		t.Errorf("winner %d, %v", d.Winner, err)
	}
	lines, err := r.Explain()
	if err != nil || !strings.Contains(lines[len(lines)-1], "recorded was candidate 0 by weight") {
		t.Errorf("%q %v", lines, err)
	}
}

func TestARecordExplainsItself(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	w.open(0, 3)
	d := w.decide()
	lines, err := d.Record(w.svc).Explain()
	if want := d.Explain(w.svc); err != nil || !reflect.DeepEqual(lines, want) {
		t.Errorf("%q, want %q (%v)", lines, want, err)
	}
}

// TestOldRecordsReplay: this is a record as version 2 wrote it. Whoever changes its form or the arithmetic raises RecordVersion. Half-open as adyen was, a
// call went nowhere: nothing was told of good answers.
func TestOldRecordsReplay(t *testing.T) {
	const old = `{"version":2,"service":"payments","strategy":"weighted","at":"2026-11-21T14:00:00Z",
	"facts":{"draw":"18446744073709551615","pinned":-1,"owner":-1,"left":10000000000},
	"candidates":[
	{"provider":"stripe","weight":70,"limits":{"InFlight":0,"Rate":0},"seen":{"State":"open","Circuit":{"Pass":false,"Probe":false,"Wait":14000000000},"Failures":3},"gate":"circuit-open"},
	{"provider":"adyen","weight":30,"limits":{"InFlight":200,"Rate":100},"seen":{"State":"closed","Circuit":{"Pass":true},"InFlight":12},"gate":"passed"}],
	"winner":1,"reason":"weight"}`
	var r Record
	if err := json.Unmarshal([]byte(old), &r); err != nil {
		t.Fatal(err)
	}
	lines, err := r.Explain()
	want := []string{"adyen won: the session's draw, at 100 % of new sessions", "stripe: circuit open, 3 failures in a row, asks again in 14 s"}
	if err != nil || !reflect.DeepEqual(lines, want) {
		t.Errorf("%q %v", lines, err)
	}
	if r.Candidates[0].Seen.State != breaker.Open {
		t.Error(r.Candidates[0].Seen.State)
	}
	seen := &r.Candidates[1].Seen
	seen.State, seen.InFlight, seen.Circuit = breaker.HalfOpen, 0, breaker.Gate{Wait: time.Second}
	if d, err := Replay(&r); err != nil || d.Winner >= 0 {
		t.Errorf("%d won: %v", d.Winner, err)
	}
	if seen.Circuit.Good = 7; r.Version == RecordVersion {
		t.Error("the record is not of the version before")
	}
	r.Version = RecordVersion
	if d, err := Replay(&r); err != nil || d.Winner != 1 || d.Reason != LastResort {
		t.Errorf("with what is told now, %d won by %v: %v", d.Winner, d.Reason, err)
	}
}
