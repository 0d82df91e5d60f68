package browser

import (
	"fmt"
	"testing"
	"time"
)

// TestPageMoves reads the Overview twice without touching it: figures, matrix and books change by themselves.
func TestPageMoves(t *testing.T) {
	h := open(t)
	b := h.tab(t)
	b.open("/")
	loaded := time.Now()
	tell[bool](b, "window.here = true")
	for _, what := range []string{"#tiles", "#matrix", "#band"} {
		first := b.textOf(what)
		if first == "" {
			t.Fatalf("%s is empty", what)
		}
		eventually(t, within, what+" moves", func() error {
			if b.textOf(what) == first {
				return fmt.Errorf("it still reads %q", first)
			}
			return nil
		})
	}
	promised(t, 5*time.Second, loaded, "figures, matrix and books have moved since the page loaded")
	if !tell[bool](b, "window.here === true") {
		t.Error("the page was loaded again")
	}
	b.reads("#band", `0 twice\s*·\s*0 lost`, within)
	b.reads("#age", `data \d\.\d s old`, within)
}

// TestTransactionsMove makes a call while the list is open: it appears by itself. The list is narrowed to the call's key: the newest of all
// can be fifty younger ones before anybody has looked.
func TestTransactionsMove(t *testing.T) {
	h := open(t)
	b := h.tab(t)
	order := fmt.Sprintf("moves-%d", time.Now().UnixNano())
	b.open("/transactions?key=" + order)
	tell[bool](b, "window.here = true")
	id := h.mustCharge(t, "us-east", order).header.Get("Segue-Transaction")
	eventually(t, 15*time.Second, "the list shows a new transaction by itself", func() error {
		if !tell[bool](b, fmt.Sprintf("document.querySelector('#list').innerText.includes(%q)", id)) {
			return fmt.Errorf("the frame reads %q, the list begins %.300q", b.textOf("#status"), b.textOf("#list"))
		}
		return nil
	})
	if !tell[bool](b, "window.here === true") {
		t.Error("the page was loaded again")
	}
}
