package browser

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// file chooses a file in a form.
func (b *tab) file(label, path string) {
	b.t.Helper()
	for _, role := range []string{"button", "textbox", "generic"} { // what Chromium calls a file field has changed over its versions
		parts, err := b.named(role, label+".*")
		if err == nil && len(parts) == 1 {
			_, err = chromedp.Call(b.ctx, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{path}, BackendNodeID: parts[0].id})
			b.must(err)
			return
		}
	}
	b.t.Fatalf("there is no field for a file called %q", label)
}

// chord presses a key with Control.
func (b *tab) chord(key string) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(key, chromedp.KeyModifiers(chromedp.ModifierCtrl))))
}

// TestPaletteByKeyboard opens it, finds, goes, copies and leaves, without a mouse; the focus comes back to where it was.
func TestPaletteByKeyboard(t *testing.T) {
	h := open(t)
	b := h.tab(t)
	b.open("/transactions")
	b.tabTo("Show")
	b.chord("k")
	b.find("combobox", "A page, a provider, a region, an id, a command")
	b.reads("#palette-list", "Cluster", within)
	b.holds("the palette, light")
	b.wants("dark")
	b.wide(375)
	b.holds("the palette, dark, 375 px")
	b.wide(1280)
	for range 6 {
		b.press(kb.Tab)
		if inside := tell[bool](b, `!document.hasFocus() || document.activeElement === document.body || !!document.activeElement.closest("#palette")`); !inside {
			t.Fatalf("Tab leads out of the open dialog to %+v", b.focus())
		}
	}
	b.press(kb.Escape)
	eventually(t, within, "Esc closes it", func() error {
		if tell[bool](b, `document.getElementById("palette").open`) {
			return fmt.Errorf("it is open")
		}
		return nil
	})
	if f := b.focus(); f.Name != "Show" {
		t.Errorf("after Esc the focus is on %+v", f)
	}
	b.chord("k")
	b.press("eu-w")
	b.reads("#palette-list", `^region\s*eu-west`, within)
	active := `document.getElementById(document.querySelector("[data-palette-input]").getAttribute("aria-activedescendant"))`
	first := tell[string](b, active+".innerText")
	b.press(kb.ArrowDown)
	if second := tell[string](b, active+".innerText"); second == first {
		t.Errorf("the arrow stays on %q", first)
	}
	b.press(kb.ArrowUp)
	b.leaves(func() { b.press(kb.Enter) })
	if at := b.address(); at != "/regions/eu-west" {
		t.Errorf("Enter led to %s", at)
	}
	b.chord("k")
	b.press("drain legacy")
	b.press(kb.Enter) // at once: it is of what was typed, not of what had been found so far
	b.reads("[data-palette-status]", "(Copied|Copy it by hand): segue provider drain legacy --for 30m", within)
}

// TestDrainByKeyboard drains a provider, probes it and lets it come back, without a mouse.
func TestDrainByKeyboard(t *testing.T) {
	h := open(t)
	h.well(t)
	b := h.tab(t)
	b.open("/providers/legacy")
	b.tabTo("Review the drain")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", "not in force yet", within)
	b.tabTo("Reason")
	b.press("without a mouse")
	b.tabTo("Drain until .*")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", "The drain is in force.*", within)
	b.reads("#drains", "“without a mouse”", within)
	b.reads("#lanes", "closed|open", within)
	b.tabTo("Resume everywhere")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", "The drain has ended", within)
	if text := b.textOf("#drains"); strings.Contains(text, "Drained") {
		t.Errorf("after Resume: %q", text)
	}
	b.tabTo("Probe now")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", `us-east · us-east-1 · GET /v1/balance: good`, within)
}

// TestRollbackByKeyboard takes a change back over the history, and undoes that, without a mouse.
func TestRollbackByKeyboard(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.restore(t) })
	h.weights(t, "ap-south", map[string]float64{"main": 60, "backup": 40, "legacy": 0})
	before := h.revision(t)
	h.weights(t, "ap-south", map[string]float64{"main": 10, "backup": 90, "legacy": 0})
	b := h.tab(t)
	b.open("/changes")
	b.tabTo(fmt.Sprint(before))
	b.leaves(func() { b.press(kb.Enter) })
	b.tabTo("Review rolling back to .*")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", `(?s)not applied.*ap-south: main 10 → 60 %`, within)
	b.tabTo("Reason")
	b.press("it was better")
	b.tabTo("Roll back to .*")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", "“it was better”", within)
	b.reads("#rollout", `ap-south\s+in force`, within)
	b.tabTo(`Undo \d+`)
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", `ap-south: main 60 → 10 %`, within)
	if now := h.revision(t); now != before+3 {
		t.Errorf("revision %d, %d was expected", now, before+3)
	}
}

// TestTransferByKeyboard hands the leadership on, without a mouse: the page names the next leader.
func TestTransferByKeyboard(t *testing.T) {
	h := open(t)
	h.well(t)
	b := h.tab(t)
	b.open("/cluster")
	old := leads.FindStringSubmatch(b.textOf("#status"))
	if old == nil {
		t.Fatalf("nobody leads: %q", b.textOf("#status"))
	}
	b.tabTo("Reason for the transfer")
	b.press("its machine is moved")
	b.tabTo("Hand it on")
	b.leaves(func() { b.press(kb.Enter) })
	b.reads("main", "The leadership was handed on", within)
	eventually(t, within, "another leads", func() error {
		now := leads.FindStringSubmatch(b.textOf("#status"))
		if now == nil || now[1] == old[1] {
			return fmt.Errorf("%s led; %q", old[1], b.textOf("#status"))
		}
		return nil
	})
	b.reads("#headline", "3 of 3 voters answer", within)
	h.well(t)
}

// TestSteeringWithoutScript does the same with plain forms and links.
func TestSteeringWithoutScript(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.restore(t) })
	b := h.tab(t)
	b.scriptless()
	for _, p := range everyPage(h.transactions(t, "state=succeeded&limit=1")[0]) {
		b.open(p.path)
		if text := b.text(); len(text) < 40 {
			t.Errorf("%s is empty without a script: %q", p.name, text)
		}
	}
	t.Run("drain-probe-resume", func(t *testing.T) {
		b := b.in(t)
		b.open("/providers/legacy")
		b.find("combobox", "Where").choose("ap-south")
		b.leaves(func() { b.find("button", "Review the drain").click() })
		b.find("textbox", "Reason").enter("plain forms")
		b.leaves(func() { b.find("button", "Drain until .*").click() })
		b.reads("#drains", "Drained in ap-south", within)
		b.leaves(func() { b.find("button", "Probe now").click() })
		b.reads("main", "eu-west · eu-west-1 · GET /v1/balance: good", within)
		b.leaves(func() { b.find("button", "Resume in ap-south").click() })
		b.reads("main", "The drain has ended", within)
	})
	t.Run("roll-back", func(t *testing.T) {
		b := b.in(t)
		before := h.revision(t)
		h.weights(t, "us-east", map[string]float64{"main": 5, "backup": 95, "legacy": 0})
		b.open(fmt.Sprintf("/changes/%d?rollback=1", before))
		b.find("textbox", "Reason").enter("plain forms")
		b.leaves(func() { b.find("button", "Roll back to .*").click() })
		b.reads("main", "“plain forms”", within)
		if got := h.revision(t); got != before+2 {
			t.Errorf("revision %d after %d", got, before)
		}
	})
	t.Run("find", func(t *testing.T) {
		b := b.in(t)
		b.open("/")
		b.leaves(func() { b.find("link", "Go to….*").click() })
		b.find("searchbox", "A page, a service.*").enter("eu-west")
		b.leaves(func() { b.find("button", "Find").click() })
		b.leaves(func() { b.find("link", "eu-west").click() })
		if b.address() != "/regions/eu-west" {
			t.Errorf("the link leads to %s", b.address())
		}
	})
}

// revision is the one in force.
func (h *house) revision(t testing.TB) uint64 {
	t.Helper()
	var p struct{ Revision uint64 }
	h.api(t, "GET", "/policy", nil).decode(t, &p)
	return p.Revision
}
