package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// asks sends a request with headers of its own.
func asks(t *testing.T, p *Provider, method, path, body string, headers ...string) (got, []byte) {
	t.Helper()
	r, err := http.NewRequest(method, p.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := web(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	g := got{status: resp.StatusCode, header: resp.Header}
	_ = json.Unmarshal(raw, &g.body)
	return g, raw
}

func TestClaude(t *testing.T) {
	p := speaking(t, ProviderConfig{Name: "claude", API: Claude, Credential: "sk-ant"}).Provider("claude")
	mine := []string{"X-Api-Key", "sk-ant", "Anthropic-Version", "2023-06-01", "Content-Type", "application/json"}
	const hello = `{"model":"claude-haiku-4-5-20251001","max_tokens":99,"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]}`
	first, _ := asks(t, p, "POST", "/v1/messages", hello, mine...)
	second, _ := asks(t, p, "POST", "/v1/messages", hello, mine...)
	equal(t, "answered", first.status, 200)
	equal(t, "why it ends", first.at("stop_reason"), any("end_turn"))
	if first.id() == second.id() || first.header.Get("Anthropic-Ratelimit-Requests-Remaining") == "" || first.header.Get("Request-Id") == "" {
		t.Errorf("%v %v", first, second)
	}
	equal(t, "executed", p.Books().Totals().Executed[OpClaude], 2)

	_, raw := asks(t, p, "POST", "/v1/messages", strings.Replace(hello, "{", `{"stream":true,`, 1), mine...)
	if text := streamed(t, raw); !strings.Contains(text, `You said "hello"`) || !bytes.Contains(raw, []byte("event: message_stop\n")) {
		t.Errorf("%q", raw)
	}
	counted, _ := asks(t, p, "POST", "/v1/messages/count_tokens", hello, mine...)
	equal(t, "counting executes nothing", p.Books().Totals().Executed[OpClaude], 3)
	equal(t, "counted", counted.at("input_tokens"), any(1.0))

	for _, c := range []struct {
		body    string
		headers []string
		status  int
		kind    string
	}{
		{hello, []string{"X-Api-Key", "sk-other", "Anthropic-Version", "2023-06-01"}, 401, "authentication_error"},
		{hello, []string{"Authorization", "Bearer sk-ant", "Anthropic-Version", "2023-06-01"}, 401, "authentication_error"},
		{hello, []string{"X-Api-Key", "sk-ant"}, 400, "invalid_request_error"},
		{strings.Replace(hello, "haiku-4-5-20251001", "0", 1), mine, 404, "not_found_error"},
		{strings.Replace(hello, `"max_tokens":99,`, "", 1), mine, 400, "invalid_request_error"},
		{strings.Replace(hello, "user", "system", 1), mine, 400, "invalid_request_error"},
		{"{", mine, 400, "invalid_request_error"},
	} {
		g, _ := asks(t, p, "POST", "/v1/messages", c.body, c.headers...)
		if g.status != c.status || g.at("error.type") != any(c.kind) || g.at("type") != any("error") {
			t.Errorf("%s %v: %d %v", c.body, c.headers, g.status, g.body)
		}
	}
}

// streamed is the text that a stream of events tells.
func streamed(t *testing.T, raw []byte) string {
	t.Helper()
	text := ""
	for line := range strings.Lines(string(raw)) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var event struct{ Delta struct{ Text string } }
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			t.Fatal(err)
		}
		text += event.Delta.Text
	}
	return text
}

func TestMail(t *testing.T) {
	p := speaking(t, ProviderConfig{Name: "mail", API: Mail, Credential: "SG.key"}).Provider("mail")
	mine := []string{"Authorization", "Bearer SG.key", "Content-Type", "application/json"}
	const letter = `{"personalizations":[{"to":[{"email":"a@example.com"}]}],"from":{"email":"b@example.com"},"subject":"s","content":[{"type":"text/plain","value":"v"}]}`
	first, raw := asks(t, p, "POST", "/v3/mail/send", letter, mine...)
	second, _ := asks(t, p, "POST", "/v3/mail/send", letter, mine...)
	if first.status != 202 || len(raw) != 0 || first.header.Get("X-Message-Id") == "" || first.header.Get("X-Message-Id") == second.header.Get("X-Message-Id") {
		t.Errorf("%v %q %v", first, raw, second)
	}
	equal(t, "executed", p.Books().Totals().Executed[OpMail], 2)
	equal(t, "of its limits", first.header.Get("X-RateLimit-Limit"), "10000")
	for body, status := range map[string]int{
		"{": 400, strings.Replace(letter, "b@example.com", "b", 1): 400, strings.Replace(letter, `{"to":[{"email":"a@example.com"}]}`, "", 1): 400,
		strings.Replace(letter, `"subject":"s",`, "", 1): 400, strings.Replace(letter, "a@example.com", "a", 1): 400,
	} {
		g, _ := asks(t, p, "POST", "/v3/mail/send", body, mine...)
		if list, _ := g.body["errors"].([]any); g.status != status || len(list) != 1 {
			t.Errorf("%s: %d %v", body, g.status, g.body)
		}
	}
	refused, _ := asks(t, p, "POST", "/v3/mail/send", letter, "Authorization", "Bearer SG.other")
	equal(t, "another key", refused.status, 401)
	scopes, _ := asks(t, p, "GET", "/v3/scopes", "", mine...)
	equal(t, "a read", scopes.status, 200)
	equal(t, "executed in the end", p.Books().Totals().Executed[OpMail], 2)
}

// Keys have Stripe's own bounds.
func TestKeysAreForgottenAfterADay(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	first := c.charge("k", "o-1")
	now := p.now
	p.bank.keys.now = func() time.Time { return now().Add(stripeKeys().life - time.Minute) }
	equal(t, "before", c.charge("k", "o-1").id(), first.id())
	p.bank.keys.now = func() time.Time { return now().Add(stripeKeys().life + time.Minute) }
	if c.charge("k", "o-1").id() == first.id() {
		t.Error("the key is remembered for longer than Stripe says")
	}
	c.want(200, "POST", "/v1/charges", strings.Repeat("k", stripeKeys().longest), pay("o-2")...)
	c.want(400, "POST", "/v1/charges", strings.Repeat("k", stripeKeys().longest+1), pay("o-3")...)
}

func TestMailgun(t *testing.T) {
	p := speaking(t, ProviderConfig{Name: "mailgun", API: Mailgun, Credential: "api:key"}).Provider("mailgun")
	const key, urlencoded = "Basic YXBpOmtleQ==", "application/x-www-form-urlencoded"
	letter := "from=a%40example.com&to=b%40example.com&subject=s&text=t"
	first, _ := asks(t, p, "POST", "/v3/mg.example.com/messages", letter, "Authorization", key, "Content-Type", urlencoded)
	if first.status != 200 || !strings.HasSuffix(first.id(), "@mg.example.com>") || first.at("message") != any("Queued. Thank you.") {
		t.Errorf("%v", first)
	}
	many := "--x\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\nb@example.com\r\n--x\r\nContent-Disposition: form-data; name=\"message\"; filename=\"m\"\r\n\r\nSubject: s\r\n\r\nt\r\n--x--\r\n"
	second, _ := asks(t, p, "POST", "/v3/mg.example.com/messages.mime", many, "Authorization", key, "Content-Type", "multipart/form-data; boundary=x")
	if second.status != 200 || second.id() == first.id() {
		t.Errorf("%v", second)
	}
	for _, wrong := range [][3]string{
		{strings.Replace(letter, "to=b%40", "to=", 1), key, urlencoded}, {strings.Replace(letter, "from=a%40example.com&", "", 1), key, urlencoded},
		{strings.Replace(letter, "&text=t", "", 1), key, urlencoded}, {"%", key, urlencoded}, {many[:30], key, "multipart/form-data; boundary=x"}, {many, key, "multipart/form-data"},
	} {
		if g, _ := asks(t, p, "POST", "/v3/mg.example.com/messages", wrong[0], "Authorization", wrong[1], "Content-Type", wrong[2]); g.status != 400 || g.at("message") == nil {
			t.Errorf("%q: %d %v", wrong[0], g.status, g.body)
		}
	}
	refused, _ := asks(t, p, "POST", "/v3/mg.example.com/messages", letter, "Authorization", "Basic dXNlcjprZXk=", "Content-Type", urlencoded)
	equal(t, "another user", refused.status, 401)
	equal(t, "executed", p.Books().Totals().Executed[OpMailgun], 2)
}
