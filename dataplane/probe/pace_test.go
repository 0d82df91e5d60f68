package probe

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/route"
)

// timed remembers when it was asked for what, and answers as told.
type timed struct {
	mu    sync.Mutex
	asked []string
	at    []time.Time
	does  func(k policy.Check) provider.Checked
}

func (c *timed) Check(_ context.Context, _ *policy.Candidate, k policy.Check) provider.Checked {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.at = append(c.asked, k.Name()), append(c.at, time.Now())
	if c.does != nil {
		return c.does(k)
	}
	return provider.Checked{Good: true}
}

func (c *timed) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked)
}

func (c *timed) Exchange(context.Context, *provider.Call) (provider.Result, *message.Answer) {
	return provider.Result{}, nil
}

func several() *policy.Snapshot {
	snap := snapshot(time.Second, "stripe")
	checks := []policy.Check{{Kind: policy.CheckTCP, Every: time.Second}, {Kind: policy.CheckTLS, Every: time.Second}}
	for _, path := range []string{"/a", "/b", "/c", "/d"} {
		checks = append(checks, policy.Check{Method: "GET", Path: path, Every: time.Second})
	}
	snap.Services[0].Candidates[0].Checks = checks
	return snap
}

// TestChecksOfOneProviderKeepApart: six checks of a second each are two checks a second, and each of them has its turn.
func TestChecksOfOneProviderKeepApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &timed{}
		p, _ := running(t, end, several())
		time.Sleep(60 * time.Second)
		p.Stop()
		count := map[string]int{}
		for i, name := range end.asked {
			if count[name]++; i > 0 && end.at[i].Sub(end.at[i-1]) < Spacing {
				t.Fatalf("%s came %v after the one before", name, end.at[i].Sub(end.at[i-1]))
			}
		}
		if len(end.asked) < 100 || len(end.asked) > 121 || len(count) != 6 {
			t.Errorf("%d checks: %v", len(end.asked), count)
		}
		for name, n := range count {
			if n < 10 {
				t.Errorf("%s had its turn %d times", name, n)
			}
		}
	})
}

// TestOne429KeepsAllChecksAway: of every kind, for as long as it asks, and the lanes say so.
func TestOne429KeepsAllChecksAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &timed{does: func(k policy.Check) provider.Checked {
			if k.Path == "/b" {
				return provider.Checked{Status: 429, RetryAfter: time.Minute, Err: context.Canceled}
			}
			return provider.Checked{Good: true}
		}}
		p, b := running(t, end, several())
		time.Sleep(30 * time.Second)
		lanes := b.Report(time.Now()).Rows[0].Lanes
		for _, l := range lanes {
			if l.Yields.Before(time.Now()) || l.Next.Before(l.Yields) {
				t.Errorf("%s does not yield: %+v", l.Name, l)
			}
		}
		p.Stop()
		var last time.Time
		for i, name := range end.asked {
			if name == "GET /b" {
				last = end.at[i]
			}
		}
		if end.at[len(end.at)-1] != last || len(lanes) != 6 {
			t.Errorf("asked again %v after the 429; %d lanes", end.at[len(end.at)-1].Sub(last), len(lanes))
		}
	})
}

// TestACallsRetryAfterKeepsChecksAway too: what a call was told holds for checks.
func TestACallsRetryAfterKeepsChecksAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, snap := &timed{}, several()
		p, b := running(t, end, snap)
		d := &route.Decision{}
		permit, ok := b.Choose(d, snap.Services[0], &policy.Facts{Pinned: -1, Owner: -1}, time.Now())
		if !ok {
			t.Fatal("nobody was chosen")
		}
		b.Done(permit, health.Sample{Class: health.Limited, RetryAfter: time.Minute}, health.NotSent, time.Now())
		time.Sleep(59 * time.Second)
		if n := end.count(); n != 0 {
			t.Errorf("%d checks in the minute", n)
		}
		time.Sleep(5 * time.Second)
		p.Stop()
		if len(end.asked) == 0 {
			t.Error("no check after it")
		}
	})
}
