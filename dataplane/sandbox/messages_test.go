package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// speaking starts one provider without latency for each config.
func speaking(t *testing.T, providers ...ProviderConfig) *Sandbox {
	t.Helper()
	for i := range providers {
		providers[i].Latency = Latency{Median: -1}
	}
	return start(t, Config{Seed: 1, Providers: providers})
}

// web is a plain client that repeats nothing.
func web(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

func request(t *testing.T, method, address, secret, kind, body string) (got, error) {
	t.Helper()
	r, err := http.NewRequest(method, address, struct{ io.Reader }{strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Type", kind)
	if user, password, ok := strings.Cut(secret, ":"); ok {
		r.SetBasicAuth(user, password)
	} else {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := web(t).Do(r)
	if err != nil {
		return got{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	g := got{status: resp.StatusCode, header: resp.Header}
	_ = json.Unmarshal(raw, &g.body)
	return g, err
}

func text(t *testing.T, p *Provider, sid, secret string, params ...string) got {
	t.Helper()
	form := url.Values{"To": {"+4915112345678"}, "From": {"+15550100100"}, "Body": {"Hello"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	g, err := request(t, "POST", p.URL()+"/2010-04-01/Accounts/"+sid+"/Messages.json", secret, formType, form.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g got) sid() string { s, _ := g.at("sid").(string); return s }

func TestMessages(t *testing.T) {
	s := speaking(t, ProviderConfig{Name: "a", API: Messages, Credential: "ACa:ta"}, ProviderConfig{Name: "b", API: Messages})
	a, b := s.Provider("a"), s.Provider("b")
	made := text(t, a, "ACa", "ACa:ta")
	if made.status != 201 || !strings.HasPrefix(made.sid(), "SM") || len(made.sid()) != 34 || made.at("account_sid") != "ACa" ||
		made.at("to") != "+4915112345678" || made.at("body") != "Hello" || made.at("status") != "queued" || !strings.HasPrefix(made.header.Get("Twilio-Request-Id"), "RQ") {
		t.Errorf("%d %v %v", made.status, made.body, made.header)
	}
	if _, err := time.Parse(time.RFC1123Z, made.at("date_created").(string)); err != nil {
		t.Error(err)
	}
	again := text(t, a, "ACa", "ACa:ta")
	if again.sid() == made.sid() || again.status != 201 {
		t.Error("no key is taken: the same request twice is two messages")
	}
	equal(t, "executed", a.Books().Executed("+4915112345678 Hello"), 2)
	if twice := Twice(a.Books(), b.Books()); len(twice) != 1 || twice[0].Operation != OpMessage || twice[0].Times["a"] != 2 {
		t.Errorf("%+v", twice)
	}
	read := func(p *Provider, sid, path, secret string) got {
		g, err := request(t, "GET", p.URL()+"/2010-04-01/Accounts/"+sid+path, secret, "", "")
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	if g := read(a, "ACa", "/Messages/"+made.sid()+".json", "ACa:ta"); g.status != 200 || g.sid() != made.sid() {
		t.Errorf("%d %v", g.status, g.body)
	}
	if g := read(b, "ACb", "/Messages/"+made.sid()+".json", "ACb:x"); g.status != 404 || g.at("code") != 20404.0 || g.at("status") != 404.0 {
		t.Errorf("another provider knows the message: %d %v", g.status, g.body)
	}
	text(t, b, "ACb", "ACb:x")
	for sid, want := range map[string]int{"ACa": 2, "ACb": 1, "ACc": 0} {
		p, secret := b, sid+":x"
		if sid == "ACa" {
			p, secret = a, "ACa:ta"
		}
		g := read(p, sid, "/Messages.json?To=%2B4915112345678&PageSize=20", secret)
		if list, _ := g.at("messages").([]any); len(list) != want || g.status != 200 {
			t.Errorf("%s has %d messages, not %d: %v", sid, len(list), want, g.body)
		}
	}
	other := read(b, "ACc", "/Messages/"+text(t, b, "ACb", "ACb:x").sid()+".json", "ACc:x")
	if other.status != 404 {
		t.Errorf("a message of another account at the same provider: %d", other.status)
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	p := speaking(t, ProviderConfig{Name: "a", API: Messages, Credential: "ACa:ta"}).Provider("a")
	for _, c := range []struct {
		sid, secret string
		params      []string
		status      int
		code        float64
	}{
		{"ACa", "ACa:wrong", nil, 401, 20003},
		{"ACa", "ta", nil, 401, 20003},
		{"ACb", "ACa:ta", nil, 401, 20003},
		{"ACa", "ACa:ta", []string{"To", ""}, 400, 21604},
		{"ACa", "ACa:ta", []string{"To", "5551"}, 400, 21211},
		{"ACa", "ACa:ta", []string{"To", "+15005550001"}, 400, 21211},
		{"ACa", "ACa:ta", []string{"To", "+15005550004"}, 400, 21610},
		{"ACa", "ACa:ta", []string{"From", ""}, 400, 21603},
		{"ACa", "ACa:ta", []string{"Body", ""}, 400, 21602},
		{"ACa", "ACa:ta", []string{"Body", strings.Repeat("x", 1601)}, 400, 21617},
		{"ACa", "ACa:ta", []string{"From", "", "MessagingServiceSid", "MG1"}, 201, 0},
	} {
		g := text(t, p, c.sid, c.secret, c.params...)
		code, _ := g.at("code").(float64)
		if g.status != c.status || code != c.code || c.code != 0 && (g.at("message") == "" || g.at("more_info") == "") {
			t.Errorf("%+v: %d %v", c, g.status, g.body)
		}
	}
	equal(t, "executed", p.Books().Totals().Executed[OpMessage], 1)
}

// Each API tells each fault in its own dialect.
func TestFaultsInEachDialect(t *testing.T) {
	s := speaking(t, ProviderConfig{Name: "a", API: Messages}, ProviderConfig{Name: "c", API: Chat})
	a, c := s.Provider("a"), s.Provider("c")
	set := func(p *Provider, f Fault) {
		if err := p.SetFaults(f); err != nil {
			t.Fatal(err)
		}
	}
	set(a, Fault{Kind: Limit, RetryAfter: 3 * time.Second})
	if g := text(t, a, "ACa", "ACa:x"); g.status != 429 || g.at("code") != 20429.0 || g.header.Get("Retry-After") != "3" {
		t.Errorf("%d %v", g.status, g.body)
	}
	set(a, Fault{Kind: Status, Code: 503})
	if g := text(t, a, "ACa", "ACa:x"); g.status != 503 || g.at("code") != 20503.0 || g.at("message") == "" {
		t.Errorf("%d %v", g.status, g.body)
	}
	equal(t, "executed", a.Books().Totals().Executed[OpMessage], 0)
	set(a, Fault{Kind: Lose})
	form := url.Values{"To": {"+4915112345678"}, "From": {"+1555010010"}, "Body": {"lost"}}
	if _, err := request(t, "POST", a.URL()+"/2010-04-01/Accounts/ACa/Messages.json", "ACa:x", formType, form.Encode()); !errors.Is(err, io.EOF) {
		t.Errorf("lost: %v", err)
	}
	equal(t, "executed", a.Books().Executed("+4915112345678 lost"), 1)
	set(c, Fault{Kind: Limit})
	if g := completed(t, c, chatBody(false, "hi")); g.status != 429 || g.at("error.code") != "rate_limit_exceeded" || g.header.Get("X-Ratelimit-Remaining-Requests") != "0" {
		t.Errorf("%d %v %v", g.status, g.body, g.header)
	}
	set(c, Fault{Kind: Status, Code: 503})
	if g := completed(t, c, chatBody(true, "hi")); g.status != 503 || g.at("error.type") != "server_error" {
		t.Errorf("%d %v", g.status, g.body)
	}
}

func TestWrongProviderConfigurations(t *testing.T) {
	for name, c := range map[string]ProviderConfig{
		"api": {Name: "a", API: "fax"}, "keys": {Name: "a", API: Messages, Keys: Enforced}, "chat keys": {Name: "a", API: Chat, Keys: Enforced},
	} {
		if s, err := New(Config{Providers: []ProviderConfig{c}}); err == nil {
			t.Errorf("%s: taken", name)
			_ = s.Stop(t.Context())
		}
	}
}
