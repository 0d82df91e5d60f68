package sandbox

// refund gives money of a charge back.
type refund struct {
	id, charge, intent, currency string
	amount, created              int64
	metadata                     map[string]string
}

func (r *refund) render() map[string]any {
	return map[string]any{
		"id": r.id, "object": "refund", "amount": r.amount, "charge": r.charge, "created": r.created, "currency": r.currency,
		"metadata": r.metadata, "payment_intent": orNull(r.intent), "status": "succeeded",
	}
}

// createRefund takes its order from the request alone: several refunds of one charge are all wanted.
func createRefund(b *bank, c *call) (any, *apiError) {
	ch, bad := b.refunded(c)
	if bad != nil {
		return nil, bad
	}
	left := ch.amount - ch.refunded
	if ch.failed || left == 0 {
		return nil, invalid("", "charge_already_refunded", "Charge "+ch.id+" has already been refunded.")
	}
	amount, bad := upTo(c.form, "amount", left)
	if bad != nil {
		return nil, bad
	}
	ch.refunded += amount
	r := &refund{id: b.ids.make("re"), charge: ch.id, intent: ch.intent, currency: ch.currency, amount: amount,
		created: b.now().Unix(), metadata: c.form.metadata()}
	b.refunds.put(r.id, r)
	b.record(c, r.id, amount, r.currency, r.metadata, "succeeded")
	return r.render(), nil
}

func (b *bank) refunded(c *call) (*charge, *apiError) {
	id := c.form.Get("charge")
	if pi := c.form.Get("payment_intent"); id == "" && pi != "" {
		in, ok := b.intents.byID[pi]
		if !ok {
			return nil, noSuch("payment_intent", "payment_intent", pi)
		}
		id = in.charge
		if id == "" {
			return nil, invalid("payment_intent", "", "This PaymentIntent does not have a successful charge to refund.")
		}
	}
	if id == "" {
		return nil, missing("charge")
	}
	if ch, ok := b.charges.byID[id]; ok {
		return ch, nil
	}
	return nil, noSuch("charge", "charge", id)
}

func getRefund(b *bank, c *call) (any, *apiError) {
	r, ok := b.refunds.byID[c.id]
	if !ok {
		return nil, noSuch("refund", "id", c.id)
	}
	return r.render(), nil
}
