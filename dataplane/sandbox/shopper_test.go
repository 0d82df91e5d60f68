package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func shop(t *testing.T, c ShopperConfig) *Shopper {
	t.Helper()
	s, err := NewShopper(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeShop(t, s) })
	return s
}

func closeShop(t *testing.T, s *Shopper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestShopperAtAHealthyProvider(t *testing.T) {
	p := one(t, Enforced)
	s := shop(t, ShopperConfig{Seed: 5, Targets: []Target{{Region: "east", URL: p.URL(), Rate: 300}, {Region: "west", URL: p.URL() + "/", Rate: 300}}})
	until(t, "enough sessions", func() bool { return s.Stats().Sessions >= 300 })
	closeShop(t, s)
	st := s.Stats()
	if st.Calls != st.OK || st.FailedReads != 0 || st.Skipped != 0 || st.P50 == 0 || st.P99 < st.P50 {
		t.Errorf("%+v", st)
	}
	equal(t, "calls by region", st.Regions["east"].Calls+st.Regions["west"].Calls, st.Calls)
	done := p.Books().Totals()
	for _, op := range []string{OpCharge, OpChargeCapture, OpIntent, OpIntentCapture, OpRefund} {
		if done.Executed[op] == 0 {
			t.Errorf("no %s", op)
		}
	}
	if st.Orders[Declined] == 0 || st.Orders[Invalid] == 0 || st.Orders[Declined] != done.Declined {
		t.Errorf("told %v, declined %d", st.Orders, done.Declined)
	}
	v := Audit(s, p.Books())
	if v.Twice+v.Lost+v.Unknown+v.Guessed != 0 || v.Operations < 300 {
		t.Errorf("%+v", v)
	}
}

// The shopper's own retries at a provider that loses replies: with keys all is well, without them the audit shows every duplicate.
func TestLostRepliesUnderLoad(t *testing.T) {
	for keys, duplicates := range map[Keys]bool{Enforced: false, Ignored: true} {
		p := one(t, keys)
		if err := p.SetFaults(Fault{Kind: Lose, Share: 0.2, Operation: Effects}); err != nil {
			t.Fatal(err)
		}
		s := shop(t, ShopperConfig{Seed: 6, Backoff: time.Millisecond, Targets: []Target{{Region: "east", URL: p.URL(), Rate: 300}}})
		until(t, "enough sessions", func() bool { Audit(s, p.Books()); return s.Stats().Sessions >= 200 })
		closeShop(t, s)
		v := Audit(s, p.Books())
		if v.Lost+v.Guessed != 0 || (v.Twice > 0) != duplicates || s.Stats().Failed[Transport] == 0 {
			t.Errorf("%s: %+v", keys, v)
		}
		equal(t, "as the books say", v.Twice, len(Twice(p.Books())))
	}
}

func TestShopperThroughADeath(t *testing.T) {
	p := one(t, Enforced)
	s := shop(t, ShopperConfig{Seed: 7, Retries: -1, Targets: []Target{{Region: "east", URL: p.URL(), Rate: 300}}})
	until(t, "sessions", func() bool { return s.Stats().Sessions >= 50 })
	p.Kill()
	until(t, "refusals", func() bool { return s.Stats().Failed[Refused] > 20 })
	p.Revive()
	before := s.Stats().OK
	until(t, "it goes on", func() bool { return s.Stats().OK > before+50 })
	closeShop(t, s)
	if v := Audit(s, p.Books()); v.Twice+v.Lost+v.Guessed != 0 {
		t.Errorf("%+v", v)
	}
}

// meddler stands between shopper and provider and does what Segue must never do.
func meddler(t *testing.T, p *Provider, meddle func(w http.ResponseWriter, r *http.Request, send func() (int, []byte))) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		meddle(w, r, func() (int, []byte) { return forward(t, p, r, body) })
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func forward(t *testing.T, p *Provider, r *http.Request, body []byte) (int, []byte) {
	req, err := http.NewRequest(r.Method, p.URL()+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return 500, nil
	}
	req.Header = r.Header.Clone()
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return 500, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, text
}

func TestAuditCatchesWhatIsBroken(t *testing.T) {
	for name, tc := range map[string]struct {
		meddle func(w http.ResponseWriter, r *http.Request, send func() (int, []byte))
		broken func(Verdict) int
	}{
		"a duplicate": {func(w http.ResponseWriter, _ *http.Request, send func() (int, []byte)) {
			send()
			status, text := send()
			w.WriteHeader(status)
			_, _ = w.Write(text)
		}, func(v Verdict) int { return min(v.Twice, len(v.TwiceOrders)) }},
		"a loss": {func(w http.ResponseWriter, _ *http.Request, _ func() (int, []byte)) {
			_, _ = io.WriteString(w, `{"id":"ch_made_up"}`)
		}, func(v Verdict) int { return min(v.Lost, len(v.LostOrders)) }},
		"a guess": {func(w http.ResponseWriter, _ *http.Request, send func() (int, []byte)) {
			send()
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `{"type":"/problems/no-eligible-provider","executed":"no"}`)
		}, func(v Verdict) int { return min(v.Guessed, len(v.GuessedOrders)) }},
		"an open question": {func(w http.ResponseWriter, _ *http.Request, _ func() (int, []byte)) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(504)
			_, _ = io.WriteString(w, `{"type":"/problems/outcome-unknown","executed":"unknown"}`)
		}, func(v Verdict) int { return v.Unknown }},
	} {
		t.Run(name, func(t *testing.T) {
			p := one(t, Ignored)
			s := shop(t, ShopperConfig{Seed: 8, Backoff: time.Millisecond, Targets: []Target{{Region: "east", URL: meddler(t, p, tc.meddle), Rate: 200}}})
			until(t, "it shows", func() bool { return tc.broken(Audit(s, p.Books())) > 5 })
			closeShop(t, s)
			v := Audit(s, p.Books())
			if tc.broken(v) != max(v.Twice, v.Lost, v.Guessed, v.Unknown) {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestAuditLooksAgainInOtherBooks(t *testing.T) {
	m := newMemory("o-")
	m.settle(m.order(), Succeeded)
	m.order() // told nothing yet
	s := &Shopper{memory: m, texts: newMemory("t-"), chats: newMemory("c-")}
	has, hasNot := newBooks("a", 9), newBooks("b", 9)
	enter(has, OpCharge, "o-0")
	for range 2 {
		equal(t, "lost", Audit(s, has).Lost, 0)
	}
	equal(t, "lost", Audit(s, hasNot).Lost, 1)
	equal(t, "lost", Audit(s, hasNot, has).Lost, 0)
	equal(t, "asked", Audit(s, has).Operations, 1)
}

func TestWhatAnAnswerMeans(t *testing.T) {
	for _, tc := range []struct {
		status           int
		kind, body       string
		told, afterDoubt Told
	}{
		{200, "", `{"id":"ch_1"}`, Succeeded, Succeeded},
		{200, "", `{"ok":1}`, Unknown, Unknown},
		{200, "", `{"id":"ch_`, Unknown, Unknown},
		{302, "", `{}`, Unknown, Unknown},
		{402, "", `{}`, Declined, Declined},
		{404, "", `{}`, Invalid, Unknown},
		{409, "", `{}`, Unknown, Unknown},
		{429, "", `{}`, Refused, Unknown},
		{500, "", `{}`, Unknown, Unknown},
		{202, "application/problem+json", `{"id":"x","executed":"unknown"}`, Unknown, Unknown},
		{503, "application/problem+json", `{"executed":"no"}`, Refused, Unknown},
		{503, "application/problem+json; charset=utf-8", `{"executed":"no","transaction":"tx_1"}`, Refused, Refused},
	} {
		said := reading(&http.Response{StatusCode: tc.status, Header: http.Header{"Content-Type": {tc.kind}}}, []byte(tc.body))
		equal(t, tc.body, said.after(""), tc.told)
		equal(t, tc.body+" after an unknown outcome", said.after(Unknown), tc.afterDoubt)
	}
	equal(t, "not dialled", failing(&url.Error{Err: &net.OpError{Op: "dial", Err: errors.New("x")}}).told, Refused)
	equal(t, "cut", failing(io.ErrUnexpectedEOF).after(""), Unknown)
}

func TestRetriesCarryTheSameKeyAndEnd(t *testing.T) {
	var mu sync.Mutex
	keys := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		keys[r.Header.Get("Idempotency-Key")+" "+r.Header.Get("Session-Id")+" "+string(body)]++
		mu.Unlock()
		w.WriteHeader(500)
	}))
	defer srv.Close()
	s := shop(t, ShopperConfig{Backoff: time.Millisecond, Targets: []Target{{Region: "east", URL: srv.URL, Rate: 100}}})
	until(t, "calls", func() bool { return s.Stats().Calls >= 60 })
	closeShop(t, s)
	for k, n := range keys {
		if n != 3 || strings.HasPrefix(k, " ") {
			t.Errorf("%s: %d times", k, n)
		}
	}
}

func TestShopperSkipsWhenBusyAndAbandonsWhenTold(t *testing.T) {
	p := one(t, Enforced)
	if err := p.SetFaults(Fault{Kind: Hang}); err != nil {
		t.Fatal(err)
	}
	s, err := NewShopper(ShopperConfig{Busy: 2, Targets: []Target{{Region: "east", URL: p.URL(), Rate: 500}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "skipped", func() bool { return s.Stats().Skipped > 5 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(ctx); err == nil {
		t.Error("nothing was abandoned")
	}
	equal(t, "sessions", s.Stats().Sessions, 2)
}

func at(region, url string, rate float64) Target { return Target{Region: region, URL: url, Rate: rate} }

func TestWrongShopperConfigurations(t *testing.T) {
	for name, targets := range map[string][]Target{
		"none": {}, "no url": {at("a", "", 1)}, "no host": {at("a", "x/y", 1)}, "bad url": {at("a", "http://%zz", 1)}, "no rate": {at("a", "http://x", 0)},
		"too fast": {at("a", "http://x", 1e9)}, "twice": {at("a", "http://x", 1), at("a", "http://y", 1)},
		"bad messages": {{Region: "a", URL: "http://x", Rate: 1, Messages: "x"}}, "bad chat": {{Region: "a", URL: "http://x", Rate: 1, Chat: "http://%zz"}},
	} {
		if _, err := NewShopper(ShopperConfig{Targets: targets}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestKeysOfTwoRunsDiffer(t *testing.T) {
	var ticks atomic.Int64
	c := ShopperConfig{Seed: 1, Targets: []Target{{Region: "a", URL: "http://x", Rate: 1}}, Now: func() time.Time { return time.Unix(ticks.Add(1), 0) }}
	a, _ := NewShopper(c)
	b, _ := NewShopper(c)
	if a.memory.name(1) == b.memory.name(1) {
		t.Error(a.memory.name(1))
	}
}

func TestQuantiles(t *testing.T) {
	var h histogram
	equal(t, "empty", h.quantile(0.5), 0)
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	h.add(24 * time.Hour)
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if have := h.quantile(q); have < want || have > want*12/10+time.Millisecond {
			t.Errorf("p%v: %v", q*100, have)
		}
	}
}
