package dataplane

import (
	"strings"
	"testing"

	"segue/controlplane/policy"
)

// What a call is worth is kept with its transaction: by the body, or where that does not say, by the header.
func TestValueIsKept(t *testing.T) {
	w := newWorld(t)
	for key, c := range map[string]struct {
		body, header string
		want         policy.Value
	}{
		"body":   {"amount=1290&currency=eur&source=tok_visa", "5;cur=USD", policy.Value{Minor: 1290, Currency: "EUR"}},
		"header": {"source=tok_visa", "5;cur=JPY", policy.Value{Minor: 5, Currency: "JPY"}},
		"none":   {"source=tok_visa", "", policy.Value{}},
	} {
		var header []string
		if c.header != "" {
			header = []string{"Segue-Value", c.header}
		}
		w.do("POST", "/v1/charges", c.body, append([]string{"Idempotency-Key", key}, header...)...)
		if got := w.row(key).Value; got != c.want {
			t.Errorf("%s: %+v, want %+v", key, got, c.want)
		}
	}
	for _, bad := range []string{"12.90;cur=EUR", "12", "12;cur=EURO", ";cur=EUR", "-1;cur=EUR", strings.Repeat("9", 16) + ";cur=EUR"} {
		if a := w.do("POST", "/v1/charges", "source=tok_visa", "Idempotency-Key", "bad", "Segue-Value", bad); a.status != 400 || !strings.Contains(a.body, "Segue-Value") {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
}
