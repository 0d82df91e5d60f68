package health

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// lies are what one agent of eu-west says instead of what is: of providers that are well, and of one that fails.
var lies = map[string]func(*Report){
	"not numbers":      func(r *Report) { sums(r, math.NaN(), 100) },
	"infinite":         func(r *Report) { sums(r, math.Inf(1), 100) },
	"below everything": func(r *Report) { sums(r, math.Inf(-1), 100) },
	"huge":             func(r *Report) { sums(r, 1e300, math.MaxUint32) },
	"negative":         func(r *Report) { sums(r, -1e300, math.MaxUint32) },
	"a million failures": func(r *Report) {
		for i := range r.Rows {
			r.Rows[i].Calls, r.Rows[i].Failed = 1<<20, 1<<20
		}
	},
	"a million failures without a call": func(r *Report) {
		for i := range r.Rows {
			r.Rows[i].Calls, r.Rows[i].Failed = 0, 1<<20
		}
	},
	"sums without failures": func(r *Report) {
		for i := range r.Rows {
			r.Rows[i].Evidence = Increment{Nats: [Tests]float64{50, 50, 50}, Calls: 100}
		}
	},
	"every circuit open": func(r *Report) {
		for i := range r.Rows {
			r.Rows[i].Breaker = "open"
		}
	},
	"every check bad": func(r *Report) {
		for i := range r.Rows {
			r.Rows[i].CheckOK, r.Rows[i].CheckAt, r.Rows[i].CheckWhy = -1, r.At, "no"
		}
	},
	"another region's providers": func(r *Report) {
		for _, p := range []string{"a", "b", "c"} {
			r.Rows = append(r.Rows, Row{Service: "others", Provider: p, Traffic: Traffic{Calls: 100, Failed: 100}, Condition: Condition{Breaker: "open"}})
		}
	},
	"a million successes": func(r *Report) {
		for i := range r.Rows {
			r.Rows[i].Calls, r.Rows[i].Failed = 1<<20, 0
		}
	},
	"nothing at all": func(r *Report) { r.Rows = nil },
}

func sums(r *Report, nats float64, n uint32) {
	for i := range r.Rows {
		r.Rows[i].Evidence = Increment{Nats: [Tests]float64{nats, nats, nats}, Calls: n, Failed: n}
	}
}

// elsewhere are the verdicts that say anything to other regions than the liar's.
func elsewhere(verdicts []Verdict) []Verdict {
	return slices.DeleteFunc(slices.Clone(verdicts), func(v Verdict) bool { return v.Region == "eu-west" })
}

// TestALyingAgentAccusesNobodyElsewhere: all is well, and one agent says otherwise. No provider is blamed, no other region, nor all of us.
func TestALyingAgentAccusesNobodyElsewhere(t *testing.T) {
	for name, lie := range lies {
		for _, agents := range []int{1, 3} {
			s := newScene(t, three...)
			s.agents = agents
			s.run(40)
			s.lie = lie
			for range 60 {
				if got := elsewhere(s.run(1)); len(got) != 0 {
					t.Fatalf("%s, %d agents in a region: %+v", name, agents, got)
				}
			}
			if agents == 3 && len(s.got) != 0 {
				t.Errorf("%s: one of three agents moved its own region: %q", name, s.got)
			}
		}
	}
}

// TestALyingAgentHidesNothingElsewhere: a provider fails everywhere, and one agent says otherwise. The others' verdict comes all the same.
func TestALyingAgentHidesNothingElsewhere(t *testing.T) {
	for name, lie := range lies {
		for _, agents := range []int{1, 3} {
			s := newScene(t, three...)
			s.agents, s.rate = agents, 4
			s.run(40)
			s.lie = lie
			s.run(5)
			s.down("main", three...)
			got := elsewhere(s.run(5))
			if len(got) != 1 || got[0].Kind != ProviderFault || got[0].Provider != "main" {
				t.Errorf("%s, %d agents in a region: %+v; on the way %q", name, agents, got, s.got)
			}
		}
	}
}

// TestOneAgentSaysNoMoreByReportingMore: a hundred reports a second are one second's word.
func TestOneAgentSaysNoMoreByReportingMore(t *testing.T) {
	s := newScene(t, three...)
	s.rate = 4
	s.run(40)
	s.down("main", three[1:]...)
	at := s.now
	var got []Verdict
	for i := range 500 {
		at = at.Add(10 * time.Millisecond)
		r := Report{Agent: "eu-west-0", Region: "eu-west", Run: "r2", Seq: uint64(i + 1), At: at, Rows: []Row{{Service: "payments", Provider: "main"}}}
		r.Rows[0].Calls, r.Rows[0].Breaker = 1<<20, "closed"
		put(t, s.w, r, at)
		if i%100 == 50 {
			s.seq++
			for _, region := range three[1:] {
				s.report(region+"-0", region, at)
			}
		}
		got = s.w.Judge(at)
	}
	if about(got) != "provider main" {
		t.Errorf("%q", about(got))
	}
}

// TestAMajorityOfARegionSpeaks: of three agents, one that cannot reach the provider is a path of its own and no region's; two are the region.
func TestAMajorityOfARegionSpeaks(t *testing.T) {
	for bad, want := range []string{"", "", "eu-west to main", "eu-west to main"} {
		s := newScene(t, three...)
		s.agents = 3
		s.run(40)
		n := 0
		s.fails = func(region, provider string, _ int) uint32 {
			if region != "eu-west" || provider != "main" {
				return 0
			}
			n++
			if (n-1)%3 < bad {
				return 2
			}
			return 0
		}
		if got := about(s.run(10)); got != want {
			t.Errorf("%d of 3 agents fail: %q, want %q", bad, got, want)
		}
	}
}

// TestNoReportBreaksTheJudgement: whatever one region's agents send, verdicts are sane, and none is about another region.
func TestNoReportBreaksTheJudgement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, now := NewWindow(), t0
		seq := uint64(0)
		for range rapid.IntRange(1, 20).Draw(t, "reports") {
			for range rapid.IntRange(1, 8).Draw(t, "seconds") {
				now = now.Add(time.Second)
				seq++
				for _, region := range []string{"us-east", "us-west"} {
					if err := w.Put(reportOf(region, region, seq, 10, 0), now); err != nil {
						t.Fatal(err)
					}
				}
			}
			r := anyReport(t, "eu-west")
			for i := range r.Rows {
				for k := range r.Rows[i].Evidence.Nats {
					r.Rows[i].Evidence.Nats[k] = anyGauge.Draw(t, "nats")
				}
				r.Rows[i].Evidence.Calls, r.Rows[i].Evidence.Failed = anyCount.Draw(t, "calls"), anyCount.Draw(t, "failed")
			}
			_ = w.Put(r, now)
			judged(t, w, now)
		}
	})
}

func judged(t interface{ Fatalf(string, ...any) }, w *Window, now time.Time) {
	verdicts := w.Judge(now)
	for i, v := range verdicts {
		if err := v.Check(); err != nil {
			t.Fatalf("%v", err)
		}
		if v.Region != "eu-west" {
			t.Fatalf("one region's agents moved others: %+v", v)
		}
		if v.Since.After(now) || v.Until.Sub(now) > VerdictFor || i > 0 && compareVerdicts(verdicts[i-1], v) >= 0 {
			t.Fatalf("%+v", verdicts)
		}
	}
	if len(verdicts) > MaxVerdicts || len(w.court.suspect) > 4*MaxCells {
		t.Fatalf("%d verdicts, %d suspects", len(verdicts), len(w.court.suspect))
	}
}

// FuzzJudge: no report that parses moves another region.
func FuzzJudge(f *testing.F) {
	for _, lie := range lies {
		r := reportOf("x", "eu-west", 1, 10, 0)
		lie(&r)
		if text, err := json.Marshal(r); err == nil {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Report
		if json.Unmarshal(text, &r) != nil || len(r.Rows) > 20 {
			return
		}
		w, now := NewWindow(), t0
		for i := range uint64(45) {
			now = now.Add(time.Second)
			for _, region := range []string{"us-east", "us-west"} {
				if err := w.Put(reportOf(region, region, i+1, 10, 0), now); err != nil {
					t.Fatal(err)
				}
			}
			lie := r
			lie.Agent, lie.Region, lie.Run, lie.Seq = "x", "eu-west", "r", i+1
			_ = w.Put(lie, now)
			judged(t, w, now)
		}
	})
}

// TestTheWindowForgetsProofs: what agents made up and left behind does not stay.
func TestTheWindowForgetsProofs(t *testing.T) {
	w := NewWindow()
	for i := range 3 {
		r := reportOf("a1", "us-east", uint64(i+1), 1, 1)
		r.Rows[0].Provider = string(rune('a' + i))
		put(t, w, r, t0.Add(time.Duration(i)*time.Second))
	}
	if n := len(w.agents["a1"].proofs); n != 1 {
		t.Errorf("%d proofs of one row", n)
	}
	w.Judge(t0.Add(Forget + 10*time.Second))
	if len(w.pools) != 0 {
		t.Errorf("%d pools", len(w.pools))
	}
}

// BenchmarkJudge is one look, of which there are four a second, with 20 providers in each of three regions.
func BenchmarkJudge(b *testing.B) {
	for _, agents := range []int{100, 1000} {
		b.Run(fmt.Sprint(agents), func(b *testing.B) {
			w := NewWindow()
			for a := range agents {
				r := Report{Agent: fmt.Sprint("agent-", a), Region: three[a%3], Run: "r", Seq: 1}
				for p := range 20 {
					row := Row{Service: "payments", Provider: fmt.Sprint("provider-", p), Condition: Condition{Breaker: "closed"}}
					row.Calls, row.Failed = 10, 1
					r.Rows = append(r.Rows, row)
				}
				if err := w.Put(r, t0); err != nil {
					b.Fatal(err)
				}
			}
			w.start = t0.Add(-time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				w.Judge(t0)
			}
		})
	}
}

// TestProofsAreSeated: whatever agents come, go and report, the proofs of a region and provider are those of the agents that have its row.
func TestProofsAreSeated(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 5))
	w, now := NewWindow(), t0
	seq := map[string]uint64{}
	for range 3000 {
		now = now.Add(time.Duration(r.IntN(400)) * time.Millisecond)
		id := fmt.Sprint("a", r.IntN(12))
		if r.IntN(500) == 0 {
			now = now.Add(Forget / 2)
		}
		seq[id]++
		rep := Report{Agent: id, Region: three[int(id[1])%3], Run: "r", Seq: seq[id], At: now}
		for p := range 6 {
			if r.IntN(3) > 0 {
				row := Row{Service: "s", Provider: fmt.Sprint("p", p), Condition: Condition{Breaker: "closed"}}
				row.Calls = 1
				rep.Rows = append(rep.Rows, row)
			}
		}
		if err := w.Put(rep, now); err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, a := range w.agents {
			for k, p := range a.proofs {
				if _, here := a.rows[k]; !here || !slices.Contains(w.panels[k], p) || p.agent != a {
					t.Fatalf("%s: %v is not in its place", a.seen.ID, k)
				}
				want++
			}
		}
		got := 0
		for k, panel := range w.panels {
			got += len(panel)
			if len(panel) == 0 || !slices.IsSortedFunc(panel, byAgent) {
				t.Fatalf("%v: %d seats, or out of order", k, len(panel))
			}
		}
		if got != want {
			t.Fatalf("%d seats of %d proofs", got, want)
		}
	}
}

// TestSumsAreHeldToTheirCounts: no call that failed, no evidence of failing; and no more against it than so many calls can have given.
func TestSumsAreHeldToTheirCounts(t *testing.T) {
	nats := func(n float64) [Tests]float64 { return [Tests]float64{n, n, n} }
	for name, tc := range map[string]struct {
		own       Increment
		low, high float64
	}{
		"no failure":              {Increment{Nats: nats(50), Calls: 100}, -100, 0},
		"one failure":             {Increment{Nats: nats(50), Calls: 100, Failed: 1}, -100, 4.4},
		"more failures than were": {Increment{Nats: nats(1e300), Calls: 2, Failed: math.MaxUint32}, -2, 8.8},
		"against it":              {Increment{Nats: nats(-1e300), Calls: 3}, -3, 0},
		"not a number":            {Increment{Nats: nats(math.NaN()), Calls: 3, Failed: 3}, -3, 0},
	} {
		for i, got := range evidenceOf(&Traffic{}, &tc.own) {
			if !(got >= tc.low && got <= tc.high) {
				t.Errorf("%s: test %d takes %v, not within %v … %v", name, i, got, tc.low, tc.high)
			}
		}
	}
	var p proof
	against := 0.0
	for i := range 100 { // in one second
		r := Row{Evidence: Increment{Nats: nats(-50), Calls: 1000}}
		by := p.put(&r, &r.Traffic, &r.Condition, t0.Add(time.Duration(i)*10*time.Millisecond))
		against += by[0]
	}
	if against < -2*perRest {
		t.Errorf("a hundred reports in a second said %v against an alarm, one may say %v", against, -perRest)
	}
}
