package browser

import (
	"errors"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// slowReplay makes the page's question for a replay wait until it is cancelled: how fast agents are is not what is tested.
const slowReplay = `{ const real = window.fetch;
	window.fetch = (to, how) => !String(to?.url ?? to).includes("what-if") ? real(to, how) :
		new Promise((_, gone) => how.signal.addEventListener("abort", () => { window.aborted = true; gone(new DOMException("cancelled", "AbortError")); })) }`

// TestReplayIsCancelled: a replay that takes long shows how much of its time is gone; Cancel ends it and leaves a way to ask again.
func TestReplayIsCancelled(t *testing.T) {
	h := open(t)
	h.well(t)
	b := h.tab(t)
	_, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: slowReplay})
	b.must(err)
	b.open("/routing/payments?" + threeShares.Encode())
	b.reads("#what-if", "make their decisions of the last hour again", within)
	cancel := b.find("button", "Cancel the replay") // it comes by itself, a moment later
	gone := tell[float64](b, `document.querySelector("#what-if progress").value`)
	eventually(t, within, "the bar moves", func() error {
		if now := tell[float64](b, `document.querySelector("#what-if progress").value`); now <= gone {
			return errors.New("it stands still")
		}
		return nil
	})
	b.holds("a replay under way")
	cancel.click()
	b.reads("#what-if", "Cancelled: nothing was replayed", within)
	if !tell[bool](b, "!!window.aborted") {
		t.Error("the question goes on")
	}
	b.find("link", "Replay the last hour")
	b.reads("main", "Apply to eu-west", within)
}
