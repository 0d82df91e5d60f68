package browser

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// focus is the element that has it: its name as a person reads it, and whether a person sees that it has it.
type focus struct {
	Name    string
	Visible bool
	Inside  bool // of the page's main part
}

// focus tells where the keyboard is.
func (b *tab) focus() focus {
	b.t.Helper()
	return tell[focus](b, `(() => {
		const e = document.activeElement; if (e === document.body) return { name: "", visible: false, inside: false };
		const s = getComputedStyle(e), r = e.getBoundingClientRect();
		const outlined = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1 && s.outlineColor !== "rgba(0, 0, 0, 0)";
		const seen = r.width > 0 && r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth;
		const name = e.getAttribute("aria-label") || (e.labels && e.labels[0] ? e.labels[0].textContent : e.textContent);
		return { name: name.trim().replace(/\s+/g, " ").slice(0, 80), visible: seen && (outlined || s.boxShadow !== "none"), inside: !!e.closest("main") } })()`)
}

// tabTo presses Tab until the focus is on an element of that name, and wants it to be visible everywhere on the way.
func (b *tab) tabTo(name string) {
	b.t.Helper()
	var way []string
	exp := regexp.MustCompile(`^(?:` + name + `)$`)
	for range 120 {
		b.press(kb.Tab)
		f := b.focus()
		if !f.Visible && f.Name != "" {
			b.t.Errorf("the focus on %q is not to be seen", f.Name)
		}
		if exp.MatchString(f.Name) {
			return
		}
		way = append(way, f.Name)
	}
	b.t.Fatalf("Tab does not lead to %q, but over\n%s", name, strings.Join(way, "\n"))
}

// TestKeyboard moves a weight without a mouse: the skip link, the number fields, Review, the reason, Apply.
func TestKeyboard(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.restore(t) })
	b := h.tab(t)
	b.open("/routing/payments")
	b.press(kb.Tab)
	if f := b.focus(); f.Name != "Skip to the page" || !f.Visible {
		t.Errorf("the first thing that Tab reaches is %+v, not the link that skips the frame", f)
	}
	b.press(kb.Enter)
	b.press(kb.Tab)
	if f := b.focus(); !f.Inside {
		t.Errorf("after the skip link the focus is on %+v, which is not in the page's main part", f)
	}
	b.open("/routing/payments")
	b.tabTo("main in ap-south, percent of new sessions")
	b.press("50")
	b.tabTo("legacy in ap-south, percent of new sessions")
	b.press("50")
	b.tabTo("Review")
	b.leaves(func() { b.press(kb.Enter) })
	b.tabTo("Reason")
	b.press("without a mouse")
	b.tabTo("Apply to ap-south")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", `legacy in ap-south|“without a mouse”`, within)
	if got := b.find("spinbutton", "legacy in ap-south, percent of new sessions").value(); got != "50" {
		t.Errorf("legacy has %s", got)
	}
}

// TestKeyboardReachesEverything walks through each page once: every control is on the way, and the way ends. A page whose figures are old, as
// on a busy machine, disables its controls meanwhile: it is walked through again.
func TestKeyboardReachesEverything(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/", "/transactions", "/providers/main", "/changes/1", "/cluster"} {
		b := h.tab(t)
		eventually(t, 3*time.Minute, path+" is walked through", func() error {
			b.open(path)
			if err := b.steers(); err != nil {
				return err
			}
			return b.walks(path)
		})
	}
}

// steers is an error while the page's controls are disabled.
func (b *tab) steers() error {
	if tell[bool](b, `!!document.querySelector("main fieldset:disabled")`) {
		return fmt.Errorf("its controls are disabled: %s", b.textOf("#alarm"))
	}
	return nil
}

// walks presses Tab through a page and says which of its controls that does not reach.
func (b *tab) walks(path string) error {
	b.t.Helper()
	want := tell[[]string](b, `[...document.querySelectorAll("main button:enabled, main a[href], main select:enabled, main input:enabled:not([type=hidden])")]
		.filter((e) => e.checkVisibility() && !e.closest("#list, #happened, #matrix, #lanes, #nodes, details:not([open])"))
		.map((e) => (e.getAttribute("aria-label") || (e.labels && e.labels[0] ? e.labels[0].textContent : e.textContent)).trim().replace(/\s+/g, " ").slice(0, 80))`)
	if len(want) == 0 {
		b.t.Fatalf("%s has no controls", path)
	}
	seen := map[string]bool{}
	for range 250 {
		b.press(kb.Tab)
		f := b.focus()
		if f.Name != "" && !f.Visible {
			b.t.Errorf("%s: the focus on %q is not to be seen", path, f.Name)
		}
		seen[f.Name] = true
		if !slices.ContainsFunc(want, func(name string) bool { return !seen[name] }) {
			return nil
		}
	}
	missed := slices.DeleteFunc(want, func(name string) bool { return seen[name] })
	return fmt.Errorf("pressing Tab does not reach %q: %v", missed, seen)
}
