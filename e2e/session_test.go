package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// TestPinsSurviveRestart ends the agent, once in order and once with -9: sessions stay where they were though the weights have moved, and
// a refund and a read go to the provider that owns the object.
func TestPinsSurviveRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	c, agent := w.caller("local"), w.agents["local"]
	const n = 20
	made := map[string]string{}
	for i := range n {
		order := fmt.Sprintf("o-%d", i)
		made[order] = c.charge(order, "ses-"+order).must(t).document().ID
	}
	w.segue("weight", "set", "payments", "local", "main=0", "backup=100").fine(t)
	c.until(5*time.Second, "new sessions move", func(a told) bool { return a.via() == backupProvider })
	for how, end := range map[string]func(){
		"SIGTERM": func() { agent.signal(15); agent.await(20 * time.Second) },
		"kill -9": agent.kill,
	} {
		end()
		agent.start()
		w.agentReady("local", 10*time.Second)
		for order, id := range made {
			w.stays(c, how, order, id)
		}
		c.until(5*time.Second, "new sessions go by the weights "+how[:4], func(a told) bool { return a.via() == backupProvider })
	}
	done := w.provider(mainProvider).Books().Totals().Executed
	if done[sandbox.OpCharge] != n || done[sandbox.OpRefund] != n {
		t.Errorf("main executed %v: want %d charges and as many refunds", done, n)
	}
	if twice := sandbox.Twice(w.box.Books()...); len(twice) != 0 {
		t.Errorf("twice: %v", twice)
	}
}

// stays wants the session and the object at main.
func (w *world) stays(c *caller, how, order, id string) {
	w.t.Helper()
	if by := c.get("/v1/balance", "ses-"+order).must(w.t).via(); by != mainProvider {
		w.t.Errorf("after %s the session of %s went to %s", how, order, by)
	}
	if by := c.get("/v1/charges/"+id, "").must(w.t).via(); by != mainProvider {
		w.t.Errorf("after %s a read of %s went to %s", how, id, by)
	}
	refund := c.do(ask{method: http.MethodPost, path: "/v1/refunds", key: "refund-" + order, form: url.Values{"charge": {id}}}).must(w.t)
	if refund.via() != mainProvider {
		w.t.Errorf("after %s the refund of %s went to %s", how, id, refund.via())
	}
}

// TestKeysSurviveRestart asks with keys that were answered before the agent was killed: the stored answer comes, and nothing is sent.
func TestKeysSurviveRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	c := w.caller("local")
	first := c.charge("o-key", "").must(t)
	w.agents["local"].kill()
	w.agents["local"].start()
	w.agentReady("local", 10*time.Second)
	again := c.charge("o-key", "").must(t)
	if again.header.Get("Idempotent-Replayed") != "true" || string(again.body) != string(first.body) {
		t.Errorf("first %v, again %v", first, again)
	}
	if n := w.charges(mainProvider); n != 1 {
		t.Errorf("%d requests at the provider", n)
	}
	quoted := chargeOf("o-key", "")
	quoted.key = `"o-key"`
	if got := c.do(quoted); got.status != http.StatusOK || got.document().ID != first.document().ID {
		t.Errorf("the same key in quotes: %v", got)
	}
}

// TestHeaders shows that what goes out names the transaction, the way and the reason, and that no credential ever does.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	c := w.caller("local")
	got := c.charge("o-headers", "").must(t)
	for _, name := range []string{"Segue-Transaction", "Segue-Route", "Segue-Decision", "Server-Timing", "Session-Id"} {
		if got.header.Get(name) == "" {
			t.Errorf("no %s in %v", name, got.header)
		}
	}
	dry := chargeOf("o-dry", "")
	dry.header = map[string]string{"Segue-Dry-Run": "?1"}
	answer := c.do(dry)
	if answer.err != nil || answer.status/100 != 2 || !strings.Contains(string(answer.body), `"provider":"main"`) {
		t.Errorf("a dry run: %v %v", answer, answer.header)
	}
	if n := executed(w.box.Books(), "o-dry"); n != 0 {
		t.Errorf("a dry run was executed %d times", n)
	}
	own := c.get("/.segue/v1/transactions/"+got.header.Get("Segue-Transaction"), "").must(t)
	w.discreet("the answer's headers", fmt.Sprint(got.header))
	w.discreet("the transaction", string(own.body))
	w.discreet("tx why", w.segue("tx", "why", got.header.Get("Segue-Transaction"), "-o", "json").fine(t).out)
	for _, p := range append(w.nodes, w.agents["local"]) {
		w.discreet(p.name+"'s log", p.said())
	}
}

// discreet fails the test if a text holds the provider's credential or the application's.
func (w *world) discreet(what, text string) {
	w.t.Helper()
	for _, secret := range []string{credential, appToken} {
		if strings.Contains(text, secret) {
			w.t.Errorf("%s shows the credential %s", what, secret)
		}
	}
}
