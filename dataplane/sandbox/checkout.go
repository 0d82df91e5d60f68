package sandbox

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The operations of Checkout.com's payments API.
const (
	OpCheckoutPay     = "checkout.payments"
	OpCheckoutCapture = "checkout.captures"
	OpCheckoutRefund  = "checkout.refunds"
	OpCheckoutVoid    = "checkout.voids"
)

// checkoutAPI is Checkout.com's: https://www.checkout.com/docs/developer-resources/api/idempotency.
func checkoutAPI() *dialect {
	act := func(name, operation, becomes string) *route {
		r := effect("/payments/{id}/"+name, operation, actCheckout(becomes))
		r.status = http.StatusAccepted
		return r
	}
	pay := effect("/payments", OpCheckoutPay, payCheckout)
	pay.status = http.StatusCreated
	return &dialect{
		keys: &keyRules{
			header: "Cko-Idempotency-Key", life: 24 * time.Hour,
			stores: func(failed *apiError, told int) bool { return failed == nil && told < 300 },
			busy: func() answer {
				return jsonAnswer(http.StatusTooManyRequests, checkoutError(checkoutTrouble(http.StatusTooManyRequests, "")))
			},
		},
		routes: []*route{
			pay, act("captures", OpCheckoutCapture, "Captured"), act("refunds", OpCheckoutRefund, "Refunded"), act("voids", OpCheckoutVoid, "Voided"),
			read("/payments", "checkout.list", listCheckout), read("/payments/{id}", "checkout.get", getCheckout),
		},
		secret:  bearer,
		read:    readDocument(func(detail string) *apiError { return checkoutTrouble(http.StatusBadRequest, detail) }),
		body:    checkoutError,
		trouble: checkoutTrouble,
		head:    func(h http.Header, _ *call, id string) { h.Set("Cko-Request-Id", id) },
	}
}

func checkoutError(e *apiError) any {
	return map[string]any{"request_id": "0", "error_type": e.Type, "error_codes": []string{e.Code}}
}

func checkoutTrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Type: "request_invalid", Code: detail}
	switch status {
	case http.StatusTooManyRequests:
		e.Code = "too_many_requests"
	case http.StatusNotFound:
		e.Code = "payment_not_found"
	}
	return e
}

func (p *payment) checkout() map[string]any {
	return map[string]any{
		"id": p.id, "amount": p.amount, "currency": p.currency, "reference": p.reference, "status": p.status, "approved": p.status != "Declined",
	}
}

func payCheckout(b *bank, c *call) (any, *apiError) {
	amount, err := strconv.ParseInt(c.doc.get("amount"), 10, 64)
	switch {
	case checkoutSource(&c.doc) != "":
		return nil, checkoutTrouble(http.StatusUnprocessableEntity, checkoutSource(&c.doc))
	case len(c.doc.get("currency")) != 3:
		return nil, checkoutTrouble(http.StatusUnprocessableEntity, "currency_required")
	case err != nil || amount < 0:
		return nil, checkoutTrouble(http.StatusUnprocessableEntity, "amount_invalid")
	}
	p := &payment{id: b.ids.make("pay"), reference: c.doc.get("reference"), amount: amount, currency: c.doc.get("currency"), status: "Authorized"}
	booked := "succeeded"
	why, declined := checkoutDeclines()[amount%100]
	if declined {
		p.status, booked = "Declined", StatusDeclined
	}
	b.enter(c, p, booked)
	answer := p.checkout()
	if declined {
		answer["response_code"], answer["response_summary"], _ = strings.Cut(why, " ")
	}
	return answer, nil
}

// checkoutDeclines are the amounts that are declined, by their last two digits: https://www.checkout.com/docs/developer-resources/testing.
func checkoutDeclines() map[int64]string {
	return map[int64]string{5: "20005 Declined - Do Not Honour", 51: "20051 Insufficient Funds"}
}

// checkoutSource tells what is wrong with what is charged, or "".
func checkoutSource(d *document) string {
	needs := map[string][]string{"card": {"number", "expiry_month", "expiry_year"}, "token": {"token"}, "id": {"id"}}[d.get("source.type")]
	if needs == nil {
		return "payment_source_required"
	}
	for _, name := range needs {
		if d.get("source."+name) == "" {
			return "source_" + name + "_required"
		}
	}
	return ""
}

// actCheckout accepts what follows a payment; here it is done at once.
func actCheckout(becomes string) func(*bank, *call) (any, *apiError) {
	return func(b *bank, c *call) (any, *apiError) {
		p, there := b.payments.byID[c.id]
		switch {
		case !there:
			return nil, checkoutTrouble(http.StatusNotFound, "")
		case becomes == "Voided" && p.status != "Authorized", becomes == "Refunded" && p.status == "Declined":
			return nil, checkoutTrouble(http.StatusForbidden, "action_not_allowed")
		}
		amount := p.amount
		if text := c.doc.get("amount"); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n <= 0 || n > p.amount {
				return nil, checkoutTrouble(http.StatusUnprocessableEntity, "amount_invalid")
			}
			amount = n
		}
		p.status = becomes
		b.record(c, p.id, amount, p.currency, map[string]string{"order": p.reference}, "accepted")
		return map[string]any{"action_id": b.ids.make("act"), "reference": c.doc.get("reference"), "_links": map[string]any{"payment": map[string]any{"href": "/payments/" + p.id}},
			"payment_id": p.id}, nil
	}
}

func getCheckout(b *bank, c *call) (any, *apiError) {
	if p, there := b.payments.byID[c.id]; there {
		return p.checkout(), nil
	}
	return nil, checkoutTrouble(http.StatusNotFound, "")
}

// listedAfter is how long a payment is not in lists: no page says that they are up to date.
const listedAfter = 30 * time.Millisecond

// listCheckout lists the payments with a reference, the newest first.
func listCheckout(b *bank, c *call) (any, *apiError) {
	reference := c.doc.query.Get("reference")
	if reference == "" {
		return nil, checkoutTrouble(http.StatusUnprocessableEntity, "reference_required")
	}
	data := []map[string]any{}
	b.payments.newest(func(_ string, p *payment) bool {
		if p.reference == reference && b.now().Sub(p.made) >= listedAfter {
			data = append(data, p.checkout())
		}
		return len(data) < 10
	})
	return map[string]any{"limit": 10, "skip": 0, "total_count": len(data), "data": data}, nil
}
