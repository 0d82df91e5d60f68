package contract

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/sandbox"
)

const jsonType = "application/json"

func object(path, body string) Request {
	return Request{Method: "POST", Path: path, Type: jsonType, Body: body}
}

func signed(key, text string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

// adyen is Adyen's Checkout API: https://docs.adyen.com/online-payments/payment-result-codes says what its results mean.
func adyen() Specimen {
	const own = `,"reference":"own"`
	pay := func(n string) Request {
		return object("/v71/payments", `{"merchantAccount":"driven","amount":{"value":1290,"currency":"EUR"},"paymentMethod":{"type":"scheme","holderName":"`+n+`"}`+own+`}`)
	}
	refused := replaced(`"holderName":"`, `"holderName":"DECLINED","x":"`)
	follow := func(name string) Request {
		return about(object("/v71/payments/P1/"+name, `{"merchantAccount":"driven"}`))
	}
	return Specimen{
		Contract: "adyen/v71", API: sandbox.Adyen, Secret: "AQE-contract", NoCodes: true, Effect: pay,
		Known: []Request{pay("known"), follow("captures"), follow("refunds"), follow("cancels")},
		Cases: append([]Case{
			declined("a refused payment", 200, "", refused),
			declined("a missing field", 422, "", replaced(`"currency":"EUR"`, `"x":"EUR"`)),
			limited(429),
		}, fails([]int{403, 404}, []int{408, 500, 503})...),
		Told: []Told{
			{"a cancelled payment", 200, `{"resultCode":"Cancelled"}`, policy.ClassOK, policy.OutcomeDeclined},
			{"a payment that broke down", 200, `{"resultCode":"Error"}`, policy.ClassFailure, policy.OutcomeUnknown},
			{"a payment that goes on elsewhere", 200, `{"resultCode":"RedirectShopper"}`, policy.ClassOK, policy.OutcomeSucceeded},
			{"a key that is known", 409, `{"status":409,"errorCode":"704"}`, policy.ClassOK, policy.OutcomeUnknown},
		},
		Refund: func(string) Request {
			return object("", `{"merchantAccount":"driven","amount":{"value":1,"currency":"EUR"}}`)
		},
		Refunded: "paymentPspReference",
		Recourse: Recourse{
			Anonymous: replaced(own, ""), Cancelled: policy.CancelQueued, Carries: "body.reference", HookSecret: "44782def547aaa06c910c43932b1eb0c71fc68d9d0c057550c48ec2acf6ba056",
			Hook:   adyenHook,
			Events: []Event{{"AUTHORISATION true", policy.ShowsSucceeded}, {"AUTHORISATION false", policy.ShowsDeclined}, {"TECHNICAL_CANCEL true", policy.ShowsVoided}, {"REPORT_AVAILABLE true", policy.ShowsNothing}},
		},
	}
}

// adyenHook is signed as https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures says.
func adyenHook(secret string, n Notice, _ time.Time) Request {
	var event, success string
	_, _ = fmt.Sscan(n.Event, &event, &success) // of our own making
	key, _ := hex.DecodeString(secret)
	signature := base64.StdEncoding.EncodeToString(signed(string(key), n.ID+"::driven:"+n.Reference+":1290:EUR:"+event+":"+success))
	return object("", `{"live":"false","notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"`+signature+`"},"pspReference":"`+n.ID+
		`","merchantAccountCode":"driven","merchantReference":"`+n.Reference+`","amount":{"value":1290,"currency":"EUR"},"eventCode":"`+event+`","success":"`+success+`"}}]}`)
}

// checkout is Checkout.com's payments API: https://www.checkout.com/docs/developer-resources/api/idempotency.
func checkout() Specimen {
	const own = `,"reference":"own"`
	pay := func(n string) Request {
		return object("/payments", `{"source":{"type":"token","token":"tok_`+n+`"},"amount":1290,"currency":"EUR"`+own+`}`)
	}
	follow := func(name string) Request { return about(object("/payments/pay_1/"+name, `{}`)) }
	refused := replaced(`"amount":1290`, `"amount":1005`)
	word := func(w string, shows policy.Shown) Event { return Event{w, shows} }
	return Specimen{
		Contract: "checkout/v3", API: sandbox.Checkout, Secret: "sk_contract", KeyHeader: "Cko-Idempotency-Key", NoCodes: true, Effect: pay,
		Known: []Request{pay("known"), follow("captures"), follow("refunds"), follow("voids"), get("/payments"), about(get("/payments/pay_1"))},
		Cases: append([]Case{
			declined("a declined payment", 201, "", refused),
			declined("a missing field", 422, "", replaced(`"currency":"EUR",`, "")),
			{Name: "a 429", Fail: 429, Status: 429, Class: policy.ClassOK, Outcome: policy.OutcomeUnknown},
		}, fails([]int{403, 404}, []int{408, 500, 503})...),
		Refund: func(string) Request { return object("", `{}`) }, Refunded: "payment_id",
		Recourse: Recourse{
			Anonymous: replaced(own, ""), Declines: refused, Cancelled: policy.CancelQueued, Carries: "body.reference", HookSecret: "whsec_checkout",
			TooLate: func(made string) Request { return object("/payments/"+made+"/captures", `{}`) },
			Item: func(reference, status string) string {
				return `{"total_count":1,"data":[{"id":"pay_1","reference":"` + reference + `","status":"` + status + `"}]}`
			},
			Words: []Event{
				word("Authorized", policy.ShowsSucceeded), word("Captured", policy.ShowsSucceeded), word("Partially Captured", policy.ShowsSucceeded), word("Refunded", policy.ShowsSucceeded),
				word("Partially Refunded", policy.ShowsSucceeded), word("Card Verified", policy.ShowsSucceeded), word("Paid", policy.ShowsSucceeded), word("Declined", policy.ShowsDeclined),
				word("Voided", policy.ShowsVoided), word("Canceled", policy.ShowsVoided), word("Pending", policy.ShowsInProgress), word("Odd", policy.ShowsNothing),
			},
			Hook: checkoutHook,
			Events: []Event{
				word("payment_approved", policy.ShowsSucceeded), word("payment_captured", policy.ShowsSucceeded), word("payment_declined", policy.ShowsDeclined), word("payment_voided", policy.ShowsVoided),
				word("payment_canceled", policy.ShowsVoided), word("payment_pending", policy.ShowsInProgress), word("payment_refunded", policy.ShowsNothing),
			},
		},
	}
}

// checkoutHook is signed over its body, in hexadecimal digits.
func checkoutHook(secret string, n Notice, _ time.Time) Request {
	r := object("", `{"id":"evt_1","type":"`+n.Event+`","data":{"id":"`+n.ID+`","reference":"`+n.Reference+`"}}`)
	r.Extra = [][2]string{{"Cko-Signature", hex.EncodeToString(signed(secret, r.Body))}}
	return r
}

// paypal is PayPal's orders and payments: https://developer.paypal.com/api/rest/reference/idempotency.
func paypal() Specimen {
	order := func(n string) Request {
		return object("/v2/checkout/orders", `{"intent":"CAPTURE","purchase_units":[{"custom_id":"`+n+`","amount":{"currency_code":"EUR","value":"12.90"}}]}`)
	}
	follow := func(path string) Request { return about(object("/v2/"+path, `{}`)) }
	return Specimen{
		Contract: "paypal/v2", API: sandbox.PayPal, Secret: "A21-contract", KeyHeader: "PayPal-Request-Id", NoCodes: true, Effect: order,
		Known: []Request{
			order("known"), follow("checkout/orders/O1/capture"), follow("checkout/orders/O1/authorize"), follow("payments/authorizations/A1/capture"),
			follow("payments/authorizations/A1/void"), follow("payments/captures/C1/refund"), about(get("/v2/checkout/orders/O1")),
		},
		Cases: append([]Case{
			declined("a missing field", 400, "", replaced(`"intent":"CAPTURE",`, "")),
			declined("an amount that is none", 422, "", replaced(`"12.90"`, `"-1"`)),
			limited(429),
			{Name: "a conflict", Fail: 409, Status: 409, Class: policy.ClassOK, Outcome: policy.OutcomeUnknown},
		}, fails([]int{403, 404}, []int{408, 500, 503})...),
		Told: []Told{
			{"a card that was declined", 201, `{"id":"O1","status":"COMPLETED","purchase_units":[{"payments":{"captures":[{"id":"C1","status":"DECLINED"}]}}]}`, policy.ClassOK, policy.OutcomeDeclined},
			{"a capture that failed", 201, `{"id":"O1","status":"COMPLETED","purchase_units":[{"payments":{"captures":[{"id":"C1","status":"FAILED"}]}}]}`, policy.ClassOK, policy.OutcomeDeclined},
			{"an authorization that was denied", 201, `{"id":"O1","status":"COMPLETED","purchase_units":[{"payments":{"authorizations":[{"id":"A1","status":"DENIED"}]}}]}`, policy.ClassOK, policy.OutcomeDeclined},
			{"a capture that is not yet there", 201, `{"id":"O1","status":"COMPLETED","purchase_units":[{"payments":{"captures":[{"id":"C1","status":"PENDING"}]}}]}`, policy.ClassOK, policy.OutcomeSucceeded},
		},
		Refund: func(string) Request { return object("", `{}`) }, Refunded: "order",
		Priced: func(n string) Request {
			r := replaced(`"intent"`, `"payment_source":{"card":{"number":"4111111111111111","expiry":"2030-03"}},"intent"`)(order(n))
			r.Extra = [][2]string{{"Prefer", "return=representation"}}
			return r
		},
	}
}

// vonage is Vonage's Messages API: https://developer.vonage.com/en/api/messages.
func vonage() Specimen {
	send := func(n string) Request {
		return object("/v1/messages", `{"to":"447700900000","from":"447700900001","channel":"sms","message_type":"text","text":"contract `+n+`"}`)
	}
	return Specimen{
		Contract: "vonage/v1", API: sandbox.Vonage, Rounds: vonageRounds(), Secret: "key:secret-contract", NoCodes: true, Effect: send,
		Known: []Request{send("known")},
		Cases: append([]Case{
			declined("a wrong number", 422, "", replaced("447700900000", "nobody")),
			declined("a missing field", 422, "", replaced(`"channel":"sms",`, "")),
			limited(429),
		}, fails([]int{402, 403}, []int{408, 500, 503})...),
		Recourse: Recourse{
			Anonymous: func(r Request) Request { return r }, Carries: "body.client_ref", HookSecret: "signature-secret-of-32-characters", Dated: true, Hook: vonageHook,
			Events: []Event{
				{"submitted", policy.ShowsSucceeded}, {"delivered", policy.ShowsSucceeded}, {"read", policy.ShowsSucceeded}, {"rejected", policy.ShowsDeclined},
				{"undeliverable", policy.ShowsDeclined}, {"odd", policy.ShowsNothing},
			},
		},
	}
}

// vonageHook comes with a token (HS256) that holds the hash of its body.
func vonageHook(secret string, n Notice, at time.Time) Request {
	r := object("", `{"message_uuid":"`+n.ID+`","client_ref":"`+n.Reference+`","status":"`+n.Event+`","channel":"sms"}`)
	enc := base64.RawURLEncoding.EncodeToString
	claims := enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc(fmt.Appendf(nil, `{"iat":%d,"iss":"Vonage","payload_hash":"%x"}`, at.Unix(), sha256.Sum256([]byte(r.Body))))
	r.Extra = [][2]string{{"Authorization", "Bearer " + claims + "." + enc(signed(secret, claims))}}
	return r
}
