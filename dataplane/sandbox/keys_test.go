package sandbox

import (
	"context"
	"sync"
	"testing"
	"time"
)

func TestEnforcedKeyExecutesOnce(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	first := c.charge("k", "o-1")
	again := c.charge("k", "o-1")
	equal(t, "same charge", again.id(), first.id())
	equal(t, "marked", again.header.Get("Idempotent-Replayed"), "true")
	equal(t, "first not marked", first.header.Get("Idempotent-Replayed"), "")
	other := c.want(400, "POST", "/v1/charges", "k", pay("o-2")...)
	equal(t, "other parameters", other.at("error.type"), any("idempotency_error"))
	equal(t, "executed", p.Books().Executed("o-1"), 1)
	equal(t, "not executed", p.Books().Executed("o-2"), 0)
	equal(t, "replayed", p.Books().Totals().Replayed, 1)

	c.key = "sk_another_account"
	if c.charge("k", "o-3").id() == first.id() {
		t.Error("a key of one account answers for another's")
	}
}

func TestStoredFailuresAreReplayedAndWrongRequestsAreNot(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	c.want(402, "POST", "/v1/charges", "k-declined", "amount", "1", "currency", "eur", "source", "tok_chargeDeclined")
	c.want(402, "POST", "/v1/charges", "k-declined", "amount", "1", "currency", "eur", "source", "tok_chargeDeclined")
	equal(t, "declined once", p.Books().Totals().Declined, 1)

	c.want(400, "POST", "/v1/charges", "k-wrong", "amount", "1")
	c.charge("k-wrong", "o-1") // nothing was stored under it

	if err := p.SetFaults(Fault{Kind: Status, Code: 500, Executed: true, Count: 1}); err != nil {
		t.Fatal(err)
	}
	c.want(500, "POST", "/v1/charges", "k-500", pay("o-2")...)
	again := c.want(500, "POST", "/v1/charges", "k-500", pay("o-2")...)
	equal(t, "a stored 500", again.header.Get("Idempotent-Replayed"), "true")
	equal(t, "executed", p.Books().Executed("o-2"), 1)
}

func TestIgnoredKeyExecutesAgain(t *testing.T) {
	p := one(t, Ignored)
	c := dial(t, p.URL())
	first := c.charge("k", "o-1")
	if c.charge("k", "o-1").id() == first.id() {
		t.Error("one charge for two requests")
	}
	equal(t, "executed", p.Books().Executed("o-1"), 2)
	equal(t, "twice", len(Twice(p.Books())), 1)
}

func TestKeyInProgressIsRefused(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	if err := p.SetFaults(Fault{Kind: Slow, Delay: time.Hour, Count: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = c.try(ctx, "POST", "/v1/charges", "k", pay("o-1")...) })
	until(t, "the slow one is in", func() bool { return len(p.Faults()) == 0 })
	until(t, "the key is in use", func() bool {
		g := c.do("POST", "/v1/charges", "k", "amount", "7") // wrong parameters tell, and execute nothing
		return g.status == 400 && g.at("error.type") == any("idempotency_error")
	})
	busy := c.want(409, "POST", "/v1/charges", "k", pay("o-1")...)
	equal(t, "code", busy.at("error.code"), any("idempotency_key_in_use"))

	p.Kill()
	waiting.Wait()
	cancel()
	p.Revive()
	dial(t, p.URL()).charge("k", "o-1") // the first never executed, so its key is free
	equal(t, "executed", p.Books().Executed("o-1"), 1)
}

func TestManyAtOnceWithOneKeyExecuteOnce(t *testing.T) {
	s := start(t, Config{Seed: 2, Providers: []ProviderConfig{{Name: "n", Latency: Latency{Median: time.Millisecond}}}})
	p := s.Provider("n")
	var calls sync.WaitGroup
	for range 30 {
		calls.Go(func() {
			g, err := dial(t, p.URL()).try(context.Background(), "POST", "/v1/charges", "k", pay("o-1")...)
			if err != nil || g.status != 200 && g.status != 409 {
				t.Errorf("%d %v", g.status, err)
			}
		})
	}
	calls.Wait()
	equal(t, "executed", p.Books().Executed("o-1"), 1)
}

func TestAKeyIsFreeAgainAfterARequestThatNeverExecuted(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	for _, f := range []Fault{{Kind: Status, Code: 503}, {Kind: Limit}} {
		if err := p.SetFaults(f); err != nil {
			t.Fatal(err)
		}
		c.do("POST", "/v1/charges", "k", pay("o-1")...)
	}
	p.ClearFaults()
	c.charge("k", "o-2") // with other parameters, too: nothing of the first was kept
	equal(t, "of the first", p.Books().Executed("o-1"), 0)
}
