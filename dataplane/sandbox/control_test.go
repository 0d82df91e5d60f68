package sandbox

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func send(t *testing.T, c *client, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func controlled(t *testing.T) (s *Sandbox, admin *client) {
	quick := Latency{Median: -1}
	s = start(t, Config{Providers: []ProviderConfig{{Name: "n", Latency: quick}, {Name: "m", Keys: Ignored, Latency: quick}}})
	return s, dial(t, "http://"+s.BooksAddr())
}

func TestBooksOverHTTP(t *testing.T) {
	s, admin := controlled(t)
	n, m := dial(t, s.Provider("n").URL()), dial(t, s.Provider("m").URL())
	n.charge("k-1", "o-1")
	m.charge("", "o-1")
	m.charge("", "o-2")
	all := admin.want(200, "GET", "/_books", "")
	twice, _ := all.at("twice").([]any)
	if len(twice) != 1 || all.at("providers.m.totals.executed") == nil {
		t.Error(all.body)
	}
	for path, want := range map[string]float64{"/providers/m/_books": 2, "/providers/m/_books?order=o-1": 1, "/providers/n/_books": 1,
		"/providers/n/_books?since=2200-01-01T00:00:00Z": 0} {
		equal(t, path, admin.want(200, "GET", path, "").at("matching"), any(want))
	}
	own := n.want(200, "GET", "/_books?limit=0", "")
	entries, _ := own.at("entries").([]any)
	equal(t, "limited", len(entries), 0)
	entries, _ = n.want(200, "GET", "/_books", "").at("entries").([]any)
	e := entries[0].(map[string]any)
	if e["idempotency_key"] != "k-1" || e["order"] != "o-1" || e["operation"] != OpCharge || strings.Contains(e["account"].(string), "sk_") {
		t.Error(e)
	}
	for _, bad := range []string{"/_books?since=yesterday", "/_books?limit=-1", "/providers/n/_books?limit=x"} {
		admin.want(400, "GET", bad, "")
	}
	admin.want(404, "GET", "/providers/none/_books", "")
}

func TestFaultsOverHTTP(t *testing.T) {
	s, admin := controlled(t)
	n := s.Provider("n")
	code, text := send(t, admin, "PUT", "/providers/n/_faults", `{"kind":"refuse","for":"1h"}`)
	if code != 200 || !strings.Contains(text, `"for": "1h0m0s"`) || !refused(n.Addr()) {
		t.Errorf("%d %s", code, text)
	}
	equal(t, "books still read", admin.want(200, "GET", "/providers/n/_books", "").at("alive"), any(true))
	if code, _ = send(t, admin, "DELETE", "/providers/n/_faults", ""); code != 200 || refused(n.Addr()) {
		t.Error(code)
	}
	send(t, admin, "PUT", "/providers/n/_faults", `[{"kind":"slow","delay":"1ms"},{"kind":"hang","share":0.5}]`)
	equal(t, "on", len(n.Faults()), 2)
	equal(t, "delay", n.Faults()[0].Fault.Delay, time.Millisecond)
	for _, bad := range []string{`{"kind":"flop"}`, `{"knid":"hang"}`, `nonsense`, `{"kind":"hang","for":7}`} {
		if code, text = send(t, admin, "PUT", "/providers/n/_faults", bad); code != 400 {
			t.Errorf("%s: %d %s", bad, code, text)
		}
	}
	equal(t, "unchanged", len(n.Faults()), 2)
	if code, _ = send(t, admin, "PUT", "/providers/n/_faults", strings.Repeat(" ", maxControl+1)); code != 413 {
		t.Error(code)
	}
	send(t, admin, "POST", "/providers/m/_kill", "")
	equal(t, "alive", s.Provider("m").Alive(), false)
	send(t, admin, "POST", "/providers/m/_revive", "")
	equal(t, "alive", s.Provider("m").Alive(), true)
}

func TestWebPagesOfElsewhereCannotSetFaults(t *testing.T) {
	s, admin := controlled(t)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}, {"Host", "evil.example"}} {
		if code, text := send(t, admin, "POST", "/providers/n/_kill", "", header...); code != 403 {
			t.Errorf("%v: %d %s", header, code, text)
		}
	}
	equal(t, "alive", s.Provider("n").Alive(), true)
	if code, _ := send(t, admin, "GET", "/_books", "", "Host", "localhost:7600"); code != 200 {
		t.Error(code)
	}
}
