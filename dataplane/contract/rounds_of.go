package contract

import "strings"

// chatRounds are what applications say to OpenAI's API: https://platform.openai.com/docs/api-reference/chat.
func chatRounds() []Round {
	ask := func(more string) func(string) Request {
		return func(n string) Request {
			return Request{Method: "POST", Path: "/v1/chat/completions", Type: "application/json",
				Body: `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"round ` + n + `"}]` + more + `}`}
		}
	}
	model := func(name string) func(string) Request {
		return func(n string) Request {
			r := ask("")(n)
			r.Body = strings.Replace(r.Body, "gpt-4o-mini", name, 1)
			return r
		}
	}
	fails := func(status, told int, field, value string) Round {
		return Round{Name: "a provider that answers " + text(status), Request: ask(""), Fail: status, Status: told, Fields: [][2]string{{field, value}, {"error.message", ""}}}
	}
	return []Round{
		{Name: "a completion", Request: ask(""), Status: 200, Fields: [][2]string{{"object", "chat.completion"}, {"id", "chatcmpl-"}, {"choices.0.message.role", "assistant"},
			{"choices.0.message.content", `You said "round `}, {"choices.0.finish_reason", "stop"}, {"created", ""}, {"model", ""}, {"usage.prompt_tokens", ""}, {"usage.total_tokens", ""}}},
		{Name: "a short one", Request: ask(`,"max_tokens":2`), Status: 200, Fields: [][2]string{{"choices.0.message.content", "You said"}, {"choices.0.finish_reason", "length"}, {"usage.completion_tokens", "2"}}},
		{Name: "a stream", Request: ask(`,"stream":true`), Status: 200, Streamed: true, Fields: [][2]string{{"the stream", `You said "round `}}},
		{Name: "a model that the provider does not have", Request: model("claude-0"), Status: 404, Fields: [][2]string{{"error.code", "model_not_found"}, {"error.type", "invalid_request_error"}, {"error.message", ""}}},
		{Name: "a model that nothing stands for", Request: model("gpt-0"), NotSent: true},
		{Name: "what the provider cannot be asked", Request: ask(`,"n":2`), NotSent: true},
		fails(429, 429, "error.code", "rate_limit_exceeded"), fails(500, 500, "error.type", "server_error"), fails(529, 503, "error.type", "server_error"),
		{Name: "the models", Request: func(string) Request { return get("/v1/models") }, Status: 200, Fields: [][2]string{{"object", "list"}, {"data.0.object", "model"}, {"data.0.id", ""}, {"data.0.created", ""}}},
		{Name: "one model", Request: func(string) Request { return get("/v1/models/gpt-4o") }, Status: 200, Fields: [][2]string{{"object", "model"}, {"id", "claude-"}}},
	}
}

// messageRounds are what applications say to Twilio's API: https://www.twilio.com/docs/messaging/api/message-resource.
func messageRounds() []Round {
	const account = "/2010-04-01/Accounts/AC00000000000000000000000000000000"
	send := func(more ...string) func(string) Request {
		return func(n string) Request {
			return form("POST", account+"/Messages.json", append([]string{"To", "+15005550006", "From", "+15005550009", "Body", "round " + n}, more...)...)
		}
	}
	fails := func(status, told int, code string) Round {
		return Round{Name: "a provider that answers " + text(status), Request: send(), Fail: status, Status: told, Fields: [][2]string{{"code", code}, {"message", ""}, {"status", text(told)}}}
	}
	return []Round{
		{Name: "a message", Request: send(), Status: 201, Fields: [][2]string{{"sid", "SM"}, {"account_sid", "AC00"}, {"to", "+15005550006"}, {"from", "+15005550009"}, {"body", "round "},
			{"status", "queued"}, {"direction", "outbound-api"}, {"uri", account + "/Messages/SM"}, {"date_created", ""}, {"num_segments", "1"}}},
		{Name: "a wrong number", Request: send("To", "+1"), Status: 400, Fields: [][2]string{{"code", "20422"}, {"message", ""}, {"status", "400"}}},
		{Name: "media", Request: send("MediaUrl", "https://example.com/a.png"), NotSent: true},
		{Name: "another channel", Request: send("To", "whatsapp:+15005550006"), NotSent: true},
		{Name: "no text", Request: send("Body", ""), NotSent: true},
		fails(429, 429, "20429"), fails(500, 500, "20500"), fails(401, 401, "20003"),
	}
}

// vonageRounds are what applications say to Vonage's API: https://developer.vonage.com/en/api/messages.
func vonageRounds() []Round {
	send := func(old, new string) func(string) Request {
		return func(n string) Request {
			return replaced(old, new)(object("/v1/messages", `{"to":"15005550006","from":"15005550009","channel":"sms","message_type":"text","text":"round `+n+`"}`))
		}
	}
	fails := func(status int) Round {
		return Round{Name: "a provider that answers " + text(status), Request: send("", ""), Fail: status, Status: status, Fields: [][2]string{{"title", ""}, {"detail", ""}, {"type", "https://"}}}
	}
	return []Round{
		{Name: "a message", Request: send("", ""), Status: 202, Fields: [][2]string{{"message_uuid", ""}}, Shaped: "8-4-4-4-12"},
		{Name: "a wrong number", Request: send("15005550006", "15005550001"), Status: 422, Fields: [][2]string{{"title", "Twilio error 21211"}, {"detail", "Invalid 'To'"}, {"instance", "21211"}}},
		{Name: "another channel", Request: send(`"sms"`, `"whatsapp"`), NotSent: true},
		{Name: "no text", Request: send(`"text":"round`, `"text":"","x":"`), NotSent: true},
		{Name: "a time to live", Request: send(`"channel"`, `"ttl":90,"channel"`), NotSent: true},
		fails(429), fails(500), fails(401),
	}
}

// mailRounds are what applications say to SendGrid's API: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send.
func mailRounds() []Round {
	send := func(changes ...string) func(string) Request {
		return func(n string) Request {
			r := object("/v3/mail/send", `{"personalizations":[{"to":[{"email":"to@example.com","name":"To, Jr."}]}],"from":{"email":"from@example.com","name":"Shop"},"subject":"round `+n+`","content":[{"type":"text/plain","value":"-"},{"type":"text/html","value":"<p>-</p>"}],"categories":["test"],"custom_args":{"order":"`+n+`"}}`)
			for i := 0; i+1 < len(changes); i += 2 {
				r = replaced(changes[i], changes[i+1])(r)
			}
			return r
		}
	}
	fails := func(status int) Round {
		return Round{Name: "a provider that answers " + text(status), Request: send(), Fail: status, Status: status, Fields: [][2]string{{"errors.0.message", ""}}}
	}
	return []Round{
		{Name: "a mail", Request: send(), Status: 202, Header: "X-Message-Id", Books: "messages.send mg.example.com"},
		{Name: "a wrong recipient", Request: send("to@example.com", "nobody"), Status: 400, Fields: [][2]string{{"errors.0.message", "to parameter"}}},
		{Name: "a file", Request: send(`"subject"`, `"attachments":[{}],"subject"`), NotSent: true},
		{Name: "two personalizations", Request: send(`"personalizations":[`, `"personalizations":[{"to":[]},`), NotSent: true},
		{Name: "another type of content", Request: send("text/html", "text/calendar"), NotSent: true},
		{Name: "no sender", Request: send("from@example.com", ""), NotSent: true},
		fails(429), fails(500), fails(401),
	}
}

// mailgunRounds are what applications say to Mailgun's API: https://documentation.mailgun.com/docs/mailgun/api-reference/openapi-final/tag/Messages.
func mailgunRounds() []Round {
	send := func(more ...string) func(string) Request {
		return func(n string) Request {
			return form("POST", "/v3/mg.example.com/messages", append([]string{"from", "Shop <from@example.com>", "to", "A <a@example.com>, b@example.com", "subject", "round " + n, "text", "-", "o:tag", "test", "v:order", n}, more...)...)
		}
	}
	fails := func(status int) Round {
		return Round{Name: "a provider that answers " + text(status), Request: send(), Fail: status, Status: status, Fields: [][2]string{{"message", ""}}}
	}
	return []Round{
		{Name: "a mail", Request: send(), Status: 200, Books: "mail.send", Fields: [][2]string{{"id", "<"}, {"message", "Queued"}}},
		{Name: "a wrong sender", Request: send("from", "nobody"), Status: 400, Fields: [][2]string{{"message", "The from email"}}},
		{Name: "a template", Request: send("template", "welcome"), NotSent: true},
		{Name: "a quoted name", Request: send("to", `"A, B" <a@example.com>`), NotSent: true},
		fails(429), fails(500), fails(401),
	}
}
