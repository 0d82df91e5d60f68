package dataplane

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
	"segue/dataplane/session"
)

const exported = `      vault/cards:
        import: {match: POST /v1/vault/cards, put: body.card, form: form, id: id}
        export: {match: "GET /v1/vault/cards/{id}", answer: .card, after: [vault, vault-update], id: id, absent: [404]}
`

// withExport is a world whose providers give cards back, and whose service lets applications bring them there by themselves.
func withExport(fields string, more ...func(string) string) option {
	return edited(func(doc string) string {
		doc = strings.Replace(doc, "    strategy: priority", `    operations:
      charge: {match: POST /v1/charges, key: required}
      refund: {match: POST /v1/refunds, key: required, follows: body.charge}
      vault: {match: POST /v1/vault/cards, key: required}
      vault-update: {match: "POST /v1/vault/cards/{id}", key: required}
      read: {match: GET /v1/**, semantics: read}
    session:
`+fields+"    strategy: priority", 1)
		doc = strings.ReplaceAll(doc, "{contract: stripe/v1,", "{contract: vaulted/v1,")
		doc += `  vaulted/v1:
    like: stripe/v1
    operations:
      charge: {match: POST /v1/charges, key: required}
      refund: {match: POST /v1/refunds, key: required, follows: body.charge}
      vault: {match: POST /v1/vault/cards, key: required}
      vault-update: {match: "POST /v1/vault/cards/{id}", key: required}
      read: {match: GET /v1/**, semantics: read}
    session:
` + exported
		for _, change := range more {
			doc = change(doc)
		}
		return doc
	})
}

const exportedField = "      card: {class: replicated, map: vault/cards, at: body.source}\n"

// vaults has the application bring a card to its provider by itself, and returns the provider's name for it.
func (w *world) vaults(key, card string) string {
	w.t.Helper()
	a := w.do("POST", "/v1/vault/cards", "card="+card, "Idempotency-Key", key, "Session-Id", "ses_1")
	id, _ := a.json(w.t)["id"].(string)
	if a.status != 200 || !strings.HasPrefix(id, "card_") {
		w.t.Fatalf("%d %s", a.status, a.body)
	}
	return id
}

// fetched is the metric of what was fetched from main.
func (w *world) fetched(result string) float64 {
	return w.figure("segue_session_fetches_total", "main "+result+" payments ")
}

// copied waits until the field says that.
func (w *world) copied(name, want string) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%s says %q", name, want), func() bool { a := w.field("GET", name, ""); return a.status == 200 && a.body == want })
}

func (w *world) shown(name string) query.SessionField {
	w.t.Helper()
	told, err := w.agent.parts.carrier.Inspect(w.t.Context(), session.Key{App: application, ID: "ses_1"}, w.agent.force.snapshot.Load(), 50)
	must(w.t, err)
	for _, f := range told.Services[0].Fields {
		if f.Name == name {
			return f
		}
	}
	w.t.Fatalf("no %s in %+v", name, told.Services[0])
	return query.SessionField{}
}

// TestFetchedBeforeTheProviderDies: the application wrote no field. What an operation made at the provider is fetched behind it; when the
// provider dies, the card is brought to the next one, and the application goes on with the name that it knows.
func TestFetchedBeforeTheProviderDies(t *testing.T) {
	w := newWorld(t, withExport(exportedField))
	theirs := w.vaults("v1", "vault-77")
	w.copied("card", "vault-77")
	if f := w.shown("card"); f.Fetched == nil || f.Fetched.From != "main" || f.Fetched.At.IsZero() || f.Fetched.Old || len(f.At) != 1 || f.At[0] != "main" {
		t.Errorf("%+v %+v", f, f.Fetched)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("one", theirs), "backup")
	if n := w.brought("backup"); n != 1 {
		t.Errorf("it was brought %d times", n)
	}
	if w.fetched("fetched") != 1 {
		t.Errorf("%v fetches", w.fetched("fetched"))
	}
}

// TestFetchedAnew: an operation that changes the card at the provider has it fetched again, and the next provider gets what it is now.
func TestFetchedAnew(t *testing.T) {
	w := newWorld(t, withExport(exportedField))
	w.put("card", "vault-1")
	w.paid(w.pay("one", "vault-1"), "main")
	theirs := w.field("GET", "card?provider=main", "").body
	a := w.do("POST", "/v1/vault/cards/"+theirs, "card=vault-2", "Idempotency-Key", "u1", "Session-Id", "ses_1")
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.copied("card", "vault-2")
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("two", theirs), "backup")
	got, err := w.callAt(t.Context(), strings.TrimPrefix(w.url("backup"), "http://"), "GET", "/v1/vault/cards/"+w.field("GET", "card?provider=backup", "").body, "")
	must(t, err)
	if got.json(t)["card"] != "vault-2" {
		t.Errorf("backup has %s", got.body)
	}
}

// TestFetchedOnTheWay: the copy is old, for the fetch behind the operation failed. The session moves by a drain, while its provider still
// answers: it is asked then.
func TestFetchedOnTheWay(t *testing.T) {
	w := newWorld(t, withExport(exportedField))
	w.fault("main", sandbox.Fault{Kind: sandbox.Status, Code: 500, Operation: sandbox.Reads})
	theirs := w.vaults("v1", "vault-77")
	eventually(t, "the fetch fails", func() bool { return w.fetched("failed") >= 1 })
	if f := w.shown("card"); f.Fetched == nil || !f.Fetched.Old || f.Bytes != 0 {
		t.Errorf("%+v %+v", f, f.Fetched)
	}
	w.fault("main")
	w.agent.parts.board.Drain("main", time.Now().Add(time.Minute))
	a := w.pay("one", theirs)
	w.paid(a, "backup")
	if n := w.brought("backup"); n != 1 {
		t.Errorf("it was brought %d times", n)
	}
}

// TestNothingToFetch: the provider is gone before anything was fetched: the session does not go on without the card, as before.
func TestNothingToFetch(t *testing.T) {
	w := newWorld(t, withExport(exportedField))
	w.fault("main", sandbox.Fault{Kind: sandbox.Hang, Operation: sandbox.Reads})
	theirs := w.vaults("v1", "vault-77")
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	began := time.Now()
	a := w.pay("one", theirs)
	if a.status != 503 || w.executed("one") != 0 || w.brought("backup") != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if took := time.Since(began); took > 45*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestPinnedIsNeverFetched: no read is made for a pinned field, nor for one that the policy brings nowhere.
func TestPinnedIsNeverFetched(t *testing.T) {
	rule := `{class: pinned}`
	w := newWorld(t, withExport("      card: "+rule+"\n      note: {class: rebuilt}\n"))
	w.vaults("v1", "vault-77")
	w.paid(w.pay("one", "tok_visa"), "main")
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("two", "tok_visa"), "backup")
	for path, n := range w.box.Provider("main").Books().Totals().Received {
		if strings.HasPrefix(path, "GET /v1/vault/cards") {
			t.Errorf("%s: %d", path, n)
		}
	}
}

// TestWhatTheApplicationWroteStays: a fetch that ends after the application wrote the field does not take that back.
func TestWhatTheApplicationWroteStays(t *testing.T) {
	w := newWorld(t, withExport(exportedField))
	w.fault("main", sandbox.Fault{Kind: sandbox.Slow, Delay: 2 * time.Second, Operation: sandbox.Reads})
	w.vaults("v1", "vault-77")
	eventually(t, "the fetch is under way", func() bool {
		n := uint64(0)
		for path, times := range w.box.Provider("main").Books().Totals().Received {
			if strings.HasPrefix(path, "GET /v1/vault/cards/{id}") {
				n += times
			}
		}
		return n > 0
	})
	w.put("card", "vault-of-mine")
	eventually(t, "the fetch has ended", func() bool { return w.fetched("overtaken")+w.fetched("fetched")+w.fetched("failed") >= 1 })
	if w.fetched("overtaken") != 1 {
		t.Errorf("%v fetched, %v failed", w.fetched("fetched"), w.fetched("failed"))
	}
	w.says("card", "vault-of-mine")
}

// TestFetchesAreBounded: what a provider answers is no field where it is too large, is no JSON, or makes nothing by the contract.
func TestFetchesAreBounded(t *testing.T) {
	for name, c := range map[string]struct{ answer, more, result string }{
		"too large to read": {".card", ", max: 20", "failed"},
		"too large to keep": {`[range(3000)] | map("xxxxxxxx") | join("")`, "", "too_large"},
		"no such thing":     {".nothing", "", "absent"},
		"an error":          {`error("card: " + .card)`, "", "unreadable"},
		"endless":           {`if .card then [range(1000000000)] else . end`, "", "unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withExport(exportedField, func(doc string) string {
				return strings.Replace(doc, "answer: .card,", "answer: '"+c.answer+"'"+c.more+",", 1)
			}))
			w.vaults("v1", "vault-77")
			eventually(t, c.result, func() bool { return w.fetched(c.result) >= 1 })
			if a := w.field("GET", "card", ""); a.status != http.StatusNotFound {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

// TestFetchedIsSealed: what was fetched stands nowhere in the open.
func TestFetchedIsSealed(t *testing.T) {
	w := newWorld(t, withExport(exportedField))
	const canary = "4000-0566-5566-5556"
	w.vaults("v1", canary)
	w.copied("card", canary)
	s, err := w.agent.store.Sessions().Load(t.Context(), session.Key{App: application, ID: "ses_1"})
	must(t, err)
	row, err := session.Encode(s)
	must(t, err)
	if strings.Contains(string(row), canary) {
		t.Error("the row holds the value in the open")
	}
}
