package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// TestReplyLost lets a provider execute and lose the reply, again and again: on warm connections and cold ones, with a body and without,
// at a provider that enforces keys and at one that ignores them. Nobody is charged twice, and nobody is told a guess.
func TestReplyLost(t *testing.T) {
	times := upTo(200, 40)
	for _, at := range []string{mainProvider, legacyProvider} {
		t.Run(at, func(t *testing.T) {
			p := alone()
			p.weights = map[string]string{"local": fmt.Sprintf("{%s: 100}", at)}
			p.breaker = "{failures: 1000, successes: 1, reset: 1s}" // the fault is rarer than a breaker: each call must meet it
			w := newWorld(t, p)
			c := w.caller("local")
			orders := map[string]told{}
			for n := range times {
				l := lostReply{w, c, at, fmt.Sprintf("%s-%d", at, n), n%2 == 0, n%4 < 2, sandbox.Ending([]string{"close", "reset"}[n/4%2])}
				l.run(orders)
				if t.Failed() {
					t.Fatalf("at %+v", l)
				}
			}
			w.reckon(orders)
			w.keptOpen(orders)
		})
	}
}

// lostReply is one effect whose reply gets lost.
type lostReply struct {
	w           *world
	c           *caller
	at, order   string
	warm, empty bool
	end         sandbox.Ending
}

func (l lostReply) run(orders map[string]told) {
	t, session := l.w.t, "ses-"+l.order
	for k := range 12 { // one reply in a dozen: more, and its circuit opens
		order := fmt.Sprintf("%s-good-%d", l.order, k)
		l.c.do(chargeOf(order, "ses-"+order)).must(t)
	}
	a := chargeOf(l.order, session)
	pattern := "POST /v1/charges"
	if l.empty { // a capture needs no body: net/http would send an empty POST with a key again by itself
		a.form.Set("capture", "false")
		authorised := l.order + "-authorised"
		a.key = authorised
		a.form.Set("metadata[order]", authorised)
		made := l.c.do(a).must(t)
		a = ask{method: http.MethodPost, path: "/v1/charges/" + made.document().ID + "/capture", key: l.order, session: session, form: url.Values{}}
		pattern = "POST /v1/charges/{id}/capture"
	}
	l.warmth(session)
	connection := sandbox.Cold
	if l.warm {
		connection = sandbox.Warm
	}
	lost := l.w.received(l.at, pattern+" lose")
	clean := l.w.received(l.at, pattern+" -")
	l.w.faults(l.at, sandbox.Fault{Kind: sandbox.Lose, Operation: sandbox.Effects, Count: 1, Connection: connection, End: l.end})
	began := time.Now()
	got := l.c.do(a)
	l.w.faults(l.at)
	if n := l.w.received(l.at, pattern+" lose") - lost; n != 1 {
		t.Errorf("%s: the fault met %d requests, not one", l.order, n)
	}
	resent := l.w.received(l.at, pattern+" -") - clean
	if got.problem() != "outcome-unknown" || !patience.Excuses(began) { // the disk may have taken the time in which it would have been asked again
		l.judge(got, resent)
	}
	done, want := l.order, 1
	if l.empty {
		done, want = l.order+"-authorised", 2 // authorised once, captured once
	} else {
		orders[l.order] = got
	}
	if n := executed(l.w.box.Books(), done); n != want {
		t.Errorf("%s: executed %d times, not %d", done, n, want)
	}
}

// warmth makes the agent's next connection to the provider a used or a new one.
func (l lostReply) warmth(session string) {
	if l.warm {
		l.c.get("/v1/balance", session).must(l.w.t)
		return
	}
	p := l.w.provider(l.at)
	p.Kill() // resets every connection
	p.Revive()
}

// judge wants the truth: the one charge where keys let the agent ask again, "unknown" where they do not, and no second request there.
func (l lostReply) judge(got told, resent uint64) {
	t := l.w.t
	switch l.at {
	case legacyProvider:
		if got.problem() != "outcome-unknown" || got.document().Executed != "unknown" {
			t.Errorf("%s: want outcome-unknown, got %v", l.order, got)
		}
		if resent != 0 {
			t.Errorf("%s: sent %d times more to a provider that ignores keys", l.order, resent)
		}
	default:
		if got.err != nil || got.status != http.StatusOK || !strings.HasPrefix(got.document().ID, "ch_") {
			t.Errorf("%s: want the one charge, got %v", l.order, got)
		}
		if resent != 1 {
			t.Errorf("%s: sent %d times more, not once", l.order, resent)
		}
	}
}

// received counts requests at a provider by "METHOD pattern fault".
func (w *world) received(provider, what string) uint64 {
	return w.provider(provider).Books().Totals().Received[what]
}

// keptOpen wants every call that was told unknown in the ledger, held, with one send.
func (w *world) keptOpen(orders map[string]told) {
	w.t.Helper()
	for order, a := range orders {
		if a.problem() != "outcome-unknown" {
			continue
		}
		list := w.transactions(order)
		if len(list) != 1 || list[0].State != "held" || len(list[0].Attempts) != 1 || list[0].Attempts[0].Sends != 1 {
			w.t.Errorf("%s is in the ledger as %+v", order, list)
		}
	}
}
