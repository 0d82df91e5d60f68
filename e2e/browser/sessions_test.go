package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSessionsPage fills a session through the agent's listener, finds it by its id without a script, reads what would become of it, and
// has it held against its history. What its fields hold is on no page.
func TestSessionsPage(t *testing.T) {
	h := open(t)
	h.well(t)
	order := fmt.Sprintf("talk-%d", time.Now().UnixNano())
	h.mustCharge(t, "eu-west", order)
	const secret = "leave it with the neighbour"
	for name, body := range map[string]string{"note": secret, "cart": `{"add": ["` + secret + `", "tea"]}`, "stock": `{"add": 3}`, "challenge": secret} {
		a, err := send(http.MethodPut, "http://"+h.dev.Service("eu-west", "payments")+"/.segue/v1/sessions/ses-"+order+"/fields/"+name, map[string]string{"Content-Type": "text/plain"}, strings.NewReader(body))
		if err != nil || a.status != http.StatusNoContent {
			t.Fatalf("%s: %v %v", name, a, err)
		}
	}
	b := h.tab(t)
	b.scriptless()
	b.shows("/sessions", "#headline", "sessions in use could go on at another provider now")
	b.find("searchbox", "The session’s id, as Session-Id has it").enter("ses-" + order)
	b.leaves(func() { b.find("button", "Show").click() })
	if b.address() != "/sessions/ses-"+order {
		t.Errorf("the search led to %s", b.address())
	}
	b.reads("#headline", "It could go on at another provider now", within)
	for _, want := range []string{`If (main|backup|legacy) fails now: it goes on at (main|backup|legacy); note, cart and stock stay in the session; challenge stays behind, which is reported`, "3, never below 0", "2 items, sealed", "pinned to (main|backup|legacy)"} {
		b.reads("main", want, within)
	}
	b.leaves(func() { b.find("button", "Hold it against its history").click() })
	b.reads("main", "it is what its history says", within)
	if text := b.textOf("body"); strings.Contains(text, secret) {
		t.Errorf("the page shows what a field holds: %s", text)
	}
	c := h.tab(t)
	c.looks(t, []shown{{name: "a session with fields", path: "/sessions/ses-" + order + "?verify=1"}, {name: "sessions in use", path: "/sessions"}}, nothing)
}
