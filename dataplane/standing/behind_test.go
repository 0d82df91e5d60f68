package standing

import (
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// TestABusyMachineIsNotTheProviders: where this process itself comes late, answers that took as much longer accuse nobody; where it does not, they
// do.
func TestABusyMachineIsNotTheProviders(t *testing.T) {
	for _, late := range []time.Duration{0, 30 * time.Millisecond} {
		svc := payments("main", "backup")
		b := boardOf(svc)
		now := t0
		answers := func(n int, latency func(i int) time.Duration) {
			for i := range n {
				p, _ := choose(t, b, svc, newCall(), now)
				b.Done(p, health.Sample{Class: health.OK, Latency: latency(i)}, health.Succeeded, now)
				now = now.Add(20 * time.Millisecond)
			}
		}
		answers(3000, func(i int) time.Duration { return time.Duration(8+i%9) * time.Millisecond })
		b.beat.came(late)
		answers(30, func(int) time.Duration { return 70 * time.Millisecond })
		want := breaker.Open
		if late > 0 {
			want = breaker.Closed
		}
		if got := state(b, svc); got != want {
			t.Errorf("this process late by %v: the circuit is %v, want %v", late, got, want)
		}
	}
}

// What this process was late by is forgotten within a few seconds of ticks that come in time.
func TestWhatWasLateFades(t *testing.T) {
	var k beat
	k.came(40 * time.Millisecond)
	k.came(5 * time.Millisecond)
	if d := k.behind(); d < 70*time.Millisecond || d > 80*time.Millisecond {
		t.Errorf("it is behind by %v", d)
	}
	for range 5 * time.Second / TickEvery {
		k.came(0)
	}
	if d := k.behind(); d > time.Millisecond {
		t.Errorf("five seconds later it is behind by %v", d)
	}
}

func state(b *Board, svc *policy.Service) breaker.State {
	return (*b.services.Load())[svc.Name].rows[0].Circuit.State()
}
