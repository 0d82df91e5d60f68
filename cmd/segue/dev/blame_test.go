package dev

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/e2e/patience"
)

// watched is a life whose control nodes have a clock that can be set forward: a leader concludes nothing for half a minute, and nobody waits
// for that here.
type watched struct {
	*Dev
	t     *testing.T
	ahead atomic.Int64
}

func (w *watched) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func watch(t *testing.T) *watched {
	if os.Getenv("SEGUE_PROOFS") == "" {
		t.Skip("make proofs runs it: whole lives, half a minute")
	}
	cfg := config(t, patience.Dir(t))
	cfg.Rate = 2
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{Dev: d, t: t}
	for i := range d.nodes.configs {
		d.nodes.configs[i].Now = w.now
	}
	if err := d.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, d) })
	eventually(t, "three regions report", func() bool { return len(w.world().Agents) == 3 })
	w.ahead.Store(int64(31 * time.Second))
	eventually(t, "enough was seen", func() bool {
		var calls uint64
		for _, c := range w.world().Cells {
			if c.Provider == main {
				calls += c.Calls
			}
		}
		return calls >= 30
	})
	return w
}

func (w *watched) world() health.World {
	v, err := w.nodes.View(within(w.t))
	if err != nil {
		return health.World{}
	}
	return v.World
}

// drill refuses every call to a provider, in some regions or in all.
func (w *watched) drill(provider string, regions ...string) {
	w.t.Helper()
	_, err := w.nodes.Propose(within(w.t), state.Command{
		Request: fmt.Sprint("drill-", provider, regions), Actor: "ann", Reason: "e2e", At: w.now(),
		GiveOrder: &state.GiveOrder{Order: policy.Order{Kind: policy.Drill, Provider: provider, Regions: regions, For: 2 * time.Minute, Fault: policy.Fault{Kind: policy.FaultRefuse, Share: 1}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// unchecked takes the active checks out of the policy.
func (w *watched) unchecked() {
	w.t.Helper()
	lines := slices.DeleteFunc(strings.SplitAfter(string(w.source), "\n"), func(line string) bool { return strings.Contains(line, "checks: {") })
	_, err := w.nodes.Propose(within(w.t), state.Command{
		Request: "unchecked", Actor: "ann", Reason: "e2e", At: w.now(), ApplyPolicy: &state.ApplyPolicy{Replace: true, Source: []byte(strings.Join(lines, ""))},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// blamed are the verdicts in the log, by what they are about.
func (w *watched) blamed() (names []string) {
	for _, v := range w.nodes.State().Verdicts {
		names = append(names, v.Named())
	}
	return names
}

// gated are the payments' providers whose circuit is not closed, by region, as the agents themselves measure it.
func (w *watched) gated(provider string) (regions []string) {
	for i, region := range []string{"us-east", "eu-west", "ap-south"} {
		w.mu.Lock()
		addr := w.agents[i].AdminAddr()
		w.mu.Unlock()
		_, text := get(w.t, "http://"+addr+"/metrics", "text/plain")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "segue_breaker_state{") && strings.Contains(line, `provider="`+provider+`"`) && strings.HasSuffix(strings.TrimSpace(line), " 1") && !strings.Contains(line, `state="closed"`) {
				regions = append(regions, region)
			}
		}
	}
	return regions
}

// TestWhoseFaultAProviderIs: a provider fails everywhere at two sessions a second in each of three regions. It is blamed and every region is
// off it; the leader is killed in the middle, and nothing changes for the agents; the control plane goes, and they leave the next one alone.
func TestWhoseFaultAProviderIs(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.drill(main)
	eventually(t, "every region is off it", func() bool { return len(w.gated(main)) == 3 })
	eventually(t, "the provider is blamed", func() bool { return slices.Contains(w.blamed(), "provider main") })
	for _, name := range w.blamed() {
		if name != "provider main" {
			t.Errorf("%s is blamed too", name)
		}
	}
	told := slices.ContainsFunc(w.world().Events, func(e health.Event) bool {
		return e.Kind == "verdict" && e.Level == "bad" && strings.HasPrefix(e.Text, "provider main: ")
	})
	if !told {
		t.Error("nobody was told")
	}
	was, _ := w.nodes.leader()
	if err := w.nodes.kill(was); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another node leads, and takes over what was judged", func() bool {
		is, ok := w.nodes.leader()
		return ok && is != was && slices.ContainsFunc(w.world().Verdicts, func(v health.Verdict) bool { return v.Provider == main })
	})
	if got := w.gated(main); len(got) != 3 {
		t.Errorf("after the leader's death it is gated in %v", got)
	}
	for i := range w.nodes.configs {
		if i != was {
			if err := w.nodes.kill(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.sandbox.Provider(backup).Kill()
	eventually(t, "alone, agents leave the next that fails", func() bool {
		got := w.gated(backup)
		return slices.Contains(got, "us-east") && slices.Contains(got, "eu-west")
	})
	if status, body := charge(t, w.Service("us-east", payments), "alone"); status != http.StatusOK {
		t.Errorf("a charge in us-east: %d %s", status, body)
	}
}

// TestWhoseFaultARegionIs: nothing of one region gets out. The region is blamed and says so to load balancers; no provider is, and elsewhere
// none is gated.
func TestWhoseFaultARegionIs(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.unchecked() // a drill does not reach the active checks, and they would say that the way out is there
	for _, p := range w.policy.Providers {
		w.drill(p.Name, "eu-west")
	}
	eventually(t, "the region is blamed", func() bool {
		for _, region := range []string{"us-east", "eu-west", "ap-south"} {
			charge(t, w.Service(region, payments), fmt.Sprint("order-", rand.Uint64()))
		}
		return slices.Contains(w.blamed(), "eu-west")
	})
	eventually(t, "load balancers are told", func() bool {
		status, _ := get(t, "http://"+w.Service("eu-west", payments)+"/.segue/region", "application/json")
		return status == http.StatusServiceUnavailable
	})
	eventually(t, "the region alone is blamed", func() bool { return slices.Equal(w.blamed(), []string{"eu-west"}) })
	for _, provider := range []string{main, backup, legacy} {
		if got := slices.DeleteFunc(w.gated(provider), func(r string) bool { return r == "eu-west" }); len(got) != 0 {
			t.Errorf("%s is gated in %v", provider, got)
		}
	}
	if status, _ := get(t, "http://"+w.Service("us-east", payments)+"/.segue/region", "application/json"); status != http.StatusOK {
		t.Errorf("us-east says %d", status)
	}
}
