package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestHintsPage cuts a region off from the store by its button, holds the replay back by the form, looks at the page in both themes and widths,
// and lets both go: nothing is left that waits.
func TestHintsPage(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() {
		h.stopAll(t)
		h.api(t, http.MethodDelete, "/hints/throttle", nil)
		h.well(t)
	})
	b := h.tab(t)
	b.breaks("Cut the store from eu-west", "", "for 5 min")
	b.reads("#running", "Cut the store from eu-west", within)
	b.shows("/hints", "#headline", "eu-west-1 cannot reach the store")
	b.find("spinbutton", "Hints a second, in each agent").enter("20")
	b.find("textbox", "Reason for holding it back").enter("the store is busy")
	b.leaves(func() { b.find("button", "Throttle").click() })
	b.reads("main", "At most 20 a second in every region", within)
	b.find("textbox", "Reason for the replay").enter("look first")
	b.leaves(func() { b.find("button", "Show what it would do").click() })
	b.reads("main", "What a replay would do", within)
	b.looks(t, []shown{{name: "hints of a region that is cut off", path: "/hints"}}, nothing)
	b.open("/hints")
	b.leaves(func() { b.find("button", "End it").click() })
	b.reads("main", "The replay goes on by itself", within)
	b.open("/")
	b.stops("Cut the store")
	b.shows("/hints", "#headline", "Nothing waits for the store")
}

// shows opens a page until it says so: it shows what was when it was asked for.
func (b *tab) shows(path, selector, want string) {
	b.t.Helper()
	eventually(b.t, within, fmt.Sprintf("%s of %s reads %q", selector, path, want), func() error {
		b.open(path)
		if text := b.textOf(selector); !strings.Contains(text, want) {
			return fmt.Errorf("it reads %.300q", text)
		}
		return nil
	})
}
