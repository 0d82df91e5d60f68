package browser

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"
)

// breaks presses a button of the card of faults, and returns when.
func (b *tab) breaks(fault, provider, length string) time.Time {
	b.t.Helper()
	b.open("/")
	if provider != "" {
		b.find("combobox", "Provider").choose(provider)
	}
	b.find("combobox", "For how long").choose(length)
	button := b.find("button", fault)
	pressed := time.Now()
	b.leaves(button.click)
	return pressed
}

// stops presses Stop, which stands beside whatever runs.
func (b *tab) stops(fault string) {
	b.t.Helper()
	b.leaves(func() { b.find("button", "Stop "+fault).click() })
}

// stopAll ends what a failed test left running.
func (h *house) stopAll(t testing.TB) {
	var running []struct{ ID string }
	h.api(t, http.MethodGet, "/sandbox/faults", nil).decode(t, &running)
	for _, f := range running {
		h.unbreak(f.ID)
	}
}

// TestKillProvider kills a provider with the button: the sentence and the matrix say it within five seconds, calls go on, Stop ends it.
func TestKillProvider(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.stopAll(t); h.well(t) })
	l := h.load(t)
	b := h.tab(t)
	pressed := b.breaks("Kill a provider", "main", "for 5 min")
	l.mayEndUnknown(pressed, time.Now()) // what was in flight there, and nothing else
	b.reads("#headline", `main\s+is open in`, within)
	b.reads("#matrix", `(?s)main.*open\s+since \d\d:\d\d`, within)
	promised(t, 5*time.Second, pressed, "the page says that main is open")
	b.reads("#running", `Kill a provider\s+at main`, within)
	b.reads("#happened", "main", within)
	b.holds("Overview with a provider open")
	b.stops("Kill a provider")
	b.reads("#headline", "Every provider is well", time.Minute)
	l.stop()
	if text := b.textOf("#running"); text != "" {
		t.Errorf("after Stop there still runs %q", text)
	}
	b.reads("#band", `0 twice\s*·\s*0 lost`, within)
}

var leads = regexp.MustCompile(`leader\s+(c\d)`)

// TestKillLeader kills the leader with the button: the frame names another within six seconds.
func TestKillLeader(t *testing.T) {
	h := open(t)
	t.Cleanup(func() { h.stopAll(t); h.well(t) })
	b := h.tab(t)
	b.open("/")
	old := leads.FindStringSubmatch(b.textOf("#status"))
	if old == nil {
		t.Fatalf("the frame names no leader: %q", b.textOf("#status"))
	}
	l := h.load(t)
	pressed := b.breaks("Kill the leader", "", "for 5 min")
	eventually(t, within, "the frame names a new leader", func() error {
		now := leads.FindStringSubmatch(b.textOf("#status"))
		if now == nil || now[1] == old[1] {
			return fmt.Errorf("%s led; the frame reads %q", old[1], b.textOf("#status"))
		}
		return nil
	})
	promised(t, 6*time.Second, pressed, "a new leader is named")
	b.stops("Kill the leader")
	l.passes(20)
	l.stop()
}

// TestStopControl stops every control node with the button: each page says so in red and steers nothing, agents go on, and it recovers.
func TestStopControl(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.stopAll(t); h.well(t) })
	routing := h.tab(t)
	routing.open("/routing/payments")
	if routing.find("spinbutton", "main in eu-west, percent of new sessions").disabled() {
		t.Fatal("nothing can be steered before anything is stopped")
	}
	l := h.load(t)
	b := h.tab(t)
	b.breaks("Stop the control plane", "", "for 5 min")
	both := []*tab{b, routing}
	for _, page := range both {
		page.front()
		page.reads("#alarm", "No control node leads: nothing can be changed now. Calls are not touched", within)
		if got := tell[bool](page, `document.querySelector("#alarm [data-frozen]").checkVisibility()`); !got {
			t.Error("the banner is not to be seen")
		}
	}
	for _, name := range []string{"main in eu-west, percent of new sessions", "backup in us-east, percent of new sessions"} {
		if !routing.find("spinbutton", name).disabled() {
			t.Errorf("%s can be moved without a leader", name)
		}
	}
	l.passes(20) // each of them is served, or the load fails the test
	for _, theme := range []string{"light", "dark"} {
		for _, page := range both {
			page.wants(theme)
			page.holds("without a control plane, " + theme)
		}
	}
	b.stops("Stop the control plane")
	for _, page := range both {
		page.front()
		eventually(t, 20*time.Second, "the banner goes", func() error {
			if text := page.textOf("#alarm"); text != "" {
				return fmt.Errorf("it reads %q", text)
			}
			return nil
		})
	}
	eventually(t, within, "weights can be moved again", func() error {
		if routing.find("spinbutton", "main in eu-west, percent of new sessions").disabled() {
			return fmt.Errorf("they cannot")
		}
		return nil
	})
	l.stop()
}
