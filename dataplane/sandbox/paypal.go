package sandbox

import (
	"math"
	"net/http"
	"strconv"
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
		},
		secret:  bearer,
		read:    readDocument(func(detail string) *apiError { return paypalTrouble(http.StatusBadRequest, detail) }),
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

func orderPayPal(b *bank, c *call) (any, *apiError) {
	const unit = "purchase_units.0."
	amount, err := strconv.ParseFloat(c.doc.get(unit+"amount.value"), 64)
	switch {
	case c.doc.get("intent") != "CAPTURE" && c.doc.get("intent") != "AUTHORIZE":
		return nil, paypalTrouble(http.StatusBadRequest, "intent is missing")
	case err != nil || amount <= 0 || amount > 1e9:
		return nil, paypalTrouble(http.StatusUnprocessableEntity, "CURRENCY_AMOUNT is invalid")
	}
	p := &payment{id: b.ids.make("ORDER"), reference: c.doc.get(unit + "custom_id"), currency: c.doc.get(unit + "amount.currency_code"),
		amount: int64(math.Round(amount * 100)), status: "CREATED"}
	b.enter(c, p, "created")
	return p.paypal(), nil
}

func (p *payment) paypal() map[string]any {
	return map[string]any{"id": p.id, "status": p.status, "order": p.of}
}

// followPayPal makes what follows an order, an authorization or a capture.
func followPayPal(status string) func(*bank, *call) (any, *apiError) {
	return func(b *bank, c *call) (any, *apiError) {
		of, there := b.payments.byID[c.id]
		if !there {
			return nil, paypalTrouble(http.StatusNotFound, "The specified resource does not exist.")
		}
		p := &payment{id: b.ids.make("PAY"), reference: of.reference, of: of.id, amount: of.amount, currency: of.currency, status: status}
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
