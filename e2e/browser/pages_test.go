package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// axe is axe-core by Deque Systems, under the MPL 2.0 (its licences lie beside it). It is part of the tests only.
//
//go:embed testdata/axe.min.js
var axe string

// axeWithin bounds axe's own work: it looks at each element of a page, and takes seconds where the processor is shared.
const axeWithin = 2 * time.Minute

// axe returns what axe-core finds on the page, "" for nothing. With rules it looks for these alone.
func (b *tab) axe(rules ...string) (string, error) {
	loaded, err := ask[bool](b, "!!window.axe")
	if err == nil && !loaded {
		_, err = ask[bool](b, axe+"\ntrue")
	}
	if err != nil {
		return "", fmt.Errorf("axe: %w", err)
	}
	only := ""
	if len(rules) > 0 {
		only = fmt.Sprintf(`, runOnly: %q.split(" ")`, strings.Join(rules, " "))
	}
	return askFor[string](b, axeWithin, `axe.run(document, { resultTypes: ["violations"]`+only+` }).then((r) => r.violations.map((v) =>
		v.id + ": " + v.help + "\n" + v.nodes.slice(0, 5).map((n) => "    " + n.html.slice(0, 300) + "\n    " + (n.failureSummary || "").replace(/\n/g, " ").slice(0, 300)).join("\n")).join("\n"))`)
}

// holds wants a page that axe accepts and that fits its window.
func (b *tab) holds(what string, rules ...string) {
	b.t.Helper()
	found, err := b.axe(rules...)
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
	for _, path := range []string{"/", "/routing/payments", "/transactions", "/sessions", "/hints", "/regions", "/regions/eu-west", "/providers", "/providers/main", "/changes", "/changes/1", "/cost", "/cluster", "/api", "/go?q=main"} {
		a, err := send(http.MethodGet, "http://"+h.dev.Addr()+path, map[string]string{"Accept": "application/json"}, nil)
		if err != nil || a.status != http.StatusOK || !json.Valid(a.body) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %v %v", path, a, err)
		}
	}
}
