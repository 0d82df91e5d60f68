package browser

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// spare is a service of its own at main's simulator, whose requests are kept: what is unknown there can be sent again under its key. Under
// another contract it cannot, and nobody looks for it by himself any more.
const spare = `  invoices:
    speaks: stripe/v1
    listen: 7108
    operations: {charge: {match: POST /v1/charges, key: required, keep: request, execute_by: 30m}}
    strategy: priority
    priority: [spare]
    attempts: {max: 1, per_try: 2s, deadline: 3s}
`

// TestCheckAllAgain: outcomes that became unknown through a fault stay so while nobody can be asked, and one click tells of each why, with
// scripts and without; once the fault and the reason are gone, all close by themselves, and the books show each executed once.
func TestCheckAllAgain(t *testing.T) {
	h := open(t)
	h.well(t)
	before := h.revision(t)
	t.Cleanup(func() {
		h.stopAll(t)
		h.api(t, http.MethodPost, "/policy/rollback", map[string]any{"revision": before})
		h.inForce(t)
		h.well(t)
	})
	port := h.applySpare(t, "24h")
	since := time.Now()
	stop := h.breaks(t, "lost-reply", "main")
	n := h.unknownAt(t, port, fmt.Sprintf("spare-%d", since.UnixNano()))
	h.applySpare(t, "23h")
	eventually(t, 2*time.Minute, "nobody looks for them by himself any more", func() error {
		list := h.transactions(t, "state=held&provider=spare")
		for _, tx := range list {
			if next := tx.Attempts[len(tx.Attempts)-1].NextCheck; !next.IsZero() {
				return fmt.Errorf("%s is looked for at %v", tx.ID, next)
			}
		}
		if len(list) != n {
			return fmt.Errorf("%d are held", len(list))
		}
		return nil
	})
	b := h.tab(t)
	b.checksAll(n, "they may be there by now")
	b.reads("main", fmt.Sprintf(`0 of %d outcomes are known now;\s+%d still unknown`, n, n), within)
	b.reads("main", "the policy sends it otherwise by now", within)
	b.looks(t, []shown{{name: "what came of it", path: b.address()}, {name: "the review", path: "/transactions/verify?provider=spare"}}, nothing)
	b.scriptless()
	b.checksAll(n, "is it there by now?")
	for end := time.Now().Add(time.Minute); strings.Contains(b.textOf("main"), "look how far it is") && time.Now().Before(end); {
		b.open(b.address())
	}
	b.reads("main", fmt.Sprintf(`0 of %d outcomes are known now;\s+%d still unknown`, n, n), within)
	stop()
	h.applySpare(t, "24h")
	for i := range 6 { // its circuit closes by calls alone
		eventually(t, time.Minute, "the service serves again", func() error {
			a, err := charge(port, fmt.Sprintf("well-%d-%d", i, time.Now().UnixNano()))
			if err == nil && a.status != http.StatusOK {
				err = fmt.Errorf("%v", a)
			}
			return err
		})
	}
	eventually(t, time.Minute, "all are known", func() error {
		if list := h.transactions(t, "state=held&provider=spare"); len(list) > 0 {
			return fmt.Errorf("still held: %+v", list)
		}
		return nil
	})
	b.open("/transactions?state=held&provider=spare")
	b.reads("main", "Nothing matches", within)
	if entries := h.executed(t, "main", fmt.Sprintf("spare-%d-", since.UnixNano()), since.Add(-time.Minute)); len(entries) != n {
		t.Errorf("%d executions of %d: %+v", len(entries), n, entries)
	}
}

// unknownAt makes charges at the same time, whose replies are lost, and tells how many of them are unknown: two at least. The others found the
// circuit open, and nothing was sent.
func (h *house) unknownAt(t *testing.T, port int, order string) int {
	t.Helper()
	var unknown atomic.Int32
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			a, err := charge(port, fmt.Sprint(order, "-", i))
			switch {
			case err == nil && bytes.Contains(a.body, []byte("/problems/outcome-unknown")):
				unknown.Add(1)
			case err != nil || a.status != http.StatusServiceUnavailable:
				t.Errorf("charge %d: %v %v", i, a, err)
			}
		})
	}
	all.Wait()
	if unknown.Load() < 2 {
		t.Fatalf("%d are unknown", unknown.Load())
	}
	return int(unknown.Load())
}

// charge makes one at whatever listens there.
func charge(port int, order string) (told, error) {
	form := url.Values{"amount": {"1290"}, "currency": {"eur"}, "source": {"tok_visa"}, "metadata[order]": {order}}
	return send(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/v1/charges", port), map[string]string{
		"Authorization": "Bearer sk_test_application", "Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": order,
	}, strings.NewReader(form.Encode()))
}

// checksAll goes from the Unknown tab over the review to what came of it.
func (b *tab) checksAll(n int, reason string) {
	b.t.Helper()
	b.open("/transactions?state=held&provider=spare")
	b.leaves(func() { b.find("link", fmt.Sprintf("Check all %d again…", n)).click() })
	b.reads("main", fmt.Sprintf("%d outcomes can be looked for again now", n), within)
	b.find("textbox", "Reason for checking them now").enter(reason)
	b.leaves(func() { b.find("button", fmt.Sprintf("Check %d outcomes again", n)).click() })
}

// applySpare puts the service into the policy, with the life of the keys that its contract says, and tells where it listens in us-east.
func (h *house) applySpare(t *testing.T, life string) int {
	t.Helper()
	a, err := send(http.MethodGet, "http://"+h.dev.Addr()+"/routing.yaml", nil, nil)
	if err != nil || a.status != http.StatusOK {
		t.Fatal(a, err)
	}
	doc := string(a.body)
	_, text, err := net.SplitHostPort(h.dev.Service("us-east", "payments"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	port += 7 // the agent adds to what the policy says, as for payments
	if !strings.Contains(doc, "invoices:") {
		main := doc[strings.Index(doc, "\n  main:\n"):]
		doc = strings.Replace(doc, "\nproviders:\n", "\nproviders:\n  spare:\n    contract: mine/v1\n"+lineWith(t, main, "    endpoint:")+"\n"+lineWith(t, main, "    credential:")+"\n", 1)
		doc = strings.Replace(doc, "\ncontracts:\n", "\n"+spare+"\ncontracts:\n  mine/v1: {like: stripe/v1, keys: {life: 24h}}\n", 1)
	}
	for _, was := range []string{"23h", "24h"} {
		doc = strings.Replace(doc, "keys: {life: "+was+"}}", "keys: {life: "+life+"}}", 1)
	}
	put, err := send(http.MethodPut, "http://"+h.dev.Addr()+"/api/v1/policy", map[string]string{
		"Content-Type": "application/yaml", "Segue-Actor": "browser", "Segue-Reason": "a service of its own", "Idempotency-Key": fmt.Sprint("spare-", life, time.Now().UnixNano()),
	}, strings.NewReader(doc))
	if err != nil || put.status != http.StatusOK {
		t.Fatalf("%v %v\n%s", put, err, doc)
	}
	h.inForce(t)
	return port
}

func lineWith(t *testing.T, doc, begin string) string {
	t.Helper()
	for line := range strings.SplitSeq(doc, "\n") {
		if strings.HasPrefix(line, begin) {
			return line
		}
	}
	t.Fatalf("no line begins with %q:\n%s", begin, doc)
	return ""
}
