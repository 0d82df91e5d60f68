package sandbox

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The operations of Adyen's Checkout API.
const (
	OpAdyenPay     = "adyen.payments"
	OpAdyenCapture = "adyen.captures"
	OpAdyenRefund  = "adyen.refunds"
	OpAdyenCancel  = "adyen.cancels"
)

// adyenAPI is Adyen's, v71: https://docs.adyen.com/api-explorer/Checkout/71/overview.
func adyenAPI() *dialect {
	modify := func(path, operation string) *route {
		r := effect(path, operation, modifyAdyen)
		r.status = http.StatusCreated
		return r
	}
	return &dialect{
		keys: &keyRules{ // https://docs.adyen.com/development-resources/api-idempotency
			header: "Idempotency-Key", life: 7 * 24 * time.Hour, longest: 64,
			stores: func(failed *apiError, told int) bool { return failed == nil && told < 500 },
			long:   func() answer { return adyenKey(422, "Idempotency key is too long") },
			other:  func() answer { return adyenKey(422, "request already processed or in progress") },
			busy:   func() answer { return adyenKey(422, "request already processed or in progress") },
		},
		routes: []*route{
			effect("/v71/payments", OpAdyenPay, payAdyen), modify("/v71/payments/{id}/captures", OpAdyenCapture),
			modify("/v71/payments/{id}/refunds", OpAdyenRefund), modify("/v71/payments/{id}/cancels", OpAdyenCancel),
			modify("/v71/cancels", OpAdyenCancel),
		},
		secret:  func(r *http.Request) string { return r.Header.Get("X-API-Key") },
		read:    readDocument(func(detail string) *apiError { return adyenTrouble(http.StatusBadRequest, detail) }),
		body:    adyenError,
		trouble: adyenTrouble,
		head:    func(h http.Header, c *call, _ string) { h.Set("Idempotency-Key", c.key) },
	}
}

func adyenError(e *apiError) any {
	return map[string]any{"status": e.Status, "errorCode": e.Code, "message": e.Message, "errorType": e.Type}
}

func adyenTrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Code: strconv.Itoa(900), Type: "validation", Message: detail}
	switch status {
	case http.StatusUnauthorized:
		e.Code, e.Type, e.Message = "000", "security", "HTTP Status Response - Unauthorized"
	case http.StatusNotFound, http.StatusUnprocessableEntity:
		e.Code = "167"
	}
	return e
}

func adyenKey(status int, message string) answer {
	e := adyenTrouble(status, message)
	if e.Code = "704"; strings.Contains(message, "long") {
		e.Code = "702"
	}
	return jsonAnswer(status, adyenError(e))
}

func payAdyen(b *bank, c *call) (any, *apiError) {
	for _, field := range []string{"merchantAccount", "reference", "amount.value", "amount.currency", "paymentMethod.type"} {
		if c.doc.get(field) == "" {
			e := adyenTrouble(http.StatusUnprocessableEntity, "Required field '"+field+"' is not provided.")
			e.Code = "130"
			return nil, e
		}
	}
	amount, bad := adyenAmount(c)
	if bad != nil {
		return nil, bad
	}
	if c.doc.get("paymentMethod.storedPaymentMethodId") != "" && c.doc.get("shopperReference") == "" {
		return nil, adyenTrouble(http.StatusUnprocessableEntity, "Required field 'shopperReference' is not provided.")
	}
	p := &payment{id: strings.ToUpper(b.ids.make("psp")), reference: c.doc.get("reference"), amount: amount, currency: c.doc.get("amount.currency"), status: "Authorised"}
	answer := map[string]any{"pspReference": p.id, "resultCode": p.status, "merchantReference": p.reference, "amount": map[string]any{"value": amount, "currency": p.currency}}
	booked := "succeeded"
	if c.doc.get("paymentMethod.holderName") == "DECLINED" { // https://docs.adyen.com/development-resources/testing/result-code-testing
		p.status, booked = "Refused", StatusDeclined
		answer["resultCode"], answer["refusalReason"], answer["refusalReasonCode"] = "Refused", "Not enough balance", "12"
	}
	b.enter(c, p, booked)
	return answer, nil
}

func adyenAmount(c *call) (int64, *apiError) {
	amount, err := strconv.ParseInt(c.doc.get("amount.value"), 10, 64)
	if err != nil || amount < 0 || len(c.doc.get("amount.currency")) != 3 {
		return 0, adyenTrouble(http.StatusUnprocessableEntity, "Invalid amount specified")
	}
	return amount, nil
}

// modifyAdyen receives a capture, a refund or a cancel; what becomes of it a webhook would tell.
func modifyAdyen(b *bank, c *call) (any, *apiError) {
	of := c.id
	if of == "" {
		of = c.doc.get("paymentReference")
	}
	if c.doc.get("merchantAccount") == "" || of == "" {
		return nil, adyenTrouble(http.StatusUnprocessableEntity, "Required field 'merchantAccount' is not provided.")
	}
	if _, there := b.payments.byID[of]; c.id != "" && !there {
		return nil, adyenTrouble(http.StatusUnprocessableEntity, "Original pspReference required for this operation")
	}
	m := &payment{id: strings.ToUpper(b.ids.make("mod")), reference: c.doc.get("reference"), of: of, status: "received"}
	if c.operation != OpAdyenCancel { // a capture and a refund say how much
		amount, bad := adyenAmount(c)
		if bad != nil {
			return nil, bad
		}
		m.amount, m.currency = amount, c.doc.get("amount.currency")
	}
	b.enter(c, m, "received")
	name := "paymentPspReference"
	if c.id == "" {
		name = "paymentReference"
	}
	answer := map[string]any{"merchantAccount": c.doc.get("merchantAccount"), name: of, "pspReference": m.id, "reference": m.reference, "status": "received"}
	if m.currency != "" {
		answer["amount"] = map[string]any{"value": m.amount, "currency": m.currency}
	}
	return answer, nil
}
