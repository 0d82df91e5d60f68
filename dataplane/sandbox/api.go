package sandbox

import (
	"fmt"
	"net/http"
	"strings"
)

// API says what a provider speaks.
type API string

const (
	Payments API = "payments" // Stripe's, v1
	Messages API = "messages" // Twilio's, 2010-04-01
	Chat     API = "chat"     // OpenAI's, v1
	Claude   API = "claude"   // Anthropic's, v1
	Mail     API = "mail"     // SendGrid's, v3
	Mailgun  API = "mailgun"  // Mailgun's, v3
	Adyen    API = "adyen"    // Adyen's Checkout, v71
	Checkout API = "checkout" // Checkout.com's payments
	PayPal   API = "paypal"   // PayPal's orders and payments, v2
	Vonage   API = "vonage"   // Vonage's messages, v1
)

func apis() []API {
	return []API{Payments, Messages, Chat, Claude, Mail, Mailgun, Adyen, Checkout, PayPal, Vonage}
}

// dialect is what differs between the APIs. Faults, books, lives and connections are one for all of them.
type dialect struct {
	keys    *keyRules // nil: it knows no idempotency keys
	routes  []*route
	secret  func(*http.Request) string                            // the credential as shown; "" if none is
	read    func(c *call, r *http.Request, body []byte) *apiError // the call's parameters
	body    func(*apiError) any                                   // an error's document
	trouble func(status int, detail string) *apiError             // an error that every endpoint has: 401, 404, 413, 429, 5xx
	head    func(h http.Header, c *call, id string)               // the headers that every answer has
}

func dialectOf(api API) *dialect {
	switch api {
	case Messages:
		return messagesAPI()
	case Chat:
		return chatAPI()
	case Claude:
		return claudeAPI()
	case Mail:
		return mailAPI()
	case Mailgun:
		return mailgunAPI()
	case Adyen:
		return adyenAPI()
	case Checkout:
		return checkoutAPI()
	case PayPal:
		return paypalAPI()
	case Vonage:
		return vonageAPI()
	default:
		return paymentsAPI()
	}
}

// answer renders what an endpoint returned.
func (d *dialect) answer(object any, failed *apiError) answer {
	if failed != nil {
		return jsonAnswer(failed.Status, d.body(failed))
	}
	if events, ok := object.(stream); ok {
		return answer{status: http.StatusOK, events: events}
	}
	if whole, ok := object.(answer); ok { // its parts stand in headers
		return whole
	}
	return jsonAnswer(http.StatusOK, object)
}

func paymentsAPI() *dialect {
	return &dialect{
		keys: stripeKeys(), routes: routes(), secret: secretOf,
		read: func(c *call, r *http.Request, body []byte) (bad *apiError) {
			encoded := string(body)
			if !c.effect {
				encoded = r.URL.RawQuery
			}
			c.form, bad = parseForm(encoded)
			return bad
		},
		body:    stripeError,
		trouble: stripeTrouble,
		head: func(h http.Header, c *call, id string) {
			h.Set("Request-Id", id)
			if c.key != "" {
				h.Set("Idempotency-Key", c.key)
			}
		},
	}
}

func stripeError(e *apiError) any { return map[string]any{"error": e} }

func stripeTrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Type: "invalid_request_error", Message: detail}
	switch {
	case status == http.StatusUnauthorized:
		e.Message = "Invalid API Key provided."
	case status == http.StatusNotFound:
		e.Code, e.Message = "url_invalid", "Unrecognized request URL ("+detail+")."
	case status == http.StatusTooManyRequests:
		e.Code, e.Message = "rate_limit", "Too many requests."
	case status >= 500:
		e.Type = "api_error"
	}
	return e
}

// bearer is the token of an Authorization header.
func bearer(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return strings.TrimSpace(token)
}

// called names a request in an error.
func called(r *http.Request) string { return fmt.Sprintf("%s: %s", r.Method, r.URL.Path) }

// keyHeader is where a key is sent; who knows none is shown the usual header, and ignores it.
func (d *dialect) keyHeader() string {
	if d.keys == nil {
		return "Idempotency-Key"
	}
	return d.keys.header
}
