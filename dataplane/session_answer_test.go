package dataplane

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
	"segue/dataplane/session"
)

// asks asks as the control plane does.
func (w *world) asks(q query.Question, into any) string {
	w.t.Helper()
	body, err := w.agent.Answer(w.t.Context(), q)
	must(w.t, err)
	must(w.t, json.Unmarshal(body, into))
	return string(body)
}

func (w *world) inspected(id string) (s query.Session, text string) {
	w.t.Helper()
	text = w.asks(query.Question{Kind: query.OneSession, Session: id}, &s)
	return s, text
}

// TestSessionIsShown: pins, fields of each class, where it could go on and what happens then, as it does happen; and nothing of what the
// fields hold.
func TestSessionIsShown(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	const canary = "canary-4000-0566"
	w.put("card", canary)
	w.put("note", canary)
	w.put("cart", `{"add": ["`+canary+`", "tea"]}`)
	w.put("stock", `{"add": 3}`)
	w.put("scratch", canary)
	w.paid(w.pay("one", canary), "main")
	s, text := w.inspected("ses_1")
	if strings.Contains(text, canary) || strings.Contains(text, "card_") {
		t.Errorf("it shows what a field holds: %s", text)
	}
	svc := s.Services[0]
	fields := map[string]query.SessionField{}
	for _, f := range svc.Fields {
		fields[f.Name] = f
	}
	card, stock, cart := fields["card"], fields["stock"], fields["cart"]
	if len(s.Services) != 1 || svc.Provider != "main" || len(svc.Fields) != 9 || card.Class != "replicated" || !card.Set || !slices.Equal(card.At, []string{"main"}) || card.Bytes == 0 || card.By == "" {
		t.Errorf("%+v", svc)
	}
	if stock.Sum != 3 || stock.Floor == nil || *stock.Floor != 0 || cart.Items != 2 || cart.Kind != "set" || fields["challenge"].Set || fields["challenge"].Class != "pinned" {
		t.Errorf("%+v\n%+v\n%+v", stock, cart, fields["challenge"])
	}
	const next = "it goes on at backup; card is brought there first; cart, stock and note stay in the session; scratch stays behind, which is reported"
	if svc.Goes != "backup" || svc.Next != next {
		t.Errorf("next: %s", svc.Next)
	}
	if way := svc.Ways[1]; way.Provider != "backup" || !way.Can || !way.Open || way.Here || !slices.Equal(way.Carries, []string{"card"}) || !slices.Equal(way.Loses, []string{"scratch"}) {
		t.Errorf("%+v", way)
	}
	if s.Events < 7 || len(s.History) != s.Events || !strings.Contains(fmt.Sprint(s.History), "pinned to main") || !strings.Contains(fmt.Sprint(s.History), "card is known at main") {
		t.Errorf("%d events: %+v", s.Events, s.History)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.paid(w.pay("two", canary), "backup") // as it was said
	after, _ := w.inspected("ses_1")
	if now := after.Services[0]; now.Provider != "backup" || !strings.Contains(fmt.Sprint(after.History), "scratch was removed") {
		t.Errorf("%+v\n%+v", now, after.History)
	}
	var few query.Session
	w.asks(query.Question{Kind: query.OneSession, Session: "ses_1", Limit: 2}, &few)
	if few.Events != after.Events || len(few.History) != 2 || few.History[0] != after.History[0] || few.History[1] != after.History[1] {
		t.Errorf("the newest two of %d: %+v", few.Events, few.History)
	}
	for _, id := range []string{"ses_2", "a/b", ""} {
		for _, kind := range []query.Kind{query.OneSession, query.SessionVerify} {
			if _, err := w.agent.Answer(t.Context(), query.Question{Kind: kind, Session: id}); err == nil || !strings.Contains(err.Error(), "has no session") {
				t.Errorf("%s of %q: %v", kind, id, err)
			}
		}
	}
}

// TestSessionIsStuck: a pinned field keeps the session where it is, which is said before it is tried, counted, and as said.
func TestSessionIsStuck(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	w.paid(w.pay("one", "tok_visa"), "main")
	w.put("challenge", "3ds")
	s, _ := w.inspected("ses_1")
	if svc := s.Services[0]; svc.Goes != "" || svc.Next != "it cannot go on: challenge is pinned at main; calls end as session-cannot-move" || svc.Ways[1].Can || svc.Ways[1].Why != "challenge is pinned at main" {
		t.Errorf("%+v", svc)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.pay("two", "tok_visa").problem(t, 409, "session-cannot-move")
	use := w.inUse("payments")
	if use.InUse != 1 || use.Could != 0 || use.Moved.Refused != 1 || use.Providers[0].Provider != "main" || use.Providers[0].InUse != 1 {
		t.Errorf("%+v", use)
	}
}

func (w *world) inUse(service string) query.SessionsInUse {
	w.t.Helper()
	var list []query.SessionsInUse
	w.asks(query.Question{Kind: query.Sessions}, &list)
	for _, one := range list {
		if one.Service == service {
			return one
		}
	}
	w.t.Fatalf("no %s in %+v", service, list)
	return query.SessionsInUse{}
}

// TestSessionsInUse: who is where, and who could go on elsewhere, while a provider stands by and when it does not.
func TestSessionsInUse(t *testing.T) {
	w := newWorld(t, priority("main, backup"))
	for n := range 20 {
		w.charge(fmt.Sprint("k", n), fmt.Sprint("o", n), "Session-Id", fmt.Sprint("ses-", n))
	}
	use := w.inUse("payments")
	if use.InUse < 18 || use.Could != use.InUse || use.Providers[0].InUse != use.InUse || use.Providers[1].InUse != 0 { // two may have one place
		t.Errorf("%+v", use)
	}
	doc := fmt.Sprintf(document, "backup, main", 2, w.box.Provider("main").URL(), w.box.Provider("backup").URL(), w.box.Provider("legacy").URL())
	must(t, w.agent.Apply(w.update(2, doc)))
	if use := w.inUse("payments"); use.InUse != 0 {
		t.Errorf("the places of another order of providers are told: %+v", use)
	}
}

// TestSessionVerify: a session is what its history says, until one of the two is lost; and what another key sealed is said.
func TestSessionVerify(t *testing.T) {
	w := newWorld(t, withFields(everyField))
	w.put("note", "hello")
	w.put("cart", `{"add": ["tea"]}`)
	w.paid(w.pay("one", "tok_visa"), "main")
	var check query.SessionCheck
	w.asks(query.Question{Kind: query.SessionVerify, Session: "ses_1"}, &check)
	if check.Events != 3 || check.Fields != 2 || len(check.Differs)+len(check.Sealed) != 0 || check.Moving || check.Version == "" {
		t.Errorf("%+v", check)
	}
	other := session.Writer{Run: "other", Now: w.agent.cfg.Now()}
	must(t, w.agent.store.Sessions().Append(t.Context(), session.Key{App: application, ID: "ses_1"}, other.Write("payments", "note", []byte("sealed elsewhere"))))
	var torn query.SessionCheck
	w.asks(query.Question{Kind: query.SessionVerify, Session: "ses_1"}, &torn)
	if !slices.Equal(torn.Sealed, []string{"payments/note"}) || len(torn.Differs) != 0 || torn.Version == check.Version {
		t.Errorf("%+v", torn)
	}
}
