package browser

import (
	"fmt"
	"net/http"
	"testing"
)

// TestAShiftOnThePage is an operator who reviews a change, makes it in steps, sees the first one taken, and takes it back.
func TestAShiftOnThePage(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.restore(t) })
	h.weights(t, "eu-west", map[string]float64{"main": 90, "backup": 10, "legacy": 0})
	b := h.tab(t)
	b.tolerate("422")
	b.open("/routing/payments")
	b.find("spinbutton", "main in eu-west, percent of new sessions").enter("50")
	b.find("spinbutton", "backup in eu-west, percent of new sessions").enter("50")
	b.leaves(func() { b.review("eu-west").click() })
	b.find("textbox", "Reason").enter("fees")
	b.unfolds()
	b.holds("Review with the fields of a shift")
	b.find("textbox", "Percent of the way").enter("50, 20")
	b.leaves(func() { b.find("button", "Begin in steps").click() })
	b.reads("main", `20 does not come after 50; let the steps rise`, within)
	b.find("textbox", "Percent of the way").enter("50, 100")
	b.find("textbox", "A step every").enter("10m")
	b.leaves(func() { b.find("button", "Begin in steps").click() })
	if got := b.address(); got != "/routing/payments" {
		t.Fatalf("after Begin the page is %s: %s", got, b.text())
	}
	b.reads("#shifts", `Shift in eu-west.*(?s).*under way.*step 2 of 2 in`, within)
	b.reads("#shifts", `main\s+90 → 50\s+70`, within)
	for _, theme := range []string{"light", "dark"} {
		b.wants(theme)
		for _, width := range []int64{1440, 375} {
			b.wide(width)
			b.open("/routing/payments")
			b.reads("#shifts", "under way", within)
			b.holds(fmt.Sprintf("a shift under way, %s, %d px", theme, width))
		}
	}
	b.leaves(func() { b.find("button", `Back\s+the shift in eu-west`).click() })
	b.reads("#shifts", "back to the start", within)
	b.holds("a shift that went back")
	if got := b.find("spinbutton", "main in eu-west, percent of new sessions").value(); got != "90" {
		t.Errorf("main has %s after the way back", got)
	}
	var all struct{ Shifts []struct{ ID, Phase string } }
	h.api(t, http.MethodGet, "/shifts", nil).decode(t, &all)
	if len(all.Shifts) != 1 || all.Shifts[0].Phase != "returned" {
		t.Errorf("%+v", all)
	}
}
