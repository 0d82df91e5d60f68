package policy

import (
	"strings"
	"testing"
	"time"
)

func TestMinuteOf(t *testing.T) {
	sunday := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at   time.Time
		want int16
	}{
		{sunday, 0}, {sunday.Add(61 * time.Minute), 61}, {sunday.Add(-time.Second), 7*minutesOfDay - 1},
		{time.Date(2026, 11, 22, 1, 30, 0, 0, time.FixedZone("later", 2*3600)), 7*minutesOfDay - 30}, // Saturday, 23:30 UTC
	} {
		if got := MinuteOf(c.at); got != c.want {
			t.Errorf("%s: %d, want %d", c.at, got, c.want)
		}
	}
}

func TestSegments(t *testing.T) {
	for _, c := range []struct {
		text string
		want int32
	}{
		{"", 1}, {strings.Repeat("a", 160), 1}, {strings.Repeat("a", 161), 2}, {strings.Repeat("a", 306), 2}, {strings.Repeat("a", 307), 3},
		{strings.Repeat("€", 80), 1}, {strings.Repeat("€", 81), 2}, {strings.Repeat("ж", 70), 1}, {strings.Repeat("ж", 71), 2}, {strings.Repeat("ж", 135), 3},
		{strings.Repeat("😀", 35), 1}, {strings.Repeat("😀", 36), 2}, {"\xff", 1},
	} {
		if got := segments(c.text); got != c.want {
			t.Errorf("%d bytes of %.4s: %d, want %d", len(c.text), c.text, got, c.want)
		}
	}
}

func TestMeasure(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		want       Use
	}{
		{"application/json", `{"max_tokens": 100, "messages": []}`, Use{9, 100, 1}},
		{"application/json", `{"max_completion_tokens": 7}`, Use{8, 7, 1}},
		{"application/json", `{"max_tokens": -5}`, Use{5, answerTokens, 1}},
		{"application/json", `{"max_tokens": 99999999999}`, Use{7, answerTokens, 1}},
		{"application/x-www-form-urlencoded", "Body=" + strings.Repeat("a", 200), Use{52, answerTokens, 2}},
		{"", "", Use{1, answerTokens, 1}},
	} {
		if got := Measure(c.kind, []byte(c.body)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.body, got, c.want)
		}
	}
}

func TestLook(t *testing.T) {
	p := must(t, []byte(`segue: v1
services:
  s:
    speaks: stripe/v1
    listen: 7101
    operations:
      read: {match: GET /v1/**}
      charge: {match: POST /v1/charges, key: required, value: money(body)}
    strategy: priority
    priority: [a]
    rules:
      - {name: one, when: 'card.region == "EU" && body.amount > 5 && body.live && header.x_order == "7"', only: [a]}
providers:
  a: {contract: stripe/v1, credential: env:A, cost: {fixed: 0.3 EUR, tokens: {in: 1 USD}}}
exchange: {base: EUR, rates: {USD: 0.5}}
`))
	snapshot, err := Compile(p, Local, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := snapshot.Services[0]
	headers := map[string]string{}
	look := func(body string) Facts {
		f := Facts{Client: -1}
		s.Look(&f, s.Operations[1], "/v1/charges", "application/json", []byte(body), func(name string) string { return headers[name] })
		return f
	}
	headers["X-Order"], headers["Segue-Card-Region"] = "7", "EU"
	f := look(`{"amount": 1290, "currency": "usd", "live": true}`)
	if f.Value != 6_450_000 || f.Currency != CurrencyOf("USD") || f.Op != 1 || f.Use.In != 13 {
		t.Errorf("read as %+v", f)
	}
	if !s.Rules[0].When(&f) || s.Rules[0].Only != 1 {
		t.Errorf("the rule does not hold: %+v", f.Operands)
	}
	delete(headers, "Segue-Card-Region")
	if f := look(`{"amount": "1290", "live": "true", "card": {"region": "EU"}}`); !s.Rules[0].When(&f) || f.Value != 0 {
		t.Errorf("the card's region in the body, numbers as texts: %+v", f)
	}
	for _, body := range []string{`{}`, `{"amount": "NaN", "live": true, "card": {"region": "EU"}}`, `{"amount": "0x9", "live": true, "card": {"region": "EU"}}`, `{"amount": 9, "live": 1, "card": {"region": "EU"}}`,
		`{"amount": 9, "live": true, "card": {"region": "US"}}`, `{`, ``} {
		if f := look(body); s.Rules[0].When(&f) {
			t.Errorf("%s: the rule holds", body)
		}
	}
	f = Facts{Client: -1}
	s.Worth(&f, Value{500, "EUR"})
	s.Look(&f, s.Operations[1], "/v1/charges", "application/json", []byte(`{"amount": 1290, "currency": "usd"}`), func(string) string { return "" })
	if f.Value != 5*Unit || f.Currency != CurrencyOf("EUR") {
		t.Errorf("what the call said itself is gone: %+v", f)
	}
}
