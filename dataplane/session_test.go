package dataplane

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
	"segue/dataplane/session"
)

// withFields declares fields for the tests' service, and a vault at each provider.
func withFields(fields string) option {
	return edited(func(doc string) string {
		doc = strings.Replace(doc, "    strategy: priority\n", "    strategy: priority\n    session:\n"+fields, 1)
		doc = strings.ReplaceAll(doc, "contract: stripe/v1, endpoint", "contract: vaulted/v1, endpoint")
		return doc + `  vaulted/v1:
    like: stripe/v1
    session:
      vault/cards: {import: {match: POST /v1/vault/cards, put: body.card, form: form, id: id}}
`
	})
}

const everyField = `      card: {class: replicated, map: vault/cards, at: body.source}
      cart: {class: rebuilt, kind: set}
      points: {class: rebuilt, kind: counter}
      stock: {class: rebuilt, kind: counter, floor: 0}
      address: {class: rebuilt, compare: true}
      note: {class: rebuilt}
      turns: {class: rebuilt, map: vault/cards, at: body.description}
      challenge: {class: pinned}
      scratch: {class: pinned, lose: report}
`

func (w *world) field(method, name, body string, header ...string) *answer {
	w.t.Helper()
	return w.do(method, fieldsPath+"ses_1/fields/"+name, body, header...)
}

func (w *world) put(name, body string, header ...string) *answer {
	w.t.Helper()
	a := w.field("PUT", name, body, header...)
	if a.status != http.StatusNoContent || a.header.Get("ETag") == "" {
		w.t.Fatalf("PUT %s %s: %d %s", name, body, a.status, a.body)
	}
	return a
}

func (w *world) says(name, want string) {
	w.t.Helper()
	if a := w.field("GET", name, ""); a.status != http.StatusOK || a.body != want {
		w.t.Errorf("%s: %d %s, want %s", name, a.status, a.body, want)
	}
}

// TestFields reads and writes each kind, through a restart.
func TestFields(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	w.field("GET", "note", "").problem(t, 404, "unknown-field")
	w.put("note", "hello", "Content-Type", "text/plain; charset=utf-8")
	w.put("cart", `{"add": ["tea", "cup", "tea"]}`)
	w.put("cart", `{"add": ["pot"], "remove": ["cup", "nothing"]}`)
	w.put("points", `{"add": 5}`)
	w.put("points", `{"add": -7}`)
	w.restart()
	w.put("points", `{"add": 1}`)
	w.says("note", "hello")
	w.says("cart", `{"items":["pot","tea"]}`)
	w.says("points", `{"value":-1}`)
	if a := w.field("GET", "note", ""); a.header.Get("Content-Type") != "text/plain; charset=utf-8" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", a.header)
	}
	for _, name := range []string{"note", "cart", "points"} {
		if a := w.field("DELETE", name, ""); a.status != http.StatusNoContent {
			t.Errorf("DELETE %s: %d %s", name, a.status, a.body)
		}
	}
	w.field("GET", "note", "").problem(t, 404, "unknown-field")
	w.field("GET", "cart", "").problem(t, 404, "unknown-field")
	w.says("points", `{"value":0}`)
	if a := w.do("GET", fieldsPath+"ses_2/fields/points", ""); a.status != 404 {
		t.Errorf("another session: %d %s", a.status, a.body)
	}
}

// TestFieldsCompared: of two who saw the same version one wins; a merged field takes no comparison.
func TestFieldsCompared(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	w.field("PUT", "address", "a").problem(t, 428, "field-unmatched")
	first := w.put("address", "a", "If-None-Match", "*").header.Get("ETag")
	w.field("PUT", "address", "b", "If-None-Match", "*").problem(t, 412, "field-changed")
	second := w.put("address", "b", "If-Match", first).header.Get("ETag")
	w.field("PUT", "address", "c", "If-Match", first).problem(t, 412, "field-changed")
	w.says("address", "b")
	var group sync.WaitGroup
	won := make([]int, 8)
	for i := range won {
		group.Go(func() {
			a, err := w.call(context.Background(), "PUT", fieldsPath+"ses_1/fields/address", fmt.Sprint(i), "If-Match", second)
			if err == nil {
				won[i] = a.status
			}
		})
	}
	group.Wait()
	if got := fmt.Sprint(won); strings.Count(got, "204") != 1 || strings.Count(got, "412") != len(won)-1 {
		t.Errorf("of %d who saw one version: %v", len(won), won)
	}
	w.field("PUT", "note", "x", "If-Match", first).problem(t, 400, "field-malformed")
	w.field("DELETE", "address", "", "If-Match", first).problem(t, 412, "field-changed")
	if a := w.field("DELETE", "address", "", "If-Match", "*"); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestFieldsFloor: nobody takes what is not there.
func TestFieldsFloor(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	w.field("PUT", "stock", `{"add": -1}`).problem(t, 409, "field-floor")
	w.put("stock", `{"add": 5}`)
	var group sync.WaitGroup
	got := make([]int, 12)
	for i := range got {
		group.Go(func() {
			if a, err := w.call(context.Background(), "PUT", fieldsPath+"ses_1/fields/stock", `{"add": -1}`); err == nil {
				got[i] = a.status
			}
		})
	}
	group.Wait()
	if all := fmt.Sprint(got); strings.Count(all, "204") != 5 || strings.Count(all, "409") != len(got)-5 {
		t.Errorf("5 were there: %v", got)
	}
	w.says("stock", `{"value":0}`)
}

func TestFieldsRefuse(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	for _, c := range []struct {
		method, path, body string
		status             int
		kind               string
	}{
		{"GET", "ses_1/fields/crad", "", 404, "unknown-field"},
		{"PUT", "ses_1/fields/note/more", "x", 404, "unknown-field"},
		{"GET", "ses_1", "", 404, "unknown-field"},
		{"GET", "a%00b/fields/note", "", 400, "field-malformed"},
		{"PUT", strings.Repeat("x", 129) + "/fields/note", "x", 400, "field-malformed"},
		{"PUT", "ses_1/fields/note", strings.Repeat("x", session.MaxValue), 413, "field-too-large"},
		{"PUT", "ses_1/fields/points", `{"add": 1.5}`, 400, "field-malformed"},
		{"PUT", "ses_1/fields/points", `{"add": 9223372036854775807}`, 400, "field-malformed"},
		{"PUT", "ses_1/fields/points", `{"add": 99999999999999999999}`, 400, "field-malformed"},
		{"PUT", "ses_1/fields/points", `{}`, 400, "field-malformed"},
		{"PUT", "ses_1/fields/points", `{"add": 1} {"add": 1}`, 400, "field-malformed"},
		{"PUT", "ses_1/fields/cart", `{"add": [1]}`, 400, "field-malformed"},
		{"PUT", "ses_1/fields/cart", `{"ad": ["a"]}`, 400, "field-malformed"},
		{"PUT", "ses_1/fields/cart", `[`, 400, "field-malformed"},
		{"PUT", "ses_1/fields/cart", `{"add": ["` + strings.Repeat("x", 513) + `"]}`, 413, "field-too-large"},
		{"DELETE", "ses_1/fields/note", "x", 400, "field-malformed"},
		{"GET", "ses_1/fields/note?provider=main", "", 400, "field-malformed"},
		{"GET", "ses_1/fields/card?provider=nobody", "", 400, "field-malformed"},
		{"GET", "ses_1/fields/card?x=y", "", 400, "field-malformed"},
		{"PUT", "ses_1/fields/card?provider=main", strings.Repeat("x", 513), 413, "field-too-large"},
	} {
		m := w.do(c.method, fieldsPath+c.path, c.body).problem(t, c.status, c.kind)
		if c.path == "ses_1/fields/crad" && m["nearest"] != "card" {
			t.Errorf("no guess: %v", m)
		}
	}
	items := make([]string, session.MaxItems+1)
	for i := range items {
		items[i] = fmt.Sprintf("%q", fmt.Sprint("item-", i))
	}
	w.field("PUT", "cart", `{"add": [`+strings.Join(items, ",")+`]}`).problem(t, 413, "field-too-large")
	w.field("PUT", "address", "x", "If-Match", `"a", "b"`).problem(t, 400, "field-malformed")
	w.field("PUT", "note", "x", "If-None-Match", `"a"`).problem(t, 400, "field-malformed")
	big := strings.Repeat("x", session.MaxValue-1024)
	w.put("note", big)
	w.put("address", big, "If-None-Match", "*")
	w.field("PUT", "challenge", big+big).problem(t, 413, "field-too-large")
	w.put("challenge", big)
	w.field("PUT", "scratch", big).problem(t, 413, "field-too-large") // the session as a whole
	w.says("note", big)
	bare := newWorld(t)
	if m := bare.do("GET", fieldsPath+"ses_1/fields/card", "").problem(t, 404, "unknown-field"); !strings.Contains(m["detail"].(string), "declares none") {
		t.Errorf("%v", m)
	}
}

// TestFieldsAreSealed: what applications write stands nowhere in the open.
func TestFieldsAreSealed(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	const canary = "4000-0566-5566-5556"
	w.put("note", canary)
	w.put("cart", `{"add": ["`+canary+`"]}`)
	w.put("card?provider=main", canary)
	s, err := w.agent.store.Sessions().Load(t.Context(), session.Key{App: application, ID: "ses_1"})
	must(t, err)
	row, err := session.Encode(s)
	must(t, err)
	if strings.Contains(string(row), canary) {
		t.Error("the row holds the value in the open")
	}
	must(t, w.agent.store.Sessions().History(t.Context(), s.Key, func(e session.Event) bool {
		b, err := session.EncodeEvent(&e)
		if err != nil || strings.Contains(string(b), canary) {
			t.Errorf("an event holds the value in the open (%v)", err)
		}
		return true
	}))
	w.says("note", canary)
}

// TestARewrittenRequestIsNotKept: what is sent again in the background is what was sent. A request into which a session's field was put for its provider
// is not what stands here.
func TestARewrittenRequestIsNotKept(t *testing.T) {
	t.Setenv("SEGUE_TEST_CREDENTIAL", "sk") // a caller's own is not kept
	w := newWorld(t, withFields(everyField+"    operations: {charge: {match: POST /v1/charges, key: required, keep: request}}\n"), func(c *worldConfig) {
		before := c.document
		c.document = func(doc string) string {
			return strings.ReplaceAll(before(doc), "credential: caller", "credential: env:SEGUE_TEST_CREDENTIAL")
		}
	})
	if a := w.charge("k0", "o0"); a.status != 200 || !w.row("k0").Kept {
		t.Errorf("%d %s; a plain request is kept: %v", a.status, a.body, w.row("k0").Kept)
	}
	w.put("card", "vault-1")
	w.paid(w.pay("k1", "vault-1"), "main")
	if w.row("k1").Kept {
		t.Error("a rewritten request is kept")
	}
}

func (w *world) pay(key, source string, more ...string) *answer {
	w.t.Helper()
	return w.do("POST", "/v1/charges", "amount=1200&currency=eur&source="+source+"&metadata[order]="+key+strings.Join(more, ""),
		"Idempotency-Key", key, "Session-Id", "ses_1")
}

// paid checks that a charge went to a provider.
func (w *world) paid(a *answer, at string) {
	w.t.Helper()
	if route := a.header.Get("Segue-Route"); a.status != 200 || !strings.Contains(route, at+";") {
		w.t.Fatalf("%d %s %s: want it paid at %s", a.status, route, a.body, at)
	}
	if last := w.box.Provider(at).Books(); last.Executed(w.order(a)) != 1 {
		w.t.Fatalf("%s did not execute it: %s", at, a.body)
	}
}

func (w *world) order(a *answer) string {
	m, _ := a.json(w.t)["metadata"].(map[string]any)
	order, _ := m["order"].(string)
	return order
}

// brought counts the cards that were brought to a provider.
func (w *world) brought(provider string) (n int) {
	for _, e := range w.box.Provider(provider).Books().Entries(sandbox.Filter{}) {
		if e.Operation == sandbox.OpVault {
			n++
		}
	}
	return n
}

// moved is the metric of sessions that went on elsewhere.
func (w *world) moved(service, result string) float64 {
	w.t.Helper()
	return w.figure("segue_sessions_moved_total", result+" "+service+" ")
}

// figure sums a metric under its labels' values, in the order of the labels' names.
func (w *world) figure(name, want string) (v float64) {
	w.t.Helper()
	families, err := w.agent.cfg.Metrics.Gather()
	must(w.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += l.GetValue() + " "
			}
			if f.GetName() == name && labels == want {
				v += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return v
}

// TestCardIsCarried: the provider dies in mid-session; the card is brought to the next by its own transaction, once, and the application
// goes on sending the name that it knows.
func TestCardIsCarried(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	w.put("card", "vault-77")
	w.paid(w.pay("one", "vault-77"), "main")
	theirs := w.field("GET", "card?provider=main", "")
	if !strings.HasPrefix(theirs.body, "card_") {
		t.Fatalf("at main it is called %d %s", theirs.status, theirs.body)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("two", "vault-77"), "backup")
	w.paid(w.pay("three", theirs.body), "backup") // main's own name for it is one of the field's names too
	w.paid(w.pay("four", "tok_visa"), "backup")   // another card is none of the session's
	if n := w.brought("backup"); n != 1 {
		t.Errorf("it was brought to backup %d times", n)
	}
	w.put("card", "vault-78")
	w.paid(w.pay("five", "vault-78"), "backup")
	if n := w.brought("backup"); n != 2 {
		t.Errorf("another card was brought: %d in all", n)
	}
	if v := w.moved("payments", "carried"); v != 1 {
		t.Errorf("%v sessions moved", v)
	}
}

// TestNoCardThere: a provider that has no name for the card, and no way to get one, is not asked.
func TestNoCardThere(t *testing.T) {
	w := newWorld(t, withFields(everyField), priority("legacy, main, backup"))
	w.put("card?provider=backup", "tok_backup")
	w.put("card?provider=legacy", "tok_legacy")
	w.paid(w.pay("one", "tok_legacy"), "legacy")
	w.fault("legacy", sandbox.Fault{Kind: sandbox.Refuse})
	a := w.pay("two", "tok_legacy")
	w.paid(a, "backup")
	if card, _ := a.json(t)["payment_method"].(string); card != "tok_backup" {
		t.Errorf("backup was sent %q", card)
	}
	w.field("DELETE", "card?provider=backup", "")
	m := w.pay("three", "tok_legacy").problem(t, 503, "no-eligible-provider")
	if !strings.Contains(fmt.Sprint(m["candidates"]), "no-state") {
		t.Errorf("%v", m["candidates"])
	}
	if w.executed("three") != 0 {
		t.Error("it was executed")
	}
}

// TestImportFails: an import that is refused, fails or hangs keeps the session away from that provider, and nothing is lost.
func TestImportFails(t *testing.T) {
	for name, faults := range map[string][]sandbox.Fault{
		"hangs":    {{Kind: sandbox.Hang}},
		"breaks":   {{Kind: sandbox.Status, Code: 500}},
		"is reset": {{Kind: sandbox.Reset}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withFields(everyField))
			w.put("card", "vault-77")
			w.paid(w.pay("one", "vault-77"), "main")
			w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
			w.fault("backup", faults...)
			a := w.pay("two", "vault-77")
			if a.status != 503 || w.executed("two") != 0 {
				t.Fatalf("%d %s; executed %d times", a.status, a.body, w.executed("two"))
			}
			w.says("card", "vault-77")
			w.fault("main")
			w.fault("backup")
			w.paid(w.pay("two", "vault-77"), "main")
		})
	}
	w := newWorld(t, withFields(everyField))
	w.put("card", "unwanted")
	if a := w.pay("one", "unwanted"); a.status != 503 || w.executed("one") != 0 {
		t.Errorf("a card that no provider takes: %d %s", a.status, a.body)
	}
}

// TestHistoryIsReplayed: twenty turns are brought to the next provider as one history, in their order.
func TestHistoryIsReplayed(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	var want []string
	for n := range 20 {
		turn := fmt.Sprintf(`{"role":"user","content":"turn %d"}`, n)
		w.put("turns", turn)
		want = append(want, turn)
	}
	w.paid(w.pay("one", "tok_visa", "&description=x"), "main")
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("two", "tok_visa", "&description=x"), "backup")
	theirs := w.field("GET", "turns?provider=backup", "").body
	a, err := w.callAt(t.Context(), strings.TrimPrefix(w.url("backup"), "http://"), "GET", "/v1/vault/cards/"+theirs, "")
	must(t, err)
	if got := a.json(t)["card"]; got != "["+strings.Join(want, ",")+"]" {
		t.Errorf("backup was told %v", got)
	}
}

// TestPinnedFieldHoldsTheSession: it is refused to move, or the loss is reported.
func TestPinnedFieldHoldsTheSession(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	w.paid(w.pay("one", "tok_visa"), "main")
	w.put("challenge", "3ds-1")
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	m := w.pay("two", "tok_visa").problem(t, 409, "session-cannot-move")
	if m["field"] != "challenge" || m["provider"] != "main" || m["executed"] != "no" || w.executed("two") != 0 {
		t.Errorf("%v", m)
	}
	w.do("GET", "/v1/charges", "", "Session-Id", "ses_1").problem(t, 409, "session-cannot-move")
	w.fault("main")
	w.paid(w.pay("two", "tok_visa"), "main")
	w.field("DELETE", "challenge", "")
	w.put("scratch", "left behind")
	w.put("note", "kept")
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("three", "tok_visa"), "backup")
	w.field("GET", "scratch", "").problem(t, 404, "unknown-field")
	w.says("note", "kept")
	if w.moved("payments", "lost") != 1 || w.moved("payments", "refused") != 2 {
		t.Errorf("lost %v, refused %v", w.moved("payments", "lost"), w.moved("payments", "refused"))
	}
}

// TestWarmStandby: a change is at the next provider before it is needed there.
func TestWarmStandby(t *testing.T) {
	w := newWorld(t, withFields(strings.Replace(everyField, "at: body.source", "at: body.source, standby: warm", 1)))
	w.put("card", "vault-77")
	eventually(t, "the card is at the standby", func() bool {
		return w.brought("backup") == 1 && w.field("GET", "card?provider=backup", "").status == 200
	})
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("one", "vault-77"), "backup")
	if n := w.brought("backup"); n != 1 {
		t.Errorf("it was brought %d times", n)
	}
}

// TestImportIsATransaction: it is in the ledger, under the session's name.
func TestImportIsATransaction(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	w.put("card", "vault-77")
	w.paid(w.pay("one", "vault-77"), "main")
	rows, err := w.agent.store.Ledger().Recent(t.Context(), ledger.Query{})
	must(t, err)
	for _, r := range rows {
		if r.Operation == "session-import" {
			if r.State != ledger.DoneSucceeded || r.Session != "ses_1" || r.Current().Provider != "main" {
				t.Errorf("%+v", r)
			}
			return
		}
	}
	t.Errorf("no import among %d", len(rows))
}

// TestCoverage: which share of the sessions in use could go on elsewhere now.
func TestCoverage(t *testing.T) {
	w := newWorld(t, withFields(everyField), priority("main, backup"))
	if u := w.inUse("payments"); u.InUse != 0 {
		t.Error("nobody is in use")
	}
	w.paid(w.pay("one", "tok_visa"), "main")
	w.put("challenge", "held")
	w.paid(w.pay("two", "tok_visa"), "main")
	for n := range 3 {
		w.charge(fmt.Sprint("other", n), "o", "Session-Id", fmt.Sprint("free-", n))
	}
	if u := w.inUse("payments"); u.InUse != 4 || u.Could != 3 {
		t.Errorf("%+v: three of four can go on elsewhere", u)
	}
	for _, s := range w.agent.Report().Services {
		if s.Service == "payments" && (s.InUse != 4 || s.Could != 3) {
			t.Errorf("it reports %d of %d", s.Could, s.InUse)
		}
	}
	if v := w.figure("segue_failover_coverage_ratio", "here payments "); v != 0.75 {
		t.Errorf("the metric says %v", v)
	}
	w.agent.parts.board.Drain("backup", w.agent.cfg.Now().Add(time.Minute))
	if u := w.inUse("payments"); u.Could != 0 {
		t.Errorf("%d can go to a provider that is drained", u.Could)
	}
}
