package standing

import (
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
	"segue/dataplane/route"
)

// standby is a board whose provider was left, and what its checks are.
func standby(t *testing.T, checks ...policy.Check) (b *Board, svc *policy.Service, due time.Time) {
	t.Helper()
	svc = payments("stripe")
	svc.Candidates[0].Checks = checks
	b = boardOf(svc)
	fail(t, b, svc, 3, t0)
	if got := b.Report(t0).Rows[0].Breaker; got != "open" {
		t.Fatalf("it is %s", got)
	}
	return b, svc, b.row("payments", "stripe").Circuit.Until().Add(breaker.Patience)
}

func (b *Board) row(service, provider string) *row {
	return (*b.services.Load())[service].row(provider)
}

var balance = policy.Check{Method: "GET", Path: "/v1/balance", Every: 10 * time.Second}

// TestAStandbyComesBackByItsChecks: where no call asks for a provider, its checks are the probes of its circuit.
func TestAStandbyComesBackByItsChecks(t *testing.T) {
	b, _, due := standby(t, balance)
	good := func(at time.Time) {
		b.Probed("payments", "stripe", lane(health.Active, "GET /v1/balance", health.Good, at))
	}
	good(due.Add(-time.Millisecond))
	if got := b.Report(due).Rows[0].Breaker; got != "open" {
		t.Fatalf("a check that came before a call could made it %s", got)
	}
	at := due
	_, need := b.row("payments", "stripe").Circuit.Probes()
	for i := range need {
		if got := b.row("payments", "stripe").Circuit.State(); got == breaker.Closed || got == breaker.Ramp {
			t.Fatalf("%v after %d checks", got, i)
		}
		good(at)
		good(at.Add(time.Second)) // too soon to count
		at = at.Add(balance.Every)
	}
	if got := b.row("payments", "stripe").Circuit.State(); got != breaker.Closed && got != breaker.Ramp {
		t.Fatalf("%v after %d good checks", got, need)
	}
	said := ""
	for _, e := range b.Report(at).Events {
		said += e.Text + "\n"
	}
	if strings.Count(said, "its checks ask, because no call does") != 1 {
		t.Errorf("events: %s", said)
	}
}

// What is no probe: a bad check, one that warns, a connection, a request where there is a synthetic, and any check where calls come.
func TestWhichChecksAreNoProbes(t *testing.T) {
	state := func(b *Board) breaker.State { return b.row("payments", "stripe").Circuit.State() }
	for _, level := range []string{health.Bad, health.Warned, ""} {
		b, _, due := standby(t, balance)
		until := b.row("payments", "stripe").Circuit.Until()
		if b.Probed("payments", "stripe", lane(health.Active, "GET /v1/balance", level, due)); state(b) != breaker.Open || b.row("payments", "stripe").Circuit.Until() != until {
			t.Errorf("%q made it %v", level, state(b))
		}
	}
	b, _, due := standby(t, policy.Check{Kind: policy.CheckTCP, Every: time.Second})
	if b.Probed("payments", "stripe", lane(health.Active, "tcp", health.Good, due)); state(b) != breaker.Open {
		t.Errorf("a connection made it %v", state(b))
	}
	b, svc, due := standby(t, balance)
	svc.Candidates[0].Synthetics = []policy.Planned{{Synthetic: policy.Synthetic{Name: "void"}, Every: time.Minute}}
	if b.Probed("payments", "stripe", lane(health.Active, "GET /v1/balance", health.Good, due)); state(b) != breaker.Open {
		t.Errorf("a request made it %v beside a synthetic", state(b))
	}
	if b.Probed("payments", "stripe", lane(health.Synthetic, "void", health.Good, due)); state(b) != breaker.HalfOpen {
		t.Errorf("a synthetic made it %v", state(b))
	}
	if b.Probed("payments", "stripe", lane(health.Synthetic, "void", health.Bad, due.Add(time.Minute))); state(b) != breaker.Open {
		t.Errorf("a synthetic that fails as the probe made it %v", state(b))
	}
	b, svc, due = standby(t, balance)
	p, ok := b.Choose(&route.Decision{}, svc, newCall(), due) // a call comes, and is the probe
	if !ok {
		t.Fatal("no call is let through")
	}
	for i := range 10 {
		b.Probed("payments", "stripe", lane(health.Active, "GET /v1/balance", health.Good, due.Add(time.Duration(i)*400*time.Millisecond)))
	}
	if got, _ := b.row("payments", "stripe").Circuit.Probes(); got != 0 {
		t.Errorf("%d checks counted beside a call", got)
	}
	b.Done(p, health.Sample{Class: health.Failure}, health.Unknown, due.Add(time.Second))
	if state(b) != breaker.Open {
		t.Errorf("a call that failed as the probe made it %v", state(b))
	}
}
