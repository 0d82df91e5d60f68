package sandbox

import (
	"math"
	"strings"
)

// charge is a payment in one step, or the money side of an intent.
type charge struct {
	id, currency, intent, card, description string
	amount, captured, refunded, created     int64
	fee                                     int64 // taken at the capture
	isCaptured, failed                      bool
	metadata                                map[string]string
}

func (c *charge) status() string {
	if c.failed {
		return "failed"
	}
	return "succeeded"
}

func (c *charge) render() map[string]any {
	return map[string]any{
		"id": c.id, "object": "charge", "amount": c.amount, "amount_captured": c.captured, "amount_refunded": c.refunded,
		"captured": c.isCaptured, "created": c.created, "currency": c.currency, "description": orNull(c.description), "livemode": false,
		"metadata": c.metadata, "paid": !c.failed, "payment_intent": orNull(c.intent), "payment_method": orNull(c.card),
		"refunded": c.refunded > 0 && c.refunded == c.captured, "status": c.status(),
	}
}

// settle takes the fee of what was captured: 2.9 % and 30 of the smallest unit, or what a fault makes of that.
func (c *charge) settle(by *call) { c.fee = by.fee(c.captured*29/1000 + 30) }

// fee is what a call takes that usually takes so much.
func (c *call) fee(usual int64) int64 {
	if c.dearer == 0 {
		return usual
	}
	return int64(math.Round(float64(usual) * c.dearer))
}

// told is the charge as the call wants it: with its balance transaction where that is to be expanded, with its id otherwise.
func (c *charge) told(by *call) map[string]any {
	out := c.render()
	id := "txn" + strings.TrimPrefix(c.id, "ch")
	switch {
	case !c.isCaptured:
		out["balance_transaction"] = nil
	case by.form.Get("expand[]") == "balance_transaction" || by.form.Get("expand[0]") == "balance_transaction":
		out["balance_transaction"] = map[string]any{
			"id": id, "object": "balance_transaction", "amount": c.captured, "currency": c.currency, "fee": c.fee, "net": c.captured - c.fee,
		}
	default:
		out["balance_transaction"] = id
	}
	return out
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func createCharge(b *bank, c *call) (any, *apiError) {
	amount, bad := c.form.amount("amount")
	if bad != nil {
		return nil, bad
	}
	currency, bad := c.form.currency()
	if bad != nil {
		return nil, bad
	}
	card, bad := cardOf(c.form)
	if bad != nil {
		return nil, bad
	}
	if bad := b.here("source", card); bad != nil {
		return nil, bad
	}
	reference := c.form.Get("metadata[reference]")
	if bad := b.blocked(reference); bad != nil {
		return nil, bad
	}
	ch := b.newCharge(amount, currency, card, c.form.metadata())
	b.refer(reference, ch)
	ch.description = c.form.Get("description")
	if reason := declines(card, amount); reason != "" {
		ch.failed = true
		b.record(c, ch.id, amount, currency, ch.metadata, StatusDeclined)
		return nil, declined(reason, ch.id)
	}
	if c.form.flag("capture", true) {
		ch.isCaptured, ch.captured = true, amount
		ch.settle(c)
	}
	b.record(c, ch.id, amount, currency, ch.metadata, ch.status())
	return ch.told(c), nil
}

func cardOf(f form) (string, *apiError) {
	for _, param := range []string{"source", "payment_method", "customer", "card"} {
		card := f.Get(param)
		if strings.Contains(card, "invalid") {
			return "", invalid(param, "resource_missing", "No such token: '"+card+"'")
		}
		if card != "" {
			return card, nil
		}
	}
	return "", invalid("source", "parameter_missing", "Must provide source or customer.")
}

func (b *bank) newCharge(amount int64, currency, card string, metadata map[string]string) *charge {
	ch := &charge{id: b.ids.make("ch"), amount: amount, currency: currency, card: card, created: b.now().Unix(), metadata: metadata}
	b.charges.put(ch.id, ch)
	return ch
}

func (b *bank) charge(c *call) (*charge, *apiError) {
	if ch, ok := b.charges.byID[c.id]; ok {
		return ch, nil
	}
	return nil, noSuch("charge", "id", c.id)
}

func getCharge(b *bank, c *call) (any, *apiError) {
	ch, bad := b.charge(c)
	if bad != nil {
		return nil, bad
	}
	return ch.told(c), nil
}

func updateCharge(b *bank, c *call) (any, *apiError) {
	ch, bad := b.charge(c)
	if bad != nil {
		return nil, bad
	}
	ch.metadata = merged(ch.metadata, c.form.metadata()) // a new map: the books hold the old one
	if d := c.form.Get("description"); d != "" {
		ch.description = d
	}
	b.record(c, ch.id, ch.amount, ch.currency, ch.metadata, ch.status())
	return ch.told(c), nil
}

func merged(old, more map[string]string) map[string]string {
	out := make(map[string]string, len(old)+len(more))
	for k, v := range old {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func captureCharge(b *bank, c *call) (any, *apiError) {
	ch, bad := b.charge(c)
	if bad != nil {
		return nil, bad
	}
	if ch.failed || ch.isCaptured || ch.refunded > 0 {
		return nil, invalid("", "charge_already_captured", "Charge "+ch.id+" has already been captured, refunded or failed.")
	}
	amount, bad := upTo(c.form, "amount", ch.amount)
	if bad != nil {
		return nil, bad
	}
	ch.isCaptured, ch.captured = true, amount
	ch.settle(c)
	b.record(c, ch.id, amount, ch.currency, merged(ch.metadata, c.form.metadata()), ch.status())
	return ch.told(c), nil
}

// upTo reads an optional amount that may not be over most.
func upTo(f form, param string, most int64) (int64, *apiError) {
	if f.Get(param) == "" {
		return most, nil
	}
	amount, bad := f.amount(param)
	if bad != nil {
		return 0, bad
	}
	if amount > most {
		return 0, invalid(param, "amount_too_large", "The amount is greater than what is left.")
	}
	return amount, nil
}
