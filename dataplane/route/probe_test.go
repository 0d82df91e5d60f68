package route

import (
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// asked is a world of two where a call goes to the first, as long as it is thought to be well; call makes one, and tells where it went.
func asked(t *testing.T) (w *world, row *Standing, call func(health.Sample)) {
	w = adaptive(2)
	w.svc.Objective.Second = euro
	w.costs(1, euro/2, 20_000_000)
	row = w.st.Rows[0]
	row.Circuit.Configure(breaker.Settings{Failures: 3, Successes: 5, Lease: time.Second, Back: time.Second})
	call = func(s health.Sample) {
		t.Helper()
		p, d := w.begin()
		if d.Winner != 0 {
			t.Fatalf("it goes to %d: %v, %v", d.Winner, d.Scores[0].Gate, d.Scores[0].Wait)
		}
		p.Sent(w.now)
		w.now = w.now.Add(time.Millisecond)
		p.End(s, w.now, 0)
	}
	for range 200 {
		call(answered)
	}
	return w, row, call
}

var answered = health.Sample{Class: health.OK, Latency: 100 * time.Millisecond}

// TestATroubleKeepsNobodyFromAsking: how long a provider took in a trouble keeps no probe from it. It does not fade with time, so that strategy adaptive
// would else never find out that the best provider is well again.
func TestATroubleKeepsNobodyFromAsking(t *testing.T) {
	w, row, call := asked(t)
	w.f.Tried = policy.Set(0).With(1)
	for row.Circuit.State() == breaker.Closed {
		call(health.Sample{Class: health.Failure, Latency: time.Second})
	}
	for range 60 { // calls that went out before are answered late
		row.Measures[effects].Observe(&row.Failing, health.Sample{Class: health.Slow, Latency: 5 * time.Second}, w.now)
	}
	w.f.Tried, w.now = 0, row.Circuit.Until().Add(5*time.Minute)
	row.Tick(w.now)
	if trouble := row.known[effects]; trouble.latency < time.Second {
		t.Fatalf("the trouble was none: %+v", trouble)
	}
	for range 5 {
		call(answered)
		w.now = w.now.Add(breaker.Spacing)
	}
	w.now = w.now.Add(time.Second)
	for range 100 { // the ramp is over
		call(answered)
	}
	if row.Circuit.State() != breaker.Closed {
		t.Errorf("it is %v", row.Circuit.State())
	}
}

// TestRefusalsKeepNobodyFromAsking: a probe that is refused costs nothing, so that a minute of them is no reason against the next one, and the calls come
// back as soon as they are good.
func TestRefusalsKeepNobodyFromAsking(t *testing.T) {
	w, row, call := asked(t)
	w.f.Tried = policy.Set(0).With(1)
	refused := health.Sample{Class: health.Failure, Unsent: true, Latency: 20 * time.Millisecond}
	for row.Circuit.State() == breaker.Closed {
		call(refused)
	}
	w.f.Tried = 0
	for range 60 {
		w.now = row.Circuit.Until()
		call(refused)
	}
	w.now = row.Circuit.Until()
	row.Tick(w.now)
	if trouble := row.known[effects]; trouble.mean > .9 {
		t.Fatalf("the trouble was none: %+v", trouble)
	}
	for range 5 {
		call(answered)
		w.now = w.now.Add(breaker.Spacing)
	}
	w.now = w.now.Add(time.Second)
	for range 100 {
		call(answered)
	}
}

// TestWhereNothingIsSentHalfGoes: what is in flight for longer than a moment where connections were refused has been reached after all, so that half of
// what is carried on an ordinary day may go there, and not a fifth.
func TestWhereNothingIsSentHalfGoes(t *testing.T) {
	w := one(policy.Limits{InFlight: 50})
	w.st.Rows[0].Circuit.Configure(breaker.Settings{Failures: 3, Successes: 5, Lease: time.Second})
	for range 3 {
		p, _ := w.begin()
		p.End(health.Sample{Class: health.Failure, Unsent: true, Latency: time.Millisecond}, w.now, 0)
	}
	n := 0
	for p, d := w.begin(); p.Valid(); p, d = w.begin() {
		if n++; d.Reason != LastResort {
			t.Fatal(d.Reason)
		}
	}
	if n != 25 {
		t.Errorf("%d effects in flight of 50", n)
	}
}
