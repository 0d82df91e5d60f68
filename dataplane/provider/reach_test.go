package provider

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// book is an endpoint that writes down the keys that it gets.
type book struct {
	*httptest.Server
	mu   sync.Mutex
	keys []string
}

func newBook(t *testing.T) *book {
	b := &book{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.keys = append(b.keys, r.Header.Get("Idempotency-Key"))
		b.mu.Unlock()
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *book) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.keys)
}

// nobody is an endpoint where nobody listens.
func nobody(t *testing.T) string {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

func charge(c *policy.Candidate, key string) *Call {
	return &Call{Candidate: c, Operation: "charge", Key: key, PerTry: 5 * time.Second, Request: &message.Request{Method: "POST", Path: "/v1/charges", Body: []byte("amount=1")}}
}

// TestTheNextEndpoint: where keys are shared a call goes on at the next endpoint, with the same key, when the nearest cannot be reached; the
// next calls go there at once.
func TestTheNextEndpoint(t *testing.T) {
	var told []string
	w := newWorld(t, func(c *Config) { c.Note = func(e health.Event) { told = append(told, e.Text) } })
	far := newBook(t)
	p := candidate(nobody(t))
	p.Contract.Keys.Scope, p.Further = policy.PerAccount, []string{far.URL}
	for _, key := range []string{"k1", "k2", "k3"} {
		r := w.Send(context.Background(), charge(p, key), &whole{})
		if r.Outcome != ledger.Succeeded || r.Endpoint != far.URL || r.Sample.Class != health.OK {
			t.Fatalf("%s: %v at %q: %v", key, r.Outcome, r.Endpoint, r.Err)
		}
	}
	if got := far.got(); !slices.Equal(got, []string{"k1", "k2", "k3"}) {
		t.Errorf("the next endpoint got %q", got)
	}
	if len(told) != 1 || !strings.Contains(told[0], p.Endpoint+" cannot be reached (connection_refused)") {
		t.Errorf("told: %q", told)
	}
	if out := w.Passed(p, time.Now()); len(out) != 1 || !strings.HasPrefix(out[0], p.Endpoint+" is passed over: no connection (connection refused), asked again in ") || !strings.HasSuffix(out[0], "; calls go to "+far.URL) {
		t.Errorf("passed over: %q", out)
	}
	p.Further = []string{nobody(t)}
	if r := w.Send(context.Background(), charge(p, "k4"), &whole{}); r.Outcome != ledger.NotSent || !r.Unreached || r.Sample.Class != health.Failure {
		t.Errorf("nobody listens anywhere: %v, %v, class %v", r.Outcome, r.Unreached, r.Sample.Class)
	}
}

// TestWhatMayGoToAnotherEndpoint: an effect whose key is known at one endpoint alone stays there, and a read goes on; what got an answer goes
// nowhere, whatever the answer.
func TestWhatMayGoToAnotherEndpoint(t *testing.T) {
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	t.Cleanup(ill.Close)
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	for _, tc := range []struct {
		name  string
		first string
		scope policy.Scope
		bend  func(*Call)
		want  ledger.Outcome
		there int
	}{
		{"a key of one endpoint", nobody(t), policy.PerEndpoint, nil, ledger.NotSent, 0},
		{"a key of which nothing is said", nobody(t), "", nil, ledger.NotSent, 0},
		{"a read", nobody(t), policy.PerEndpoint, func(c *Call) { c.Read = true }, ledger.Succeeded, 1},
		{"an answer of 500", ill.URL, policy.PerAccount, nil, ledger.Unknown, 0},
		{"no answer", cut.URL, policy.PerAccount, nil, ledger.Unknown, 0},
		{"the same again, after no answer", cut.URL, policy.PerAccount, func(c *Call) { c.Leave = c.Candidate.Endpoint }, ledger.Succeeded, 1},
		{"one endpoint and no other", nobody(t), policy.PerAccount, func(c *Call) { c.Only = c.Candidate.Endpoint }, ledger.NotSent, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, far := newWorld(t, nil), newBook(t)
			p := candidate(tc.first)
			p.Contract.Keys.Scope, p.Further = tc.scope, []string{far.URL}
			p.Contract.Statuses = append(p.Contract.Statuses, policy.StatusRule{From: 500, To: 599, Class: policy.ClassFailure, Outcome: policy.OutcomeUnknown})
			call := charge(p, "k")
			if tc.bend != nil {
				tc.bend(call)
			}
			r := w.Send(context.Background(), call, &whole{})
			if got := far.got(); r.Outcome != tc.want || len(got) != tc.there {
				t.Errorf("%v, and the other endpoint got %q: %v", r.Outcome, got, r.Err)
			}
		})
	}
}

// TestPassedOver: an endpoint that could not be reached is passed over for 5 s, then one call tries it, and the others go on past it.
func TestPassedOver(t *testing.T) {
	var r reach
	p := &policy.Candidate{Endpoint: "near", Further: []string{"far", "farther"}}
	now := time.Unix(1_790_000_000, 0)
	first := func(d time.Duration, tries bool) string { return r.order(p, "", now.Add(d), tries)[0] }
	if got := first(0, true); got != "near" {
		t.Fatalf("first %s", got)
	}
	if !r.showed("near", false, "", now) || r.showed("near", false, "", now) {
		t.Error("the first failure is news, and the second is not")
	}
	for _, tc := range []struct {
		at    time.Duration
		tries bool
		want  string
	}{{9 * time.Second, true, "far"}, {10 * time.Second, false, "near"}, {10 * time.Second, true, "near"}, {10 * time.Second, true, "far"}, {15 * time.Second, true, "near"}} {
		if got := first(tc.at, tc.tries); got != tc.want {
			t.Errorf("%v later: %s, want %s", tc.at, got, tc.want)
		}
	}
	r.showed("far", false, "", now.Add(15*time.Second))
	r.showed("farther", false, "", now.Add(15*time.Second))
	if got := first(16*time.Second, false); got != "near" {
		t.Errorf("all are out: %s", got)
	}
	if r.showed("near", true, "", now.Add(17*time.Second)); first(17*time.Second, true) != "near" {
		t.Error("it can be reached again")
	}
	if got := r.order(p, "near", now.Add(time.Hour), false); !slices.Equal(got, []string{"far", "farther", "near"}) {
		t.Errorf("the one that gave no answer is asked last: %q", got)
	}
	for range 40 {
		r.showed("near", false, "", now)
	}
	if got := first(longAway, false); got != "near" {
		t.Errorf("passed over for longer than a minute: %s", got)
	}
}
