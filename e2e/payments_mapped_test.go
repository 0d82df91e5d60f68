package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// others is a sandbox of providers that have other APIs than the applications speak.
func others(t *testing.T, of ...sandbox.ProviderConfig) *sandbox.Sandbox {
	t.Helper()
	for i := range of {
		of[i].Latency = sandbox.Latency{Median: -1}
		if of[i].Credential == "" {
			of[i].Credential = credential
		}
	}
	box, err := sandbox.New(sandbox.Config{Providers: of})
	if err == nil {
		err = box.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = box.Stop(ctx)
	})
	return box
}

// replaceAll changes a policy, and ends the test where it is not as expected.
func replaceAll(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the policy of the world has no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// secretFile is where a policy of the world has its providers' credential.
func secretFile(text string) string {
	file := text[strings.Index(text, "file:"):]
	file, _, _ = strings.Cut(file, `"`)
	return file
}

// intentOf is a payment with the card in it; more are further fields.
func intentOf(order string, more ...string) ask {
	form := url.Values{
		"amount": {"1290"}, "currency": {"eur"}, "confirm": {"true"}, "metadata[order]": {order}, "payment_method_data[type]": {"card"}, "payment_method_data[card][number]": {"4242424242424242"},
		"payment_method_data[card][exp_month]": {"3"}, "payment_method_data[card][exp_year]": {"2030"}, "payment_method_data[card][cvc]": {"737"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return ask{method: http.MethodPost, path: "/v1/payment_intents", key: order, form: form}
}

func refundOf(intent, order, amount string) ask {
	return ask{method: http.MethodPost, path: "/v1/refunds", key: order, form: url.Values{"payment_intent": {intent}, "amount": {amount}}}
}

// object is the answer as an object of Stripe's.
type object struct {
	ID, Object, Status, Currency string
	Amount                       int64
	PaymentIntent                string `json:"payment_intent"`
	Error                        struct {
		Type, Code  string
		DeclineCode string `json:"decline_code"`
	}
}

func (a told) object() (o object) {
	_ = json.Unmarshal(a.body, &o) // what does not fit stays empty, and the test says what it wanted
	return o
}

// TestPaymentsGoOnAtOtherAPIs: an application that speaks Stripe's API pays at Adyen, Checkout.com and PayPal when its own provider is gone,
// and knows no difference: once, in the sum that it named, declined where it is declined, given back where it was paid.
func TestPaymentsGoOnAtOtherAPIs(t *testing.T) {
	t.Parallel()
	box := others(t, sandbox.ProviderConfig{Name: "adyen", API: sandbox.Adyen}, sandbox.ProviderConfig{Name: "checkout", API: sandbox.Checkout}, sandbox.ProviderConfig{Name: "paypal", API: sandbox.PayPal})
	p := alone()
	p.breaker = "{failures: 1000, successes: 1, reset: 1s}"
	p.tries = "{max: 4, per_try: 2s, deadline: 8s}"
	p.edit = func(policy string) string {
		file := secretFile(policy)
		var providers strings.Builder
		for name, contract := range map[string]string{"adyen": "adyen/v71", "checkout": "checkout/v3", "paypal": "paypal/v2"} {
			fmt.Fprintf(&providers, "  %s: {contract: %s, endpoint: \"%s\", credential: \"%s\"}\n", name, contract, box.Provider(name).URL(), file)
		}
		return replaceAll(t, policy, "    strategy: weighted\n    weights:\n      local: {main: 100, backup: 0, legacy: 0}\n", "    strategy: priority\n    priority: [main, adyen, checkout, paypal]\n",
			"providers:\n", "providers:\n"+providers.String())
	}
	w := newWorld(t, p)
	c := w.caller("local")
	w.faults(mainProvider, sandbox.Fault{Kind: sandbox.Refuse})
	for _, one := range []struct {
		name, pays, repays, refunded string
		declined                     []string
	}{
		{"adyen", sandbox.OpAdyenPay, sandbox.OpAdyenRefund, "pending", []string{"payment_method_data[billing_details][name]", "DECLINED"}},
		{"checkout", sandbox.OpCheckoutPay, sandbox.OpCheckoutRefund, "pending", []string{"amount", "1251"}},
		{"paypal", sandbox.OpPayPalOrder, sandbox.OpPayPalRefund, "succeeded", []string{"payment_method_data[billing_details][name]", "CCREJECT-IF"}},
	} {
		books := box.Provider(one.name).Books()
		paid := c.do(intentOf("pay-" + one.name))
		o := paid.object()
		if paid.status != http.StatusOK || o.Object != "payment_intent" || o.Status != "succeeded" || o.Amount != 1290 || o.Currency != "eur" || paid.via() != one.name {
			t.Fatalf("%s: %v via %s\n%s", one.name, paid, paid.via(), paid.body)
		}
		again := c.do(intentOf("pay-" + one.name))
		if !bytes.Equal(again.body, paid.body) || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: a repeat is told %v\n%s", one.name, again, again.body)
		}
		no := c.do(intentOf("no-"+one.name, one.declined...))
		if no.status != http.StatusPaymentRequired || no.object().Error.Type != "card_error" || no.object().Error.DeclineCode != "insufficient_funds" || no.via() != one.name {
			t.Errorf("%s: a decline is told as %v via %s\n%s", one.name, no, no.via(), no.body)
		}
		back := c.do(refundOf(o.ID, "back-"+one.name, "205"))
		if r := back.object(); back.status != http.StatusOK || r.Object != "refund" || r.Status != one.refunded || r.Amount != 205 || r.PaymentIntent != o.ID || back.via() != one.name {
			t.Errorf("%s: a refund is told as %v via %s\n%s", one.name, back, back.via(), back.body)
		}
		sums := map[string]int64{}
		for _, e := range books.Entries(sandbox.Filter{}) {
			if e.Status != sandbox.StatusDeclined {
				sums[e.Operation+" "+e.Currency] += e.Amount
			}
		}
		if sums[one.pays+" EUR"] != 1290 || sums[one.repays+" EUR"] != 205 || len(sums) != 2 {
			t.Errorf("%s: its books say %v", one.name, sums)
		}
		if one.name != "adyen" {
			if got := c.get("/v1/payment_intents/"+o.ID, ""); got.status != http.StatusOK || got.object().ID != o.ID || got.via() != one.name {
				t.Errorf("%s: the payment is read as %v via %s\n%s", one.name, got, got.via(), got.body)
			}
		}
		if err := box.Provider(one.name).SetFaults(sandbox.Fault{Kind: sandbox.Refuse}); err != nil {
			t.Fatal(err)
		}
		// Its refunds go nowhere else, even while it is gone.
		if lost := c.do(refundOf(o.ID, "lost-"+one.name, "1")); lost.status < 500 || strings.Contains(string(lost.body), `"refund"`) {
			t.Errorf("%s: a refund while it is gone is told as %v\n%s", one.name, lost, lost.body)
		}
		box.Provider(one.name).ClearFaults()
		if unsaid := c.do(intentOf("unsaid-"+one.name, "application_fee_amount", "5")); unsaid.status != http.StatusServiceUnavailable || !strings.Contains(string(unsaid.body), `"executed":"no"`) {
			t.Errorf("%s: what cannot be mapped is told as %v\n%s", one.name, unsaid, unsaid.body)
		}
		if err := box.Provider(one.name).SetFaults(sandbox.Fault{Kind: sandbox.Refuse}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMessagesGoOnAtAnotherAPI: a text in Twilio's API is sent once, by Vonage, when Twilio is gone; and answered as Twilio answers.
func TestMessagesGoOnAtAnotherAPI(t *testing.T) {
	t.Parallel()
	box := others(t, sandbox.ProviderConfig{Name: "vonage", API: sandbox.Vonage, Credential: "key:secret-of-vonage"})
	secret := filepath.Join(t.TempDir(), "vonage")
	if err := os.WriteFile(secret, []byte("key:secret-of-vonage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := talking()
	p.edit = func(policy string) string {
		return replaceAll(t, policy, "priority: ["+strings.Join(texters, ", ")+"]", "priority: [twilio-a, vonage]",
			"providers:\n", fmt.Sprintf("providers:\n  vonage: {contract: vonage/v1, endpoint: \"%s\", credential: \"file:%s\"}\n", box.Provider("vonage").URL(), secret))
	}
	w := newWorld(t, p)
	w.faults("twilio-a", sandbox.Fault{Kind: sandbox.Refuse})
	c := w.texter()
	a := textOf("Your order is on its way.")
	got, again := c.do(a), c.do(a)
	m := got.message()
	if got.status != http.StatusCreated || !strings.HasPrefix(m.Sid, "SM") || len(m.Sid) != 34 || m.Body != "Your order is on its way." || got.via() != "vonage" || !bytes.Equal(got.body, again.body) {
		t.Fatalf("%v via %s, then %v\n%s", got, got.via(), again, got.body)
	}
	if n := box.Provider("vonage").Books().Totals().Executed[sandbox.OpVonage]; n != 1 {
		t.Errorf("%d messages were sent", n)
	}
	wrong := textOf("Wrong.")
	wrong.form.Set("To", "+1")
	if got := c.do(wrong); got.status != http.StatusBadRequest || !strings.Contains(string(got.body), `"code":20422`) {
		t.Errorf("a refusal is told as %v\n%s", got, got.body)
	}
}
