package sandbox

import (
	"net/http"
	"strings"
)

// OpVonage is the operation that sends a message.
const OpVonage = "vonage.messages"

// vonageAPI is Vonage's Messages API, v1: https://developer.vonage.com/en/api/messages.
func vonageAPI() *dialect {
	send := effect("/v1/messages", OpVonage, sendVonage)
	send.status = http.StatusAccepted
	return &dialect{
		routes: []*route{send},
		secret: func(r *http.Request) string {
			if user, password, ok := r.BasicAuth(); ok {
				return user + ":" + password
			}
			return bearer(r)
		},
		read:    readDocument(func(detail string) *apiError { return vonageTrouble(http.StatusUnprocessableEntity, detail) }),
		body:    vonageError,
		trouble: vonageTrouble,
		head:    func(http.Header, *call, string) {},
	}
}

func vonageError(e *apiError) any {
	return map[string]any{"type": "https://developer.vonage.com/api-errors/messages", "title": e.Code, "detail": e.Message, "instance": "0"}
}

func vonageTrouble(status int, detail string) *apiError {
	return &apiError{Status: status, Code: http.StatusText(status), Message: detail}
}

func sendVonage(b *bank, c *call) (any, *apiError) {
	for _, field := range []string{"to", "from", "channel", "message_type"} {
		if c.doc.get(field) == "" {
			return nil, vonageTrouble(http.StatusUnprocessableEntity, field+" is missing")
		}
	}
	if c.doc.get("channel") == "sms" && (c.doc.get("message_type") != "text" || c.doc.get("text") == "") {
		return nil, vonageTrouble(http.StatusUnprocessableEntity, "message_type of an sms is text, and text is not empty")
	}
	if to := c.doc.get("to"); strings.Trim(to, "0123456789") != "" || len(to) < 7 || len(to) > 15 {
		return nil, vonageTrouble(http.StatusUnprocessableEntity, "to is no number in E.164")
	}
	id := hash(b.ids.make("vonage"))
	p := &payment{id: id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:], reference: c.doc.get("client_ref"), status: "submitted"}
	b.enter(c, p, "submitted")
	return map[string]any{"message_uuid": p.id}, nil
}
