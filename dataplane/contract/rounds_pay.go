package contract

// paymentRounds are what applications say to Stripe's API: https://docs.stripe.com/api/payment_intents.
func paymentRounds() []Round {
	pay := func(changes ...string) func(string) Request {
		return func(n string) Request {
			return form("POST", "/v1/payment_intents", append([]string{"amount", "1290", "currency", "eur", "confirm", "true", "payment_method_data[type]", "card",
				"payment_method_data[card][number]", "4242424242424242", "payment_method_data[card][exp_month]", "3", "payment_method_data[card][exp_year]", "30",
				"payment_method_data[card][cvc]", "737", "payment_method_data[billing_details][name]", "A Shopper", "metadata[order]", n}, changes...)...)
		}
	}
	stored := func(string) Request {
		return form("POST", "/v1/payment_intents", "amount", "1290", "currency", "eur", "confirm", "true", "payment_method", "pm_card_visa", "customer", "cus_1")
	}
	apart := pay("capture_method", "manual")
	on := func(what string, pairs ...string) func(string) Request {
		return func(id string) Request { return form("POST", "/v1/payment_intents/"+id+what, pairs...) }
	}
	back := func(pairs ...string) func(string) Request {
		return func(id string) Request {
			return form("POST", "/v1/refunds", append([]string{"payment_intent", id}, pairs...)...)
		}
	}
	read := func(id string) Request { return get("/v1/payment_intents/" + id) }
	fails := func(status int, field, value string) Round {
		return Round{Name: "a provider that answers " + text(status), Request: pay(), Fail: status, Status: status, Fields: [][2]string{{field, value}, {"error.message", ""}}}
	}
	intent := func(status string, more ...[2]string) [][2]string {
		return append([][2]string{{"object", "payment_intent"}, {"id", "pi_"}, {"status", status}, {"currency", "eur"}, {"amount", "1290"}}, more...)
	}
	refund := func(amount, status string) [][2]string {
		return [][2]string{{"object", "refund"}, {"id", "re_"}, {"payment_intent", "pi_"}, {"amount", amount}, {"currency", "eur"}, {"status", status}}
	}
	declined := func(at string, code, reason string, changes ...string) Round {
		return Round{Name: "a declined card", At: at, Request: pay(changes...), Status: 402, Fields: [][2]string{{"error.type", "card_error"}, {"error.code", code}, {"error.decline_code", reason}, {"error.message", ""}}}
	}
	rounds := []Round{
		declined("adyen/v71", "card_declined", "insufficient_funds", "payment_method_data[billing_details][name]", "DECLINED"),
		declined("checkout/v3", "card_declined", "insufficient_funds", "amount", "1251"),
		declined("paypal/v2", "card_declined", "insufficient_funds", "payment_method_data[billing_details][name]", "CCREJECT-IF"),
		{Name: "a stored card of Stripe's", Request: stored, NotSent: true},
		{Name: "what is not confirmed at once", Request: pay("confirm", "false"), NotSent: true},
		{Name: "a currency that is not known", Request: pay("currency", "zzz"), NotSent: true},
		{Name: "what another API has no word for", Request: pay("application_fee_amount", "5"), NotSent: true},
		{Name: "a refund of another's", Request: pay(), Then: func(string) Request { return back()("pi_3Nobody") }, NotSent: true},
		fails(429, "error.code", "rate_limit"), fails(500, "error.type", "api_error"), fails(401, "error.type", "invalid_request_error"), fails(404, "error.type", "invalid_request_error"),
	}
	for _, at := range []struct {
		contract, captured, cancelled, refunded string
		books                                   [6]string // a payment, one apart, a refund, a part, a capture, a cancel
	}{
		{"adyen/v71", "processing", "processing", "pending", [6]string{"adyen.payments 1290 EUR", "adyen.payments 1290 EUR", "adyen.refunds 1290 EUR", "adyen.refunds 205 EUR", "adyen.captures 500 EUR", "adyen.cancels"}},
		{"checkout/v3", "processing", "processing", "pending", [6]string{"checkout.payments 1290 EUR", "checkout.payments 1290 EUR", "checkout.refunds 1290 EUR", "checkout.refunds 205 EUR", "checkout.captures 500 EUR", "checkout.voids 1290 EUR"}},
		{"paypal/v2", "succeeded", "canceled", "succeeded", [6]string{"paypal.orders 1290 EUR", "paypal.orders 1290 EUR", "paypal.refund 1290 EUR", "paypal.refund 205 EUR", "paypal.capture 500 EUR", "paypal.void 1290 EUR"}},
	} {
		rounds = append(rounds,
			Round{Name: "a payment", At: at.contract, Request: pay(), Status: 200, Books: at.books[0],
				Fields: intent("succeeded", [2]string{"amount_received", "1290"}, [2]string{"metadata.order", ""}, [2]string{"created", ""})},
			Round{Name: "one that is captured apart", At: at.contract, Request: apart, Status: 200, Books: at.books[1],
				Fields: intent("requires_capture", [2]string{"amount_capturable", "1290"}, [2]string{"capture_method", "manual"})},
			Round{Name: "a refund", At: at.contract, Request: pay(), Then: back(), Status: 200, Books: at.books[2], Fields: refund("1290", at.refunded)},
			Round{Name: "a part of one", At: at.contract, Request: pay(), Then: back("amount", "205", "reason", "duplicate"), Status: 200, Books: at.books[3], Fields: append(refund("205", at.refunded), [2]string{"reason", "duplicate"})},
			Round{Name: "a capture", At: at.contract, Request: apart, Then: on("/capture", "amount_to_capture", "500"), Status: 200, Books: at.books[4], Fields: intent(at.captured)},
			Round{Name: "a cancel", At: at.contract, Request: apart, Then: on("/cancel"), Status: 200, Books: at.books[5], Fields: intent(at.cancelled)})
		if at.contract != "adyen/v71" { // payments are not read there
			rounds = append(rounds, Round{Name: "a payment that is read", At: at.contract, Request: apart, Then: read, Status: 200, Fields: intent("requires_capture")})
		}
	}
	return rounds
}
