package sdk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/stripe/stripe-go/v82"
)

// provoked is a call through stripe-go: what it returned, and what went over the wire.
type provoked struct {
	id  string // of the object that stripe-go returned
	err error
	w   *wire
}

// create makes a charge at url, and returns what came of it.
func create(t *testing.T, url string, p *stripe.ChargeCreateParams) provoked {
	t.Helper()
	w := &wire{}
	c, err := client(t, url, here.credential, w).V1Charges.Create(t.Context(), p)
	return provoked{c.ID, err, w}
}

// keyed is a charge under a key.
func keyed(k string, amount int64) *stripe.ChargeCreateParams {
	p := charge(k, amount)
	p.IdempotencyKey = stripe.String(k)
	return p
}

// fresh makes a name that no other run of the test has.
func fresh(name string) string { return fmt.Sprintf("%s-%016x", name, rand.Uint64()) }

// TestMembersStopRetries: without the members that speak Stripe's dialect stripe-go would send the same problem three times, whatever the
// should-retry headers say, and return an error that is not Stripe's.
func TestMembersStopRetries(t *testing.T) {
	w := &wire{bare: true}
	c, err := client(t, here.agent("gone-stripe"), here.credential, w).V1Charges.Create(t.Context(), charge(fresh("bare"), 100))
	var e *stripe.Error
	if n := w.requests(); err == nil || c.ID != "" || errors.As(err, &e) || n != 3 {
		t.Errorf("%d requests, %v", n, err)
	}
}

// TestConflictDirect: Stripe's own "key in use" is not retried by stripe-go either; in-progress is as direct.
func TestConflictDirect(t *testing.T) {
	control(t, "main", http.MethodPut, "_faults", `{"kind":"slow","delay":"2s","count":1}`)
	t.Cleanup(func() { control(t, "main", http.MethodDelete, "_faults", "") })
	name := fresh("in use")
	first := make(chan provoked, 1)
	go func() { first <- create(t, here.provider("main"), keyed(name, 100)) }() // awaited below
	waitFor(t, "the first call to arrive", func() bool {
		var left []any
		get(t, "/providers/main/_faults", &left)
		return len(left) == 0
	})
	got := create(t, here.provider("main"), keyed(name, 100))
	var e *stripe.Error
	if n := got.w.requests(); !errors.As(got.err, &e) || e.HTTPStatusCode != http.StatusConflict || e.Type != stripe.ErrorTypeIdempotency || n != 1 {
		t.Errorf("%d requests, %v", n, got.err)
	}
	if done := <-first; done.err != nil {
		t.Errorf("the first call: %v", done.err)
	}
}
