package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v82"
)

// paid is one order: what was asked and what the shop was told.
type paid struct {
	order, id string
	begun     time.Time
	err       error
	doc       string // of an error: the answer
}

// TestKilledProvider: under load a provider dies. Every call succeeds but effects in flight there: those return an error, and a retry
// with the same key finds out, once the provider is back. No order is paid twice, none is lost.
func TestKilledProvider(t *testing.T) {
	recovered(t)
	control(t, "main", http.MethodPut, "_faults", `{"kind":"slow","delay":"40ms"}`) // so that some are in flight, and nobody calls it slow
	t.Cleanup(func() {
		control(t, "main", http.MethodPost, "_revive", "")
		control(t, "main", http.MethodDelete, "_faults", "")
	})
	shop := &shop{run: fmt.Sprintf("%08x", rand.Uint32()), url: here.region(0)}
	shop.open(16)
	waitFor(t, "orders before the death", func() bool { return shop.done.Load() > 100 })
	control(t, "main", http.MethodPost, "_kill", "")
	dead := time.Now()
	after := shop.done.Load()
	waitFor(t, "orders after the death", func() bool { return shop.done.Load() > after+300 })
	orders, reads := shop.close()
	control(t, "main", http.MethodPost, "_revive", "")
	control(t, "main", http.MethodDelete, "_faults", "")

	for _, err := range reads {
		t.Errorf("a read failed: %v", err)
	}
	unknown := 0
	for i := range orders {
		if orders[i].err != nil {
			unknown++
			inFlight(t, &orders[i], dead)
			retry(t, shop, &orders[i])
		}
	}
	if unknown == 0 {
		t.Error("no call was in flight at the provider when it died: this run shows nothing")
	}
	t.Logf("%d orders, %d in flight when the provider died, %d reads", len(orders), unknown, shop.reads.Load())
	once(t, shop.run, orders)
}

// recovered returns when no region thinks ill of a provider: while one is probed, calls of one session may go to two providers, and what
// a provider lists is its own objects alone. Circuits close by what calls show, so calls are made.
func recovered(t *testing.T) {
	t.Helper()
	for n, region := range []string{"us-east", "eu-west", "ap-south"} {
		waitFor(t, "every circuit of "+region+" to close", func() bool {
			if closed(t, n, region) {
				return true
			}
			order := fmt.Sprintf("recovery-%016x", rand.Uint64())
			if got := create(t, here.region(n), charge(order, 100)); got.err != nil {
				t.Errorf("while a provider recovers: %v", got.err)
			}
			return false
		})
	}
}

// closed asks the region's agent about its circuits.
func closed(t *testing.T, n int, region string) bool {
	t.Helper()
	answer, err := http.Get("http://" + addr(here.sandboxAt+adminPort+n) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, provider := range []string{"main", "backup", "legacy"} {
		if !strings.Contains(string(text), fmt.Sprintf("segue_breaker_state{provider=%q,region=%q,state=\"closed\"} 1\n", provider, region)) {
			return false
		}
	}
	return true
}

// inFlight: the error is outcome-unknown, of a call that was sent to the provider before it was dead.
func inFlight(t *testing.T, p *paid, dead time.Time) {
	t.Helper()
	var e *stripe.Error
	if !errors.As(p.err, &e) || e.Code != "segue_outcome_unknown" || e.HTTPStatusCode != http.StatusGatewayTimeout || p.id != "" {
		t.Errorf("%s, begun %v after the death, was told %q %v", p.order, p.begun.Sub(dead), p.id, p.err)
	}
	if p.begun.After(dead) {
		t.Errorf("%s was begun %v after the provider had died, and failed: %v", p.order, p.begun.Sub(dead), p.err)
	}
	if !strings.Contains(p.doc, `"provider":"main","outcome":"unknown"`) {
		t.Errorf("%s: the document does not say where it was in flight: %s", p.order, p.doc)
	}
}

// retry asks again under the same key, as the message says.
func retry(t *testing.T, s *shop, p *paid) {
	t.Helper()
	w := &wire{}
	c, err := client(t, s.url, "sk_test_shop", w).V1Charges.Create(t.Context(), s.params(p.order))
	if err != nil || c.ID == "" {
		t.Errorf("%s under the same key: %v", p.order, err)
	}
	p.id = c.ID
}

// once holds what the shop was told against the providers' books.
func once(t *testing.T, run string, orders []paid) {
	t.Helper()
	var books struct {
		Twice     []any
		Providers map[string]struct {
			Entries []struct{ ID, Operation, Order, Status string }
		}
	}
	get(t, "/_books?limit=100000", &books)
	if len(books.Twice) > 0 {
		t.Errorf("done twice: %v", books.Twice)
	}
	executed := map[string][]string{}
	for _, provider := range books.Providers {
		for _, e := range provider.Entries {
			if strings.HasPrefix(e.Order, run) && e.Operation == "charges.create" && e.Status == "succeeded" {
				executed[e.Order] = append(executed[e.Order], e.ID)
			}
		}
	}
	for i := range orders {
		if ids := executed[orders[i].order]; len(ids) != 1 || ids[0] != orders[i].id {
			t.Errorf("%s was told %q, the books have %q", orders[i].order, orders[i].id, ids)
		}
	}
	if len(executed) != len(orders) {
		t.Errorf("%d orders, %d in the books", len(orders), len(executed))
	}
}

// shop pays orders, each with its own key, and reads now and then.
type shop struct {
	run, url string
	next     atomic.Int64
	done     atomic.Int64
	reads    atomic.Int64
	closing  atomic.Bool
	staff    sync.WaitGroup

	mu     sync.Mutex
	orders []paid
	failed []error
}

func (s *shop) open(staff int) {
	for range staff {
		s.staff.Go(func() {
			for !s.closing.Load() {
				s.serve()
			}
		})
	}
}

func (s *shop) close() ([]paid, []error) {
	s.closing.Store(true)
	s.staff.Wait()
	return s.orders, s.failed
}

func (s *shop) params(order string) *stripe.ChargeCreateParams {
	p := charge(order, 1290)
	p.IdempotencyKey = stripe.String("key-" + order)
	return p
}

// serve pays one order, and reads the balance with every fourth.
func (s *shop) serve() {
	n := s.next.Add(1)
	w := &wire{}
	c := stripe.NewClient("sk_test_shop", stripe.WithBackends(&stripe.Backends{API: backend(s.url, w)}))
	p := paid{order: fmt.Sprintf("%s-%d", s.run, n), begun: time.Now()}
	var got *stripe.Charge
	got, p.err = c.V1Charges.Create(context.Background(), s.params(p.order))
	if got != nil {
		p.id = got.ID
	}
	if p.err != nil {
		p.doc = string(w.body)
	}
	var readErr error
	if n%4 == 0 {
		_, readErr = c.V1Balance.Retrieve(context.Background(), nil)
		s.reads.Add(1)
	}
	s.mu.Lock()
	s.orders = append(s.orders, p)
	if readErr != nil {
		s.failed = append(s.failed, readErr)
	}
	s.mu.Unlock()
	s.done.Add(1)
}

// control sets something at a simulated provider.
func control(t *testing.T, provider, method, what, body string) {
	t.Helper()
	r, err := http.NewRequest(method, fmt.Sprintf("http://%s/providers/%s/%s", addr(here.sandboxAt+booksPort), provider, what), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s %s: %s: %s", provider, what, answer.Status, text)
	}
}

func get(t *testing.T, path string, into any) {
	t.Helper()
	answer, err := http.Get("http://" + addr(here.sandboxAt+booksPort) + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startTime); !ready(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, startTime)
		}
		time.Sleep(pollEvery)
	}
}
