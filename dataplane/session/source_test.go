package session_test

import (
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/session"
)

const giving = `segue: v1
services:
  pay:
    speaks: stripe/v1
    listen: 7101
    strategy: priority
    priority: [main, backup]
    session:
      card: {class: replicated, map: vault/cards}
      thread: {class: replicated, map: threads}
providers:
  main: {contract: own/v1, endpoint: "http://127.0.0.1:1", credential: caller}
  backup: {contract: stripe/v1, endpoint: "http://127.0.0.1:2", credential: caller}
contracts:
  own/v1:
    like: stripe/v1
    session:
      vault/cards:
        import: {match: POST /v1/cards, put: body.card, id: id}
        export: {match: "GET /v1/cards/{id}", answer: .card, life: 1m}
      threads:
        export: {match: "GET /v1/threads/{session}", answer: .}
`

// TestSource: a field is fetched from the provider that the session is with, if it is known what it is called there; never a pinned one,
// nor one that is no value.
func TestSource(t *testing.T) {
	p, problems := policy.Parse("p.yaml", []byte(giving))
	if problems != nil {
		t.Fatal(problems)
	}
	snap, err := policy.Compile(p, policy.Local, 1)
	if err != nil {
		t.Fatal(err)
	}
	svc, _ := snap.Service("pay")
	k, now := session.Key{App: "a", ID: "s"}, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var s *session.Session
	from := func(rule *policy.SessionField, want string) {
		t.Helper()
		at, _, _ := s.Source(svc, rule)
		got := ""
		if at >= 0 {
			got = svc.Candidates[at].Provider
		}
		if got != want {
			t.Errorf("%s %s is fetched from %q, want %q", rule.Class, rule.Name, got, want)
		}
	}
	apply := func(events ...session.Event) {
		t.Helper()
		var err error
		if s, err = session.Apply(s, k, events...); err != nil {
			t.Fatal(err)
		}
	}
	writer := func(at time.Time) *session.Writer { return &session.Writer{Run: "here-1/a", Session: s, Now: at} }
	card, thread := &svc.Session[0], &svc.Session[1]
	from(card, "")
	apply(session.Event{At: now, Pin: session.Pin{Service: "pay", Provider: "main", At: now}})
	from(card, "")
	from(thread, "main")
	apply(writer(now).Touch("pay", "card", "main", []byte("card_1"), session.Stamp{}))
	from(card, "main")
	for name, change := range map[string]func(*policy.SessionField){
		"pinned":   func(f *policy.SessionField) { f.Class = policy.PinnedHere },
		"a set":    func(f *policy.SessionField) { f.Kind = policy.KindSet },
		"tokens":   func(f *policy.SessionField) { f.Kind = policy.KindTokens },
		"unmapped": func(f *policy.SessionField) { f.Map = "" },
	} {
		rule := *card
		change(&rule)
		rule.Name = "card"
		if at, _, _ := s.Source(svc, &rule); at >= 0 {
			t.Errorf("%s: it is fetched", name)
		}
	}
	f := s.Field("pay", "card")
	if !f.Old() || !f.Due("main", 0, now) || f.Due("backup", 0, now) && !f.Stamp.Zero() {
		t.Errorf("an operation changed it: %+v", f)
	}
	apply(writer(now.Add(time.Second)).Fetch("pay", "card", "main", []byte("sealed"), []byte("card_1")))
	f = s.Field("pay", "card")
	if where, at := f.Fetched(); f.Old() || f.Due("main", time.Minute, now.Add(30*time.Second)) || where != "main" || !at.Equal(now.Add(time.Second)) || f.Stamp.Run() != "here-1/a" {
		t.Errorf("it was fetched: %+v", f)
	}
	if !f.Due("main", time.Minute, now.Add(2*time.Minute)) || f.Due("main", 0, now.Add(time.Hour)) {
		t.Error("a copy counts for as long as the contract says")
	}
	apply(writer(now.Add(90*time.Second)).Confirm("pay", "card", "main", []byte("card_1"), f.Stamp))
	if f = s.Field("pay", "card"); f.Due("main", time.Minute, now.Add(2*time.Minute)) || f.Old() {
		t.Errorf("it was found the same: %+v", f)
	}
	apply(writer(now.Add(100*time.Second)).Touch("pay", "card", "main", []byte("card_1"), f.Stamp))
	if f = s.Field("pay", "card"); !f.Old() || !f.Due("main", 0, now.Add(101*time.Second)) {
		t.Errorf("it was changed again: %+v", f)
	}
	apply(writer(now.Add(110*time.Second)).Write("pay", "card", []byte("mine")))
	if f = s.Field("pay", "card"); f.Old() || f.Due("main", time.Minute, now.Add(time.Hour)) {
		t.Errorf("an application wrote it: %+v", f)
	}
	if where, _ := f.Fetched(); where != "" {
		t.Errorf("it was written, and not fetched from %s", where)
	}
}
