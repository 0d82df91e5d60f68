package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
)

// vaulting gives the leaky provider, and the one behind it, a vault and webhooks, and sessions fields of each class.
func (w *world) vaulting(policy string) string {
	policy = strings.Replace(policy, "    strategy: weighted\n", `    session:
      card: {class: replicated, map: vault/cards, at: body.source, standby: warm}
      note: {class: rebuilt}
      cart: {class: rebuilt, kind: set}
      challenge: {class: pinned}
      login: {class: rebuilt, kind: tokens, map: login}
    strategy: weighted
`, 1)
	policy = strings.Replace(policy, "  main: {contract: stripe/v1,", "  main: {contract: leaky/v1, webhook_secret: \"file:"+filepath.Join(w.dir, "secret", "hooks")+"\",", 1)
	policy = strings.Replace(policy, "  backup: {contract: stripe/v1,", "  backup: {contract: leaky/v1,", 1)
	return policy + `  leaky/v1:
    like: stripe/v1
    session:
      vault/cards: {import: {match: POST /v1/vault/cards, put: body.card, form: form, id: id}}
      login:
        tokens:
          put: header.X-Session-Token
          answer: "{access: .access_token, refresh: .refresh_token}"
          refresh: {match: POST /v1/session_tokens/refresh, body: "refresh_token={refresh}"}
    webhooks: {by: body.metadata.ours, signature: {scheme: body, header: X-Sign, encoding: hex}, reference: reference, id: id, states: {in: type, succeeded: [paid]}}
`
}

// leakSessions writes secrets into fields of every class, has them carried to providers, and has them refused.
func (w *world) leakSessions(s secrets, header func(string) map[string]string, problem func(string, told)) {
	w.t.Helper()
	c := w.caller("local")
	c.slot = s["caller's key"]
	put := func(session, field, raw string) told {
		a := c.do(ask{method: http.MethodPut, path: "/.segue/v1/sessions/" + session + "/fields/" + field, raw: raw, header: map[string]string{"Content-Type": "text/plain"}})
		problem("a field "+field, a)
		return a
	}
	fine := func(a told) {
		if a.err != nil || a.status/100 != 2 {
			w.t.Errorf("a field was not written: %v", a)
		}
	}
	for _, session := range []string{"ses-moves", "ses-stays"} {
		fine(put(session, "note", s["session field"]))
		fine(put(session, "cart", fmt.Sprintf(`{"add": [%q]}`, s["set item"])))
		fine(put(session, "card", s["card"]))
	}
	fine(put("ses-moves", "card?provider=main", s["vault's name"]))
	token := fmt.Sprintf(`{"access": %q, "refresh": %q, "life": `, s["session's token"], s["refresh token"])
	fine(put("ses-moves", "login?provider=main", token+"3600}"))
	fine(put("ses-stays", "login?provider=main", token+"1}")) // has ended: the refresh token is shown, and what comes back holds none
	put("ses-stays", "login?provider=main", token+`"x"}`)     // no life
	put("ses-stays", "login", token+"3600}")                  // whose is not said
	problem("a read of tokens", c.do(ask{method: http.MethodGet, path: "/.segue/v1/sessions/ses-moves/fields/login"}))
	fine(put("ses-stays", "challenge", s["pinned field"]))
	put("ses-stays", "cart", s["set item"])                              // no JSON
	put("ses-stays", "cart", fmt.Sprintf(`{"take": %q}`, s["set item"])) // no such order
	put("ses-stays", "note", strings.Repeat(s["session field"], 3_000))  // too large
	put("ses-stays", "note?"+url.QueryEscape(s["query"]), "x")           // no such question
	put("ses-stays", "card", s["card"]+"\x00\n"+s["session field"])      // no name of a vault
	for _, session := range []string{"ses-moves", "ses-stays"} {
		problem("a read of "+session, c.do(ask{method: http.MethodGet, path: "/.segue/v1/sessions/" + session + "/fields/nothing"}))
		form := url.Values{"amount": {"1290"}, "currency": {"eur"}, "source": {s["card"]}, "card[cvc]": {s["cvv"]}}
		for _, how := range []string{"", "503", "429", "reset"} { // carried to the first provider, and to the next
			problem("a charge in "+session, c.do(ask{method: http.MethodPost, path: "/v1/charges", key: session + how, session: session, form: form, header: header(how)}))
		}
	}
	problem("a delete", c.do(ask{method: http.MethodDelete, path: "/.segue/v1/sessions/ses-moves/fields/note", header: map[string]string{"If-Match": s["refused header"]}}))
	problem("a read with a body", c.do(ask{method: http.MethodGet, path: "/v1/charges/ch_1", raw: s["body of a read"], header: header("")}))
}

// leakHooks tells of outcomes as a provider does: signed, forged, cut, about things that nobody knows.
func (w *world) leakHooks(s secrets, reference string, seen *finder) {
	w.t.Helper()
	sign := func(body string) string {
		mac := hmac.New(sha256.New, []byte(s["hook's secret"]))
		mac.Write([]byte(body))
		return hex.EncodeToString(mac.Sum(nil))
	}
	if reference == "" {
		w.t.Error("the provider was told no reference of ours")
	}
	notice := fmt.Sprintf(`{"type":"paid","id":"ch_hook","reference":%q,"card":%q,"note":%q}`, reference, s["card"], s["hook's body"])
	c := w.caller("local")
	for what, h := range map[string][2]string{
		"signed": {notice, sign(notice)}, "forged": {notice, s["hook's signature"]}, "in hex": {notice, hex.EncodeToString([]byte(s["hook's signature"]))}, "unsigned": {notice, ""},
		"cut": {notice[:40], sign(notice[:40])}, "no notice": {s["hook's body"], sign(s["hook's body"])}, "of nobody": {strings.Replace(notice, reference, s["hook's body"], 1), ""},
	} {
		signature := h[1]
		if what == "of nobody" {
			signature = sign(h[0])
		}
		a := c.do(ask{method: http.MethodPost, path: "/.segue/v1/hooks/main", raw: h[0], header: map[string]string{"X-Sign": signature, "Content-Type": "application/json"}})
		if a.err != nil || (what == "signed") != (a.status == http.StatusOK && strings.Contains(string(a.body), "evidence")) {
			w.t.Errorf("a webhook that is %s: %v", what, a)
		}
		seen.text("answer to a webhook", fmt.Sprintf("%v %s", a.header, a.body))
	}
}
