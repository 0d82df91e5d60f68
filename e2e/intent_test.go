package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
)

// TestAgentKilledBetween kills an agent with -9 while a provider has its request and has not answered. After the restart the attempt is
// in the ledger, open, and nothing is sent again until the caller comes back with the same key; then only where keys prove it one call.
func TestAgentKilledBetween(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at       string
		executed bool
	}{
		"executed, keys enforced":     {mainProvider, true},
		"not executed, keys enforced": {mainProvider, false},
		"executed, keys ignored":      {legacyProvider, true},
		"not executed, keys ignored":  {legacyProvider, false},
	} {
		t.Run(name, func(t *testing.T) { killedBetween(t, c.at, c.executed) })
	}
}

func killedBetween(t *testing.T, at string, executed bool) {
	const order = "o-between"
	p := alone()
	p.weights = map[string]string{"local": fmt.Sprintf("{%s: 100}", at)}
	p.tries = "{max: 3, per_try: 20s, deadline: 50s}" // nothing is sent again before the agent is killed
	w := newWorld(t, p)
	c := w.caller("local")
	w.faults(at, sandbox.Fault{Kind: sandbox.Hang, Executed: executed, Operation: sandbox.Effects})
	first := make(chan told, 1)
	go func() { first <- c.charge(order, "ses-between") }()
	eventually(t, 10*time.Second, "the provider has the request", func() error {
		if n := w.received(at, "POST /v1/charges hang"); n != 1 {
			return fmt.Errorf("it received %d", n)
		}
		if n := executedAt(w, at, order); executed && n != 1 {
			return fmt.Errorf("it executed %d", n)
		}
		return nil
	})
	w.agents["local"].kill()
	if got := <-first; got.err == nil {
		t.Fatalf("the caller was answered by a dead agent: %v", got)
	}
	w.faults(at)
	w.agents["local"].start()
	w.agentReady("local", 10*time.Second)
	tx := w.openAttempt(order, at)
	if all := w.charges(at); all != 1 {
		t.Errorf("%d requests at %s after the restart: it was sent again on a guess", all, at)
	}
	again := c.charge(order, "ses-between")
	w.judgeRetry(again, at, tx)
	w.reckon(map[string]told{order: again})
}

func executedAt(w *world, at, order string) int { return w.provider(at).Books().Executed(order) }

// charges counts all requests for a charge at a provider, whatever fault they met.
func (w *world) charges(at string) int {
	n := uint64(0)
	for what, times := range w.provider(at).Books().Totals().Received {
		var method, pattern, fault string
		if _, err := fmt.Sscan(what, &method, &pattern, &fault); err != nil {
			w.t.Fatal(err)
		}
		if method == http.MethodPost && pattern == "/v1/charges" {
			n += times
		}
	}
	return int(n)
}

// openAttempt wants the order's transaction in the ledger with one attempt at the provider and no outcome.
func (w *world) openAttempt(order, at string) query.Transaction {
	w.t.Helper()
	list := w.transactions(order)
	if len(list) != 1 {
		w.t.Fatalf("%s is in the ledger %d times", order, len(list))
	}
	tx := list[0]
	if tx.State != "held" && tx.State != "intent" {
		w.t.Errorf("%s is %s, not open", order, tx.State)
	}
	if len(tx.Attempts) != 1 || tx.Attempts[0].Provider != at || tx.Attempts[0].Outcome != "unknown" {
		w.t.Errorf("%s has the attempts %+v: want one at %s, unknown", order, tx.Attempts, at)
	}
	return tx
}

// judgeRetry holds the answer to the caller's retry: the one truth where the provider enforces keys, "unknown" where it does not.
func (w *world) judgeRetry(again told, at string, tx query.Transaction) {
	t := w.t
	t.Helper()
	if at == legacyProvider {
		if again.problem() != "outcome-unknown" || again.document().Transaction != tx.ID {
			t.Errorf("the retry was told %v: want outcome-unknown of %s", again, tx.ID)
		}
		if n := w.charges(at); n != 1 {
			t.Errorf("%d requests at a provider that ignores keys", n)
		}
		return
	}
	if again.status != http.StatusOK || again.via() != at || again.header.Get("Segue-Transaction") != tx.ID {
		t.Errorf("the retry was told %v: want the one charge, of %s", again, tx.ID)
	}
	if n := executedAt(w, at, tx.Key); n != 1 {
		t.Errorf("executed %d times", n)
	}
	once := w.caller("local").charge(tx.Key, "ses-between")
	if once.status != http.StatusOK || once.header.Get("Idempotent-Replayed") != "true" || once.document().ID != again.document().ID {
		t.Errorf("the next retry was told %v: want the same charge, replayed", once)
	}
	if n := w.charges(at); n != 2 {
		t.Errorf("%d requests at %s: want the first and one more", n, at)
	}
}

// TestAgentPaused stops an agent for longer than its caller waits. The caller comes again with the same key, and there is one charge.
func TestAgentPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	c := w.caller("local")
	c.charge("o-warm", "").must(t)
	w.agents["local"].signal(stopSignal)
	late := chargeOf("o-late", "")
	late.timeout = time.Second
	if got := c.do(late); got.err == nil {
		t.Fatalf("a stopped agent answered: %v", got)
	}
	w.agents["local"].signal(continueSignal)
	again := c.charge("o-late", "")
	eventually(t, 10*time.Second, "the retry has its answer", func() error {
		if again.problem() == "in-progress" {
			again = c.charge("o-late", "")
			return fmt.Errorf("%v", again)
		}
		return nil
	})
	again.must(t)
	w.reckon(map[string]told{"o-late": again})
}
