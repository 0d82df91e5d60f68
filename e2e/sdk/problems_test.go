package sdk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// problem is a row of the table: a problem type and how an SDK meets it for real.
type problem struct {
	name, how string
	role      string // of the service that is called
	text      string // what the call's text begins with
	prepare   func(t *testing.T, f *front, lib library, a *ask)
	after     func(t *testing.T, lib library, a ask, first ending) // what the document says is tried
}

// problems are all types that an agent can tell an application.
var problems = []problem{
	{"outcome-unknown", "the reply is lost at a provider that takes no keys", "keyless", "lose", nil, executedOnce},
	{"in-progress", "the same key while its first call is under way", "recorder", "hold", meetLive, askLater},
	{"no-quorum", "the ledger's disk is full", "recorder", "full", nil, nil},
	{"no-eligible-provider", "nobody listens at the provider's port", "gone", "gone", nil, nil},
	{"overloaded", "the provider's in_flight limit is taken", "narrow", "narrow", meetFull, nil},
	{"budget-exhausted", "what the service's calls may cost in a day is spent", "spent", "spent", spendAll, nil},
	{"deadline-too-short", "X-Stainless-Timeout: 0.005", "recorder", "short", put("X-Stainless-Timeout", "0.005", "X-Stainless-Read-Timeout", "0.005"), nil},
	{"key-reused", "the same key with another amount or sender", "recorder", "reused", reuseKey, nil},
	{"key-missing", "no key, and no text from which one could be made", "recorder", "none", forgetKey, nil},
	{"key-malformed", "a key with only one quote", "recorder", "quote", put("Idempotency-Key", `"order-1`), nil},
	{"unknown-operation", "an object that the contract does not have", "recorder", "other", func(_ *testing.T, _ *front, _ library, a *ask) { a.Call = "unknown" }, nil},
	{"unknown-service", "a host name that no service has", "hosted", "nobody", nil, nil},
	{"header-malformed", "Session-Id with a space", "recorder", "header", put("Session-Id", "my session"), nil},
	{"body-too-large", "129 MiB put behind the SDK's body", "recorder", "body", func(_ *testing.T, f *front, _ library, _ *ask) { f.pad = 129 << 20 }, nil},
	{"session-cannot-move", "the session's provider is gone, and a field of it is pinned there", "held", "held", holdSession, nil},
	{"answer-not-kept", "the same key again after an answer of 300 KiB", "recorder", "large", askTwice, nil},
}

// seenProblem is what every problem document has.
type seenProblem struct {
	Type, Title, Detail, Executed, Retry, Message string
	Status, Code                                  int
	Error                                         *struct{ Type, Code, Message string }
}

// line is what the table says of a problem.
type line struct {
	doc   seenProblem
	again string   // should-retry
	cells []string // one for each library
}

// notOfSDKs are told by the endpoints of a session's fields, which no SDK calls.
var notOfSDKs = map[string]bool{
	"unknown-field": true, "field-malformed": true, "field-too-large": true, "field-changed": true, "field-floor": true, "field-unmatched": true,
}

// TestProblems: each type makes each SDK raise its error, with our message and code in it, and stops the SDK's own retries or lets it retry.
func TestProblems(t *testing.T) {
	lines := map[string]*line{}
	for _, p := range problems {
		t.Run(p.name, func(t *testing.T) {
			offset := here.ownAt
			if p.name == "no-quorum" {
				offset = smallDisk(t)
			}
			l := &line{}
			for _, lib := range libraries {
				ok := t.Run(lib.name, func(t *testing.T) {
					l.cells = append(l.cells, cell(t, p, lib, agentAt(offset, p.role+"-"+lib.speaks), l))
				})
				if !ok {
					return
				}
			}
			lines[p.name] = l
		})
	}
	for _, name := range shipped(t) {
		if notOfSDKs[name] {
			continue
		}
		if !slices.ContainsFunc(problems, func(p problem) bool { return p.name == name }) {
			t.Errorf("an agent can tell %s, and nothing here shows what an SDK makes of it", name)
		}
	}
	compareTables(t, lines)
}

// cell meets a problem with one SDK, and checks what every problem promises.
func cell(t *testing.T, p problem, lib library, agent string, l *line) string {
	t.Helper()
	f := newFront(t, agent)
	a := lib.keyed(f.URL, fresh(p.text))
	if p.prepare != nil {
		p.prepare(t, f, lib, &a)
	}
	e := lib.make(t, a)
	var doc seenProblem
	status, header, body := f.last()
	if err := json.Unmarshal(body, &doc); err != nil || doc.Type != "/problems/"+p.name || doc.Status != status {
		t.Fatalf("the answer is %d %.400s (%v), and the application was told %+v", status, body, err, e)
	}
	if kind := header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("Content-Type %q", kind)
	}
	code := "segue_" + strings.ReplaceAll(p.name, "-", "_")
	if lib.speaks == "twilio" {
		code = strconv.Itoa(doc.Code)
	}
	if !e.threw() || e.Status != status || e.Code != code || doc.Detail == "" || !strings.Contains(e.Message, doc.Detail) {
		t.Errorf("the application was told %+v, and the document says %+v", e, doc)
	}
	again, want, n := fmt.Sprint(p.name == "in-progress"), 1, f.requests()
	if p.name == "in-progress" && lib.retries {
		want = 3
	}
	if n != want {
		t.Errorf("%d requests, want %d", n, want)
	}
	if header.Get("Stripe-Should-Retry") != again || header.Get("X-Should-Retry") != again {
		t.Errorf("should-retry %q and %q, want %s", header.Get("Stripe-Should-Retry"), header.Get("X-Should-Retry"), again)
	}
	if p.after != nil {
		p.after(t, lib, a, e)
	}
	if l.doc.Type != "" && (l.doc.Status != doc.Status || l.doc.Executed != doc.Executed || l.doc.Retry != doc.Retry) {
		t.Errorf("this document says %+v, another SDK's %+v", doc, l.doc)
	}
	l.doc, l.again = doc, again
	return fmt.Sprintf("`%s`, %d", e.Class, n)
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

// put has the front put headers on each request, as an application's proxy would.
func put(pairs ...string) func(*testing.T, *front, library, *ask) {
	return func(_ *testing.T, f *front, _ library, _ *ask) {
		f.header = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			f.header[pairs[i]] = pairs[i+1]
		}
	}
}

// executedOnce: asked again under the same key the call is not sent on a guess.
func executedOnce(t *testing.T, lib library, a ask, first ending) {
	if again := lib.make(t, a); again.Message != first.Message || !again.threw() {
		t.Errorf("first told %+v, then %+v", first, again)
	}
	if n := here.recorder.executed(a.Text); n != 1 {
		t.Errorf("it was executed %d times", n)
	}
}

// meanwhile has another process of the application make the same call just before, with is in place of its text and key. It stays at the
// provider until that is released; done then tells its answer.
func meanwhile(f *front, was, is string) (done chan *http.Response) {
	done = make(chan *http.Response, 1)
	f.before = func(n int, other func(was, is string) *http.Response) {
		if n == 1 {
			go func() { done <- other(was, is) }() // the test awaits it
			<-here.recorder.gate(is).arrived
		}
	}
	return done
}

func meetLive(t *testing.T, f *front, _ library, a *ask) {
	awaited(t, meanwhile(f, a.Text, a.Text))
}

// meetFull has another call at the provider meanwhile, which may have only one.
func meetFull(t *testing.T, f *front, _ library, a *ask) {
	name := fresh("hold")
	done := meanwhile(f, a.Text, name)
	awaited(t, done)
	t.Cleanup(func() { here.recorder.release(name) })
}

func awaited(t *testing.T, done chan *http.Response) {
	t.Cleanup(func() {
		if answer := <-done; answer == nil || answer.StatusCode >= 300 {
			t.Errorf("the call beside it ended as %+v", answer)
		}
	})
}

// askLater: what the document says works: the same key again, once the first call is over.
func askLater(t *testing.T, lib library, a ask, _ ending) {
	here.recorder.release(a.Text)
	waitFor(t, "the first call's answer", func() bool { return lib.make(t, a).returned() })
	if n := here.recorder.executed(a.Text); n != 1 {
		t.Errorf("it was executed %d times", n)
	}
}

// TestInProgressIsOvercome: an SDK that retries by itself gets the first call's answer, and the application sees no error.
func TestInProgressIsOvercome(t *testing.T) {
	for _, lib := range libraries {
		if !lib.retries {
			continue
		}
		t.Run(lib.name, func(t *testing.T) {
			f := newFront(t, here.agent("recorder-"+lib.speaks))
			a := lib.keyed(f.URL, fresh("hold"))
			done := meanwhile(f, a.Text, a.Text)
			first := f.before
			f.before = func(n int, other func(was, is string) *http.Response) {
				first(n, other)
				if n == 2 {
					here.recorder.release(a.Text)
					<-done
				}
			}
			e := lib.make(t, a)
			_, header, _ := f.last()
			if !e.returned() || e.ID == "" || f.requests() != 2 || header.Get("Idempotent-Replayed") != "true" || here.recorder.executed(a.Text) != 1 {
				t.Errorf("told %+v after %d requests, executed %d times", e, f.requests(), here.recorder.executed(a.Text))
			}
		})
	}
}

func reuseKey(t *testing.T, _ *front, lib library, a *ask) {
	first := *a
	first.URL = here.agent("recorder-" + lib.speaks)
	if e := lib.make(t, first); !e.returned() {
		t.Fatalf("the first call: %+v", e)
	}
	a.Amount, a.From = 101, "+15005550007"
}

// forgetKey: Stripe's SDKs make a key up themselves; the front takes it away.
func forgetKey(_ *testing.T, f *front, lib library, a *ask) {
	f.header = map[string]string{"Idempotency-Key": ""}
	if lib.speaks == "twilio" {
		a.Text = ""
	}
}

// spendAll makes a call that costs what the service's calls may cost in a day. It is refused itself where another SDK's was first.
func spendAll(t *testing.T, _ *front, lib library, _ *ask) {
	lib.make(t, lib.keyed(here.agent("spent-"+lib.speaks), fresh("first")))
}

func askTwice(t *testing.T, f *front, lib library, a *ask) {
	first := *a
	first.URL = here.agent("recorder-" + lib.speaks)
	if e := lib.make(t, first); !e.returned() {
		t.Fatalf("the first call: %+v", e)
	}
}
