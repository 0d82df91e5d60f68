package browser

import (
	"fmt"
	"testing"
	"time"
)

// TestWithoutScript steers with scripts off: numbers, plain forms and links do it all.
func TestWithoutScript(t *testing.T) {
	h := open(t)
	h.well(t)
	b := h.tab(t)
	b.scriptless()

	t.Run("move-a-weight", func(t *testing.T) {
		t.Cleanup(func() { h.restore(t) })
		b := b.in(t)
		if b.move("us-east", map[string]string{"main": "55", "backup": "45"}, "moved by plain forms"); b.find("spinbutton", "main in us-east, percent of new sessions").value() != "55" {
			t.Error("the page does not show the new weight")
		}
		b.open("/routing/payments") // nothing moves by itself here
		b.reads("main", "“moved by plain forms”", within)
		b.leaves(func() { b.find("button", `Undo \d+`).click() })
		if got := b.find("spinbutton", "main in us-east, percent of new sessions").value(); got != "70" {
			t.Errorf("after Undo main has %s", got)
		}
	})
	t.Run("a-mistake-is-told-beside-its-field", func(t *testing.T) {
		b := b.in(t)
		b.open("/routing/payments")
		b.find("spinbutton", "main in eu-west, percent of new sessions").enter("90")
		b.leaves(func() { b.review("eu-west").click() })
		b.reads("main", "150", within)
		if parts, err := b.named("button", "Apply.*"); err != nil || len(parts) > 0 {
			t.Errorf("a sum of 150 can be applied: %v %v", parts, err)
		}
	})
	t.Run("run-and-stop-a-drill", func(t *testing.T) {
		b := b.in(t)
		b.open("/")
		b.find("combobox", "Provider").choose("backup")
		b.leaves(func() { b.find("button", "Slow a provider").click() })
		b.reads("#running", `Slow a provider\s+at backup`, within)
		b.leaves(func() { b.find("button", "Stop Slow a provider").click() })
		if text := b.textOf("#running"); text != "" {
			t.Errorf("after Stop there still runs %q", text)
		}
	})
	t.Run("search-a-transaction", func(t *testing.T) {
		b := b.in(t)
		order := fmt.Sprintf("plain-%d", time.Now().UnixNano())
		id := h.mustCharge(t, "eu-west", order).header.Get("Segue-Transaction")
		b.open("/transactions")
		b.find("searchbox", "Our id, the provider’s id, or the idempotency key").enter(order)
		b.leaves(func() { b.find("button", "Show").click() })
		b.leaves(func() { b.find("link", id).click() })
		b.reads("main", "key "+order, within)
		if b.address() != "/transactions/"+id {
			t.Errorf("the link led to %s", b.address())
		}
	})
	h.well(t)
}

// in is the same tab for a part of a test.
func (b *tab) in(t *testing.T) *tab {
	return &tab{t: t, ctx: b.ctx, base: b.base, complaints: b.complaints}
}
