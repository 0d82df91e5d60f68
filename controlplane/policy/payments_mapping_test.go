package policy

import (
	"context"
	"net/url"
	"strings"
	"testing"
)

const paymentsByAll = `segue: v1
services:
  payments: {speaks: stripe/v1, listen: 7101, strategy: priority, priority: [adyen, checkout, paypal]}
providers:
  adyen: {contract: adyen/v71, endpoint: "https://checkout-test.adyen.com", account: Shop, credential: "env:A"}
  checkout: {contract: checkout/v3, account: pc_shop, credential: "env:B"}
  paypal: {contract: paypal/v2, credential: "env:C"}
`

func askedForm(method, path string, pairs ...string) *Heard {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return &Heard{Method: method, Path: path, Header: noHeader, Type: "application/x-www-form-urlencoded", Body: []byte(v.Encode()), Reference: "tx_1-0", Key: "k"}
}

// payAsk is an intent that is confirmed at once, with a card in it; pairs change it.
func payAsk(pairs ...string) *Heard {
	all := []string{"amount", "1290", "currency", "eur", "confirm", "true", "payment_method_data[type]", "card", "payment_method_data[card][number]", "4242424242424242",
		"payment_method_data[card][exp_month]", "3", "payment_method_data[card][exp_year]", "2030", "payment_method_data[card][cvc]", "737", "metadata[order]", "o1"}
	return askedForm("POST", "/v1/payment_intents", append(all, pairs...)...)
}

// mappedAt asks a provider of the payments for an operation.
func mappedAt(t testing.TB, svc *Service, provider string, a *Heard) (*Mapped, *Made, error) {
	t.Helper()
	op, ok := svc.Match(a.Method, a.Path)
	if !ok {
		t.Fatalf("no operation %s %s", a.Method, a.Path)
	}
	for _, c := range svc.Candidates {
		if c.Provider == provider {
			a.Account = c.Account
			m := c.Mapped(op.Name)
			if m == nil {
				t.Fatalf("%s is not mapped to %s", op.Name, provider)
			}
			made, err := m.Request(context.Background(), a)
			return m, made, err
		}
	}
	t.Fatal("no provider " + provider)
	return nil, nil, nil
}

// TestPaymentsAreMapped: the same intent, in each provider's words.
func TestPaymentsAreMapped(t *testing.T) {
	svc := serviceOf(t, paymentsByAll)
	for _, c := range []struct {
		provider, path, body string
		ask                  *Heard
	}{
		{"adyen", "/v71/payments", `{"merchantAccount":"Shop","reference":"tx_1-0","amount":{"value":1290,"currency":"EUR"},"returnUrl":"https://example.com/","captureDelayHours":0,
			"authenticationData":{"attemptAuthentication":"never"},"metadata":{"order":"o1"},"paymentMethod":{"type":"scheme","number":"4242424242424242","expiryMonth":"3","expiryYear":"2030","cvc":"737"}}`, payAsk()},
		{"adyen", "/v71/payments", `{"merchantAccount":"Shop","reference":"tx_1-0","amount":{"value":1290,"currency":"EUR"},"returnUrl":"https://shop.example/back","additionalData":{"manualCapture":"true"},
			"authenticationData":{"attemptAuthentication":"never"},"metadata":{"order":"o1","description":"Shoes","customer":"cus_1"},"shopperReference":"cus_1","shopperInteraction":"ContAuth","recurringProcessingModel":"CardOnFile",
			"paymentMethod":{"type":"scheme","storedPaymentMethodId":"M5N7TQ4TG5PFWR50"}}`,
			askedForm("POST", "/v1/payment_intents", "amount", "1290", "currency", "EUR", "confirm", "true", "capture_method", "manual", "payment_method", "M5N7TQ4TG5PFWR50", "customer", "cus_1",
				"description", "Shoes", "metadata[order]", "o1", "return_url", "https://shop.example/back", "payment_method_types[]", "card")},
		{"adyen", "/v71/payments/PSP1/refunds", `{"merchantAccount":"Shop","reference":"tx_1-0","amount":{"value":290,"currency":"EUR"},"merchantRefundReason":"DUPLICATE"}`,
			askedForm("POST", "/v1/refunds", "payment_intent", "pi_ady_PSP1_a1290eur", "amount", "290", "reason", "duplicate")},
		{"adyen", "/v71/payments/PSP1/captures", `{"merchantAccount":"Shop","reference":"tx_1-0","amount":{"value":1290,"currency":"EUR"}}`, askedForm("POST", "/v1/payment_intents/pi_ady_PSP1_m1290eur/capture")},
		{"adyen", "/v71/payments/PSP1/cancels", `{"merchantAccount":"Shop","reference":"tx_1-0"}`, askedForm("POST", "/v1/payment_intents/pi_ady_PSP1_m1290eur/cancel")},
		{"checkout", "/payments", `{"amount":1290,"currency":"EUR","capture":true,"reference":"tx_1-0","metadata":{"order":"o1"},"processing_channel_id":"pc_shop",
			"source":{"type":"card","number":"4242424242424242","expiry_month":3,"expiry_year":2030,"cvv":"737"}}`, payAsk()},
		{"checkout", "/payments/pay_x_1/refunds", `{"amount":290,"reference":"tx_1-0","metadata":{"reason":"duplicate"}}`,
			askedForm("POST", "/v1/refunds", "payment_intent", "pi_cko_pay_x_1_a1290eur", "amount", "290", "reason", "duplicate")},
		{"checkout", "/payments/pay_1/captures", `{"amount":500,"capture_type":"Final","reference":"tx_1-0"}`, askedForm("POST", "/v1/payment_intents/pi_cko_pay_1_m1290eur/capture", "amount_to_capture", "500")},
		{"checkout", "/payments/pay_1", ``, &Heard{Method: "GET", Path: "/v1/payment_intents/pi_cko_pay_1_m1290eur", Header: noHeader}},
		{"paypal", "/v2/checkout/orders", `{"intent":"CAPTURE","payment_source":{"card":{"number":"4242424242424242","expiry":"2030-03","security_code":"737"}},
			"purchase_units":[{"amount":{"currency_code":"EUR","value":"12.90"},"custom_id":"{\"order\":\"o1\"}"}]}`, payAsk()},
		{"paypal", "/v2/payments/captures/CAP1/refund", `{"amount":{"currency_code":"EUR","value":"2.05"}}`, askedForm("POST", "/v1/refunds", "payment_intent", "pi_ppl_CAP1_a1290eur", "amount", "205")},
		{"paypal", "/v2/payments/authorizations/AUT1/capture", `{"amount":{"currency_code":"EUR","value":"12.90"},"final_capture":true}`, askedForm("POST", "/v1/payment_intents/pi_ppl_AUT1_m1290eur/capture")},
		{"paypal", "/v2/payments/captures/CAP1", ``, &Heard{Method: "GET", Path: "/v1/payment_intents/pi_ppl_CAP1_a1290eur", Header: noHeader}},
	} {
		_, made, err := mappedAt(t, svc, c.provider, c.ask)
		if err != nil {
			t.Errorf("%s %s: %v", c.provider, c.ask.Path, err)
			continue
		}
		if made.Path != c.path {
			t.Errorf("%s: %s, want %s", c.provider, made.Path, c.path)
		}
		if c.body != "" || made.Body != nil {
			same(t, c.provider+" "+c.path, made.Body, c.body)
		}
	}
}

// TestMoneyIsExact: the same sum in each provider's units, or nothing is sent.
func TestMoneyIsExact(t *testing.T) {
	svc := serviceOf(t, paymentsByAll)
	for _, c := range []struct{ amount, currency, adyen, checkout, paypal string }{
		{"1290", "eur", `"value":1290`, `"amount":1290`, `"value":"12.90"`},
		{"5", "usd", `"value":5`, `"amount":5`, `"value":"0.05"`},
		{"100", "usd", `"value":100`, `"amount":100`, `"value":"1.00"`},
		{"500", "jpy", `"value":500`, `"amount":500`, `"value":"500"`},
		{"5120", "kwd", `"value":5120`, `"amount":5120`, ""},
		{"150000", "idr", `"value":1500`, `"amount":150000`, ""},
		{"150050", "idr", "", `"amount":150050`, ""},
		{"500", "isk", `"value":500`, `"amount":5`, ""},
		{"510", "isk", `"value":510`, "", ""},
		{"1000", "clp", `"value":100000`, `"amount":100000`, ""},
		{"1200", "huf", `"value":1200`, `"amount":1200`, `"value":"12"`},
		{"1250", "huf", `"value":1250`, `"amount":1250`, ""},
		{"999999999999", "eur", `"value":999999999999`, "", `"value":"9999999999.99"`},
		{"9999999999999", "eur", "", "", ""}, {"12.90", "eur", "", "", ""}, {"-1", "eur", "", "", ""}, {"1e3", "eur", "", "", ""}, {"", "eur", "", "", ""}, {"100", "zzz", "", "", ""}, {"100", "", "", "", ""},
	} {
		for provider, want := range map[string]string{"adyen": c.adyen, "checkout": c.checkout, "paypal": c.paypal} {
			m, made, err := mappedAt(t, svc, provider, payAsk("amount", c.amount, "currency", c.currency))
			switch {
			case want == "" && err == nil:
				t.Errorf("%s %s at %s is sent as %s", c.amount, c.currency, provider, made.Body)
			case want != "" && err != nil:
				t.Errorf("%s %s at %s: %v", c.amount, c.currency, provider, err)
			case want != "" && !strings.Contains(string(made.Body), want):
				t.Errorf("%s %s at %s: %s, want %s", c.amount, c.currency, provider, made.Body, want)
			case want != "": // and back
				if amount := amountTold(t, m, provider, want, c.currency, payAsk("amount", c.amount, "currency", c.currency)); amount != c.amount {
					t.Errorf("%s %s at %s comes back as %s", c.amount, c.currency, provider, amount)
				}
			}
		}
	}
}

// amountTold has a provider say that it took what it was asked for.
func amountTold(t *testing.T, m *Mapped, provider, said, currency string, ask *Heard) string {
	t.Helper()
	body := map[string]string{
		"adyen":    `{"pspReference":"P1","resultCode":"Authorised","amount":{` + said + `,"currency":"X"}}`,
		"checkout": `{"id":"pay_1","status":"Authorized",` + said + `}`,
		"paypal":   `{"id":"O1","status":"COMPLETED","purchase_units":[{"payments":{"captures":[{"id":"C1","status":"COMPLETED","amount":{` + said + `}}]}}]}`,
	}[provider]
	a, err := m.Answer(context.Background(), ask, &Told{Status: 201, Header: noHeader, Type: "application/json", Body: []byte(body), Succeeded: true, At: 7})
	if err != nil {
		t.Errorf("%s: %v", body, err)
		return ""
	}
	amount, _ := BodyField("application/json", a.Body, "amount")
	if status, _ := BodyField("application/json", a.Body, "status"); status != "succeeded" {
		t.Errorf("%s is %s", body, status)
	}
	return amount
}

// TestWhatPaymentsCannotBe: what has no word there is refused before anything is sent.
func TestWhatPaymentsCannotBe(t *testing.T) {
	svc := serviceOf(t, paymentsByAll)
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		at, says string
		ask      *Heard
	}{
		{"adyen checkout paypal", "not confirmed at once", payAsk("confirm", "false")},
		{"adyen checkout paypal", "transfer_data", payAsk("transfer_data[destination]", "acct_1")},
		{"adyen checkout paypal", "setup_future_usage", payAsk("setup_future_usage", "off_session")},
		{"adyen checkout paypal", "other ways to pay", payAsk("payment_method_types[]", "sepa_debit")},
		{"adyen checkout paypal", "capture_method", payAsk("capture_method", "later")},
		{"adyen checkout paypal", "address", payAsk("payment_method_data[billing_details][address][city]", "Riga")},
		{"adyen checkout paypal", "a card of Stripe's", askedForm("POST", "/v1/payment_intents", "amount", "1", "currency", "eur", "confirm", "true", "customer", "cus_1", "payment_method", "pm_card_visa")},
		{"adyen checkout paypal", "without a card", askedForm("POST", "/v1/payment_intents", "amount", "1", "currency", "eur", "confirm", "true")},
		{"adyen", "without a customer", askedForm("POST", "/v1/payment_intents", "amount", "1", "currency", "eur", "confirm", "true", "payment_method", "M5N7TQ4TG5PFWR50")},
		{"adyen paypal", "more metadata", payAsk("metadata[order]", long)},
		{"checkout paypal", "without the shopper", payAsk("off_session", "true")},
		{"adyen checkout paypal", "not made there", askedForm("POST", "/v1/refunds", "payment_intent", "pi_3Nabc")},
		{"adyen checkout paypal", "not made there", askedForm("POST", "/v1/refunds", "payment_intent", "pi_xyz_P1_a1290eur")},
		{"adyen", "not made there", askedForm("POST", "/v1/refunds", "payment_intent", "pi_ady_../../x_a1290eur")},
		{"checkout", "not made there", askedForm("POST", "/v1/refunds", "payment_intent", "pi_ady_P1_a1290eur")},
		{"adyen checkout paypal", "not made there", askedForm("POST", "/v1/refunds", "charge", "ch_1")},
		{"adyen", "more than was paid", askedForm("POST", "/v1/refunds", "payment_intent", "pi_ady_P1_a1290eur", "amount", "1291")},
		{"adyen", "metadata", askedForm("POST", "/v1/refunds", "payment_intent", "pi_ady_P1_a1290eur", "metadata[a]", "b")},
		{"adyen", "a capture of that", askedForm("POST", "/v1/payment_intents/pi_ady_P1_a1290eur/capture")},
		{"checkout", "a capture of that", askedForm("POST", "/v1/payment_intents/pi_cko_pay_1_m1290eur/capture", "amount_to_capture", "1291")},
		{"paypal", "captured apart", askedForm("POST", "/v1/refunds", "payment_intent", "pi_ppl_A1_m1290eur")},
		{"paypal", "a cancel of what is paid", askedForm("POST", "/v1/payment_intents/pi_ppl_A1_a1290eur/cancel")},
		{"checkout paypal", "anything but an intent", &Heard{Method: "GET", Path: "/v1/charges/ch_1", Header: noHeader}},
		{"checkout paypal", "anything but an intent", &Heard{Method: "GET", Path: "/v1/balance", Header: noHeader}},
	} {
		for provider := range strings.FieldsSeq(c.at) {
			ask := *c.ask
			if _, made, err := mappedAt(t, svc, provider, &ask); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s %s at %s: %v %+v, want %q", ask.Path, ask.Body, provider, err, made, c.says)
			}
		}
	}
}

// TestPaymentsAreToldBack: answers in Stripe's shape, declines and errors too.
func TestPaymentsAreToldBack(t *testing.T) {
	svc := serviceOf(t, paymentsByAll)
	for _, c := range []struct {
		provider string
		ask      *Heard
		status   int
		ok       bool
		body     string
		want     int
		fields   string
	}{
		{"adyen", payAsk(), 200, true, `{"pspReference":"P1","resultCode":"Authorised"}`, 200, "id=pi_ady_P1_a1290eur object=payment_intent status=succeeded amount=1290 currency=eur amount_received=1290 metadata.order=o1"},
		{"adyen", payAsk("capture_method", "manual"), 200, true, `{"pspReference":"P1","resultCode":"Authorised"}`, 200, "id=pi_ady_P1_m1290eur status=requires_capture amount_capturable=1290 amount_received=0 capture_method=manual"},
		{"adyen", payAsk(), 200, true, `{"pspReference":"P1","resultCode":"Pending"}`, 200, "status=processing amount_received=0"},
		{"adyen", payAsk(), 200, true, `{"pspReference":"P1","resultCode":"RedirectShopper"}`, 200, "status=requires_action"},
		{"adyen", payAsk(), 200, true, `{"pspReference":"P1","resultCode":"PartiallyAuthorised"}`, 0, ""},
		{"adyen", payAsk(), 200, false, `{"resultCode":"Refused","refusalReason":"Not enough balance","refusalReasonCode":"12"}`, 402, "error.type=card_error error.code=card_declined error.decline_code=insufficient_funds"},
		{"adyen", payAsk(), 200, false, `{"resultCode":"Refused","refusalReasonCode":"999"}`, 402, "error.code=card_declined error.decline_code=generic_decline"},
		{"adyen", payAsk(), 422, false, `{"status":422,"errorCode":"130","message":"Required field"}`, 400, "error.type=invalid_request_error"},
		{"adyen", payAsk(), 500, false, `<html>`, 500, "error.type=api_error"},
		{"adyen", payAsk(), 429, false, `{}`, 429, "error.code=rate_limit"},
		{"checkout", payAsk(), 201, true, `{"id":"pay_1","amount":1290,"status":"Authorized"}`, 200, "id=pi_cko_pay_1_a1290eur status=succeeded"},
		{"checkout", payAsk(), 202, true, `{"id":"pay_1","amount":1290,"status":"Pending","_links":{"redirect":{"href":"https://3ds.example"}}}`, 200, "status=requires_action next_action.redirect_to_url.url=https://3ds.example"},
		{"checkout", payAsk(), 201, false, `{"id":"pay_1","amount":1290,"status":"Declined","response_code":"20051","response_summary":"Insufficient Funds"}`, 402, "error.decline_code=insufficient_funds"},
		{"checkout", payAsk(), 422, false, `{"error_type":"request_invalid","error_codes":["cvv_invalid"]}`, 400, "error.message=cvv_invalid"},
		{"checkout", &Heard{Method: "GET", Path: "/v1/payment_intents/pi_cko_pay_1_m1290eur", Header: noHeader}, 200, true,
			`{"id":"pay_1","amount":1290,"status":"Partially Captured","balances":{"total_captured":500}}`, 200, "id=pi_cko_pay_1_m1290eur status=succeeded amount_received=500"},
		{"paypal", payAsk(), 201, true, `{"id":"O1","status":"COMPLETED","purchase_units":[{"payments":{"captures":[{"id":"C1","status":"COMPLETED","amount":{"value":"12.90"}}]}}]}`, 200, "id=pi_ppl_C1_a1290eur status=succeeded"},
		{"paypal", payAsk(), 201, true, `{"id":"O1","status":"PAYER_ACTION_REQUIRED"}`, 200, "id=pi_ppl_O1_o1290eur status=requires_action"},
		{"paypal", payAsk(), 201, false, `{"id":"O1","purchase_units":[{"payments":{"captures":[{"id":"C1","status":"DECLINED","processor_response":{"response_code":"5120"}}]}}]}`, 402, "error.decline_code=insufficient_funds"},
		{"paypal", payAsk(), 422, false, `{"name":"UNPROCESSABLE_ENTITY","details":[{"issue":"INSTRUMENT_DECLINED","description":"declined"}]}`, 402, "error.type=card_error"},
		{"paypal", payAsk(), 422, false, `{"name":"UNPROCESSABLE_ENTITY","details":[{"issue":"CURRENCY_NOT_SUPPORTED","description":"no"}]}`, 400, "error.type=invalid_request_error error.message=no"},
		{"paypal", askedForm("POST", "/v1/refunds", "payment_intent", "pi_ppl_C1_a1290eur"), 201, true, `{"id":"R1","status":"COMPLETED","amount":{"value":"12.90"}}`, 200, "id=re_ppl_R1 object=refund status=succeeded amount=1290 payment_intent=pi_ppl_C1_a1290eur"},
	} {
		m, _, err := mappedAt(t, svc, c.provider, c.ask)
		if err != nil {
			t.Errorf("%s: %v", c.provider, err)
			continue
		}
		said, err := m.Answer(context.Background(), c.ask, &Told{Status: c.status, Header: noHeader, Type: "application/json", Body: []byte(c.body), Succeeded: c.ok, At: 7})
		if c.want == 0 {
			if err == nil {
				t.Errorf("%s is told as %s", c.body, said.Body)
			}
			continue
		}
		if err != nil || said.Status != c.want {
			t.Errorf("%s: %v %+v", c.body, err, said)
			continue
		}
		for f := range strings.FieldsSeq(c.fields) {
			name, want, _ := strings.Cut(f, "=")
			if got, _ := BodyField("application/json", said.Body, name); got != want {
				t.Errorf("%s %s: %s is %q, want %q in %s", c.provider, c.body, name, got, want, said.Body)
			}
		}
	}
}
