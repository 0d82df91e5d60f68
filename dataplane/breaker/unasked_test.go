package breaker

import (
	"testing"
	"time"
)

// TestACheckWaitsForTheLease: while a call's probe is out, no check is one, however long the lease is.
func TestACheckWaitsForTheLease(t *testing.T) {
	var c Circuit
	c.Configure(Settings{Failures: 1, Successes: 2, Reset: time.Second, Lease: time.Minute})
	held, _, _ := c.Enter(t0, 0)
	c.Step(Failure, held, t0, 0)
	if c.Unasked(t0.Add(time.Second)) {
		t.Error("a check may ask before a call could")
	}
	at := t0.Add(time.Hour)
	held, _, _ = c.Enter(at, 0)
	if c.Unasked(at.Add(30 * time.Second)) {
		t.Error("a check may ask beside a call's probe")
	}
	if !c.Unasked(at.Add(time.Minute)) {
		t.Error("no check may ask after the lease")
	}
	c.Step(Success, held, at.Add(time.Second), 0)
	if c.Unasked(at.Add(2*time.Second)) || !c.Unasked(at.Add(Patience)) {
		t.Error("a check may ask as soon as a call's probe has ended, or never")
	}
}
