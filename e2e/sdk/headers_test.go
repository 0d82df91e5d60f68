package sdk

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v82"
)

// TestHeaders: what stripe-go sends arrives at the provider as it was sent, and nothing that is Segue's own does.
func TestHeaders(t *testing.T) {
	direct, asked := recorded(t, here.recorder.server.URL)
	through, askedAgent := recorded(t, here.agent("recorder-stripe"))
	for i := range direct {
		a, b := direct[i], through[i]
		if a.method != b.method || a.path != b.path || a.body != b.body {
			t.Errorf("direct %s %s %q, through %s %s %q", a.method, a.path, a.body, b.method, b.path, b.body)
		}
		compareHeaders(t, a.header, b.header)
	}
	for i, made := range append(asked, askedAgent...) {
		got := append(direct, through...)[i].header.Get("Idempotency-Key")
		if effect := i%2 == 0; effect && (got == "" || got != made) || !effect && got != "" {
			t.Errorf("request %d: the key sent is %q, the key that arrived %q", i, made, got)
		}
	}
	telemetry := through[1].header.Get("X-Stripe-Client-Telemetry") // of the second request: it tells how long the first took
	if !strings.Contains(telemetry, "req_recorder") {
		t.Errorf("telemetry %q does not name the provider's request", telemetry)
	}
}

// recorded makes an effect and a read, and returns what arrived and the keys that stripe-go made up.
func recorded(t *testing.T, url string) (seen []arrived, keys []string) {
	t.Helper()
	here.recorder.take()
	w := &wire{keep: true}
	c := client(t, url, "sk_test_headers", w)
	p := charge("headers", 500)
	p.StripeAccount = stripe.String("acct_connected")
	p.StripeContext = stripe.String("ctx_1")
	p.Expand = []*string{stripe.String("customer")}
	if _, err := c.V1Charges.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := c.V1Charges.Retrieve(t.Context(), "ch_x", &stripe.ChargeRetrieveParams{Expand: []*string{stripe.String("refunds")}}); err != nil {
		t.Fatal(err)
	}
	for _, h := range w.asked {
		keys = append(keys, h.Get("Idempotency-Key"))
	}
	return here.recorder.take(), keys
}

// ownToEach may differ: a key and telemetry are new each time, an agent names the request for its own logs, and framing is for one hop
// (stripe-go sends chunks; the agent has the whole body).
var ownToEach = []string{"Idempotency-Key", "X-Stripe-Client-Telemetry", "X-Request-Id", "Content-Length"}

func compareHeaders(t *testing.T, direct, through http.Header) {
	t.Helper()
	if direct.Get("Stripe-Version") == "" || direct.Get("X-Stripe-Client-User-Agent") == "" || direct.Get("Authorization") != "Bearer sk_test_headers" {
		t.Errorf("stripe-go sent %v", direct)
	}
	names := map[string]bool{}
	for _, h := range []http.Header{direct, through} {
		for name := range h {
			names[name] = true
		}
	}
	for name := range names {
		if !slices.Contains(ownToEach, name) && !reflect.DeepEqual(direct[name], through[name]) {
			t.Errorf("%s: direct %q, through %q", name, direct[name], through[name])
		}
		if strings.HasPrefix(name, "Segue-") || name == "Session-Id" || name == "Prefer" {
			t.Errorf("%s arrived at the provider", name)
		}
	}
}
