package sandbox

import (
	"bytes"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// OpMailgun is the operation that sends a mail in Mailgun's API.
const OpMailgun = "messages.send"

// mailgunAPI is Mailgun's, v3: https://documentation.mailgun.com/docs/mailgun/quickstart-guide/responses.
func mailgunAPI() *dialect {
	return &dialect{
		routes: []*route{
			effect("/v3/{domain}/messages", OpMailgun, sendMailgun),
			effect("/v3/{domain}/messages.mime", OpMailgun, sendMailgun),
			read("/v3/{domain}/events", "events.list", func(*bank, *call) (any, *apiError) {
				return map[string]any{"items": []any{}, "paging": map[string]any{}}, nil
			}),
		},
		secret: func(r *http.Request) string {
			user, password, ok := r.BasicAuth()
			if !ok || user != "api" || password == "" {
				return ""
			}
			return user + ":" + password
		},
		read: func(c *call, r *http.Request, body []byte) (bad *apiError) {
			if !c.effect {
				return nil
			}
			c.form, bad = parts(r.Header.Get("Content-Type"), body)
			return bad
		},
		body:    func(e *apiError) any { return map[string]any{"message": e.Message} },
		trouble: mailgunTrouble,
		head:    func(http.Header, *call, string) {},
	}
}

// parts reads a form in either of its encodings. Files are left out.
func parts(contentType string, body []byte) (form, *apiError) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		f, bad := parseForm(string(body))
		if bad != nil {
			return f, mailgunTrouble(http.StatusBadRequest, "the body is no form")
		}
		return f, nil
	}
	read, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(maxBody)
	if err != nil {
		return form{url.Values{}}, mailgunTrouble(http.StatusBadRequest, "the body is no form")
	}
	defer func() { _ = read.RemoveAll() }() // nothing was put on disk: the body is smaller than that
	f := form{url.Values(read.Value)}
	for name := range read.File {
		f.Set(name, "file")
	}
	return f, nil
}

func mailgunTrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Message: detail}
	switch {
	case status == http.StatusUnauthorized:
		e.Message = "Invalid private key"
	case status == http.StatusTooManyRequests:
		e.Message = "Too many requests"
	case status >= 500:
		e.Message = "Internal Server Error"
	}
	return e
}

func sendMailgun(b *bank, c *call) (any, *apiError) {
	wrong := func(text string) (any, *apiError) { return nil, mailgunTrouble(http.StatusBadRequest, text) }
	has := func(names ...string) bool {
		for _, name := range names {
			if c.form.Get(name) != "" {
				return true
			}
		}
		return false
	}
	switch whole := strings.HasSuffix(c.path, ".mime"); {
	case !has("to"):
		return wrong("to parameter is missing")
	case !strings.Contains(c.form.Get("to"), "@"):
		return wrong("to parameter is not a valid address. please check documentation")
	case whole && !has("message"):
		return wrong("message parameter is missing")
	case !whole && !has("from"):
		return wrong("from parameter is missing")
	case !whole && !has("text", "html", "amp-html", "template"):
		return wrong("Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified")
	}
	id := "<" + hash(b.ids.make("mail")) + "@" + c.names["domain"] + ">"
	b.books.record(Entry{ID: id, At: b.now(), Account: c.secret, Operation: c.operation, Key: c.key, Metadata: map[string]string{"domain": c.names["domain"]}, Status: "queued"})
	return map[string]any{"id": id, "message": "Queued. Thank you."}, nil
}
