package browser

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// evil is what a stranger would like the pages to run.
const evil = `"'><script>window.ran=1</script><img src=x onerror=window.ran=1>`

// shown wants the text on the page as text, and nothing of it run.
func (b *tab) shown(where, text string) {
	b.t.Helper()
	eventually(b.t, within, text+" is shown as text", func() error {
		if read := tell[string](b, fmt.Sprintf(`document.querySelector(%q).textContent`, where)); !strings.Contains(read, text) {
			return fmt.Errorf("%s reads %.800q", where, read)
		}
		return nil
	})
	b.harmless()
}

func (b *tab) harmless() {
	b.t.Helper()
	if tell[bool](b, `window.ran === 1 || !!document.querySelector("img[src=x], body script:not([src])")`) {
		b.t.Errorf("%s runs what a stranger wrote", b.address())
	}
}

// TestStrangersText brings markup in by every way that a stranger has: a key, a reason, a search, an address.
func TestStrangersText(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.restore(t) })
	b := h.tab(t)

	key := fmt.Sprintf("%s-%d", evil, time.Now().UnixNano())
	a, err := h.charge("us-east", "strangers", key, "ses-strangers")
	if err != nil {
		t.Fatal(err)
	}
	if a.status == http.StatusOK {
		b.open("/transactions?" + url.Values{"q": {key}}.Encode())
		b.shown("#list", key)
		b.open("/transactions/" + a.header.Get("Segue-Transaction"))
		b.shown("main", key)
	} else if a.status != http.StatusBadRequest {
		t.Errorf("a strange key: %v", a)
	}
	if a, err := h.charge("us-east", "strangers-2", "strangers-2", evil); err != nil || a.status != http.StatusBadRequest {
		t.Errorf("a session id with markup in it: %v %v", a, err)
	}

	h.apiFor(t, http.MethodPatch, "/services/payments/weights/us-east", evil, map[string]float64{"main": 69, "backup": 31, "legacy": 0})
	b.open("/")
	b.shown("#happened", evil)
	b.open("/routing/payments")
	b.shown("main", evil)

	b.open("/transactions?" + url.Values{"q": {evil}, "service": {evil}, "provider": {evil}}.Encode())
	if got := b.find("searchbox", "Our id, .*").value(); !strings.Contains(got, "script") {
		t.Errorf("the search field holds %q", got)
	}
	b.harmless()
	b.open("/routing/payments?" + url.Values{"region": {"us-east"}, "w.main": {evil}}.Encode())
	b.harmless()
	b.tolerate("404")
	b.tolerate(noNumber)
	b.open("/routing/" + url.PathEscape(evil))
	b.shown("main", "script")
	b.open("/transactions/" + url.PathEscape(evil))
	b.harmless()
}

// TestStrangersForm sends a form from another site: nothing changes.
func TestStrangersForm(t *testing.T) {
	h := open(t)
	address := "http://" + h.dev.Addr()
	for _, header := range []map[string]string{
		{"Origin": "http://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
		{"Sec-Fetch-Site": "cross-site", "Content-Type": "application/x-www-form-urlencoded"},
	} {
		a, err := send(http.MethodPost, address+"/break", header, strings.NewReader("fault=kill-provider&provider=main&for=5m"))
		if err != nil || a.status != http.StatusForbidden {
			t.Errorf("%v: %v %v", header, a, err)
		}
	}
	var running []any
	if h.api(t, http.MethodGet, "/sandbox/faults", nil).decode(t, &running); len(running) > 0 {
		t.Errorf("a fault runs: %v", running)
	}
}
