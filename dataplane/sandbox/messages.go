package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// OpMessage is the operation that sends a message.
const OpMessage = "messages.create"

const accounts = "/2010-04-01/Accounts/{account}"

func messagesAPI() *dialect {
	send := effect(accounts+"/Messages.json", OpMessage, createMessage)
	send.status = http.StatusCreated
	return &dialect{
		routes: []*route{
			send,
			read(accounts+"/Messages.json", "messages.list", listMessages),
			read(accounts+"/Messages/{id}.json", "messages.get", getMessage),
		},
		secret: func(r *http.Request) string {
			user, password, ok := r.BasicAuth()
			if !ok || user == "" || password == "" {
				return ""
			}
			return user + ":" + password
		},
		read: func(c *call, r *http.Request, body []byte) *apiError {
			encoded := string(body)
			if !c.effect {
				encoded = r.URL.RawQuery
			}
			form, bad := parseForm(encoded)
			if c.form = form; bad != nil {
				return twilioTrouble(http.StatusBadRequest, bad.Message)
			}
			// One account's credential opens no other's paths.
			if user, _, _ := r.BasicAuth(); c.account() != "" && c.account() != user {
				return twilioTrouble(http.StatusUnauthorized, "")
			}
			return nil
		},
		body:    twilioError,
		trouble: twilioTrouble,
		head:    func(h http.Header, _ *call, id string) { h.Set("Twilio-Request-Id", "RQ"+hash(id)) },
	}
}

func twilioError(e *apiError) any {
	code, _ := strconv.Atoi(e.Code)
	return map[string]any{
		"code": code, "message": e.Message, "more_info": "https://www.twilio.com/docs/errors/" + e.Code, "status": e.Status,
	}
}

// twilioTrouble has the status in its code: 20404, 20429.
func twilioTrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Code: strconv.Itoa(20_000 + status), Message: detail}
	switch status {
	case http.StatusUnauthorized:
		e.Code, e.Message = "20003", "Authenticate"
	case http.StatusNotFound:
		e.Message = "The requested resource " + detail + " was not found"
	case http.StatusTooManyRequests:
		e.Message = "Too Many Requests"
	}
	return e
}

// sms is a message that was sent.
type sms struct {
	sid, account, to, from, service, body string
	made                                  time.Time
}

func (m *sms) render() map[string]any {
	at, uri := m.made.UTC().Format(time.RFC1123Z), "/2010-04-01/Accounts/"+m.account+"/Messages/"+m.sid
	return map[string]any{
		"account_sid": m.account, "api_version": "2010-04-01", "body": m.body, "date_created": at, "date_sent": nil, "date_updated": at,
		"direction": "outbound-api", "error_code": nil, "error_message": nil, "from": orNull(m.from), "messaging_service_sid": orNull(m.service),
		"num_media": "0", "num_segments": strconv.Itoa(1 + len(m.body)/160), "price": nil, "price_unit": "USD", "sid": m.sid, "status": "queued",
		"subresource_uris": map[string]any{"media": uri + "/Media.json"}, "to": m.to, "uri": uri + ".json",
	}
}

func createMessage(b *bank, c *call) (any, *apiError) {
	m := &sms{
		account: c.account(), to: c.form.Get("To"), from: c.form.Get("From"), service: c.form.Get("MessagingServiceSid"),
		body: c.form.Get("Body"), made: b.now(),
	}
	if bad := m.check(); bad != nil {
		return nil, bad
	}
	m.sid = "SM" + hash(b.ids.make("sm"))
	b.messages.put(m.sid, m)
	b.books.record(Entry{
		ID: m.sid, At: m.made, Account: c.secret, Operation: c.operation, Key: c.key, Order: m.to + " " + m.body,
		Metadata: map[string]string{"account": m.account, "to": m.to, "from": m.from, "body": m.body}, Status: "queued",
	})
	return m.render(), nil
}

// check refuses what Twilio refuses; its magic numbers work.
func (m *sms) check() *apiError {
	switch {
	case m.to == "":
		return notSent("21604", "A 'To' phone number is required.")
	case m.to == "+15005550001" || !isNumber(m.to):
		return notSent("21211", "Invalid 'To' Phone Number: "+m.to)
	case m.to == "+15005550004":
		return notSent("21610", "Attempt to send to unsubscribed recipient")
	case m.from == "" && m.service == "":
		return notSent("21603", "A 'From' phone number is required.")
	case m.body == "":
		return notSent("21602", "Message body is required.")
	case len([]rune(m.body)) > maxMessage:
		return notSent("21617", "The concatenated message body exceeds the 1600 character limit")
	}
	return nil
}

const maxMessage = 1600

func notSent(code, message string) *apiError {
	return &apiError{Status: http.StatusBadRequest, Code: code, Message: message}
}

// isNumber tells whether s is a phone number in E.164: a plus and up to fifteen digits.
func isNumber(s string) bool {
	digits, ok := strings.CutPrefix(s, "+")
	return ok && len(digits) >= 7 && len(digits) <= 15 && strings.Trim(digits, "0123456789") == ""
}

// getMessage finds a message of the caller's own account.
func getMessage(b *bank, c *call) (any, *apiError) {
	m, ok := b.messages.byID[c.id]
	if !ok || m.account != c.account() {
		return nil, twilioTrouble(http.StatusNotFound, c.path)
	}
	return m.render(), nil
}

// listMessages answers with the newest messages of the account.
func listMessages(b *bank, c *call) (any, *apiError) {
	size := 50
	if text := c.form.Get("PageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, twilioTrouble(http.StatusBadRequest, "Page size must be between 1 and 1000")
		}
		size = n
	}
	to, from, page := c.form.Get("To"), c.form.Get("From"), []map[string]any{}
	b.messages.newest(func(_ string, m *sms) bool {
		if m.account == c.account() && (to == "" || m.to == to) && (from == "" || m.from == from) {
			page = append(page, m.render())
		}
		return len(page) < size
	})
	uri := c.path + "?" + url.Values{"PageSize": {strconv.Itoa(size)}, "Page": {"0"}}.Encode()
	return map[string]any{
		"messages": page, "page": 0, "page_size": size, "start": 0, "end": max(0, len(page)-1),
		"first_page_uri": uri, "next_page_uri": nil, "previous_page_uri": nil, "uri": uri,
	}, nil
}

// hash is 32 hexadecimal digits, as Twilio's ids have them.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
