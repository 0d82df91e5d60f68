package sandbox

import (
	"strconv"
	"strings"
)

// route is one endpoint of the API.
type route struct {
	method, pattern string // a segment {id} matches anything; {id}.json anything that ends so
	operation       string
	effect          bool
	status          int // of its success; 0: 200
	do              func(*bank, *call) (any, *apiError)
}

func effect(pattern, operation string, do func(*bank, *call) (any, *apiError)) *route {
	return &route{method: "POST", pattern: pattern, operation: operation, effect: true, do: do}
}

func read(pattern, operation string, do func(*bank, *call) (any, *apiError)) *route {
	return &route{method: "GET", pattern: pattern, operation: operation, do: do}
}

// routes lists the API; what is more special comes first.
func routes() []*route {
	return []*route{
		effect("/v1/charges", OpCharge, createCharge),
		effect("/v1/charges/{id}", OpChargeUpdate, updateCharge),
		effect("/v1/charges/{id}/capture", OpChargeCapture, captureCharge),
		read("/v1/charges", "charges.list", listCharges),
		read("/v1/charges/search", "charges.search", searchCharges),
		read("/v1/charges/{id}", "charges.get", getCharge),
		effect("/v1/payment_intents", OpIntent, createIntent),
		effect("/v1/payment_intents/{id}/confirm", OpIntentConfirm, confirmIntent),
		effect("/v1/payment_intents/{id}/capture", OpIntentCapture, captureIntent),
		effect("/v1/payment_intents/{id}/cancel", OpIntentCancel, cancelIntent),
		read("/v1/payment_intents", "payment_intents.list", listIntents),
		read("/v1/payment_intents/search", "payment_intents.search", searchIntents),
		read("/v1/payment_intents/{id}", "payment_intents.get", getIntent),
		effect("/v1/refunds", OpRefund, createRefund),
		read("/v1/refunds", "refunds.list", listRefunds),
		read("/v1/refunds/{id}", "refunds.get", getRefund),
		effect("/v1/vault/cards", OpVault, bringCard),
		effect("/v1/vault/cards/{id}", OpVaultUpdate, updateCard),
		read("/v1/vault/cards/{id}", "vault.cards.get", getCard),
		read("/v1/balance", "balance.get", getBalance),
		read("/v1/files/{id}/contents", opDownload, nil),
		read("/v1/stream", opStream, nil),
	}
}

// The two endpoints that are streamed, not executed.
const (
	opDownload = "files.contents"
	opStream   = "stream"
)

// match finds the endpoint of a request, and the names in its path.
func match(all []*route, method, path string) (*route, map[string]string) {
	for _, r := range all {
		if r.method != method {
			continue
		}
		if names, ok := fits(r.pattern, path); ok {
			return r, names
		}
	}
	return nil, nil
}

func fits(pattern, path string) (names map[string]string, ok bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	names = map[string]string{}
	for i := range want {
		name, suffix, open := strings.Cut(strings.TrimPrefix(want[i], "{"), "}")
		text, ends := strings.CutSuffix(have[i], suffix)
		switch {
		case !open && want[i] != have[i], open && (!ends || text == ""):
			return nil, false
		case open:
			names[name] = text
		}
	}
	return names, true
}

func listCharges(b *bank, c *call) (any, *apiError) {
	return list(b.charges, c, func(ch *charge) map[string]any {
		if pi := c.form.Get("payment_intent"); pi != "" && ch.intent != pi {
			return nil
		}
		return ch.render()
	})
}

func listIntents(b *bank, c *call) (any, *apiError) {
	return list(b.intents, c, (*intent).render)
}

func listRefunds(b *bank, c *call) (any, *apiError) {
	return list(b.refunds, c, func(r *refund) map[string]any {
		if ch := c.form.Get("charge"); ch != "" && r.charge != ch {
			return nil
		}
		return r.render()
	})
}

// list answers with a page of objects, newest first; a nil rendering is left out.
func list[T any](s *shelf[T], c *call, render func(T) map[string]any) (any, *apiError) {
	limit, after := 10, c.form.Get("starting_after")
	if text := c.form.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return nil, invalid("limit", "parameter_invalid_integer", "Limit is between 1 and 100.")
		}
		limit = n
	}
	data, more := []map[string]any{}, false
	s.newest(func(id string, v T) bool {
		if after != "" {
			if id == after {
				after = ""
			}
			return true
		}
		object := render(v)
		if object == nil {
			return true
		}
		if more = len(data) == limit; more {
			return false
		}
		data = append(data, object)
		return true
	})
	return map[string]any{"object": "list", "url": c.path, "has_more": more, "data": data}, nil
}

func searchCharges(b *bank, c *call) (any, *apiError) {
	return search(c, func(name, value string) (any, *apiError) {
		return list(b.charges, c, func(ch *charge) map[string]any { return having(ch.metadata, name, value, ch.render) })
	})
}

func searchIntents(b *bank, c *call) (any, *apiError) {
	return search(c, func(name, value string) (any, *apiError) {
		return list(b.intents, c, func(in *intent) map[string]any { return having(in.metadata, name, value, in.render) })
	})
}

// search understands one form of Stripe's query language: metadata['name']:'value'.
func search(c *call, find func(name, value string) (any, *apiError)) (any, *apiError) {
	query := strings.NewReplacer(`"`, `'`).Replace(c.form.Get("query"))
	rest, ok := strings.CutPrefix(query, "metadata['")
	name, value, cut := strings.Cut(rest, "']:'")
	if !ok || !cut || !strings.HasSuffix(value, "'") {
		return nil, invalid("query", "", "We were unable to parse your search query; it must be metadata['name']:'value'.")
	}
	found, bad := find(name, strings.TrimSuffix(value, "'"))
	if page, ok := found.(map[string]any); ok {
		page["object"] = "search_result"
	}
	return found, bad
}

func having(metadata map[string]string, name, value string, render func() map[string]any) map[string]any {
	if metadata[name] != value {
		return nil
	}
	return render()
}

func getBalance(*bank, *call) (any, *apiError) {
	money := []map[string]any{{"amount": 0, "currency": "usd", "source_types": map[string]any{"card": 0}}}
	return map[string]any{"object": "balance", "available": money, "pending": money, "livemode": false}, nil
}
