package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// What customers do beside paying, in shares of the paid visits; only where the target has such a service.
const (
	textIt = 0.25 // the shop sends them a message
	askIt  = 0.25 // they ask its chat
)

const (
	shopNumber     = "+15550100100"
	customerNumber = "+15550100123"
	shopSID        = "ACshopper"
)

// talk lets the shop send a message, and the customer ask something.
func (v *visit) talk() {
	if v.target.Messages != "" && v.draw.Float64() < textIt {
		v.text()
	}
	if v.target.Chat != "" && v.draw.Float64() < askIt {
		v.chat(v.draw.Float64() < 0.5)
	}
}

// text sends a message. It has no key: what it says to whom is all that tells it from another.
func (v *visit) text() {
	m := v.shopper.texts
	n := m.order()
	to, body, _ := strings.Cut(m.name(n), " ")
	form := url.Values{"To": {to}, "From": {shopNumber}, "Body": {body}}
	v.insist(m, n, ask{
		base: v.target.Messages, method: http.MethodPost, path: "/2010-04-01/Accounts/" + shopSID + "/Messages.json", kind: formType,
		body: form.Encode(), auth: "Basic " + base64.StdEncoding.EncodeToString([]byte(shopSID+":"+v.shopper.config.Token)),
	})
}

// chat asks a question, and remembers it only if a whole answer came: a question that nobody answered did nothing.
func (v *visit) chat(streamed bool) {
	m := v.shopper.chats
	n := m.order()
	question := chatRequest{Model: "gpt-4o-mini", Stream: streamed, Metadata: map[string]string{"order": m.name(n)}, Messages: []turn{
		{"system", "You answer the customers of a shop."}, {"user", spoken("Where is my order " + m.name(n) + "?")},
	}}
	body, _ := json.Marshal(question) // texts only: cannot fail
	said, _ := v.call(ask{
		base: v.target.Chat, method: http.MethodPost, path: "/v1/chat/completions", kind: "application/json", body: string(body), read: true,
		auth: "Bearer " + v.shopper.config.Token, want: question.says(),
	})
	if said.told == Succeeded {
		m.settle(n, Succeeded)
	}
}

// heard is the text of a completion, whichever way it came, and whether it is whole.
func heard(resp *http.Response, body []byte) (text string, whole bool) {
	type choice struct {
		Message, Delta struct{ Content string }
		Finish         string `json:"finish_reason"`
	}
	type part struct{ Choices []choice }
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		var p part
		if json.Unmarshal(body, &p) != nil || len(p.Choices) != 1 {
			return "", false
		}
		return p.Choices[0].Message.Content, p.Choices[0].Finish == "stop"
	}
	for event := range bytes.SplitSeq(body, []byte("\n\n")) {
		data, ok := bytes.CutPrefix(event, []byte("data: "))
		if string(data) == "[DONE]" {
			return text, true
		}
		var p part
		if !ok || json.Unmarshal(data, &p) != nil {
			return text, false
		}
		for _, c := range p.Choices {
			text += c.Delta.Content
		}
	}
	return text, false
}
