package sandbox

// intent is a payment in steps: created, confirmed, perhaps captured.
type intent struct {
	id, currency, card, charge, status string
	amount, received, created          int64
	manual                             bool // captured apart
	metadata                           map[string]string
}

func (i *intent) render() map[string]any {
	capture := "automatic"
	if i.manual {
		capture = "manual"
	}
	return map[string]any{
		"id": i.id, "object": "payment_intent", "amount": i.amount, "amount_received": i.received, "capture_method": capture,
		"client_secret": i.id + "_secret_sandbox", "created": i.created, "currency": i.currency, "latest_charge": orNull(i.charge),
		"livemode": false, "metadata": i.metadata, "payment_method": orNull(i.card), "payment_method_types": []string{"card"},
		"status": i.status,
	}
}

func createIntent(b *bank, c *call) (any, *apiError) {
	amount, bad := c.form.amount("amount")
	if bad != nil {
		return nil, bad
	}
	currency, bad := c.form.currency()
	if bad != nil {
		return nil, bad
	}
	in := &intent{id: b.ids.make("pi"), amount: amount, currency: currency, created: b.now().Unix(), metadata: c.form.metadata(),
		manual: c.form.Get("capture_method") == "manual", status: "requires_payment_method"}
	if bad := in.take(c.form); bad != nil {
		return nil, bad
	}
	confirm := c.form.flag("confirm", false)
	if confirm && in.card == "" {
		return nil, invalid("payment_method", "parameter_missing", "You cannot confirm this PaymentIntent because it's missing a payment method.")
	}
	b.intents.put(in.id, in)
	if confirm {
		return b.pay(c, in)
	}
	b.record(c, in.id, amount, currency, in.metadata, in.status)
	return in.render(), nil
}

// take reads the card, if the request brings one.
func (i *intent) take(f form) *apiError {
	if f.Get("payment_method") == "" {
		return nil
	}
	card, bad := cardOf(form{Values: map[string][]string{"payment_method": {f.Get("payment_method")}}})
	if bad != nil {
		return bad
	}
	i.card, i.status = card, "requires_confirmation"
	return nil
}

// pay charges the card of an intent.
func (b *bank) pay(c *call, in *intent) (any, *apiError) {
	ch := b.newCharge(in.amount, in.currency, in.card, in.metadata)
	ch.intent = in.id
	if reason := declines(in.card, in.amount); reason != "" {
		ch.failed, in.status, in.card = true, "requires_payment_method", ""
		b.record(c, in.id, in.amount, in.currency, in.metadata, StatusDeclined)
		failed := declined(reason, ch.id)
		failed.Intent = in.render()
		return nil, failed
	}
	in.charge, in.status = ch.id, "requires_capture"
	if !in.manual {
		in.status, in.received, ch.isCaptured, ch.captured = "succeeded", in.amount, true, in.amount
	}
	b.record(c, in.id, in.amount, in.currency, in.metadata, in.status)
	return in.render(), nil
}

func (b *bank) intent(c *call) (*intent, *apiError) {
	if in, ok := b.intents.byID[c.id]; ok {
		return in, nil
	}
	return nil, noSuch("payment_intent", "intent", c.id)
}

func getIntent(b *bank, c *call) (any, *apiError) {
	in, bad := b.intent(c)
	if bad != nil {
		return nil, bad
	}
	return in.render(), nil
}

func confirmIntent(b *bank, c *call) (any, *apiError) {
	in, bad := b.intent(c)
	if bad != nil {
		return nil, bad
	}
	if in.status != "requires_confirmation" && in.status != "requires_payment_method" {
		return nil, in.unexpected("confirm")
	}
	if bad := in.take(c.form); bad != nil {
		return nil, bad
	}
	if in.card == "" {
		return nil, in.unexpected("confirm")
	}
	return b.pay(c, in)
}

func captureIntent(b *bank, c *call) (any, *apiError) {
	in, bad := b.intent(c)
	if bad != nil {
		return nil, bad
	}
	if in.status != "requires_capture" {
		return nil, in.unexpected("capture")
	}
	amount, bad := upTo(c.form, "amount_to_capture", in.amount)
	if bad != nil {
		return nil, bad
	}
	in.status, in.received = "succeeded", amount
	if ch := b.charges.byID[in.charge]; ch != nil {
		ch.isCaptured, ch.captured = true, amount
	}
	b.record(c, in.id, amount, in.currency, merged(in.metadata, c.form.metadata()), in.status)
	return in.render(), nil
}

func cancelIntent(b *bank, c *call) (any, *apiError) {
	in, bad := b.intent(c)
	if bad != nil {
		return nil, bad
	}
	if in.status == "succeeded" || in.status == "canceled" {
		return nil, in.unexpected("cancel")
	}
	in.status = "canceled"
	b.record(c, in.id, in.amount, in.currency, in.metadata, in.status)
	return in.render(), nil
}

func (i *intent) unexpected(verb string) *apiError {
	return invalid("", "payment_intent_unexpected_state", "You cannot "+verb+" this PaymentIntent because it has a status of "+i.status+".")
}
