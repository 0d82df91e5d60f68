package browser

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/cmd/segue/dev"
	"segue/controlplane"
	"segue/controlplane/query"
	"segue/e2e/patience"
)

// shown is a page in one of its states.
type shown struct{ name, path string }

// painted are the rules that depend on the theme or the width alone: the structure of a page is the same in each.
var painted = []string{"color-contrast", "target-size", "link-in-text-block", "scrollable-region-focusable"}

// nothing is what is wanted of a page beside.
func nothing(*tab) {}

// looks opens every page once, in both themes, wide, as wide as a phone, and as narrow as it must go: nothing is complained of, axe finds
// nothing, and nothing scrolls sideways.
func (b *tab) looks(t *testing.T, pages []shown, also func(b *tab)) {
	t.Helper()
	for _, p := range pages {
		t.Run(strings.ReplaceAll(p.name, " ", "-"), func(t *testing.T) {
			b := b.in(t)
			b.wants("light")
			b.wide(1280)
			b.open(p.path)
			if n := tell[int](b, `document.querySelectorAll("h1").length`); n != 1 {
				t.Errorf("%d headings of the first rank", n)
			}
			also(b)
			b.unfolds()
			b.holds("light, 1280 px")
			b.wide(375)
			b.holds("light, 375 px", painted...)
			b.wants("dark")
			b.holds("dark, 375 px")
			b.wide(320)
			b.fits("320 px")
			b.wide(1280)
			b.holds("dark, 1280 px", painted...)
			for _, text := range b.take() {
				t.Errorf("the browser complains: %s", text)
			}
		})
	}
}

// unfolds opens what can be unfolded, but for the API's ninety operations, which are all made alike: axe sees what is shown only.
func (b *tab) unfolds() {
	b.t.Helper()
	tell[bool](b, `(() => { for (const d of document.querySelectorAll("main details:not(.operation)")) d.open = true; return true })()`)
}

// take returns what was heard so far, and forgets it.
func (c *complaints) take() []string {
	list := c.all()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = nil
	return list
}

var threeShares = url.Values{"region": {"eu-west"}, "w.main": {"20"}, "w.backup": {"70"}, "w.legacy": {"10"}}

// everyPage is what the navigation leads to and what can be opened from there, on an installation with a policy.
func everyPage(known query.Transaction) []shown {
	return []shown{
		{name: "Overview", path: "/"}, {name: "Regions", path: "/regions"}, {name: "a region", path: "/regions/eu-west"},
		{name: "Providers", path: "/providers"}, {name: "a provider", path: "/providers/main"}, {name: "a drain reviewed", path: "/providers/legacy?drain=1&for=30m&region=eu-west"},
		{name: "Routing", path: "/routing/payments"}, {name: "weights reviewed", path: "/routing/payments?" + threeShares.Encode()},
		{name: "weights replayed", path: "/routing/payments?replay=1h&" + threeShares.Encode()}, {name: "Routing by order", path: "/routing/sms"}, {name: "Routing by worth", path: "/routing/chat"},
		{name: "Changes", path: "/changes"}, {name: "a revision", path: "/changes/1"}, {name: "a rollback reviewed", path: "/changes/1?rollback=1"},
		{name: "Transactions", path: "/transactions"}, {name: "a transaction", path: "/transactions/" + known.ID},
		{name: "Sessions", path: "/sessions"}, {name: "a session", path: "/sessions/" + known.Session}, {name: "Hints and repair", path: "/hints"}, {name: "Cost", path: "/cost"},
		{name: "Cluster", path: "/cluster"}, {name: "a removal reviewed", path: "/cluster?remove=c3"},
		{name: "API", path: "/api"}, {name: "the palette as a page", path: "/go?q=main"},
	}
}

// TestPagesBusy is every page under load, with a provider killed, a drill, a drain, an unknown outcome and a conflict.
func TestPagesBusy(t *testing.T) {
	h := open(t)
	h.well(t)
	h.mustCharge(t, "us-east", fmt.Sprintf("pages-%d", time.Now().UnixNano()))
	known := h.transactions(t, "state=succeeded&limit=1")[0]
	unknown := h.unknown(t, "pages")
	h.weights(t, "eu-west", demo["eu-west"]) // somebody is faster than whoever starts from revision 1
	t.Cleanup(func() { h.restore(t); h.well(t) })
	var drill struct{ Order string }
	h.api(t, http.MethodPost, "/drills", map[string]any{"fault": "slow", "provider": "backup", "delay": "300ms", "share": 0.2, "for": "1h"}).decode(t, &drill)
	t.Cleanup(func() { h.api(t, http.MethodDelete, "/drills/"+drill.Order, nil) })
	h.api(t, http.MethodPost, "/providers/legacy/drain", map[string]any{"for": "1h", "regions": []string{"us-east"}})
	t.Cleanup(func() { h.api(t, http.MethodPost, "/providers/legacy/resume", nil) })
	defer h.breaks(t, "kill-provider", "main")()
	b := h.tab(t)
	b.tolerate(noNumber)
	b.front()
	eventually(t, 30*time.Second, "main opens", func() error {
		b.open("/")
		if text := b.textOf("#headline"); !strings.Contains(text, "open") {
			return fmt.Errorf("%s: %q", b.textOf("#status"), text)
		}
		return nil
	})
	conflict := url.Values{"region": {"eu-west"}, "base": {"1"}, "w.main": {"20"}, "w.backup": {"70"}, "w.legacy": {"10"}}
	bad := url.Values{"region": {"eu-west"}, "w.main": {"20"}, "w.backup": {"-70"}, "w.legacy": {"ten"}}
	b.looks(t, append(everyPage(known),
		shown{name: "a drained provider", path: "/providers/legacy"}, shown{name: "an unknown outcome", path: "/transactions/" + unknown},
		shown{name: "no transactions", path: "/transactions?q=nothing-like-it"}, shown{name: "no such session", path: "/sessions?id=nothing-like-it"},
		shown{name: "a conflict", path: "/routing/payments?" + conflict.Encode()}, shown{name: "a bad sum", path: "/routing/payments?" + bad.Encode()},
	), nothing)
}

// TestPagesError is every page while no control node lives: each says what failed, what still holds, and steers nothing.
func TestPagesError(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.stopAll(t); h.well(t) })
	known := h.transactions(t, "state=succeeded&limit=1")[0]
	b := h.tab(t)
	stop := h.breaks(t, "stop-control", "") // by the API: twenty pages may take longer than the longest that the button offers
	b.open("/")
	b.reads("#alarm", "No control node leads", within)
	b.tolerate("404") // no node answers, so none can be removed
	b.tolerate("503") // nobody can be asked for a transaction
	b.looks(t, everyPage(known), func(b *tab) {
		if text := b.textOf("#alarm"); !strings.Contains(text, "nothing can be changed now. Calls are not touched; agents go on with policy") {
			b.t.Errorf("it says %q", text)
		}
		if loose := tell[string](b, `[...document.querySelectorAll("main form[method=post] button, main input[type=number]")].filter((e) => !e.matches(":disabled, form.faults *, form.running *, form.naive-switch *, form[action$='#try'] *"))
			.map((e) => e.outerHTML.slice(0, 120)).join(" | ")`); loose != "" {
			b.t.Errorf("it can be steered without a leader: %s", loose)
		}
	})
	stop()
}

// alone is one fresh control node with its pages, and no policy.
func (h *house) alone(t *testing.T) *tab {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	raft, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	node, err := controlplane.New(controlplane.Config{
		ID: "c1", Dir: t.TempDir(), Listen: "127.0.0.1:0", Raft: raft, Peers: []controlplane.Peer{{ID: "c1", Raft: raft}}, Log: log, Now: time.Now, DiskTimeout: time.Hour, Metrics: prometheus.NewRegistry(),
		Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := dev.Mount(node, "control", log)
	if err != nil {
		t.Fatal(err)
	}
	node.Start()
	t.Cleanup(func() {
		if err := pages.Close(); err != nil {
			t.Error(err)
		}
		ctx, cancel := patience.Context(context.Background(), within)
		defer cancel()
		if err := node.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	b := h.tab(t)
	b.base = "http://" + node.Addr()
	eventually(t, 20*time.Second, "the node leads", func() error {
		a, err := send(http.MethodGet, b.base+"/readyz", nil, nil)
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("%s", a.body)
		}
		return err
	})
	return b
}

// TestPagesEmpty is every page of a fresh control node, before anybody applied a policy: each says the next step.
func TestPagesEmpty(t *testing.T) {
	h := open(t)
	b := h.alone(t)
	b.tolerate("404")
	pages := []shown{
		{name: "Overview", path: "/"}, {name: "Regions", path: "/regions"}, {name: "Providers", path: "/providers"}, {name: "Routing", path: "/routing"},
		{name: "Changes", path: "/changes"}, {name: "Transactions", path: "/transactions"}, {name: "Sessions", path: "/sessions"}, {name: "Hints and repair", path: "/hints"}, {name: "Cost", path: "/cost"}, {name: "Cluster", path: "/cluster"}, {name: "API", path: "/api"},
		{name: "the palette as a page", path: "/go"}, {name: "no such region", path: "/regions/eu-west"}, {name: "no such provider", path: "/providers/main"},
		{name: "no such revision", path: "/changes/1"},
	}
	b.looks(t, pages, nothing)
	for _, path := range []string{"/", "/regions", "/providers", "/routing", "/changes"} {
		b.open(path)
		b.reads("main", "segue policy apply p.yaml", within)
	}
	t.Run("restore", func(t *testing.T) { b.in(t).restores(t) })
}

// restores downloads a backup, changes the policy and puts the backup back with the form: a file, a reason, and the word typed out.
func (b *tab) restores(t *testing.T) {
	put := func(text string) {
		a, err := send(http.MethodPut, b.base+"/api/v1/policy", map[string]string{"Content-Type": "application/yaml", "Segue-Reason": "a test", "If-Match": "*"}, strings.NewReader(text))
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("%v %v", a, err)
		}
	}
	policy := func(weight int) string {
		return fmt.Sprintf("segue: v1\nregions: {here: {standby: []}}\nservices:\n  pay: {speaks: stripe/v1, listen: 7901, strategy: weighted, weights: {default: {one: %d, two: %d}}}\n"+
			"providers:\n  one: {contract: stripe/v1, credential: caller}\n  two: {contract: stripe/v1, credential: caller}\n", weight, 100-weight)
	}
	put(policy(60))
	saved, err := send(http.MethodGet, b.base+"/cluster/backup", nil, nil)
	if err != nil || saved.status != http.StatusOK {
		t.Fatal(saved, err)
	}
	file := filepath.Join(t.TempDir(), "segue.backup")
	if err := os.WriteFile(file, saved.body, 0o600); err != nil {
		t.Fatal(err)
	}
	put(policy(10))
	b.wide(1280)
	b.open("/cluster")
	tell[bool](b, `document.querySelector("details.more").open = true`)
	b.find("textbox", "Reason for the restore").enter("the wrong weights")
	b.find("textbox", "Type restore to confirm").enter("restore")
	b.file("The backup", file)
	b.leaves(func() { b.find("button", "Restore").click() })
	b.reads("main", "The backup is in force", within)
	b.open("/routing/pay")
	if got := b.find("spinbutton", "one in here, percent of new sessions").value(); got != "60" {
		t.Errorf("after the restore one has %s", got)
	}
}
