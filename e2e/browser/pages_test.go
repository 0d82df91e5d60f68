package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// axe is axe-core by Deque Systems, under the MPL 2.0 (its licences lie beside it). It is part of the tests only.
//
//go:embed testdata/axe.min.js
var axe string

// axe returns what axe-core finds on the page, "" for nothing.
func (b *tab) axe() (string, error) {
	if _, err := ask[bool](b, axe+"\ntrue"); err != nil {
		return "", fmt.Errorf("axe: %w", err)
	}
	return ask[string](b, `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.map((v) =>
		v.id + ": " + v.help + "\n" + v.nodes.slice(0, 5).map((n) => "    " + n.html.slice(0, 300) + "\n    " + (n.failureSummary || "").replace(/\n/g, " ").slice(0, 300)).join("\n")).join("\n"))`)
}

// holds wants a page that axe accepts and that fits its window.
func (b *tab) holds(what string) {
	b.t.Helper()
	found, err := b.axe()
	if err != nil {
		b.t.Errorf("%s: %v", what, err)
	}
	if found != "" {
		b.t.Errorf("%s: axe finds\n%s", what, found)
	}
	b.fits(what)
}

// fits wants no horizontal scroll bar, and names what sticks out.
func (b *tab) fits(what string) {
	b.t.Helper()
	out := tell[string](b, `(() => {
		const root = document.documentElement, width = root.clientWidth;
		if (root.scrollWidth <= width) return "";
		const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 0.5);
		return root.scrollWidth + " px in " + width + ": " + wide.slice(0, 5).map((e) => e.outerHTML.slice(0, 120)).join(" | ") })()`)
	if out != "" {
		b.t.Errorf("%s scrolls sideways: %s", what, out)
	}
}

// noNumber is what Chromium logs where a number field holds a text: only an address that was written by hand brings one in.
const noNumber = "cannot be parsed, or is out of range"

// TestPages opens every page in both themes, wide, as wide as a phone, and as narrow as it must go: nothing is complained of, axe finds
// nothing, and nothing scrolls sideways.
func TestPages(t *testing.T) {
	h := open(t)
	h.well(t)
	h.mustCharge(t, "us-east", fmt.Sprintf("pages-%d", time.Now().UnixNano()))
	known := h.transactions(t, "state=succeeded&limit=1")[0].ID
	unknown := h.unknown(t, "pages")
	h.weights(t, "eu-west", demo["eu-west"]) // somebody is faster than whoever starts from revision 1
	pages := map[string]string{
		"Overview": "/", "Routing": "/routing/payments", "Transactions": "/transactions", "no transactions": "/transactions?q=nothing-like-it",
		"a transaction": "/transactions/" + known, "an unknown outcome": "/transactions/" + unknown,
		"a review":   "/routing/payments?" + url.Values{"region": {"eu-west"}, "w.main": {"20"}, "w.backup": {"70"}, "w.legacy": {"10"}}.Encode(),
		"a conflict": "/routing/payments?" + url.Values{"region": {"eu-west"}, "base": {"1"}, "w.main": {"20"}, "w.backup": {"70"}, "w.legacy": {"10"}}.Encode(),
		"a bad sum":  "/routing/payments?" + url.Values{"region": {"eu-west"}, "w.main": {"20"}, "w.backup": {"-70"}, "w.legacy": {"ten"}}.Encode(),
	}
	for name, path := range pages {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			b := h.tab(t)
			b.tolerate(noNumber)
			for _, theme := range []string{"light", "dark"} {
				b.wants(theme)
				for _, width := range []int64{1280, 375} {
					b.wide(width)
					b.open(path)
					b.holds(fmt.Sprintf("%s, %s, %d px", name, theme, width))
				}
			}
			b.wide(320)
			b.fits(name + ", 320 px")
			if n := tell[int](b, `document.querySelectorAll("h1").length`); n != 1 {
				t.Errorf("%s has %d headings of the first rank", name, n)
			}
		})
	}
}

// TestProblemPage asks for what is not there: a page says so, in the frame of the others.
func TestProblemPage(t *testing.T) {
	h := open(t)
	b := h.tab(t)
	b.tolerate("404")
	for _, path := range []string{"/transactions/01NOSUCH", "/routing/nobody", "/nowhere"} {
		for _, theme := range []string{"light", "dark"} {
			b.wants(theme)
			b.wide(375)
			b.open(path)
			b.reads("main", "Not [Ff]ound", within)
			b.holds(path + ", " + theme)
		}
	}
}

// TestTheme presses the button: what is chosen is remembered, and wins over what the browser wants.
func TestTheme(t *testing.T) {
	h := open(t)
	b := h.tab(t)
	b.wants("light")
	b.open("/")
	ground := func() string { return tell[string](b, "getComputedStyle(document.body).backgroundColor") }
	light := ground()
	for _, step := range []struct{ button, theme string }{{"Theme is auto; change to light", "light"}, {"Theme is light; change to dark", "dark"}} {
		b.leaves(func() { b.find("button", step.button).click() })
		if got := tell[string](b, "document.documentElement.dataset.theme"); got != step.theme {
			t.Errorf("after the button the theme is %q, not %s", got, step.theme)
		}
	}
	dark := ground()
	if dark == light {
		t.Errorf("dark is as light: %s", dark)
	}
	b.open("/transactions")
	if ground() != dark {
		t.Error("the next page does not remember the theme")
	}
	b.leaves(func() { b.find("button", "Theme is dark; change to auto").click() })
	if ground() != light {
		t.Error("auto does not follow the browser")
	}
	b.wants("dark")
	if ground() != dark {
		t.Error("auto does not follow a browser that wants dark")
	}
}

// TestSameAsJSON reads a page's address as a program does: the same is there.
func TestSameAsJSON(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/", "/routing/payments", "/transactions"} {
		a, err := send(http.MethodGet, "http://"+h.dev.Addr()+path, map[string]string{"Accept": "application/json"}, nil)
		if err != nil || a.status != http.StatusOK || !json.Valid(a.body) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %v %v", path, a, err)
		}
	}
}
