package route

import (
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

const euro = policy.Unit

// shows makes a row known: its rate of success, and how long it takes.
func (w *world) shows(i int, mean, lower float64, latency time.Duration) {
	for k := range w.st.Rows[i].known {
		w.st.Rows[i].known[k] = knowledge{mean: float32(mean), lower: float32(lower), latency: latency, limit: time.Second}
	}
}

func (w *world) costs(i int, fixed policy.Money, billion int64) {
	w.svc.Candidates[i].Cost = policy.Fee{Known: true, Tariff: policy.Tariff{Fixed: fixed, Billion: billion}}
}

func adaptive(n int) *world {
	w := newWorld(policy.Adaptive, make([]float64, n)...)
	w.st.Past = NewCalls()
	w.f.Value = 100 * euro
	w.svc.Objective = policy.Objective{Margin: .05, Failure: 2 * euro, Second: euro / 100, Stay: euro / 50}
	for i := range n {
		w.shows(i, .99, .98, 200*time.Millisecond)
		w.costs(i, euro/4, 15_000_000)
	}
	return w
}

func TestWorthIsWhatTheStandardSays(t *testing.T) {
	w := adaptive(2)
	w.svc.Candidates[0].Limits.InFlight, w.st.Rows[0].InFlight = 10, 5
	d := w.decide()
	// EV = p̃(M − c) − (1−p̃)F − λL̂(1 + inflight/limit): .99·(5 − 1.75) − .01·2 − .01·.2·1.5
	p := float64(float32(.99))
	want := 1e6 * (p*(5-1.75) - (1-p)*2 - .01*.2*1.5)
	if got := d.Scores[0].Rank; got < want-1 || got > want+1 {
		t.Errorf("worth %v, want %v", got, want)
	}
	w.f.Pinned = 1
	if d := w.decide(); d.Scores[0].Rank > want-20_000+1 || d.Winner != 1 || d.Reason != ByPin {
		t.Errorf("the session leaves without its price: %v by %v, %v", d.Winner, d.Reason, d.Scores[0].Rank)
	}
}

func TestAdaptiveTakesTheBest(t *testing.T) {
	cases := []struct {
		name   string
		bend   func(w *world)
		winner int8
		reason Reason
		says   string
	}{
		{"cheaper", func(w *world) { w.costs(1, euro/4, 14_000_000) }, 1, ByValue, "fee -10 bps"},
		{"more reliable", func(w *world) { w.shows(1, .996, .99, 200*time.Millisecond) }, 1, ByValue, "success +0.6 pp"},
		{"faster", func(w *world) { w.shows(1, .99, .98, time.Millisecond); w.svc.Objective.Second = euro }, 1, ByValue, "time -199 ms"},
		{"a dear one that succeeds", func(w *world) { w.costs(1, euro/4, 15_200_000); w.shows(1, .999, .99, 200*time.Millisecond) }, 1, ByValue, "success +0.9 pp, fee +2 bps"},
		{"the best is out", func(w *world) { w.costs(1, 0, 0); w.open(1, 3) }, 0, ByValue, "nobody else passed"},
		{"the session stays for a small gain", func(w *world) { w.f.Pinned = 0; w.costs(1, euro/4, 14_990_000) }, 0, ByPin, "pinned"},
		{"and leaves for a large one", func(w *world) { w.f.Pinned = 0; w.costs(1, euro/4, 10_000_000) }, 1, ByValue, "the session is at stripe"},
		{"and does not leave where leaving is dear", func(w *world) {
			w.f.Pinned = 0
			w.svc.Objective.Stay = 10 * euro
			w.costs(1, 0, 0)
		}, 0, ByPin, "pinned"},
		{"high value goes by what is known for sure", func(w *world) {
			w.svc.HighValue.Above = 50 * euro
			w.shows(1, .99, .984, 200*time.Millisecond)
		}, 1, ByValue, "success +0.4 pp"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := adaptive(2)
			tc.bend(w)
			d := w.decide()
			if line := strings.Join(d.Explain(w.svc), "; "); d.Winner != tc.winner || d.Reason != tc.reason || !strings.Contains(line, tc.says) {
				t.Errorf("%d by %v: %s", d.Winner, d.Reason, line)
			}
		})
	}
}

// TestAsGoodIsSpread: candidates whose worth differs by less than a thousandth of the margin share the calls, by the operator's weights.
func TestAsGoodIsSpread(t *testing.T) {
	const n = 30_000
	for _, weights := range [][]float64{{0, 0}, {60, 40}} {
		r, w, got := seeded(t, 8), adaptive(2), [2]int{}
		share := .5
		for i, x := range weights {
			w.svc.Candidates[i].Weight = x
		}
		if weights[0] > 0 {
			share = .6
		}
		w.costs(1, euro/4+4000, 15_000_000) // 4 of the 5 thousandths of a euro
		for range n {
			w.f.Draw = r.Uint64()
			d := w.decide()
			if d.Reason != BySpread {
				t.Fatal(d.Reason)
			}
			got[d.Winner]++
		}
		within3Sigma(t, 0, got[0], n, share)
	}
	w := adaptive(2)
	w.costs(1, euro/4+6000, 15_000_000)
	if d := w.decide(); d.Winner != 0 || d.Reason != ByValue {
		t.Errorf("what is worse by more: %v", d.Reason)
	}
}

func TestNearestGoesByTheUser(t *testing.T) {
	w := newWorld(policy.Nearest, 0, 0, 0)
	w.svc.Near, w.svc.Here = [][]uint8{{0, 1, 2}, {2, 1, 0}, {1, 0, 0}}, 0
	for _, tc := range []struct {
		client, winner int8
		bend           func(w *world)
	}{{-1, 0, nil}, {0, 0, nil}, {1, 2, nil}, {7, 0, nil}, {1, 1, func(w *world) { w.open(2, 3) }}} {
		if tc.bend != nil {
			tc.bend(w)
		}
		w.f.Client = tc.client
		if d := w.decide(); d.Winner != tc.winner && tc.client != 7 {
			t.Errorf("client %d: %d by %v, want %d", tc.client, d.Winner, d.Reason, tc.winner)
		}
	}
	w = newWorld(policy.Nearest, 0, 0, 0)
	w.svc.Near, w.f.Client = [][]uint8{{0, 1, 2}, {2, 1, 0}, {1, 0, 0}}, 2
	r, got := seeded(t, 9), [3]int{}
	for range 20_000 {
		w.f.Draw = r.Uint64()
		got[w.decide().Winner]++
	}
	within3Sigma(t, 1, got[1], 20_000, .5)
	if got[0] != 0 {
		t.Errorf("%d went further than they had to", got[0])
	}
}

func TestRulesKeepAway(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0, 0)
	eu := func(f *policy.Facts) bool { return f.Operands[0].Text == 3 }
	w.svc.Rules = []policy.Rule{
		{Name: "never", When: func(*policy.Facts) bool { return false }, Only: 0},
		{Name: "EU cards stay in the EU", When: eu, Only: policy.Set(0).With(1).With(2)},
		{Name: "and not at checkout", When: eu, Only: policy.Set(0).With(0).With(1)},
	}
	w.f.Operands[0] = policy.Operand{Kind: policy.IsText, Text: 3}
	d := w.decide()
	if d.Winner != 1 || d.Scores[0].Gate != Ruled || d.Seen[0].Rule != 2 || d.Seen[2].Rule != 3 {
		t.Errorf("%v %v", d.Winner, d.Explain(w.svc))
	}
	if why := d.Why(w.svc); !strings.Contains(why, "stripe: kept away by the rule EU cards stay in the EU") {
		t.Error(why)
	}
	w.f.Pinned = 0
	if d := w.decide(); d.Winner != 1 || !d.Moved {
		t.Errorf("a session stays where a rule does not want it: %d", d.Winner)
	}
	w.f.Owner = 0
	if d := w.decide(); d.Winner != 0 || d.Reason != ByOwner {
		t.Errorf("an object that is there already went to %d", d.Winner)
	}
	w.f.Owner, w.f.Pinned, w.f.Operands[0].Text = -1, -1, 0
	if d := w.decide(); d.Winner != 0 {
		t.Errorf("a rule that does not hold kept it away: %d", d.Winner)
	}
}

func TestHighValueGoesToTheReliable(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0, 0)
	w.svc.HighValue = policy.HighValue{Above: 500 * euro, Prefer: policy.PreferReliability}
	w.shows(0, .99, .975, time.Second)
	w.shows(1, .99, .982, time.Second)
	w.shows(2, .99, .986, time.Second)
	w.f.Value = 499 * euro
	if d := w.decide(); d.Winner != 0 {
		t.Errorf("a call of low value went to %d", d.Winner)
	}
	w.f.Value = 500 * euro
	d := w.decide()
	if d.Winner != 1 || d.Scores[0].Gate != Careful {
		t.Errorf("within half a percent of the best is 1, it went to %d: %v", d.Winner, d.Explain(w.svc))
	}
	w.open(1, 3)
	w.open(2, 3)
	if d := w.decide(); d.Winner != 0 {
		t.Errorf("with the others out it went to %d", d.Winner)
	}
	w.ramps(1)
	w.open(0, 3)
	if d := w.decide(); d.Winner != 1 {
		t.Errorf("nobody is closed, and one is coming back: it went to %d: %v", d.Winner, d.Explain(w.svc))
	}
}

// ramps brings candidate i, which is open, to the end of its ramp back.
func (w *world) ramps(i int) {
	c := &w.st.Rows[i].Circuit
	c.Configure(breaker.Settings{Failures: 3, Successes: 1, Reset: time.Second, Lease: time.Second, Back: time.Hour, Salt: w.st.Rows[i].salt})
	now := w.now.Add(-time.Hour + time.Second)
	held, _, _ := c.Enter(w.now.Add(time.Hour), 0)
	if c.State() == breaker.HalfOpen {
		c.Step(breaker.Success, held, now, 0)
	}
	if c.State() != breaker.Ramp {
		panic("it is not on a ramp: " + c.State().String())
	}
}

func TestSpentMoney(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	w.st.Past = NewCalls()
	w.svc.Spend = policy.Spend{Limit: euro, Per: 24 * time.Hour, Then: policy.SpendRefuse}
	w.costs(0, euro/4, 0)
	w.costs(1, euro/10, 0)
	for range 4 {
		if p, _ := w.begin(); !p.Valid() {
			t.Fatal("refused before it was spent")
		}
	}
	d := w.decide()
	if d.Winner >= 0 || d.Scores[0].Gate != Spent || d.Past.Resets != 10*time.Hour { // t0 is at 14:00
		t.Fatalf("%d, %v, %v", d.Winner, d.Scores[0].Gate, d.Past.Resets)
	}
	w.f.Read = true
	if d := w.decide(); d.Winner >= 0 {
		t.Error("reads cost too")
	}
	w.svc.Spend.Then = policy.SpendCheapest
	if d := w.decide(); d.Winner != 1 || d.Scores[0].Gate != Dearer {
		t.Errorf("the cheapest is 1: %d, %v", d.Winner, d.Explain(w.svc))
	}
	w.svc.Spend.Then = policy.SpendRefuse
	w.costs(1, 0, 0)
	if d := w.decide(); d.Winner != 1 {
		t.Errorf("what costs nothing may go on: %d", d.Winner)
	}
	w.now = w.now.Add(10 * time.Hour)
	if d := w.decide(); d.Winner != 0 {
		t.Errorf("a new day: %d", d.Winner)
	}
}

// TestMoneyComesBack: what was not sent or cost something else is put right.
func TestMoneyComesBack(t *testing.T) {
	w := newWorld(policy.Priority, 0)
	w.st.Past = NewCalls()
	w.svc.Spend = policy.Spend{Limit: euro, Per: 24 * time.Hour, Then: policy.SpendRefuse}
	w.costs(0, euro/4, 0)
	p, _ := w.begin()
	q, _ := w.begin()
	p.Release()
	q.Charge(euro / 2)
	if spent, until := w.st.Past.Spent(w.svc, w.now); spent != euro/2 || !until.Equal(t0.Add(10*time.Hour)) {
		t.Errorf("%v until %v", spent, until)
	}
	old, _ := w.begin()
	w.now = w.now.Add(24 * time.Hour)
	w.decide()
	w.begin()
	old.Charge(0) // of yesterday's budget
	if spent, _ := w.st.Past.Spent(w.svc, w.now); spent != euro/4 {
		t.Errorf("%v", spent)
	}
}

func TestRetriesAreRefusedWhenTheyAreUsedUp(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	w.st.Past = NewCalls()
	w.svc.Attempts.Budget = policy.RetryBudget{Ratio: .2, Floor: .1}
	w.f.Tried = 1
	if p, _ := w.begin(); !p.Valid() {
		t.Fatal("the first retry is there")
	}
	d := w.decide()
	if d.Winner >= 0 || d.Scores[1].Gate != NoRetry || d.Scores[0].Gate != Tried {
		t.Fatalf("%d: %v", d.Winner, d.Explain(w.svc))
	}
	w.f.Tried = 0
	for range 5 {
		if p, _ := w.begin(); !p.Valid() {
			t.Fatal("a first attempt needs no retry")
		}
	}
	w.f.Tried = 1
	if d := w.decide(); d.Winner != 1 {
		t.Errorf("five calls earned one: %v", d.Explain(w.svc))
	}
	if !w.st.Retry(w.svc, w.now) || w.st.Retry(w.svc, w.now) {
		t.Error("and one only")
	}
}

func TestLowValueIsShedFirst(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	w.st.Past = NewCalls()
	w.svc.Candidates[1].Limits.InFlight = 100
	for i := range 1000 {
		w.st.Past.values.note(int64(policy.Money(1+i%10) * 10 * euro))
	}
	try := func(value policy.Money, inFlight int32) Gate {
		w.f.Value, w.st.Rows[1].InFlight = value, inFlight
		if d := w.decide(); d.Winner < 0 {
			return d.Scores[1].Gate
		}
		return Passed
	}
	w.f.Value = 10 * euro
	w.st.Rows[1].InFlight = 99
	if d := w.decide(); d.Winner != 0 {
		t.Fatal("nobody is out")
	}
	w.open(0, 3)
	for _, tc := range []struct {
		value    policy.Money
		inFlight int32
		want     Gate
	}{
		{10 * euro, 70, Passed}, {10 * euro, 85, Shed}, {60 * euro, 85, Passed}, {60 * euro, 97, Shed}, {100 * euro, 99, Passed}, {100 * euro, 100, AtCapacity}, {0, 99, Passed},
	} {
		if got := try(tc.value, tc.inFlight); got != tc.want {
			t.Errorf("%d at %d of 100: %v, want %v", tc.value/euro, tc.inFlight, got, tc.want)
		}
	}
	w.f.Read = true
	if got := try(10*euro, 90); got != Shed {
		t.Errorf("the last resort took what was shed: %v", got)
	}
}

// TestTheLastResortIsGentle: a fifth of an ordinary day's calls in flight.
func TestTheLastResortIsGentle(t *testing.T) {
	w := one(policy.Limits{InFlight: 50})
	w.f.Read = true
	w.open(0, 3)
	n := 0
	for range 40 {
		if p, d := w.begin(); p.Valid() {
			n++
			if d.Reason != LastResort {
				t.Fatal(d.Reason)
			}
		}
	}
	if n != 10 {
		t.Errorf("%d in flight of 50", n)
	}
	w = one(policy.Limits{}) // no limit: what it usually is
	w.f.Read = true
	w.st.Rows[0].normal = 40
	w.open(0, 3)
	for n = 0; n < 100; n++ {
		if p, _ := w.begin(); !p.Valid() {
			break
		}
	}
	if n != 8 {
		t.Errorf("%d in flight, 40 are usual", n)
	}
}

// TestAnEffectIsTriedWhereNothingIsSent: where every connection was refused, a try is proven unsent; one that may have been sent ends that.
func TestAnEffectIsTriedWhereNothingIsSent(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	refused := health.Sample{Class: health.Failure, Unsent: true, Latency: 20 * time.Millisecond}
	for i, row := range w.st.Rows {
		row.Circuit.Configure(breaker.Settings{Failures: 3, Successes: 5, Lease: time.Second})
		for range 3 {
			w.f.Tried = policy.Set(0).With(1 - i)
			p, _ := w.begin()
			p.End(refused, w.now, 0)
		}
	}
	w.f.Tried = 0
	p, d := w.begin()
	if d.Winner != 0 || d.Reason != LastResort || p.ticket != breaker.Outside {
		t.Fatalf("%v by %v; %v, %v", d.Winner, d.Reason, d.Scores[0].Gate, d.Scores[1].Gate)
	}
	if q, d := w.begin(); d.Winner != 1 || q.row == p.row {
		t.Errorf("the second of one moment: %v", d.Winner)
	} else {
		q.Release()
	}
	before, _ := p.row.Measures[effects].Success(w.now)
	p.End(refused, w.now, 0)
	if after, _ := p.row.Measures[effects].Success(w.now); after != before {
		t.Errorf("a try that was refused as expected took the rate of success from %v to %v", before, after)
	}
	for range 2 { // now the connection is there, and no answer comes: whether it was executed is not known
		if p, d := w.begin(); p.Valid() {
			p.End(health.Sample{Class: health.Failure, Latency: 4 * time.Second}, w.now, 0)
		} else {
			t.Errorf("%v: %v", d.Winner, d.Scores[0].Gate)
		}
	}
	if _, d := w.begin(); d.Winner >= 0 {
		t.Errorf("an effect goes to %v, where the last ones stayed without an answer", d.Winner)
	}
	w = newWorld(policy.Priority, 0)
	w.drain(0)
	if d := w.decide(); d.Winner >= 0 {
		t.Error("an effect goes to a provider that is drained")
	}
}

func TestARampTakesWhatNobodyElseCan(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	w.svc.Candidates[0].Limits.InFlight, w.svc.Candidates[1].Limits.InFlight = 100, 10
	w.open(0, 3)
	c := &w.st.Rows[0].Circuit
	c.Configure(breaker.Settings{Failures: 3, Successes: 1, Reset: time.Second, Lease: time.Second, Back: time.Hour})
	w.now = w.now.Add(time.Minute)
	held, _, _ := c.Enter(w.now, 0)
	c.Step(breaker.Success, held, w.now, 0)
	for w.f.Draw = 0; c.Gate(w.now, w.f.Draw).Pass; w.f.Draw++ {
	}
	d := w.decide()
	if d.Winner != 1 || d.Scores[0].Gate != Ramping {
		t.Fatalf("%v", d.Explain(w.svc))
	}
	w.st.Rows[1].InFlight = 10
	if d := w.decide(); d.Winner != 0 || d.Reason != ByRamp {
		t.Errorf("an effect that nobody else takes: %v", d.Explain(w.svc))
	}
	w.st.Rows[0].InFlight = 20
	if d := w.decide(); d.Winner >= 0 {
		t.Errorf("more than a fifth at once: %v", d.Explain(w.svc))
	}
}

// TestSharesHoldOnARamp: chi-square of the draws that each gets, at several places of the ramp: the one that comes back gets that part of
// its share, and the others keep theirs among them.
func TestSharesHoldOnARamp(t *testing.T) {
	const n = 40_000
	for _, part := range []float64{.1, .25, .5, .9} {
		r, w, got := seeded(t, 21), newWorld(policy.Weighted, 50, 30, 20), [3]float64{}
		w.open(0, 3)
		c := &w.st.Rows[0].Circuit
		c.Configure(breaker.Settings{Failures: 3, Successes: 1, Reset: time.Second, Lease: time.Second, Back: time.Hour, Salt: w.st.Rows[0].salt})
		w.now = w.now.Add(time.Minute)
		held, _, _ := c.Enter(w.now, 0)
		c.Step(breaker.Success, held, w.now, 0)
		w.now = w.now.Add(time.Duration((part - breaker.StartShare) / (1 - breaker.StartShare) * float64(time.Hour)))
		share := c.Share(w.now)
		for range n {
			w.f.Draw = r.Uint64()
			got[w.decide().Winner]++
		}
		first := .5 * share
		chi := 0.0
		for i, want := range [3]float64{first, (1 - first) * .6, (1 - first) * .4} {
			chi += (got[i] - n*want) * (got[i] - n*want) / (n * want)
		}
		if chi > 13.8 { // 1 in 1,000 with two degrees of freedom
			t.Errorf("at %.2f of its share: %v, χ² = %.1f", share, got, chi)
		}
	}
}

// TestOnlyTheProvidersOwnTimeIsAnAge: calls that wait for the store before they go out, and streams that have begun, are no hang however long
// that takes.
func TestOnlyTheProvidersOwnTimeIsAnAge(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	row := w.st.Rows[0]
	for w.now = t0; w.now.Before(t0.Add(time.Minute)); w.now = w.now.Add(50 * time.Millisecond) {
		p, _ := w.begin()
		p.Sent(w.now)
		w.st.End(p, health.Sample{Class: health.OK, Latency: 20 * time.Millisecond}, w.now, 1)
	}
	for range 50 {
		w.begin() // its claim waits
		p, _ := w.begin()
		p.Sent(w.now)
		p.Answered() // it streams
	}
	for range 100 {
		w.now = w.now.Add(50 * time.Millisecond)
		row.Tick(w.now)
	}
	if s := row.Circuit.State(); s != breaker.Closed {
		t.Errorf("the circuit is %v", s)
	}
	p, _ := w.begin()
	p.Sent(w.now)
	w.now = w.now.Add(5 * time.Second)
	row.Tick(w.now)
	if w.st.End(p, health.Sample{Class: health.OK, Latency: 5 * time.Second}, w.now, 1); !p.waits {
		t.Error("a call that was sent and not answered has no age")
	}
}

// TestAHangShowsBeforeItsTimeOut: 50 calls a second that nobody answers, and a time-out of four seconds.
func TestAHangShowsBeforeItsTimeOut(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	row := w.st.Rows[0]
	row.Circuit.Configure(breaker.Settings{Failures: 1000, Successes: 5, Reset: 30 * time.Second, Lease: 5 * time.Second})
	type call struct {
		p   Permit
		end time.Time
	}
	var open []call
	step := 20 * time.Millisecond
	hangs := t0.Add(60 * time.Second)
	for w.now = t0; w.now.Before(hangs.Add(4 * time.Second)); w.now = w.now.Add(step) {
		row.Watch(w.now)
		for len(open) > 0 && !open[0].end.After(w.now) {
			w.st.End(open[0].p, health.Sample{Class: health.OK, Latency: 100 * time.Millisecond}, w.now, 1)
			open = open[1:]
		}
		if row.Circuit.State() == breaker.Open {
			break
		}
		p, _ := w.begin()
		p.Sent(w.now)
		c := call{p: p, end: w.now.Add(100 * time.Millisecond)}
		if !w.now.Before(hangs) {
			c.end = w.now.Add(time.Hour)
		}
		open = append(open, c)
	}
	took := w.now.Sub(hangs)
	t.Logf("seen after %v", took)
	if row.Circuit.State() != breaker.Open || took > time.Second {
		t.Fatalf("after %v it is %v", took, row.Circuit.State())
	}
	d := w.decide()
	if why := d.Why(w.svc); d.Winner != 1 || !strings.Contains(why, "in flight are older than") {
		t.Errorf("%d: %s", d.Winner, why)
	}
}

// slow opens candidate i's circuit by slowness.
func (w *world) slow(t *testing.T, i int) {
	t.Helper()
	c := Cause{Alarm: health.Slowing, Evidence: health.Evidence{Slow: 10, Answers: 17, Usual: 50 * time.Millisecond}}
	if _, changed := w.st.Rows[i].alarmed(c, w.now, 0); !changed {
		t.Fatal("the circuit stayed as it was")
	}
}

// TestSlowIsTheLastResort: a provider that is only slow answers, so no effect is refused because of it. One that fails is another thing.
func TestSlowIsTheLastResort(t *testing.T) {
	w := newWorld(policy.Weighted, 50, 50)
	w.slow(t, 0)
	if d := w.decide(); d.Winner != 1 || d.Reason != ByWeight {
		t.Fatalf("not the well one: %v by %v", d.Winner, d.Reason)
	}
	w.slow(t, 1)
	d := w.decide()
	if d.Winner < 0 || d.Reason != LastResort {
		t.Fatalf("two slow ones, and nobody takes the effect: %v by %v", d.Winner, d.Reason)
	}
	why, want := d.Why(w.svc), "last resort: nobody else passed, and it answers, though slow: 10 of the last 17 over 50 ms, its usual p95"
	if !strings.HasPrefix(why, want+";") {
		t.Errorf("says %q, want %q", why, want)
	}
	for i := range int8(2) {
		w.f.Pinned = i
		if d := w.decide(); d.Winner != i || d.Moved {
			t.Errorf("the session of %d is moved to %d", i, d.Winner)
		}
	}
	w.f.Pinned = -1
	w.st.Rows[0].alarmed(Cause{Alarm: health.Failing, Evidence: health.Evidence{Failed: 5, Calls: 5}}, w.now, 0)
	for draw := range uint64(64) {
		w.f.Draw = draw * 0x9e3779b97f4a7c15
		if d := w.decide(); d.Winner != 1 {
			t.Fatalf("an effect goes to %d, which is slow and fails", d.Winner)
		}
	}
	w.svc.Candidates[1].Limits.InFlight, w.st.Rows[1].InFlight = 3, 3
	if d := w.decide(); d.Winner >= 0 {
		t.Errorf("beyond the limit: %v", d.Winner)
	}
}

// TestALateAnswerIsNoHang: a provider that stood still for a moment and then answered everything is slow, and takes effects where nobody
// else can. One whose late calls fail is not asked.
func TestALateAnswerIsNoHang(t *testing.T) {
	for _, c := range []struct {
		class  health.Class
		winner int8
	}{{health.OK, 0}, {health.Failure, -1}} {
		w := newWorld(policy.Priority, 0)
		row := w.st.Rows[0]
		for w.now = t0; w.now.Before(t0.Add(time.Minute)); w.now = w.now.Add(50 * time.Millisecond) {
			p, _ := w.begin()
			p.Sent(w.now)
			w.st.End(p, health.Sample{Class: health.OK, Latency: 20 * time.Millisecond}, w.now, 1)
		}
		held := make([]Permit, 20)
		for i := range held {
			held[i], _ = w.begin()
			held[i].Sent(w.now)
		}
		for range 40 {
			w.now = w.now.Add(50 * time.Millisecond)
			row.Tick(w.now)
		}
		if row.Circuit.State() != breaker.Open || row.Cause().Late != 20 {
			t.Fatalf("a hang is not seen: %v, %+v", row.Circuit.State(), row.Cause())
		}
		if d := w.decide(); d.Winner >= 0 {
			t.Fatalf("an effect goes to a provider that hangs, by %v", d.Reason)
		}
		for _, p := range held {
			w.st.End(p, health.Sample{Class: c.class, Latency: 2 * time.Second}, w.now, 1)
		}
		if d := w.decide(); d.Winner != c.winner {
			t.Errorf("when all have ended %v: %d, %v", c.class, d.Winner, d.Why(w.svc))
		}
	}
}
