package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The operations of PayPal's orders and payments.
const (
	OpPayPalOrder   = "paypal.orders"
	OpPayPalCapture = "paypal.capture"
	OpPayPalVoid    = "paypal.void"
	OpPayPalRefund  = "paypal.refund"
)

// paypalAPI is PayPal's, v2: https://developer.paypal.com/api/orders/v2/orders-create.
func paypalAPI() *dialect {
	made := func(r *route) *route {
		r.status = http.StatusCreated
		return r
	}
	return &dialect{
		keys: &keyRules{
			header: "PayPal-Request-Id", life: 6 * time.Hour, longest: 108,
			stores: func(failed *apiError, told int) bool { return failed == nil && told < 300 },
			long: func() answer {
				return jsonAnswer(http.StatusBadRequest, paypalError(paypalTrouble(http.StatusBadRequest, "PayPal-Request-Id is too long")))
			},
			busy: func() answer {
				return jsonAnswer(http.StatusConflict, paypalError(paypalTrouble(http.StatusConflict, "a previous request is in progress")))
			},
		},
		routes: []*route{
			made(effect("/v2/checkout/orders", OpPayPalOrder, orderPayPal)),
			made(effect("/v2/checkout/orders/{id}/capture", OpPayPalCapture, followPayPal("COMPLETED"))),
			made(effect("/v2/checkout/orders/{id}/authorize", OpPayPalCapture, followPayPal("COMPLETED"))),
			made(effect("/v2/payments/authorizations/{id}/capture", OpPayPalCapture, followPayPal("COMPLETED"))),
			made(effect("/v2/payments/authorizations/{id}/void", OpPayPalVoid, followPayPal("VOIDED"))),
			made(effect("/v2/payments/captures/{id}/refund", OpPayPalRefund, followPayPal("COMPLETED"))),
			read("/v2/checkout/orders/{id}", "paypal.get", getPayPal),
			read("/v2/payments/captures/{id}", "paypal.get", getPayPal),
			read("/v2/payments/authorizations/{id}", "paypal.get", getPayPal),
		},
		secret: bearer,
		read: func(c *call, r *http.Request, body []byte) *apiError {
			c.prefers = r.Header.Get("Prefer")
			return readDocument(func(detail string) *apiError { return paypalTrouble(http.StatusBadRequest, detail) })(c, r, body)
		},
		body:    paypalError,
		trouble: paypalTrouble,
		head:    func(h http.Header, _ *call, id string) { h.Set("Paypal-Debug-Id", id) },
	}
}

func paypalError(e *apiError) any {
	return map[string]any{"name": e.Code, "message": e.Message, "debug_id": "0", "details": []any{}}
}

func paypalTrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Code: "INTERNAL_SERVER_ERROR", Message: detail}
	switch status {
	case http.StatusBadRequest:
		e.Code = "INVALID_REQUEST"
	case http.StatusUnauthorized:
		e.Code = "AUTHENTICATION_FAILURE"
	case http.StatusNotFound:
		e.Code = "RESOURCE_NOT_FOUND"
	case http.StatusUnprocessableEntity:
		e.Code = "UNPROCESSABLE_ENTITY"
	case http.StatusTooManyRequests:
		e.Code = "RATE_LIMIT_REACHED"
	}
	return e
}

// paypalAmount reads a decimal of one of the units in which PayPal counts; -1: it is none.
func paypalAmount(d *document, at string) (amount int64, currency string) {
	currency = d.get(at + ".currency_code")
	digits := 2
	if currency == "JPY" || currency == "HUF" || currency == "TWD" { // https://developer.paypal.com/api/rest/reference/currency-codes
		digits = 0
	}
	whole, part, pointed := strings.Cut(d.get(at+".value"), ".")
	if pointed && (digits == 0 || len(part) == 0 || len(part) > digits) {
		return -1, currency
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", digits-len(part)), 10, 64)
	if err != nil || n <= 0 || len(currency) != 3 {
		return -1, currency
	}
	return n, currency
}

func orderPayPal(b *bank, c *call) (any, *apiError) {
	const unit = "purchase_units.0."
	amount, currency := paypalAmount(&c.doc, unit+"amount")
	intent := c.doc.get("intent")
	switch {
	case intent != "CAPTURE" && intent != "AUTHORIZE":
		return nil, paypalTrouble(http.StatusBadRequest, "intent is missing")
	case amount < 0:
		return nil, paypalTrouble(http.StatusUnprocessableEntity, "CURRENCY_AMOUNT is invalid")
	}
	p := &payment{id: b.ids.make("ORDER"), reference: c.doc.get(unit + "custom_id"), currency: currency, amount: amount, status: "CREATED"}
	if c.doc.get("payment_source.card.number") == "" && c.doc.get("payment_source.card.vault_id") == "" {
		b.enter(c, p, "created")
		return p.paypal(), nil
	}
	return b.paidAtOnce(c, p, intent == "AUTHORIZE")
}

// paidAtOnce charges the card that came with the order. What a card's name has it answer: https://developer.paypal.com/tools/sandbox/card-testing.
func (b *bank) paidAtOnce(c *call, order *payment, apart bool) (any, *apiError) {
	list, made := "captures", &payment{id: b.ids.make("PAY"), reference: order.reference, of: order.id, amount: order.amount, currency: order.currency, status: "COMPLETED"}
	if apart {
		list, made.status = "authorizations", "CREATED"
	}
	booked, one := "succeeded", made.paypal()
	one["seller_receivable_breakdown"] = map[string]any{"gross_amount": made.decimal(), "paypal_fee": (&payment{amount: c.fee(made.amount/50 + 1), currency: made.currency}).decimal()}
	if strings.HasPrefix(c.doc.get("payment_source.card.name"), "CCREJECT-") {
		made.status, booked = map[bool]string{true: "DENIED", false: "DECLINED"}[apart], StatusDeclined
		one["status"], one["processor_response"] = made.status, map[string]any{"response_code": "5120"}
	}
	order.status = "COMPLETED"
	made.made, order.made = b.now(), b.now()
	b.payments.put(made.id, made)
	b.payments.put(order.id, order)
	b.record(c, order.id, order.amount, order.currency, map[string]string{"order": order.reference}, booked)
	whole := order.paypal()
	if c.prefers == "return=representation" {
		whole["purchase_units"] = []map[string]any{{"custom_id": order.reference, "payments": map[string]any{list: []map[string]any{one}}}}
	}
	return whole, nil
}

func (p *payment) paypal() map[string]any {
	return map[string]any{"id": p.id, "status": p.status, "order": p.of, "amount": p.decimal()}
}

func (p *payment) decimal() map[string]any {
	value := strconv.FormatInt(p.amount, 10)
	if p.currency != "JPY" && p.currency != "HUF" && p.currency != "TWD" {
		value = fmt.Sprintf("%d.%02d", p.amount/100, p.amount%100)
	}
	return map[string]any{"currency_code": p.currency, "value": value}
}

// followPayPal makes what follows an order, an authorization or a capture.
func followPayPal(status string) func(*bank, *call) (any, *apiError) {
	return func(b *bank, c *call) (any, *apiError) {
		of, there := b.payments.byID[c.id]
		if !there {
			return nil, paypalTrouble(http.StatusNotFound, "The specified resource does not exist.")
		}
		p := &payment{id: b.ids.make("PAY"), reference: of.reference, of: of.id, amount: of.amount, currency: of.currency, status: status}
		if c.doc.get("amount.value") != "" {
			if p.amount, p.currency = paypalAmount(&c.doc, "amount"); p.amount < 0 || p.amount > of.amount || p.currency != of.currency {
				return nil, paypalTrouble(http.StatusUnprocessableEntity, "The amount is not one of this payment.")
			}
		}
		b.enter(c, p, "succeeded")
		return p.paypal(), nil
	}
}

func getPayPal(b *bank, c *call) (any, *apiError) {
	if p, there := b.payments.byID[c.id]; there {
		return p.paypal(), nil
	}
	return nil, paypalTrouble(http.StatusNotFound, "The specified resource does not exist.")
}
