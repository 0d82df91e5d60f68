package dataplane

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
)

// at replaces main's endpoint by a server that answers by h.
func at(t *testing.T, h http.HandlerFunc) option {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return edited(func(doc string) string {
		before, rest, _ := strings.Cut(doc, "main: {contract: stripe/v1, endpoint: ")
		_, rest, _ = strings.Cut(rest, ",")
		return before + "main: {contract: stripe/v1, endpoint: " + s.URL + "," + rest
	})
}

// An event arrives before the next is sent; a stream outlives the deadline, which was for its first byte.
func TestEventsPassOneByOne(t *testing.T) {
	next := make(chan int)
	w := newWorld(t, at(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		for i := range next {
			fmt.Fprintf(rw, "data: %d\n\n", i)
			_ = http.NewResponseController(rw).Flush()
		}
	}))
	go func() { next <- 0 }()
	req, err := http.NewRequest("GET", "http://"+w.agent.Addr("payments")+"/v1/events", nil)
	must(t, err)
	resp, err := w.http.Do(req)
	must(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	begin := time.Now()
	for i := range 6 {
		if i > 0 {
			pause := time.NewTimer(450 * time.Millisecond) // six of these are longer than the deadline of 2 s
			<-pause.C
			next <- i
		}
		if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) || !lines.Scan() {
			t.Fatalf("event %d: %q, %v", i, lines.Text(), lines.Err())
		}
	}
	close(next)
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("no clean end: %q %v", lines.Text(), lines.Err())
	}
	if time.Since(begin) < 2*time.Second {
		t.Error("the stream did not outlive the deadline: the test shows nothing")
	}
}

// A failing answer that is too large to be held back is no answer: the other provider is asked, or a problem is told.
func TestLargeFailingReadIsNotKept(t *testing.T) {
	w := newWorld(t, at(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(500)
		_, _ = rw.Write([]byte(strings.Repeat("x", 1<<20)))
	}))
	if a := w.do("GET", "/v1/balance", ""); a.status != 200 || !strings.HasPrefix(a.header.Get("Segue-Decision"), "backup;") {
		t.Errorf("got %d %v", a.status, a.header)
	}
}

// An effect's answer above what is kept: it streams, and its replay says that it is done.
func TestLargeEffectIsDoneAndNotKept(t *testing.T) {
	large := strings.Repeat("x", 2*ledger.MaxAnswer)
	w := newWorld(t, at(t, func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(large)) }))
	a := w.charge("k1", "o1")
	if a.status != 200 || a.body != large || !strings.HasPrefix(a.header.Get("Segue-Route"), "main;attempt=1;outcome=succeeded") && a.header.Get("Segue-Transaction") == "" {
		t.Fatalf("got %d, %d bytes, %v", a.status, len(a.body), a.header)
	}
	if p := w.charge("k1", "o1").problem(t, 409, "answer-not-kept"); p["executed"] != "yes" || p["retry"] != "never" {
		t.Errorf("problem: %v", p)
	}
}

// A ledger that cannot be used refuses effects before anything is sent, and reads go on. Where it cannot even be read, nobody knows what
// became of an earlier call under the key.
func TestWithoutALedgerNothingIsSent(t *testing.T) {
	w := newWorld(t)
	w.charge("k0", "o0")
	must(t, w.agent.store.Close())
	p := w.charge("k1", "o1").problem(t, 503, "no-quorum")
	if p["executed"] != "unknown" || p["alive"] != 0.0 || p["needed"] != 1.0 || w.executed("o1") != 0 {
		t.Errorf("problem: %v, executed %d", p, w.executed("o1"))
	}
	if a := w.do("GET", "/v1/balance", "", "Session-Id", "s1"); a.status != 200 {
		t.Errorf("a read: %d %s", a.status, a.body)
	}
}

// A key that is derived holds a repeat back; another intent is another key.
func TestDerivedKey(t *testing.T) {
	w := newWorld(t, edited(func(doc string) string {
		return strings.Replace(doc, "    strategy: priority", "    operations:\n      charge: {match: POST /v1/charges, key: {derive: [body.metadata.order, body.amount], within: 1h}}\n    strategy: priority", 1)
	}))
	first := w.do("POST", "/v1/charges", charge("o1"))
	again := w.do("POST", "/v1/charges", charge("o1"))
	if first.status != 200 || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" || w.executed("o1") != 1 {
		t.Fatalf("got %d %s, then %d %v", first.status, first.body, again.status, again.header)
	}
	if a := w.do("POST", "/v1/charges", charge("o2")); a.status != 200 || w.executed("o2") != 1 {
		t.Errorf("another order: %d %s", a.status, a.body)
	}
	w.do("POST", "/v1/charges", "amount=1").problem(t, 400, "key-missing")
}

// At its limit a provider gets no more: the next one does, and with nobody left the caller is told so, with when to come back.
func TestLimits(t *testing.T) {
	var inside, most atomic.Int32
	release := make(chan struct{})
	w := newWorld(t, priority("main"), at(t, func(rw http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), inside.Add(1)))
		defer inside.Add(-1)
		<-release
	}), func(c *worldConfig) {
		before := c.document
		c.document = func(doc string) string {
			return strings.Replace(before(doc), "credential: caller}", "credential: caller, limits: {in_flight: 2}}", 1)
		}
	})
	for range 2 {
		go func() { _, _ = w.call(context.Background(), "GET", "/v1/balance", "") }() // ends with release, before the agent stops
	}
	eventually(t, "two inside", func() bool { return inside.Load() == 2 })
	p := w.do("GET", "/v1/balance", "").problem(t, 503, "overloaded")
	if p["executed"] != "no" || p["limit"] == "" || most.Load() != 2 {
		t.Errorf("problem %v, most %d", p, most.Load())
	}
	close(release)
	eventually(t, "their end", func() bool { return inside.Load() == 0 })
}

// An answer without a length that is cut after its first bytes is an error to the caller too.
func TestChunkedReadCutMidway(t *testing.T) {
	w := newWorld(t, at(t, func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write([]byte("half"))
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	}))
	if a, err := w.call(context.Background(), "GET", "/v1/balance", ""); err == nil {
		t.Errorf("a cut answer ended cleanly: %d %q", a.status, a.body)
	}
}

// A header alone is no answer yet: whoever sends one and then breaks off, or ends a promised body at once, is followed by the next provider.
func TestReadCutBehindItsHeader(t *testing.T) {
	for name, length := range map[string]string{"chunked": "", "with a length": "100"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, at(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/event-stream")
				if length != "" {
					rw.Header().Set("Content-Length", length)
				}
				rw.WriteHeader(200)
				_ = http.NewResponseController(rw).Flush()
				panic(http.ErrAbortHandler)
			}))
			a := w.do("GET", "/v1/balance", "")
			if route := a.header.Get("Segue-Route"); a.status != 200 || !strings.Contains(route, "main;attempt=1;outcome=unknown") || !strings.Contains(route, "backup;attempt=2;outcome=succeeded") {
				t.Errorf("got %d %q by %q", a.status, a.body, route)
			}
		})
	}
}

// A hanging provider leaves a read with a short deadline enough time for the next.
func TestShortDeadlineIsShared(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Hang})
	a := w.do("GET", "/v1/balance", "", "X-Stainless-Timeout", "0.28")
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Segue-Decision"), "backup;") {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// The header of a stream that is silent for long is not held: the caller may wait for it before anything happens.
func TestHeaderOfASilentStreamPasses(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, at(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.WriteHeader(200)
		_ = http.NewResponseController(rw).Flush()
		<-release
		_, _ = rw.Write([]byte("data: 1\n\n"))
	}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.agent.Addr("payments")+"/v1/balance", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r) // returns with the header
	close(release)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "data: 1\n\n" {
		t.Errorf("%q, %v", body, err)
	}
}
