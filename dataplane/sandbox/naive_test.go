package sandbox

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// pair are two providers of payments and one of chat, with a naive client beside them.
func pair(t *testing.T, c NaiveConfig) *Sandbox {
	t.Helper()
	return start(t, Config{Seed: 11, Naive: c, Providers: []ProviderConfig{
		{Name: "north", Latency: Latency{Median: -1}, Credential: "sk_north"}, {Name: "chat", API: Chat}, {Name: "south", Latency: Latency{Median: -1}},
	}})
}

// Where replies get lost the naive client's charges are made twice, and the books say so; the shopper's, with keys, are not.
func TestTheNaiveClientChargesTwice(t *testing.T) {
	s := pair(t, NaiveConfig{Rate: 20})
	if err := s.Provider("north").SetFaults(Fault{Kind: Lose, Share: 0.5, Operation: Effects}); err != nil {
		t.Fatal(err)
	}
	shopper := shop(t, ShopperConfig{Seed: 6, Backoff: time.Millisecond, Retries: 20, Targets: []Target{{Region: "east", URL: s.Provider("north").URL(), Rate: 50}}})
	if err := s.Naive().On(time.Minute); err != nil {
		t.Fatal(err)
	}
	until(t, "charged twice", func() bool { return s.Naive().State().Twice >= 5 && s.Audit(shopper).Operations >= 20 })
	s.Naive().Off()
	until(t, "what was under way is in the books", func() bool { return s.Naive().State().Twice == len(Twice(s.Books()...)) })
	st, v := s.Naive().State(), s.Audit(shopper)
	if st.On || st.Orders < st.Twice || v.Twice != 0 {
		t.Errorf("naive %+v, the shopper %+v", st, v)
	}
	for _, d := range Twice(s.Books()...) {
		if !strings.HasPrefix(d.Order, "naive-") || d.Times["north"] != 1 || d.Times["south"] != 1 {
			t.Errorf("%+v", d)
		}
		if st.Twice--; len(s.Provider("south").Books().Entries(Filter{Order: d.Order})) != 1 {
			t.Errorf("%s is not in the books by its name", d.Order)
		}
	}
	equal(t, "not in the list", st.Twice, 0)
	asked := s.Naive().State().Orders
	<-time.NewTimer(300 * time.Millisecond).C // at 20 a second it would have asked again
	equal(t, "asked while off", s.Naive().State().Orders, asked)
}

// A duplicate that is not the naive client's own is a duplicate, whatever its order is called.
func TestTheAuditLeavesOutOnlyTheNaiveClientsOrders(t *testing.T) {
	s := pair(t, NaiveConfig{})
	enter(s.Provider("north").Books(), OpCharge, "naive-1")
	enter(s.Provider("south").Books(), OpCharge, "naive-1")
	enter(s.Provider("north").Books(), OpCharge, s.Naive().run+"7")
	enter(s.Provider("south").Books(), OpCharge, s.Naive().run+"7")
	none := &Shopper{memory: newMemory("o-"), texts: newMemory("t-"), chats: newMemory("c-")}
	v := s.Audit(none)
	if v.Twice != 1 || v.TwiceOrders[0].Order != "naive-1" || s.Naive().State().Twice != 1 {
		t.Errorf("%+v, naive %+v", v, s.Naive().State())
	}
}

// A time-out is taken for a failure, too. A refused connection is one: nothing was sent, and the next provider charges once.
func TestTheNaiveClientGoesOn(t *testing.T) {
	s := pair(t, NaiveConfig{Rate: 20, Timeout: 30 * time.Millisecond})
	if err := s.Naive().On(time.Minute); err != nil {
		t.Fatal(err)
	}
	s.Provider("north").Kill()
	south := s.Provider("south")
	until(t, "all are charged at the other", func() bool { return len(south.Books().Entries(Filter{})) > 5 })
	equal(t, "twice", s.Naive().State().Twice, 0)
	s.Provider("north").Revive()
	if err := south.SetFaults(Fault{Kind: Slow, Delay: 200 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	until(t, "late ones are charged again", func() bool { return s.Naive().State().Twice > 2 })
}

func TestTheNaiveClientEndsByItself(t *testing.T) {
	s := pair(t, NaiveConfig{Rate: 20})
	n := s.Naive()
	if err := n.On(time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := n.On(50 * time.Millisecond); err != nil { // the time begins anew
		t.Fatal(err)
	}
	until(t, "it is off", func() bool { st := n.State(); return !st.On && st.Ends.IsZero() })
	n.Off()
	for _, length := range []time.Duration{0, -time.Second} {
		if n.On(length) == nil {
			t.Errorf("on for %v", length)
		}
	}
	if err := start(t, Config{Providers: []ProviderConfig{{Name: "chat", API: Chat}}}).Naive().On(time.Second); err == nil {
		t.Error("on without a provider of payments")
	}
	n.stop()
	if n.On(time.Second) == nil {
		t.Error("on after the end")
	}
	equal(t, "where", strings.Join(n.Providers(), " "), "north south")
}

// What was answered is not asked again, also where the answer is an error.
func TestTheNaiveClientTakesAnAnswer(t *testing.T) {
	s := pair(t, NaiveConfig{Rate: 20})
	for _, name := range s.Naive().Providers() {
		if err := s.Provider(name).SetFaults(Fault{Kind: Status, Code: http.StatusServiceUnavailable}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Naive().On(time.Minute); err != nil {
		t.Fatal(err)
	}
	until(t, "charges", func() bool { return s.Naive().State().Orders > 5 })
	s.Naive().Off()
	received := uint64(0)
	for _, name := range s.Naive().Providers() {
		received += s.Provider(name).Books().Totals().Received["POST /v1/charges status"]
	}
	if asked := uint64(s.Naive().State().Orders); received > asked {
		t.Errorf("%d requests for %d charges", received, asked)
	}
}
