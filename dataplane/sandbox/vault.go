package sandbox

// OpVault is the operation that takes a card of a vault. It is no part of Stripe's API: vaults bring cards to each provider in its own way,
// and this is the simplest.
const OpVault = "vault.cards.create"

// vaulted is a card that was brought here. It is charged under its own id, and known at this provider alone.
type vaulted struct{ id, card string }

func (v *vaulted) render() map[string]any {
	return map[string]any{"id": v.id, "object": "card", "card": v.card}
}

func bringCard(b *bank, c *call) (any, *apiError) {
	card := c.form.Get("card")
	if card == "" {
		return nil, invalid("card", "parameter_missing", "Missing required param: card.")
	}
	if card == "unwanted" {
		return nil, invalid("card", "resource_missing", "The vault does not know this card.")
	}
	v := &vaulted{id: b.ids.make("card"), card: card}
	b.vault.put(v.id, v)
	b.record(c, v.id, 0, "", nil, "succeeded")
	return v.render(), nil
}

func getCard(b *bank, c *call) (any, *apiError) {
	if v := b.vault.byID[c.id]; v != nil {
		return v.render(), nil
	}
	return nil, noSuch("card", "id", c.id)
}

// OpVaultUpdate changes a card that was brought here: from then on it is another one.
const OpVaultUpdate = "vault.cards.update"

func updateCard(b *bank, c *call) (any, *apiError) {
	v := b.vault.byID[c.id]
	if v == nil {
		return nil, noSuch("card", "id", c.id)
	}
	if v.card = c.form.Get("card"); v.card == "" {
		return nil, missing("card")
	}
	b.record(c, v.id, 0, "", nil, "succeeded")
	return v.render(), nil
}

// here refuses a card of a vault that was never brought to this provider.
func (b *bank) here(param, card string) *apiError {
	if len(card) < 5 || card[:5] != "card_" || b.vault.byID[card] != nil {
		return nil
	}
	return noCard(param, card)
}

func noCard(param, card string) *apiError {
	return invalid(param, "resource_missing", "No such card: '"+card+"'")
}
