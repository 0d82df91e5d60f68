package dataplane

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

// withTokens is a world whose providers let nobody in without a session's token, of that life.
func withTokens(life time.Duration, field string, more ...func(string) string) option {
	return func(c *worldConfig) {
		c.tokens = sandbox.TokenRules{Life: life, Demand: true}
		c.attempts = 3
		c.document = func(doc string) string {
			doc = strings.Replace(doc, "    strategy: priority", "    session:\n      login: "+field+"\n    strategy: priority", 1)
			for _, name := range []string{"main", "backup"} {
				doc = strings.Replace(doc, "  "+name+": {contract: stripe/v1,", "  "+name+": {contract: tokened/v1,", 1)
			}
			doc = strings.ReplaceAll(doc, "credential: caller", "credential: env:SEGUE_TEST_CREDENTIAL")
			doc += `  tokened/v1:
    like: stripe/v1
    session:
      login:
        tokens:
          put: header.X-Session-Token
          answer: "{access: .access_token, refresh: .refresh_token, life: .expires_in}"
          issue: {match: POST /v1/session_tokens, body: "conversation={session}"}
          refresh: {match: POST /v1/session_tokens/refresh, body: "refresh_token={refresh}"}
          early: 1s
`
			for _, change := range more {
				doc = change(doc)
			}
			return doc
		}
	}
}

const tokenField = "{class: rebuilt, kind: tokens, map: login}"

func (w *world) tokensOf(provider, operation string) (n int) {
	for _, e := range w.box.Provider(provider).Books().Entries(sandbox.Filter{}) {
		if e.Operation == operation && e.Status != sandbox.StatusDeclined {
			n++
		}
	}
	return n
}

func (w *world) reused() int {
	return w.box.Provider("main").TokensReused() + w.box.Provider("backup").TokensReused()
}

// tokenMetric is the metric of tokens.
func (w *world) tokenMetric(provider, result string) float64 {
	return w.figure("segue_session_tokens_total", provider+" "+result+" payments ")
}

func (w *world) untils() string {
	return w.field("GET", "login", "").body
}

// TestTokensAreIssued: the provider lets nobody in without a token. The session's first call has one issued, once; the next provider gives
// it another; and nobody is told what they are.
func TestTokensAreIssued(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(time.Hour, tokenField))
	w.paid(w.pay("one", "tok_visa"), "main")
	w.paid(w.pay("two", "tok_visa"), "main")
	if n := w.tokensOf("main", sandbox.OpTokenIssue); n != 1 {
		t.Errorf("%d tokens were issued", n)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("three", "tok_visa"), "backup")
	if n := w.tokensOf("backup", sandbox.OpTokenIssue); n != 1 {
		t.Errorf("%d tokens were issued by backup", n)
	}
	told := w.untils()
	if !strings.Contains(told, `"main":{"until":"20`) || !strings.Contains(told, `"backup":{"until":"20`) || strings.Contains(told, "sat_") || strings.Contains(told, "srt_") {
		t.Errorf("the application is told %s", told)
	}
	if f := w.shown("login"); len(f.Tokens) != 2 || f.Tokens[0].Until.Before(time.Now()) || f.Kind != "tokens" {
		t.Errorf("%+v", f)
	}
	if w.tokenMetric("main", "issued") != 1 || w.tokenMetric("backup", "issued") != 1 {
		t.Error("the metric tells others")
	}
}

// TestTokensAreRefreshed: ahead of their end beside calls, and before a call when they have ended; each refresh token is shown once.
func TestTokensAreRefreshed(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(2*time.Second, tokenField))
	end := time.Now().Add(20 * time.Second)
	for n := 0; w.tokensOf("main", sandbox.OpTokenRefresh) < 2; n++ {
		if time.Now().After(end) {
			t.Fatalf("%d refreshes in 20 s", w.tokensOf("main", sandbox.OpTokenRefresh))
		}
		w.paid(w.pay(fmt.Sprint("k", n), "tok_visa"), "main")
	}
	if w.reused() != 0 || w.tokensOf("main", sandbox.OpTokenIssue) != 1 {
		t.Errorf("%d refresh tokens were shown twice, %d issued", w.reused(), w.tokensOf("main", sandbox.OpTokenIssue))
	}
}

// TestEndedTokens: many calls at once find that the token has ended, also after the agent's restart; one of them has it refreshed.
func TestEndedTokens(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(time.Hour, tokenField))
	w.paid(w.pay("one", "tok_visa"), "main")
	w.ended("main")
	w.restart()
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() { w.paid(w.pay(fmt.Sprint("k", n), "tok_visa"), "main") })
	}
	group.Wait()
	if n := w.tokensOf("main", sandbox.OpTokenRefresh); n != 1 || w.reused() != 0 {
		t.Errorf("%d refreshes, %d shown twice", n, w.reused())
	}
}

// ended has the session hold tokens of a provider that it takes for ended. The provider would still take them: it gave them for an hour.
func (w *world) ended(provider string) {
	w.t.Helper()
	a, err := w.callAt(context.Background(), strings.TrimPrefix(w.url(provider), "http://"), "POST", "/v1/session_tokens", "conversation=ses_1")
	must(w.t, err)
	m := a.json(w.t)
	w.tells(provider, fmt.Sprintf(`{"access": %q, "refresh": %q, "life": 1}`, m["access_token"], m["refresh_token"]))
}

// TestTwoAgentsRefreshOnce: two agents over one store find the same token ended at once; one shows the refresh token, and both go on.
func TestTwoAgentsRefreshOnce(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(time.Hour, tokenField))
	other := w.beside(withTokens(time.Hour, tokenField))
	w.paid(w.pay("one", "tok_visa"), "main")
	for round := range 3 {
		w.ended("main")
		var group sync.WaitGroup
		for n := range 6 {
			group.Go(func() {
				addr := w.agent.Addr("payments")
				if n%2 == 1 {
					addr = other.Addr("payments")
				}
				key := fmt.Sprintf("r%d-%d", round, n)
				a, err := w.callAt(context.Background(), addr, "POST", "/v1/charges", charge(key), "Idempotency-Key", key, "Session-Id", "ses_1")
				if err != nil || a.status != 200 {
					t.Errorf("%v %+v", err, a)
				}
			})
		}
		group.Wait()
		if n := w.tokensOf("main", sandbox.OpTokenRefresh); n != round+1 || w.reused() != 0 {
			t.Fatalf("round %d: %d refreshes, %d shown twice", round, n, w.reused())
		}
	}
}

// beside has the agent and another one work over one store.
func (w *world) beside(o option) *Agent {
	w.t.Helper()
	c := worldConfig{}
	o(&c)
	doc := c.document(fmt.Sprintf(document, "main, backup", c.attempts, w.url("main"), w.url("backup"), w.url("legacy")))
	store, err := embedded.Open(patience.Dir(w.t), embedded.Options{Now: time.Now})
	must(w.t, err)
	w.stop()
	w.cfg.Store, w.cfg.KeysDir, w.cfg.Dir = store, patience.Dir(w.t), patience.Dir(w.t)
	w.start()
	first := w.agent
	must(w.t, first.Apply(w.update(1, doc)))
	w.cfg.ID, w.cfg.Dir = "here-2", patience.Dir(w.t)
	w.start()
	other := w.agent
	must(w.t, other.Apply(w.update(1, doc)))
	w.agent = first
	w.t.Cleanup(func() {
		w.stop()
		must(w.t, other.Stop(context.Background()))
		must(w.t, store.Close())
	})
	return other
}

// TestRefreshFails: while the provider refuses it, the call is not made there with a dead token; nothing is shown twice; and it is reported.
func TestRefreshFails(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(time.Hour, tokenField), priority("main"))
	w.paid(w.pay("one", "tok_visa"), "main")
	w.ended("main")
	w.fault("main", sandbox.Fault{Kind: sandbox.Limit, Operation: sandbox.Effects})
	a := w.pay("two", "tok_visa")
	if a.status != 503 && a.status != 429 || w.executed("two") != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if w.tokenMetric("main", "failed") == 0 && w.tokenMetric("main", "refused") == 0 {
		t.Error("no metric tells it")
	}
	w.fault("main")
	n := 0
	eventually(t, "it goes on", func() bool { n++; return w.pay(fmt.Sprint("then", n), "tok_visa").status == 200 })
	if w.reused() != 0 || w.tokensOf("main", sandbox.OpTokenIssue) != 2 || w.tokensOf("main", sandbox.OpTokenRefresh) != 1 { // the session's first, and that of ended
		t.Errorf("%d shown twice, %d issued, %d refreshed", w.reused(), w.tokensOf("main", sandbox.OpTokenIssue), w.tokensOf("main", sandbox.OpTokenRefresh))
	}
}

// TestRefusedRefreshIsIssuedAnew: the refresh token is dead: nobody shows it again, and the session is let in anew.
func TestRefusedRefreshIsIssuedAnew(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(time.Hour, tokenField))
	w.tells("main", `{"access": "sat_nobody", "refresh": "srt_nobody", "life": 1}`)
	w.paid(w.pay("one", "tok_visa"), "main")
	if w.tokensOf("main", sandbox.OpTokenIssue) != 1 || w.tokenMetric("main", "refused") != 1 {
		t.Errorf("%d issued, %v refused", w.tokensOf("main", sandbox.OpTokenIssue), w.tokenMetric("main", "refused"))
	}
}

// tells has the application write the session's tokens at a provider.
func (w *world) tells(provider, body string) {
	w.t.Helper()
	if a := w.field("PUT", "login?provider="+provider, body, "Content-Type", "application/json"); a.status != 204 {
		w.t.Fatalf("%d %s", a.status, a.body)
	}
}

// TestTokensOfTheApplication: a provider that issues none by itself: the application logs in, and says what it was given.
func TestTokensOfTheApplication(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(time.Hour, tokenField, func(doc string) string {
		return strings.Replace(doc, `          issue: {match: POST /v1/session_tokens, body: "conversation={session}"}`+"\n", "", 1)
	}))
	if a := w.pay("none", "tok_visa"); a.status == 200 {
		t.Errorf("without a token: %d %s", a.status, a.body)
	}
	a, err := w.callAt(t.Context(), strings.TrimPrefix(w.url("main"), "http://"), "POST", "/v1/session_tokens", "conversation=ses_1")
	must(t, err)
	m := a.json(t)
	w.tells("main", fmt.Sprintf(`{"access": %q, "refresh": %q, "life": 3600}`, m["access_token"], m["refresh_token"]))
	w.paid(w.pay("one", "tok_visa"), "main")
	w.ended("main")
	w.paid(w.pay("two", "tok_visa"), "main")
	if w.tokensOf("main", sandbox.OpTokenRefresh) != 1 {
		t.Error("it was not refreshed")
	}
	for _, bad := range []string{`{}`, `{"access": "a b"}`, `{"access": "x", "life": -1}`, `{"access": "x", "more": 1}`, `[`, `{"access": "x"} 1`} {
		w.field("PUT", "login?provider=main", bad).problem(t, 400, "field-malformed")
	}
	w.field("PUT", "login", `{"access": "x"}`).problem(t, 400, "field-malformed")
	if a := w.field("DELETE", "login", ""); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.field("GET", "login", "").problem(t, 404, "unknown-field")
}

// TestTokensAreSealed: no token stands in the open in the store, in the rows of the calls that gave it, or in what people are shown.
func TestTokensAreSealed(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(time.Hour, tokenField))
	w.paid(w.pay("one", "tok_visa"), "main")
	w.ended("main")
	w.paid(w.pay("two", "tok_visa"), "main")
	open := func(where, text string) {
		if strings.Contains(text, "sat_") || strings.Contains(text, "srt_") {
			t.Errorf("%s holds a token in the open: %s", where, text)
		}
	}
	k := session.Key{App: application, ID: "ses_1"}
	s, err := w.agent.store.Sessions().Load(t.Context(), k)
	must(t, err)
	row, err := session.Encode(s)
	must(t, err)
	open("the session", string(row))
	must(t, w.agent.store.Sessions().History(t.Context(), k, func(e session.Event) bool {
		b, err := session.EncodeEvent(&e)
		must(t, err)
		open("an event", string(b))
		return true
	}))
	rows, err := w.agent.store.Ledger().Recent(t.Context(), ledger.Query{})
	must(t, err)
	seen := 0
	for _, r := range rows {
		if strings.HasPrefix(r.Operation, "session-") {
			seen++
		}
		b, err := ledger.Encode(r)
		must(t, err)
		open(r.Operation, string(b))
	}
	if seen != 2 {
		t.Errorf("%d transactions of tokens", seen)
	}
	told, err := w.agent.parts.carrier.Inspect(t.Context(), k, w.agent.force.snapshot.Load(), 50)
	must(t, err)
	open("what people are shown", fmt.Sprintf("%+v", told))
}

// TestATokenGoesOverTheCredential: where the contract says so, calls carry the token alone.
func TestATokenGoesOverTheCredential(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk_test_one")
	w := newWorld(t, withTokens(time.Hour, tokenField, func(doc string) string {
		return strings.Replace(doc, "put: header.X-Session-Token", `put: header.Authorization
          value: "Bearer {access}"`, 1)
	}))
	a := w.pay("one", "tok_visa")
	if a.status != 401 { // the sandbox wants it elsewhere: but that it was let in by the token, its books show
		t.Errorf("%d %s", a.status, a.body)
	}
	if w.tokensOf("main", sandbox.OpTokenIssue) != 1 {
		t.Error("no token was asked for with the credential")
	}
}
