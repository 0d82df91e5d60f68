package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// OpMail is the operation that sends a mail.
const OpMail = "mail.send"

// mailAPI is SendGrid's, v3: https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/responses.
func mailAPI() *dialect {
	send := effect("/v3/mail/send", OpMail, sendMail)
	send.status = http.StatusAccepted
	return &dialect{
		routes: []*route{send, read("/v3/scopes", "scopes.list", listScopes)},
		secret: bearer,
		read: func(c *call, _ *http.Request, body []byte) *apiError {
			if !c.effect {
				return nil
			}
			if err := json.Unmarshal(body, &c.mail); err != nil {
				return mailTrouble(http.StatusBadRequest, "Bad Request")
			}
			return nil
		},
		body: func(e *apiError) any {
			return map[string]any{"errors": []map[string]any{{"message": e.Message, "field": orNull(e.Param), "help": nil}}}
		},
		trouble: mailTrouble,
		head:    func(h http.Header, c *call, _ string) { c.room.tellMail(h) },
	}
}

func mailTrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Message: detail}
	switch status {
	case http.StatusUnauthorized:
		e.Message = "The provided authorization grant is invalid, expired, or revoked"
	case http.StatusTooManyRequests:
		e.Message = "too many requests"
	}
	return e
}

// mailRequest is a mail as an application sends it.
type mailRequest struct {
	Personalizations []struct {
		To      []address
		Subject string
	}
	From    *address
	Subject string
	Content []struct{ Type, Value string }
	Batch   string            `json:"batch_id"`
	Args    map[string]string `json:"custom_args"`
}

type address struct{ Email, Name string }

func (m *mailRequest) check() *apiError {
	wrong := func(field, message string) *apiError {
		return &apiError{Status: http.StatusBadRequest, Param: field, Message: message}
	}
	switch {
	case len(m.Personalizations) == 0:
		return wrong("personalizations", "The personalizations field is required and must have at least one personalization.")
	case m.From == nil || !strings.Contains(m.From.Email, "@"):
		return wrong("from.email", "The from email does not contain a valid address.")
	case len(m.Content) == 0:
		return wrong("content", "Unless a valid template_id is provided, the content parameter is required.")
	}
	for i, p := range m.Personalizations {
		if len(p.To) == 0 {
			return wrong(fmt.Sprintf("personalizations.%d.to", i), "The to array is required for all personalization objects.")
		}
		for j, to := range p.To {
			if !strings.Contains(to.Email, "@") {
				return wrong(fmt.Sprintf("personalizations.%d.to.%d.email", i, j), "Does not contain a valid address.")
			}
		}
		if p.Subject == "" && m.Subject == "" {
			return wrong("subject", "The subject is required.")
		}
	}
	return nil
}

// sendMail takes a mail. Its answer has no body: the id stands in a header.
func sendMail(b *bank, c *call) (any, *apiError) {
	m := &c.mail
	if bad := m.check(); bad != nil {
		return nil, bad
	}
	id := hash(b.ids.make("mail"))
	b.books.record(Entry{ID: id, At: b.now(), Account: c.secret, Operation: c.operation, Key: c.key, Metadata: m.Args, Status: "queued"})
	return answer{header: map[string]string{"X-Message-Id": id}}, nil
}

func listScopes(*bank, *call) (any, *apiError) {
	return map[string]any{"scopes": []string{"mail.send"}}, nil
}

// tellMail says what is left of the limits under SendGrid's names.
func (a allowance) tellMail(h http.Header) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(perMinute))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(a.left))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(a.until.Unix(), 10))
}
