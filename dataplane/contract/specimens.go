package contract

import (
	"strconv"

	"segue/controlplane/policy"
	"segue/dataplane/sandbox"
)

func text(status int) string { return strconv.Itoa(status) }

// payments is Stripe's API: https://docs.stripe.com/error-low-level says what its statuses mean.
func payments() Specimen {
	charge := func(n string) Request {
		return form("POST", "/v1/charges", "amount", "1290", "currency", "eur", "source", "tok_visa", "metadata[order]", "contract-"+n)
	}
	post := func(path string) Request { return about(form("POST", path)) }
	return Specimen{
		Contract: "stripe/v1", API: sandbox.Payments, Rounds: paymentRounds(), Secret: "sk_test_contract", Effect: charge, ComesBack: true,
		Known: []Request{
			charge("known"), post("/v1/charges/ch_1/capture"), post("/v1/charges/ch_1"), form("POST", "/v1/payment_intents"), post("/v1/payment_intents/pi_1/confirm"),
			post("/v1/payment_intents/pi_1/capture"), post("/v1/payment_intents/pi_1/cancel"), post("/v1/payment_intents/pi_1"), post("/v1/refunds"),
			post("/v1/refunds/re_1/cancel"), post("/v1/refunds/re_1"), about(get("/v1/charges/ch_1")), about(get("/v1/balance")),
		},
		Cases: append([]Case{
			declined("a declined card", 402, "card_declined", with("source", "tok_chargeDeclined")),
			declined("a missing field", 400, "parameter_missing", with("currency", "")),
			declined("an object that is not there", 404, "resource_missing", to("/v1/charges/ch_nobody/capture")),
			limited(429),
			{Name: "a conflict", Fail: 409, Status: 409, Class: policy.ClassOK, Outcome: policy.OutcomeUnknown},
		}, fails([]int{403}, []int{408, 424, 500, 502, 503, 504})...),
		Told: []Told{
			{"a key with other parameters", 400, `{"error":{"type":"idempotency_error"}}`, policy.ClassOK, policy.OutcomeUnknown},
			{"a key in use, by its code alone", 400, `{"error":{"type":"invalid_request_error","code":"idempotency_key_in_use"}}`, policy.ClassOK, policy.OutcomeUnknown},
		},
		Refund: func(made string) Request { return form("", "", "charge", made) }, Refunded: "charge",
		Priced: func(n string) Request {
			r := charge(n)
			r.Body += "&expand[]=balance_transaction"
			return r
		},
		Recourse: Recourse{Letting: Letting{Who: func() Request { return get("/v1/session_tokens/current") }, Whose: "conversation"}},
	}
}

// messages is Twilio's API: https://www.twilio.com/docs/usage/requests-to-twilio.
func messages() Specimen {
	const account = "/2010-04-01/Accounts/AC00000000000000000000000000000000"
	send := func(n string) Request {
		return form("POST", account+"/Messages.json", "To", "+15005550006", "From", "+15005550009", "Body", "contract "+n)
	}
	return Specimen{
		Contract: "twilio/2010", API: sandbox.Messages, Rounds: messageRounds(), Secret: "AC11111111111111111111111111111111:token", Effect: send, ComesBack: true,
		Known: []Request{send("known"), about(get(account + "/Messages/SM1.json")), get(account + "/Messages.json")},
		Cases: append([]Case{
			declined("a wrong number", 400, "21211", with("To", "+15005550001")),
			declined("an opt-out", 400, "21610", with("To", "+15005550004")),
			limited(429),
		}, fails([]int{403, 404, 409}, []int{408, 500, 503})...),
	}
}

// chat is OpenAI's API: https://developers.openai.com/docs/guides/error-codes.
func chat() Specimen {
	complete := func(n string) Request {
		return Request{Method: "POST", Path: "/v1/chat/completions", Type: "application/json",
			Body: `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"contract ` + n + `"}]}`}
	}
	return Specimen{
		Contract: "openai/v1", API: sandbox.Chat, Rounds: chatRounds(), Secret: "sk-contract", Effect: complete, ComesBack: true,
		Known: []Request{complete("known"), get("/v1/models"), get("/v1/models/gpt-4o")},
		Cases: append([]Case{
			declined("an unknown model", 404, "model_not_found", replaced("gpt-4o-mini", "gpt-0")),
			declined("a wrong role", 400, "invalid_value", replaced(`"user"`, `"owner"`)),
			limited(429),
		}, fails([]int{403, 409}, []int{408, 500, 503})...),
	}
}

// claude is Anthropic's API: https://docs.claude.com/en/api/errors.
func claude() Specimen {
	version := [][2]string{{"anthropic-version", "2023-06-01"}}
	post := func(path, n string) Request {
		return Request{Method: "POST", Path: path, Type: "application/json", Extra: version,
			Body: `{"model":"claude-haiku-4-5-20251001","max_tokens":64,"messages":[{"role":"user","content":"contract ` + n + `"}]}`}
	}
	count := post("/v1/messages/count_tokens", "known")
	count.Read = true
	return Specimen{
		Contract: "anthropic/v1", API: sandbox.Claude, Secret: "sk-ant-contract", ComesBack: true, NoCodes: true,
		Effect: func(n string) Request { return post("/v1/messages", n) },
		Known:  []Request{post("/v1/messages", "known"), count, get("/v1/models"), get("/v1/models/claude-haiku-4-5-20251001")},
		Cases: append([]Case{
			declined("an unknown model", 404, "", replaced("claude-haiku-4-5-20251001", "claude-0")),
			declined("a missing field", 400, "", replaced(`"max_tokens":64,`, "")),
			limited(429),
		}, fails([]int{403, 413}, []int{408, 500, 529})...),
	}
}

// mail is SendGrid's API: https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/responses.
func mail() Specimen {
	send := func(n string) Request {
		return Request{Method: "POST", Path: "/v3/mail/send", Type: "application/json",
			Body: `{"personalizations":[{"to":[{"email":"to@example.com"}]}],"from":{"email":"from@example.com"},"subject":"contract ` + n + `","content":[{"type":"text/plain","value":"-"}]}`}
	}
	return Specimen{
		Contract: "sendgrid/v3", API: sandbox.Mail, Rounds: mailRounds(), Secret: "SG.contract", NoCodes: true, Effect: send,
		Known: []Request{send("known"), get("/v3/scopes")},
		Cases: append([]Case{
			declined("no recipient", 400, "", replaced(`{"to":[{"email":"to@example.com"}]}`, "")),
			declined("a wrong sender", 400, "", replaced("from@example.com", "nobody")),
			limited(429),
		}, fails([]int{403, 406}, []int{408, 500, 503})...),
	}
}

// mailgun is Mailgun's API: https://documentation.mailgun.com/docs/mailgun/quickstart-guide/responses.
func mailgun() Specimen {
	send := func(n string) Request {
		return form("POST", "/v3/mg.example.com/messages", "from", "from@example.com", "to", "to@example.com", "subject", "contract "+n, "text", "-")
	}
	return Specimen{
		Contract: "mailgun/v3", API: sandbox.Mailgun, Rounds: mailgunRounds(), Secret: "api:key-contract", NoCodes: true, Effect: send,
		Known: []Request{send("known"), form("POST", "/v3/mg.example.com/messages.mime"), get("/v3/mg.example.com/events")},
		Cases: append([]Case{
			declined("no recipient", 400, "", with("to", "")),
			declined("a wrong recipient", 400, "", with("to", "nobody")),
			limited(429),
		}, fails([]int{403, 404}, []int{408, 500, 503})...),
	}
}
