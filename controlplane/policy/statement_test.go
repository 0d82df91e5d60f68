package policy

import (
	"fmt"
	"strings"
	"testing"
)

// TestStatement: each built-in contract that says where, with answers as the vendor writes them.
func TestStatement(t *testing.T) {
	const events = "text/event-stream; charset=utf-8"
	for _, c := range []struct {
		contract, kind, body, want string
	}{
		{"stripe/v1", "application/json", `{"id":"ch_1","balance_transaction":{"id":"txn_1","fee":59,"currency":"usd","net":941}}`, "0.59 USD {0 0 0}"},
		{"stripe/v1", "application/json", `{"id":"pi_1","latest_charge":{"id":"ch_1","balance_transaction":{"fee":1,"currency":"jpy"}}}`, "1 JPY {0 0 0}"},
		{"stripe/v1", "application/json", `{"id":"ch_1","balance_transaction":"txn_1"}`, " {0 0 0}"},
		{"twilio/2010", "application/json", `{"sid":"SM1","price":"-0.00750","price_unit":"USD","num_segments":"1"}`, " {0 0 1}"},
		{"twilio/2010", "application/json", `{"sid":"SM1","price":null,"price_unit":"USD","num_segments":"3"}`, " {0 0 3}"},
		{"twilio/2010", "application/json", `{"sid":"SM1","price":null,"num_segments":"0"}`, " {0 0 0}"},
		{"openai/v1", "application/json", `{"id":"c","usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}}`, " {19 10 0}"},
		{"openai/v1", "application/json", `{"id":"c","usage":{"prompt_tokens":19}}`, " {0 0 0}"},
		{"openai/v1", events, "data: {\"id\":\"c\",\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n", " {7 3 0}"},
		{"openai/v1", events, "data: {\"id\":\"c\",\"usage\":null}\n\ndata: [DONE]\n\n", " {0 0 0}"},
		{"anthropic/v1", events, "event: message_start\r\ndata: {\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\r\n\r\nevent: message_delta\ndata: {\"usage\":{\"output_tokens\":15}}\n\n", " {25 15 0}"},
		{"anthropic/v1", "application/json", `{"usage":{"input_tokens":25,"output_tokens":15}}`, " {25 15 0}"},
		{"anthropic/v1", "text/plain", `{"usage":{"input_tokens":25,"output_tokens":15}}`, " {0 0 0}"},
		{"anthropic/v1", "application/json", `{"usage":{"input_tokens":-25,"output_tokens":1e3}}`, " {0 0 0}"},
	} {
		st := builtin(t, c.contract).Statement(c.kind, []byte(c.body))
		if got := fmt.Sprint(st.Fee, " ", st.Use); got != c.want {
			t.Errorf("%s, %s: %q, want %q", c.contract, c.body, got, c.want)
		}
	}
}

func TestStatedPrice(t *testing.T) {
	for _, c := range []struct {
		amount, code string
		major        bool
		want         string
	}{
		{"59", "usd", false, "0.59 USD"}, {"5", "USD", false, "0.05 USD"}, {"5", "JPY", false, "5 JPY"}, {"1234", "KWD", false, "1.234 KWD"}, {"0", "USD", false, "0 USD"},
		{"0.59", "USD", true, "0.59 USD"}, {"-0.0075", "USD", true, "0.0075 USD"}, {"0.00000049", "USD", true, "0 USD"}, {"0.0000005", "USD", true, "0.000001 USD"},
		{"12", "EUR", true, "12 EUR"}, {"0.5", "USD", false, "0.005 USD"},
	} {
		got, ok := statedPrice(c.amount, c.code, c.major)
		text := got.String()
		if got.Amount == 0 && got.Currency != "" {
			text = "0 " + got.Currency
		}
		if !ok || text != c.want {
			t.Errorf("%+v: %q %v", c, text, ok)
		}
	}
	for _, c := range [][2]string{{"", "USD"}, {"x", "USD"}, {"1e9", "USD"}, {"NaN", "USD"}, {"1", "dollars"}, {"1", ""}, {"--1", "USD"}, {"1,5", "USD"}, {"99999999999999999999", "USD"}, {strings.Repeat("1", 40), "USD"}} {
		if got, ok := statedPrice(c[0], c[1], true); ok {
			t.Errorf("%q is %v", c, got)
		}
	}
}

// TestStatedInMoney: a stated fee goes through the rates; a stated use through the provider's own prices, in place of what the request let
// expect.
func TestStatedInMoney(t *testing.T) {
	svc := &Service{
		Candidates: []*Candidate{{Provider: "a", Offer: Offer{Cost: Fee{Known: true, Tariff: Tariff{In: 2 * million, Out: 8 * million, Fixed: 100}}}}},
		Steering:   Steering{Exchange: &Exchange{Base: "EUR", rates: []rate{{code: "EUR", billion: billion}, {code: "USD", billion: billion * 9 / 10}}}},
	}
	f := &Facts{Use: Use{In: 1000, Out: 500}}
	for _, c := range []struct {
		st   Statement
		want Money
		ok   bool
	}{
		{Statement{Fee: Price{1_000_000, "USD"}}, 900_000, true},
		{Statement{Fee: Price{0, "USD"}}, 0, true},
		{Statement{Fee: Price{1_000_000, "CHF"}}, 0, false},
		{Statement{Use: Use{In: 10, Out: 20}}, 100 + 20 + 160, true},
		{Statement{}, 0, false},
	} {
		if got, ok := svc.Stated(0, f, &c.st); got != c.want || ok != c.ok {
			t.Errorf("%+v: %v %v, want %v %v", c.st, got, ok, c.want, c.ok)
		}
	}
	if _, ok := svc.Stated(-1, f, &Statement{Use: Use{In: 1}}); ok {
		t.Error("nobody's answer states something")
	}
}

// FuzzStatement: whatever an answer holds, nothing panics and no fee is out of bounds.
func FuzzStatement(f *testing.F) {
	f.Add("application/json", `{"balance_transaction":{"fee":59,"currency":"usd"}}`)
	f.Add("text/event-stream", "data: {\"balance_transaction\":{\"fee\":59,\"currency\":\"usd\"}}\n")
	all := Builtins()
	f.Fuzz(func(t *testing.T, kind, body string) {
		for i := range all {
			if st := all[i].Statement(kind, []byte(body)); st.Fee.Amount < 0 || st.Use.In < 0 || st.Use.Out < 0 || st.Use.Segments < 0 || st.Fee != (Price{}) && !st.Fee.good() {
				t.Fatalf("%s: %+v", all[i].Name, st)
			}
		}
	})
}
