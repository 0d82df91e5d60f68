package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"segue/e2e/patience"
)

// within bounds whatever a page does by itself; the promises are bounded where they are tested.
const within = 30 * time.Second

// tab is one page in a browser context of its own, so that no cookie reaches another test.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string
	*complaints
}

// tab opens one, as wide as a laptop. At the test's end it must not have complained.
func (h *house) tab(t testing.TB) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(h.browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, base: "http://" + h.dev.Addr(), complaints: &complaints{}}
	b.must(chromedp.Do(ctx))
	b.must(chromedp.Listen(ctx, b.hear))
	b.must(b.reportViolations())
	b.wide(1280)
	opened := time.Now()
	t.Cleanup(func() {
		list := b.all()
		if len(list) > 0 && patience.Excuses(opened) { // while the disk stood still some answers may have been missing
			list = slices.DeleteFunc(list, func(text string) bool { return strings.Contains(text, "503") })
		}
		if len(list) > 0 {
			t.Errorf("the browser complains:\n%s", strings.Join(list, "\n"))
		}
	})
	return b
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// reportViolations makes the page itself say what its content security policy refused, beside what the console says.
func (b *tab) reportViolations() error {
	_, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `addEventListener("securitypolicyviolation", (e) => console.error("refused by policy: " + e.violatedDirective + " " + e.blockedURI))`,
	})
	return err
}

func (b *tab) wide(width int64) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1})
	b.must(err)
}

// wants makes the browser say which colours its user wants.
func (b *tab) wants(theme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
	})
	b.must(err)
}

// front shows the tab: a page that nobody sees may let its stream rest.
func (b *tab) front() {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, page.BringToFront, cdp.Empty{})
	b.must(err)
}

// scriptless turns the page's scripts off. The tests' own questions are still answered.
func (b *tab) scriptless() {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.must(err)
}

// open goes to a path and returns when the page has loaded.
func (b *tab) open(path string) {
	b.t.Helper()
	ctx, cancel := patience.Context(b.ctx, within)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(b.base+path)); err != nil {
		b.t.Fatalf("open %s: %v", path, err)
	}
}

// ask evaluates an expression.
func ask[T any](b *tab, expression string) (T, error) { return askFor[T](b, within, expression) }

// askFor evaluates what takes longer than a page's own doings.
func askFor[T any](b *tab, within time.Duration, expression string) (T, error) {
	ctx, cancel := patience.Context(b.ctx, within)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func tell[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := ask[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// text is what a person reads in the page's main part.
func (b *tab) text() string { return b.textOf("main") }

func (b *tab) textOf(selector string) string {
	text, err := ask[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
	if err != nil {
		return "(nothing is to be read: " + err.Error() + ")" // as between two pages
	}
	return text
}

// reads waits until a text stands in an element.
func (b *tab) reads(selector, want string, within time.Duration) time.Duration {
	b.t.Helper()
	began := time.Now()
	exp := regexp.MustCompile(want)
	eventually(b.t, within, fmt.Sprintf("%s of %s reads %q", selector, b.address(), want), func() error {
		if text := b.textOf(selector); !exp.MatchString(text) {
			return fmt.Errorf("it reads %.1500q", text)
		}
		return nil
	})
	return time.Since(began)
}

// part is an element as assistive technology sees it.
type part struct {
	tab  *tab
	id   cdp.BackendNodeID
	name string
}

// find waits for the one element of that role whose name matches the whole expression.
func (b *tab) find(role, name string) part {
	b.t.Helper()
	var found part
	eventually(b.t, within, fmt.Sprintf("there is one %s %q", role, name), func() error {
		parts, err := b.named(role, name)
		if err != nil {
			return err
		}
		if len(parts) != 1 {
			return fmt.Errorf("there are %d", len(parts))
		}
		found = parts[0]
		return nil
	})
	return found
}

// named lists the elements that are there for assistive technology.
func (b *tab) named(role, name string) ([]part, error) {
	ctx, cancel := patience.Context(b.ctx, within)
	defer cancel()
	document, err := chromedp.Run(ctx, chromedp.Evaluate[*runtime.RemoteObject]("document"))
	if err != nil {
		return nil, err
	}
	tree, err := chromedp.Call(ctx, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{ObjectID: document.ObjectID, Role: role})
	if err != nil {
		return nil, err
	}
	exp := regexp.MustCompile(`^(?:` + name + `)$`)
	var parts []part
	for _, n := range tree.Nodes {
		if text := nameOf(n); !n.Ignored && exp.MatchString(text) {
			parts = append(parts, part{b, n.BackendDOMNodeID, text})
		}
	}
	return parts, nil
}

func nameOf(n *accessibility.Node) string {
	var text string
	if n.Name != nil {
		_ = json.Unmarshal(n.Name.Value, &text) // a name is a string, or there is none
	}
	return strings.Join(strings.Fields(text), " ")
}

// call runs a function with the element as this.
func (p part) call(function string, args ...any) (string, error) {
	ctx, cancel := patience.Context(p.tab.ctx, within)
	defer cancel()
	node, err := chromedp.Call(ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: p.id})
	if err != nil {
		return "", err
	}
	yes := true
	params := runtime.CallFunctionOnParams{FunctionDeclaration: function, ObjectID: node.Object.ObjectID, ReturnByValue: &yes, UserGesture: &yes}
	for _, a := range args {
		raw, err := json.Marshal(a)
		if err != nil {
			return "", err
		}
		params.Arguments = append(params.Arguments, &runtime.CallArgument{Value: raw})
	}
	answer, err := chromedp.Call(ctx, runtime.CallFunctionOn, params)
	if err != nil {
		return "", err
	}
	if answer.ExceptionDetails != nil {
		return "", errors.New(answer.ExceptionDetails.Exception.Description)
	}
	return strings.Trim(string(answer.Result.Value), `"`), nil
}

func (p part) mustCall(function string, args ...any) string {
	p.tab.t.Helper()
	text, err := p.call(function, args...)
	if err != nil {
		p.tab.t.Fatalf("%s: %v", p.name, err)
	}
	return text
}

func (p part) value() string { p.tab.t.Helper(); return p.mustCall(`function() { return this.value }`) }

func (p part) disabled() bool {
	p.tab.t.Helper()
	return p.mustCall(`function() { return this.matches(":disabled") }`) == "true"
}

// click presses the mouse in the element's middle, once nothing covers it.
func (p part) click() {
	p.tab.t.Helper()
	eventually(p.tab.t, within, "the mouse reaches "+p.name, func() error {
		ctx, cancel := patience.Context(p.tab.ctx, within)
		defer cancel()
		if _, err := chromedp.Call(ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: p.id}); err != nil {
			return err
		}
		at, err := p.call(`function() {
			if (this.matches(":disabled")) return "it is disabled";
			const r = this.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);
			return top && this.contains(top) ? x + " " + y : "it is covered by " + top?.outerHTML.slice(0, 200) }`)
		if err != nil {
			return err
		}
		var x, y float64
		if _, err := fmt.Sscan(at, &x, &y); err != nil {
			return errors.New(at)
		}
		return chromedp.Do(ctx, chromedp.MouseClickXY(x, y))
	})
}

// enter replaces what a field holds, as a person does who selects it all and types, and types again where the keys went elsewhere: a page that
// is still being drawn may take the focus away.
func (p part) enter(text string) {
	p.tab.t.Helper()
	eventually(p.tab.t, within, p.name+" holds what was typed", func() error {
		p.mustCall(`function() { this.focus(); this.select() }`)
		if _, err := chromedp.Call(p.tab.ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
			return err
		}
		if got := p.value(); got != text {
			return fmt.Errorf("it holds %q after %q was typed", got, text)
		}
		return nil
	})
}

// choose picks an option of a list by its text.
func (p part) choose(option string) {
	p.tab.t.Helper()
	got := p.mustCall(`function(text) {
		const o = [...this.options].find((o) => o.text === text);
		if (!o) return "there is only " + [...this.options].map((o) => o.text);
		this.value = o.value; this.dispatchEvent(new Event("change", { bubbles: true })); return text }`, option)
	if got != option {
		p.tab.t.Fatalf("%s: %s", p.name, got)
	}
}

// leaves does something that leads to another document, and returns when that has loaded.
func (b *tab) leaves(do func()) {
	b.t.Helper()
	if _, err := ask[bool](b, "window.before = true"); err != nil {
		b.t.Fatal(err)
	}
	do()
	eventually(b.t, within, "another page has loaded", func() error {
		loaded, err := ask[bool](b, `!window.before && document.readyState === "complete"`)
		if err == nil && !loaded {
			err = errors.New("still at " + b.address())
		}
		return err
	})
}

func (b *tab) address() string {
	path, err := ask[string](b, "location.pathname + location.search + location.hash")
	if err != nil {
		return err.Error()
	}
	return path
}

// press types keys: one key for each rune of keys, Tab and Enter by chromedp's names.
func (b *tab) press(keys string) {
	b.t.Helper()
	ctx, cancel := patience.Context(b.ctx, within)
	defer cancel()
	b.must(chromedp.Do(ctx, chromedp.KeyEvent(keys)))
}
