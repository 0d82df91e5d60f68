package dataplane

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// asksAgain waits until a call would go to the provider: what was lost there in a row has opened its circuit.
func (w *world) asksAgain(provider string, header ...string) {
	w.t.Helper()
	eventually(w.t, provider+" is asked again", func() bool {
		a := w.do("POST", "/v1/charges", charge("dry"), append(header, "Segue-Dry-Run", "?1", "Idempotency-Key", "dry")...)
		return a.json(w.t)["provider"] == provider
	})
}

// Who repeats a call of which nobody knows the outcome is never told that it was not executed, whatever keeps the repeat from being sent.
func TestRepeatOfAnUnknownCallIsNeverToldNo(t *testing.T) {
	for name, hinder := range map[string]func(w *world){
		"the provider is limited": func(w *world) {
			w.asksAgain("main")
			w.fault("main", sandbox.Fault{Kind: sandbox.Limit, RetryAfter: time.Minute})
			w.charge("k2", "o2")
			w.box.Provider("main").ClearFaults()
		},
		"the object's owner left the policy": func(w *world) {
			must(w.t, w.agent.Apply(w.update(2, w.doc("backup"))))
		},
		"the ledger is gone": func(w *world) { must(w.t, w.agent.store.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id, _ := w.charge("k0", "o0").json(t)["id"].(string)
			refund := func() *answer { return w.do("POST", "/v1/refunds", "charge="+id, "Idempotency-Key", "k1") }
			w.fault("main", sandbox.Fault{Kind: sandbox.Lose})
			if a := refund(); a.json(t)["executed"] != "unknown" {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			w.box.Provider("main").ClearFaults()
			hinder(w)
			a := refund()
			if p := a.json(t); p["executed"] != "unknown" || p["retry"] != "same-key" {
				t.Errorf("told %v of a call that was executed: %s", p["executed"], a.body)
			}
		})
	}
}

// A stored answer is told again though the object's owner has left the policy meanwhile: nothing is to be sent.
func TestReplayNeedsNoOwner(t *testing.T) {
	w := newWorld(t)
	id, _ := w.charge("k0", "o0").json(t)["id"].(string)
	first := w.do("POST", "/v1/refunds", "charge="+id, "Idempotency-Key", "k1")
	if first.status != 200 {
		t.Fatalf("got %d %s", first.status, first.body)
	}
	must(t, w.agent.Apply(w.update(2, w.doc("backup"))))
	if a := w.do("POST", "/v1/refunds", "charge="+id, "Idempotency-Key", "k1"); a.status != 200 || a.body != first.body {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// A call whose body comes so slowly that the window of its derived key ends meanwhile meets the repeat that overtook it.
func TestSlowBodyMeetsTheNextWindow(t *testing.T) {
	const within = time.Hour
	start := time.Now()
	edge := start.Truncate(within).Add(within)
	var ahead atomic.Int64
	ahead.Store(int64(edge.Sub(start) - 300*time.Millisecond))
	w := newWorld(t, edited(func(doc string) string {
		return strings.Replace(doc, "    strategy: priority", "    operations:\n      charge: {match: POST /v1/charges, key: {derive: [body.metadata.order], within: 1h}}\n    strategy: priority", 1)
	}), func(*worldConfig) {})
	w.stop()
	w.cfg.Now = func() time.Time { return start.Add(time.Duration(ahead.Load())) }
	w.start()
	body := charge("o1")
	conn, err := net.Dial("tcp", w.agent.Addr("payments"))
	must(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /v1/charges HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk_test_one\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	must(t, err)
	back := bufio.NewReader(conn)
	for range 2 { // the edge has read its clock, and waits for the body
		_, err = back.ReadString('\n')
		must(t, err)
	}
	ahead.Add(int64(600 * time.Millisecond)) // the next window
	if a := w.do("POST", "/v1/charges", body); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	_, err = io.WriteString(conn, body)
	must(t, err)
	resp, err := http.ReadResponse(back, nil)
	must(t, err)
	defer resp.Body.Close()
	if n := w.executed("o1"); n != 1 || resp.StatusCode != 200 {
		t.Errorf("executed %d times, the slow call was told %d", n, resp.StatusCode)
	}
}

// A retry with another application's credential is not the same request: it would be executed in another account.
func TestRedriveNeedsTheSameAccount(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Lose})
	w.charge("k1", "o1").problem(t, 504, "outcome-unknown")
	w.box.Provider("main").ClearFaults()
	sent := w.row("k1").Current().Sends
	w.charge("k1", "o1", "Authorization", "Bearer sk_test_two") // beside the first line: the list is another one
	if row := w.row("k1"); row.State != ledger.Held || row.Current().Sends != sent {
		t.Errorf("sent again in another account: %+v", row)
	}
	a := w.charge("k1", "o1", "Stripe-Account", "acct_2")
	a.problem(t, 422, "key-reused")
	if a := w.charge("k1", "o1"); a.status != 200 || w.executed("o1") != 1 {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// A call that is settled by the caller's retry leaves its session where it was executed.
func TestRedrivePinsTheSession(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Lose})
	w.charge("k1", "o1", "Session-Id", "s1").problem(t, 504, "outcome-unknown")
	w.box.Provider("main").ClearFaults()
	if a := w.charge("k1", "o1", "Session-Id", "s1"); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	must(t, w.agent.Apply(w.update(2, w.doc("backup, main"))))
	w.asksAgain("main", "Session-Id", "s1")
	if a := w.charge("k2", "o2", "Session-Id", "s1"); !strings.HasPrefix(a.header.Get("Segue-Decision"), "main;") {
		t.Errorf("the session went to %s", a.header.Get("Segue-Decision"))
	}
}

// A row whose print was made by other rules cannot be held against the request: it is neither told again nor called another one.
func TestPrintOfAnotherVersionProvesNothing(t *testing.T) {
	w := newWorld(t)
	w.charge("k1", "o1")
	row := w.row("k1")
	row.FingerprintV++
	w.agent.parts.driver.Stamp(row, time.Now())
	must(t, w.agent.parts.driver.Put(context.Background(), row))
	w.charge("k1", "o1").problem(t, 504, "outcome-unknown")
	if n := w.executed("o1"); n != 1 {
		t.Errorf("executed %d times", n)
	}
}

// Agents that share a store: however many ask at once under one key, wherever, it is executed once, and nobody is told what is not so.
func TestOneKeyAtTwoAgents(t *testing.T) {
	const seed, orders, askers = 7, 60, 6
	t.Logf("seed %d", seed)
	w := newWorld(t)
	store, err := embedded.Open(patience.Dir(t), embedded.Options{})
	must(t, err)
	w.stop()
	w.cfg.Store, w.cfg.KeysDir = store, patience.Dir(t)
	var agents []*Agent
	var addrs []string
	for i := range 2 {
		w.cfg.ID, w.cfg.Dir = fmt.Sprint("here-", i), patience.Dir(t)
		w.start()
		must(t, w.agent.Apply(w.update(1, w.doc("main, legacy, backup"))))
		agents, addrs = append(agents, w.agent), append(addrs, w.agent.Addr("payments"))
	}
	draw := rand.New(rand.NewPCG(seed, 1))
	stop := make(chan struct{})
	var weather, calls sync.WaitGroup
	weather.Go(func() { w.weather(draw, stop) })
	var succeeded [orders]atomic.Int32
	for i := range orders {
		for j := range askers {
			calls.Go(func() {
				for n := range 2 {
					a, err := w.callAt(context.Background(), addrs[(j+n)%2], "POST", "/v1/charges", charge(fmt.Sprint("o", i)), "Idempotency-Key", fmt.Sprint("k", i))
					if err != nil {
						t.Error(err)
					} else if a.status == 200 {
						succeeded[i].Add(1)
					}
				}
			})
		}
		if i%5 == 4 {
			calls.Wait()
		}
	}
	calls.Wait()
	close(stop)
	weather.Wait()
	for i := range orders {
		if n := w.executed(fmt.Sprint("o", i)); n > 1 || succeeded[i].Load() > 0 && n != 1 {
			t.Errorf("order %d was executed %d times and told as done %d times", i, n, succeeded[i].Load())
		}
	}
	for _, a := range agents {
		rep := a.parts.board.Report(time.Now())
		for i := range rep.Rows {
			if rep.Rows[i].InFlight != 0 {
				t.Errorf("%s: %d permits of %s are out", a.cfg.ID, rep.Rows[i].InFlight, rep.Rows[i].Provider)
			}
		}
		w.http.CloseIdleConnections()
		must(t, a.Stop(context.Background()))
	}
	w.agent = nil
	must(t, store.Close())
}
