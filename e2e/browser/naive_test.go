package browser

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// TestNaiveRetry switches the naive client on by keyboard, loses replies, and watches it charge twice while Segue does not; off again without a
// script.
func TestNaiveRetry(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.api(t, http.MethodDelete, "/sandbox/naive", nil); h.stopAll(t); h.well(t) })
	b := h.tab(t)
	b.open("/")
	b.reads("#naive-switch", `Off`, within)
	b.tabTo("Switch on the naive client")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("#naive-switch", `On\s+ends by itself at \d\d:\d\d`, within)
	b.breaks("Lose replies after the charge", "main", "for 5 min")
	b.reads("#naive-counts", `through Segue\s+0 twice\s*·\s*0 lost\s+naive retry\s+[1-9]\d* twice`, within)
	for _, theme := range []string{"light", "dark"} {
		b.wants(theme)
		b.holds("Overview with the naive client, " + theme)
	}
	b.wide(375)
	b.holds("Overview with the naive client, 375 px")
	plain := h.tab(t)
	plain.scriptless()
	plain.open("/")
	plain.leaves(func() { plain.find("button", "Switch off the naive client").click() })
	if text := plain.textOf("#naive-switch"); !regexp.MustCompile(`^Off`).MatchString(text) {
		t.Errorf("switched off, it reads %q", text)
	}
}
