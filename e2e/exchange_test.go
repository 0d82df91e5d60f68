package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// letting is the smallest world whose providers let nobody in without a session's token, and give cards of their vaults back.
func letting(life time.Duration) plan {
	p := alone()
	p.tokens = sandbox.TokenRules{Life: life, Demand: true}
	p.edit = func(policy string) string {
		policy = strings.Replace(policy, "    attempts:", `    operations:
      charge: {match: POST /v1/charges, key: required}
      vault: {match: POST /v1/vault/cards, key: required}
    session:
      card: {class: replicated, map: vault/cards, at: body.source}
      login: {class: rebuilt, kind: tokens, map: login}
    attempts:`, 1)
		return strings.ReplaceAll(policy, "{contract: stripe/v1", "{contract: lent/v1") + `  lent/v1:
    like: stripe/v1
    operations:
      charge: {match: POST /v1/charges, key: required}
      vault: {match: POST /v1/vault/cards, key: required}
      refund: {match: POST /v1/refunds, key: required, follows: body.charge}
    session:
      vault/cards:
        import: {match: POST /v1/vault/cards, put: body.card, form: form, id: id}
        export: {match: "GET /v1/vault/cards/{id}", answer: .card, after: [vault], id: id, absent: [404]}
      login:
        tokens:
          put: header.X-Session-Token
          answer: "{access: .access_token, refresh: .refresh_token, life: .expires_in}"
          issue: {match: POST /v1/session_tokens, body: "conversation={session}"}
          refresh: {match: POST /v1/session_tokens/refresh, body: "refresh_token={refresh}"}
          early: 2s
`
	}
	return p
}

// TestFetchedFieldsOutliveTheProvider: the application brings a card to its provider by itself and writes no field. The agent is killed, and
// the provider dies: what was fetched before is brought to the next one, which lets the session in by a token of its own.
func TestFetchedFieldsOutliveTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, letting(time.Hour))
	c := w.caller("local")
	made := c.do(ask{method: http.MethodPost, path: "/v1/vault/cards", key: "v1", session: talk, form: url.Values{"card": {"vault-77"}}}).must(t)
	theirs := made.object().ID
	if !strings.HasPrefix(theirs, "card_") {
		t.Fatalf("%s", made.body)
	}
	eventually(t, 20*time.Second, "the card is fetched", func() error {
		if a := c.get("/.segue/v1/sessions/"+talk+"/fields/card", ""); string(a.body) != "vault-77" {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
	if svc := w.shows(); svc.Fields[0].Fetched == nil || svc.Fields[0].Fetched.From != mainProvider || len(svc.Fields[1].Tokens) != 1 || !svc.Fields[1].Tokens[0].Until.After(time.Now()) {
		t.Errorf("%+v", svc.Fields)
	}
	w.provider(mainProvider).Kill()
	w.agents["local"].kill()
	w.agents["local"].start()
	w.agentReady("local", 20*time.Second)
	said := w.shows()
	if said.Goes != backupProvider || !strings.Contains(said.Next, "card and login are brought there first") {
		t.Errorf("%+v", said)
	}
	w.pays(c, "o-after", theirs, backupProvider)
	if there := w.shows(); !slices.Contains(there.Fields[0].At, backupProvider) || len(there.Fields[1].Tokens) != 2 {
		t.Errorf("%+v", there.Fields)
	}
	if cards, tokens := w.done(sandbox.OpVault, backupProvider), w.done(sandbox.OpTokenIssue, backupProvider); cards != 1 || tokens != 1 {
		t.Errorf("the card was brought %d times, %d tokens issued", cards, tokens)
	}
	if r := w.segue("session", "verify", talk).fine(t); !strings.Contains(r.out, "is what its history says") {
		t.Errorf("%s", r.out)
	}
}

// TestTokensOutliveTheAgent: tokens live for four seconds, and the agent dies with kill -9 again and again: the session is never let in
// anew, no refresh token is shown twice, and every payment is made once.
func TestTokensOutliveTheAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, letting(4*time.Second))
	c := w.caller("local")
	end := time.Now().Add(3 * time.Minute)
	for n, kills := 0, uint64(0); kills < 3; n++ {
		if time.Now().After(end) {
			t.Fatalf("%d refreshes in three minutes", w.done(sandbox.OpTokenRefresh, mainProvider))
		}
		order := fmt.Sprint("o-", n)
		w.pays(c, order, "tok_visa", mainProvider)
		if w.done(sandbox.OpTokenRefresh, mainProvider) > kills {
			kills++
			w.agents["local"].kill()
			w.agents["local"].start()
			w.agentReady("local", 20*time.Second)
		}
	}
	if n := w.provider(mainProvider).TokensReused(); n != 0 {
		t.Errorf("%d refresh tokens were shown twice", n)
	}
	for _, text := range []string{"sat_", "srt_"} {
		if r := w.segue("session", "show", talk, "-o", "json"); strings.Contains(r.out, text) {
			t.Errorf("a token is shown: %s", r.out)
		}
		if log := w.agents["local"].said(); strings.Contains(log, text) {
			t.Errorf("a token is in the log: %s", log)
		}
	}
}
