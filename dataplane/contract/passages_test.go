package contract

import (
	"slices"
	"testing"
	"time"

	"segue/controlplane/policy"
)

// lent is a contract that says what a session has at its provider, as the sandbox's payments do.
func lent(t *testing.T) policy.Contract {
	c := resolved(t, "stripe/v1")
	c.Session = []policy.Passage{
		{
			Map:    "vault/cards",
			Import: policy.Import{Match: "POST /v1/vault/cards", Put: policy.Field{In: "body", Name: "card"}, Form: "form", ID: "id"},
			Export: policy.Export{Match: "GET /v1/vault/cards/{id}", Answer: ".card", Absent: []int{404}},
		},
		{Map: "login", Tokens: policy.Tokens{
			Put: policy.Field{In: "header", Name: "X-Session-Token"}, Answer: "{access: .access_token, refresh: .refresh_token, life: .expires_in}",
			Issue:   policy.TokenCall{Match: "POST /v1/session_tokens", Body: "conversation={session}"},
			Refresh: policy.TokenCall{Match: "POST /v1/session_tokens/refresh", Body: "refresh_token={refresh}"}, Early: time.Minute,
		}},
	}
	return c
}

// TestPassages: what the contract says of sessions is what its API bears out, and each fact that is changed is contradicted.
func TestPassages(t *testing.T) {
	s, _ := SpecimenFor(&policy.Policy{}, "stripe/v1")
	checks, err := driveAt(t, simulated(t, s), s, lent(t), (*driver).passages)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range checks {
		t.Logf("%-10s %s: %s", one.State, one.Check, one.Says)
		if one.State != Fine {
			t.Errorf("%s is %s: %s", one.Check, one.State, one.Says)
		}
	}
	if len(checks) < 8 {
		t.Errorf("only %d checks", len(checks))
	}
	for name, change := range map[string]func(cards, login *policy.Passage){
		"import.match":        func(p, _ *policy.Passage) { p.Import.Match = "POST /v1/vault/card" },
		"import.put":          func(p, _ *policy.Passage) { p.Import.Put.Name = "number" },
		"import.form":         func(p, _ *policy.Passage) { p.Import.Form = "" },
		"import.id":           func(p, _ *policy.Passage) { p.Import.ID = "object" },
		"export.match":        func(p, _ *policy.Passage) { p.Export.Match = "GET /v1/vault/card/{id}" },
		"export.answer":       func(p, _ *policy.Passage) { p.Export.Answer = ".id" },
		"export.answer, none": func(p, _ *policy.Passage) { p.Export.Answer = ".number" },
		"export.absent":       func(p, _ *policy.Passage) { p.Export.Absent = []int{410} },
		"tokens.put":          func(_, p *policy.Passage) { p.Tokens.Put.Name = "X-Token" },
		"tokens.value":        func(_, p *policy.Passage) { p.Tokens.Value = "Bearer {access}" },
		"tokens.answer":       func(_, p *policy.Passage) { p.Tokens.Answer = "{access: .refresh_token, life: .expires_in}" },
		"tokens.answer, life": func(_, p *policy.Passage) {
			p.Tokens.Answer = "{access: .access_token, refresh: .refresh_token, life: (.expires_in * 2)}"
		},
		"tokens.answer, short": func(_, p *policy.Passage) {
			p.Tokens.Answer = "{access: .access_token, refresh: .refresh_token, life: (.expires_in / 2 | floor)}"
		},
		"tokens.issue":         func(_, p *policy.Passage) { p.Tokens.Issue.Body = "session={session}" },
		"tokens.issue.match":   func(_, p *policy.Passage) { p.Tokens.Issue.Match = "PUT /v1/session_tokens" },
		"tokens.refresh":       func(_, p *policy.Passage) { p.Tokens.Refresh.Body = "token={refresh}" },
		"tokens.refresh.match": func(_, p *policy.Passage) { p.Tokens.Refresh.Match = "POST /v1/session_tokens/renew" },
	} {
		t.Run(name, func(t *testing.T) {
			c := lent(t)
			c.Session = slices.Clone(c.Session)
			change(&c.Session[0], &c.Session[1])
			checks, err := driveAt(t, simulated(t, s), s, c, (*driver).passages)
			if err != nil {
				t.Log("Validate refuses it:", err)
				return
			}
			if Failed(checks) == 0 {
				t.Error("nothing contradicts it")
			}
		})
	}
}
