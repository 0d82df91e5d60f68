package probe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/standing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// far is a far end that answers as told and remembers when it was asked.
type far struct {
	mu    sync.Mutex
	asked map[string][]time.Time
	ends  []time.Duration // how long each check was waited for before it was given up
	does  func(ctx context.Context, c *policy.Candidate) (health.Sample, error)
}

func (p *far) Check(ctx context.Context, c *policy.Candidate, _ policy.Check) provider.Checked {
	p.mu.Lock()
	if p.asked == nil {
		p.asked = map[string][]time.Time{}
	}
	p.asked[c.Provider] = append(p.asked[c.Provider], time.Now())
	does := p.does
	p.mu.Unlock()
	if does == nil {
		return provider.Checked{Good: true}
	}
	begin := time.Now()
	s, err := does(ctx, c)
	p.mu.Lock()
	p.ends = append(p.ends, time.Since(begin))
	p.mu.Unlock()
	out := provider.Checked{Good: err == nil, Err: err, RetryAfter: s.RetryAfter}
	if s.Class == health.Limited {
		out.Status = 429
	}
	return out
}

func (p *far) times(name string) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.asked[name]...)
}

func (p *far) answer(s health.Sample, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.does = func(context.Context, *policy.Candidate) (health.Sample, error) { return s, err }
}

func snapshot(every time.Duration, providers ...string) *policy.Snapshot {
	svc := &policy.Service{Name: "payments", Strategy: policy.Priority}
	for _, name := range providers {
		svc.Candidates = append(svc.Candidates, &policy.Candidate{
			Provider: name, Contract: &policy.Contract{Name: "stripe/v1"}, Endpoint: "http://127.0.0.1:7600",
			Probes: policy.Probes{Checks: []policy.Check{{Method: "GET", Path: "/v1/balance", Every: every}}},
		})
	}
	return &policy.Snapshot{Region: "us-east", Services: []*policy.Service{svc}}
}

func made(t *testing.T, c Client, b *standing.Board, seed uint64) *Prober {
	t.Helper()
	p, err := New(Config{Client: c, Board: b, Seed: seed, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *far) Exchange(context.Context, *provider.Call) (provider.Result, *message.Answer) {
	return provider.Result{}, nil
}

// running starts a prober over snap, in the bubble of a synctest.
func running(t *testing.T, end Client, snap *policy.Snapshot) (*Prober, *standing.Board) {
	t.Helper()
	b := standing.New()
	b.Swap(snap)
	p := made(t, end, b, 1)
	p.Swap(snap)
	t.Cleanup(p.Stop)
	return p, b
}

func shown(b *standing.Board) health.Row { return b.Report(time.Now()).Rows[0] }

func TestChecksComeEachPeriodJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, begin := &far{}, time.Now()
		p, b := running(t, end, snapshot(10*time.Second, "stripe"))
		time.Sleep(1000 * time.Second)
		p.Stop()
		got := end.times("stripe")
		if first := got[0].Sub(begin); first >= 10*time.Second {
			t.Errorf("the first check came after %v", first)
		}
		gaps := map[time.Duration]bool{}
		for i := 1; i < len(got); i++ {
			gap := got[i].Sub(got[i-1])
			if gap < 9*time.Second || gap > 11*time.Second {
				t.Fatalf("gap %d: %v", i, gap)
			}
			gaps[gap] = true
		}
		if len(got) < 90 || len(got) > 111 || len(gaps) < 20 {
			t.Errorf("%d checks with %d different gaps", len(got), len(gaps))
		}
		if r := shown(b); r.CheckOK != 1 || r.CheckWhy != "" || r.CheckAt != got[len(got)-1] {
			t.Errorf("%+v", r.Condition)
		}
	})
}

func TestAgentsDoNotCheckInStep(t *testing.T) {
	first := map[time.Duration]bool{}
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			end, snap, begin := &far{}, snapshot(10*time.Second, "stripe"), time.Now()
			p := made(t, end, standing.New(), seed)
			p.Swap(snap)
			time.Sleep(10 * time.Second)
			p.Stop()
			first[end.times("stripe")[0].Sub(begin)] = true
		})
	}
	if len(first) != 20 {
		t.Errorf("20 agents began at %d different times", len(first))
	}
}

func TestABadCheckIsShownAndMovesNoCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &far{}
		end.answer(health.Sample{Class: health.Failure}, errors.New("status 500"))
		_, b := running(t, end, snapshot(time.Second, "stripe"))
		time.Sleep(time.Minute)
		if r := shown(b); r.CheckOK != -1 || r.CheckWhy != "status 500" || r.Breaker != "closed" {
			t.Errorf("%+v", r.Condition)
		}
		end.answer(health.Sample{Class: health.OK}, nil)
		time.Sleep(2 * time.Second)
		if r := shown(b); r.CheckOK != 1 {
			t.Errorf("%+v", r.Condition)
		}
	})
}

func TestACheckThatHangsIsGivenUp(t *testing.T) {
	for _, tc := range []struct{ every, want time.Duration }{{time.Minute, Timeout}, {2 * time.Second, 2 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			end := &far{does: func(ctx context.Context, _ *policy.Candidate) (health.Sample, error) {
				<-ctx.Done()
				return health.Sample{Class: health.Failure}, ctx.Err()
			}}
			p, b := running(t, end, snapshot(tc.every, "stripe"))
			time.Sleep(2 * tc.every)
			if r := shown(b); r.CheckOK != -1 || r.CheckWhy != "no answer in "+tc.want.String() {
				t.Errorf("%+v", r.Condition)
			}
			p.Stop()
			if end.ends[0] != tc.want {
				t.Errorf("given up after %v", end.ends[0])
			}
		})
	}
}

func TestABusyProviderIsLeftAlone(t *testing.T) {
	for _, tc := range []struct{ asks, quiet time.Duration }{
		{time.Minute, time.Minute}, {24 * time.Hour, MaxBackOff}, {0, 900 * time.Millisecond}, {-time.Hour, 900 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			end := &far{}
			end.answer(health.Sample{Class: health.Limited, RetryAfter: tc.asks}, errors.New("status 429"))
			_, b := running(t, end, snapshot(time.Second, "stripe"))
			time.Sleep(time.Hour)
			got := end.times("stripe")
			if gap := got[1].Sub(got[0]); gap < tc.quiet || gap > tc.quiet+time.Second {
				t.Errorf("asked for %v, left alone for %v", tc.asks, gap)
			}
			if r := shown(b); r.CheckOK != 0 {
				t.Errorf("a 429 is neither good nor bad: %+v", r.Condition)
			}
		})
	}
}

func TestNoPolicyMakesItALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &far{}
		running(t, end, snapshot(time.Nanosecond, "stripe"))
		time.Sleep(100 * time.Second)
		if n := len(end.times("stripe")); n > 112 {
			t.Errorf("%d checks in 100 s", n)
		}
	})
}

func TestSwapRestartsOnlyWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, begin := &far{}, time.Now()
		p, _ := running(t, end, snapshot(10*time.Second, "kept", "changed", "gone"))
		alone := &far{}
		q, _ := running(t, alone, snapshot(10*time.Second, "kept"))
		for range 100 { // a weight moves each second
			time.Sleep(time.Second)
			next := snapshot(10*time.Second, "kept", "changed", "gone")
			next.Services[0].Candidates[0].Weight = float64(time.Since(begin) / time.Second)
			p.Swap(next)
		}
		next := snapshot(10*time.Second, "kept", "changed", "new")
		next.Services[0].Candidates[1].Checks[0].Path = "/other"
		next.Services[0].Candidates = append(next.Services[0].Candidates, &policy.Candidate{Provider: "unchecked"})
		p.Swap(next)
		swapped := time.Now()
		time.Sleep(100 * time.Second)
		p.Stop()
		q.Stop()

		a, b := end.times("kept"), alone.times("kept")
		if len(a) != len(b) {
			t.Fatalf("%d checks with swaps, %d without", len(a), len(b))
		}
		for i := range a {
			if !a[i].Equal(b[i]) {
				t.Fatalf("check %d was moved by a swap: %v, %v", i, a[i].Sub(begin), b[i].Sub(begin))
			}
		}
		if last := end.times("gone"); last[len(last)-1].After(swapped) {
			t.Error("a provider that is gone is still asked")
		}
		if n := end.times("new"); len(n) < 8 || n[0].Before(swapped) {
			t.Errorf("%d checks of the new provider", len(n))
		}
		if n := end.times("changed"); len(n) < 17 {
			t.Errorf("%d checks of the changed one", len(n))
		}
		if len(end.times("unchecked")) != 0 {
			t.Error("a provider without a check was asked")
		}
	})
}

func laneOf(c *policy.Candidate) *lane { return &lane{candidate: c, check: c.Checks[0]} }

func TestWhatACheckIs(t *testing.T) {
	base := func() *policy.Candidate { return snapshot(time.Second, "stripe").Services[0].Candidates[0] }
	for name, bend := range map[string]func(*policy.Candidate){
		"path":       func(c *policy.Candidate) { c.Checks[0].Path = "/x" },
		"period":     func(c *policy.Candidate) { c.Checks[0].Every = time.Hour },
		"endpoint":   func(c *policy.Candidate) { c.Endpoint = "http://127.0.0.1:1" },
		"credential": func(c *policy.Candidate) { c.Credential.Ref = "OTHER" },
		"digest":     func(c *policy.Candidate) { c.Digest[0] = 1 },
		"contract":   func(c *policy.Candidate) { c.Contract.Name = "own" },
	} {
		c := base()
		if bend(c); laneOf(base()).same(laneOf(c)) {
			t.Errorf("another %s is the same check", name)
		}
	}
	c := base()
	if c.Weight, c.Limits.InFlight = 5, 5; !laneOf(base()).same(laneOf(c)) {
		t.Error("weights and limits make another check")
	}
}

func TestStopWaitsForTheLastCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		end := &far{does: func(ctx context.Context, _ *policy.Candidate) (health.Sample, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // the far end is slow to notice
			ended = true
			return health.Sample{Class: health.Failure}, ctx.Err()
		}}
		p, b := running(t, end, snapshot(time.Second, "stripe"))
		time.Sleep(1100 * time.Millisecond)
		p.Stop()
		if !ended {
			t.Error("Stop returned before the check")
		}
		if r := shown(b); len(end.times("stripe")) == 1 && r.CheckOK != 0 {
			t.Errorf("a check that was broken off says something: %+v", r.Condition)
		}
		p.Swap(snapshot(time.Second, "stripe"))
		n := len(end.times("stripe"))
		time.Sleep(time.Minute)
		if len(end.times("stripe")) != n {
			t.Error("a stopped prober goes on")
		}
		p.Stop()
	})
}
