package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v82"
)

// provoked is a call that met a problem: what stripe-go returned, and what went over the wire.
type provoked struct {
	id  string // of the object that stripe-go returned: there must be none
	err error
	w   *wire
}

// problem is a row of the table: a problem type and how to meet it for real.
type problem struct {
	name, how string
	meet      func(t *testing.T) provoked
}

// problems are all types that an agent can tell an application.
var problems = []problem{
	{"outcome-unknown", "the reply is lost at a provider that ignores keys", loseReply},
	{"in-progress", "the same key while its first call is under way", meetLive},
	{"no-quorum", "the ledger's disk is full", fillDisk},
	{"no-eligible-provider", "nobody listens at the provider's port", atService("gone", nil)},
	{"overloaded", "the provider's in_flight limit is taken", meetFull},
	{"deadline-too-short", "X-Stainless-Timeout: 0.005", atService("recorder", header("X-Stainless-Timeout", "0.005"))},
	{"key-reused", "the same key with another amount", reuseKey},
	{"key-missing", "a call without params, for which stripe-go makes no key up", forgetKey},
	{"key-malformed", "a key that is not ASCII", atService("recorder", key("zahlung-für-müller"))},
	{"unknown-operation", "a customer, which the contract does not have", createCustomer},
	{"unknown-service", "a host name that no service has", atService("hosted", nil)},
	{"header-malformed", "Session-Id with a space", atService("recorder", header("Session-Id", "my session"))},
	{"body-too-large", "metadata of 2 MiB", atService("recorder", large)},
	{"answer-not-kept", "the same key again after an answer of 300 KiB", repeatLarge},
}

// seenProblem is what every problem document has.
type seenProblem struct {
	Type, Title, Detail, Executed, Retry, Message string
	Status                                        int
	Error                                         struct{ Type, Code, Message string }
}

// TestProblems: each type makes stripe-go return an error, with our code and message in it, and stops its own retries.
func TestProblems(t *testing.T) {
	rows := map[string]string{}
	for _, p := range problems {
		t.Run(p.name, func(t *testing.T) { rows[p.name] = row(t, p) })
	}
	for _, name := range shipped(t) {
		if !slices.ContainsFunc(problems, func(p problem) bool { return p.name == name }) {
			t.Errorf("an agent can tell %s, and nothing here shows what stripe-go makes of it", name)
		}
	}
	compareTable(t, rows)
}

// row meets a problem and checks what every problem promises.
func row(t *testing.T, p problem) string {
	t.Helper()
	got := p.meet(t)
	var doc seenProblem
	if err := json.Unmarshal(got.w.body, &doc); err != nil || doc.Type != "/problems/"+p.name || doc.Status != got.w.status {
		t.Fatalf("the answer is %d %.400s (%v), and stripe-go returned %q, %v", got.w.status, got.w.body, err, got.id, got.err)
	}
	if kind := got.w.answer.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("Content-Type %q", kind)
	}
	var e *stripe.Error
	switch {
	case !errors.As(got.err, &e):
		t.Fatalf("stripe-go returned %q, %v", got.id, got.err)
	case got.id != "":
		t.Errorf("stripe-go returned the object %q beside its error", got.id)
	case e.HTTPStatusCode != doc.Status, string(e.Code) != "segue_"+strings.ReplaceAll(p.name, "-", "_"), e.Msg == "", e.Msg != doc.Detail, e.Err == nil:
		t.Errorf("stripe-go's error %#v is not what the document says: %+v", e, doc)
	}
	n := got.w.requests()
	if n != 1 {
		t.Errorf("stripe-go sent %d requests", n)
	}
	should := got.w.answer.Get("Stripe-Should-Retry")
	if want := fmt.Sprint(p.name == "in-progress"); should != want || got.w.answer.Get("X-Should-Retry") != want {
		t.Errorf("should-retry %q and %q, want %s", should, got.w.answer.Get("X-Should-Retry"), want)
	}
	return fmt.Sprintf("| %s | %s | %d | `%s` | %s | %d | %s | %s | %s |", p.name, p.how, doc.Status, e.Code,
		strings.TrimPrefix(fmt.Sprintf("%T", e.Err), "*stripe."), n, should, doc.Executed, doc.Retry)
}

// shipped reads the types from the source that tells them: a new one must get its row.
func shipped(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile("../../dataplane/proxy/problem.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\t\w+\s+Type = "([a-z-]+)"$`).FindAllStringSubmatch(string(source), -1) {
		names = append(names, m[1])
	}
	if len(names) < 10 {
		t.Fatalf("found only %v", names)
	}
	return names
}

const tableFile = "testdata/problems.md"

const tableHead = `# What stripe-go makes of each problem

Each was provoked for real, through an agent; ` + "`go test -run TestProblems -update`" + ` wrote this. stripe-go's own retries were on
(MaxNetworkRetries 2): the requests are those that left it.

stripe-go 82 never retries an answer whose body has an ` + "`error`" + ` object, whatever Stripe-Should-Retry says (it does not retry Stripe's own 409
either): so after in-progress it is the application that asks again, with the same key.

| problem | provoked by | status | Code | Err | requests | Stripe-Should-Retry | executed | retry |
|---|---|---|---|---|---|---|---|---|
`

// compareTable holds the rows against the file, or writes it. A row that could not be provoked here keeps what the file says.
func compareTable(t *testing.T, rows map[string]string) {
	t.Helper()
	was, err := os.ReadFile(tableFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	now := tableHead
	for _, p := range problems {
		line := rows[p.name]
		if line == "" {
			line = oldRow(string(was), p.name)
		}
		now += line + "\n"
	}
	t.Log("\n" + now)
	if *update && !t.Failed() {
		if err := os.WriteFile(tableFile, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if now != string(was) {
		t.Errorf("%s says otherwise; look at the difference, then -update:\n%s", tableFile, was)
	}
}

func oldRow(table, name string) string {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| "+name+" |") {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}

// create makes a charge at url, and returns what came of it.
func create(t *testing.T, url string, p *stripe.ChargeCreateParams) provoked {
	t.Helper()
	w := &wire{}
	c, err := client(t, url, here.credential, w).V1Charges.Create(t.Context(), p)
	return provoked{c.ID, err, w}
}

// atService makes a charge that meets the problem at once.
func atService(service string, with func(*stripe.ChargeCreateParams)) func(*testing.T) provoked {
	return func(t *testing.T) provoked {
		p := charge(fresh("problem"), 100)
		if with != nil {
			with(p)
		}
		return create(t, here.agent(service), p)
	}
}

func header(name, value string) func(*stripe.ChargeCreateParams) {
	return func(p *stripe.ChargeCreateParams) { p.Headers = http.Header{name: {value}} }
}

func key(k string) func(*stripe.ChargeCreateParams) {
	return func(p *stripe.ChargeCreateParams) { p.IdempotencyKey = stripe.String(k) }
}

func large(p *stripe.ChargeCreateParams) { p.Metadata["note"] = strings.Repeat("x", 2<<20) }

// keyed is a charge under a key, with one more field of metadata.
func keyed(k string, amount int64, field, value string) *stripe.ChargeCreateParams {
	p := charge(k, amount)
	key(k)(p)
	if field != "" {
		p.Metadata[field] = value
	}
	return p
}

// fresh makes a name that no other run of the test has.
func fresh(name string) string { return fmt.Sprintf("%s-%016x", name, rand.Uint64()) }

func loseReply(t *testing.T) provoked {
	name := fresh("lost")
	control(t, "legacy", http.MethodPut, "_faults", `{"kind":"lose","operation":"effects","count":1}`)
	t.Cleanup(func() { control(t, "legacy", http.MethodDelete, "_faults", "") })
	first := create(t, here.agent("keyless"), keyed(name, 100, "lost", name))
	// Asked again it is not sent on a guess: the books have it once.
	again := create(t, here.agent("keyless"), keyed(name, 100, "lost", name))
	if said(again.err) != said(first.err) || again.id != "" {
		t.Errorf("the retry was told %q %v", again.id, again.err)
	}
	var books struct {
		Entries []struct{ Metadata map[string]string }
	}
	get(t, "/providers/legacy/_books?limit=100000", &books)
	n := 0
	for _, e := range books.Entries {
		if e.Metadata["lost"] == name {
			n++
		}
	}
	if n != 1 {
		t.Errorf("executed %d times", n)
	}
	return first
}

// hold makes a charge that stays at the provider until finish, which returns what came of it.
func hold(t *testing.T, service, name string) (finish func() provoked) {
	t.Helper()
	result := make(chan provoked, 1)
	go func() { result <- create(t, here.agent(service), keyed(name, 100, "hold", name)) }() // finish awaits it
	select {
	case <-here.recorder.gate(name).arrived:
	case early := <-result:
		t.Fatalf("the call that should be held was told %q %v", early.id, early.err)
	}
	return func() provoked {
		here.recorder.release(name)
		return <-result
	}
}

func meetLive(t *testing.T) provoked {
	name := fresh("live")
	finish := hold(t, "recorder", name)
	got := create(t, here.agent("recorder"), keyed(name, 100, "hold", name))
	first := finish()
	if first.err != nil {
		t.Errorf("the first call: %v", first.err)
	}
	// What the document says works: the same key again, once the first call is over.
	again := create(t, here.agent("recorder"), keyed(name, 100, "hold", name))
	if again.err != nil || again.id != first.id || again.w.answer.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same key later: %q %v, the first was %q", again.id, again.err, first.id)
	}
	return got
}

func meetFull(t *testing.T) provoked {
	finish := hold(t, "narrow", fresh("full"))
	got := create(t, here.agent("narrow"), charge(fresh("problem"), 100))
	if first := finish(); first.err != nil {
		t.Errorf("the first call: %v", first.err)
	}
	return got
}

func reuseKey(t *testing.T) provoked {
	name := fresh("reused")
	if first := create(t, here.agent("recorder"), keyed(name, 100, "", "")); first.err != nil {
		t.Fatal(first.err)
	}
	return create(t, here.agent("recorder"), keyed(name, 101, "", ""))
}

func forgetKey(t *testing.T) provoked {
	w, c := &wire{}, &stripe.Charge{}
	err := backend(here.agent("recorder"), w).Call(http.MethodPost, "/v1/charges", here.credential, nil, c)
	return provoked{c.ID, err, w}
}

func createCustomer(t *testing.T) provoked {
	w := &wire{}
	c, err := client(t, here.agent("recorder"), here.credential, w).V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{})
	return provoked{c.ID, err, w}
}

func repeatLarge(t *testing.T) provoked {
	name := fresh("large")
	if first := create(t, here.agent("recorder"), keyed(name, 100, "large", "yes")); first.err != nil || len(first.w.body) < 300<<10 {
		t.Fatalf("the first call: %d bytes, %v", len(first.w.body), first.err)
	}
	return create(t, here.agent("recorder"), keyed(name, 100, "large", "yes"))
}

// TestMembersStopRetries: without the members that speak Stripe's dialect stripe-go would send the same problem three times, whatever the
// should-retry headers say, and return an error that is not Stripe's.
func TestMembersStopRetries(t *testing.T) {
	w := &wire{bare: true}
	c, err := client(t, here.agent("gone"), here.credential, w).V1Charges.Create(t.Context(), charge(fresh("bare"), 100))
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
	go func() { first <- create(t, here.provider("main"), keyed(name, 100, "", "")) }() // awaited below
	waitFor(t, "the first call to arrive", func() bool {
		var left []any
		get(t, "/providers/main/_faults", &left)
		return len(left) == 0
	})
	got := create(t, here.provider("main"), keyed(name, 100, "", ""))
	var e *stripe.Error
	if n := got.w.requests(); !errors.As(got.err, &e) || e.HTTPStatusCode != http.StatusConflict || e.Type != stripe.ErrorTypeIdempotency || n != 1 {
		t.Errorf("%d requests, %v", n, got.err)
	}
	if done := <-first; done.err != nil {
		t.Errorf("the first call: %v", done.err)
	}
}
