package policy

import (
	"strings"
	"testing"
	"time"
)

// lending compiles the fullest good document, and returns a provider that gives fields back and lets conversations in.
func lending(t testing.TB) *Candidate {
	p, problems := Parse("p.yaml", []byte(`segue: v1
services:
  pay:
    speaks: own/v1
    listen: 7101
    strategy: priority
    priority: [main]
    session: {card: {class: replicated, map: vault/cards}, login: {class: rebuilt, kind: tokens, map: login}}
providers:
  main: {contract: own/v1, endpoint: "http://127.0.0.1:1", credential: caller, account: acme}
contracts:
  own/v1:
    like: stripe/v1
    session:
      vault/cards: {export: {match: "GET /v1/cards/{id}?s={session}&a={account}", answer: .card, after: [charge], max: 100}}
      login:
        tokens:
          put: header.Authorization
          value: "Bearer {access}"
          answer: "{access: .a, refresh: .r, life: .l}"
          issue: {match: "PUT /v1/tokens/{session}"}
          refresh: {match: POST /v1/tokens, body: '{"r":"{refresh}","of":{"s":"{session}"}}'}
`))
	if problems != nil {
		t.Fatal(problems)
	}
	s, err := Compile(p, Local, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s.Services[0].Candidates[0]
}

// TestPassageCalls: marks are filled in and escaped where they stand, and answers are read as the contract says.
func TestPassageCalls(t *testing.T) {
	c := lending(t)
	e, _ := c.Export("vault/cards")
	if a, err := e.Ask(FieldMarks{ID: "a/b?", Session: "s&1", Account: "acme"}); err != nil || a.Path != "/v1/cards/a%2Fb%3F" || a.RawQuery != "s=s%261&a=acme" || !e.NeedsID() || !e.Touches("charge") || e.Room() != 100 {
		t.Errorf("%+v %v", a, err)
	}
	for body, want := range map[string]string{`{"card":"x"}`: "text/plain x", `{"card":{"b":1,"a":[2]}}`: `application/json {"a":[2],"b":1}`, `{"card":null}`: "nothing", `{}`: "nothing", `[]`: "error", `{"card":`: "error"} {
		kind, value, there, err := e.Value(t.Context(), "application/json", []byte(body))
		got := kind + " " + string(value)
		if !there {
			got = "nothing"
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s gives %s, want %s", body, got, want)
		}
	}
	k, _ := c.Tokens("login")
	if a, err := k.Refresh.Ask(TokenMarks{Session: "s", Refresh: `a"b`}); err != nil || a.Body != `{"r":"a\"b","of":{"s":"s"}}` || a.Type != "application/json" {
		t.Errorf("%+v %v", a, err)
	}
	if g, err := k.Read(t.Context(), "application/json", []byte(`{"a":"x","r":"y","l":60}`)); err != nil || g != (Given{"x", "y", time.Minute}) || k.Line(g.Access) != "Bearer x" || k.Ahead() != DefaultEarly {
		t.Errorf("%+v %v", g, err)
	}
	for _, bad := range []string{`{}`, `{"a":1}`, `{"a":"a b"}`, `{"a":"x","r":{}}`, `{"a":"x","l":0}`, `{"a":"x","l":"soon"}`, `{"a":"x","l":1e12}`, `{"a":"` + strings.Repeat("x", maxGiven+1) + `"}`, `x`} {
		if g, err := k.Read(t.Context(), "application/json", []byte(bad)); err == nil || strings.Contains(err.Error(), "xxx") {
			t.Errorf("%.30s is read as %+v: %v", bad, g, err)
		}
	}
}

// FuzzPassage: no answer makes a fetch or a reading of tokens panic, and what comes out is within bounds.
func FuzzPassage(f *testing.F) {
	c := lending(f)
	e, _ := c.Export("vault/cards")
	k, _ := c.Tokens("login")
	for _, body := range []string{`{"card":"x"}`, `{"a":"x","r":"y","l":60}`, `card[a]=1&a=x&l=60`, "\xff", `{"card":[[[]]]}`} {
		f.Add("application/json", []byte(body))
		f.Add("application/x-www-form-urlencoded", []byte(body))
	}
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		if _, value, there, err := e.Value(t.Context(), media, body); err == nil && there && len(value) > MaxTree {
			t.Errorf("%d bytes", len(value))
		}
		if g, err := k.Read(t.Context(), media, body); err == nil && (!SaneToken(g.Access) || g.Refresh != "" && !SaneToken(g.Refresh) || g.Life < 0 || g.Life > maxGivenLife) {
			t.Errorf("%+v", g)
		}
	})
}
