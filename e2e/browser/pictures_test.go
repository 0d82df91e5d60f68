package browser

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"segue/controlplane/query"
)

// pictures tells whether the README's are to be taken: SEGUE_PICTURES=1 go test -run TestPictures ./e2e/browser
func pictures() bool { return os.Getenv("SEGUE_PICTURES") != "" }

// tallest is how much of a page is shown: what is below is more of the same.
const tallest = 1240

// largest is how many bytes a picture may have: a clone carries them all.
const largest = 300_000

// TestPictures takes the README's pictures, with a minute of traffic behind them and a provider that was killed.
func TestPictures(t *testing.T) {
	if !pictures() {
		t.Skip("SEGUE_PICTURES is not set")
	}
	h := open(t)
	b := h.tab(t)
	b.wants("light")
	b.open("/")
	busy := time.NewTimer(75 * time.Second)
	<-busy.C
	stop := h.breaks(t, "kill-provider", "main")
	b.reads("#headline", `main\s+is open in`, within)
	var moved query.Transaction
	eventually(t, within, "a charge went on from main to another", func() error {
		for _, tx := range h.transactions(t, "state=succeeded&limit=500") {
			if len(tx.Attempts) > 1 && tx.Attempts[0].Provider == "main" {
				moved = tx
				return nil
			}
		}
		return fmt.Errorf("none did")
	})
	pause := time.NewTimer(12 * time.Second) // so that the figures' history shows it
	<-pause.C
	b.shoot("overview-light", 1480)
	b.wants("dark")
	b.shoot("overview-dark", 1480)
	b.wants("light")
	b.shoot("overview-phone", 375)
	b.wide(1480)
	b.open("/transactions/" + moved.ID)
	b.shoot("transaction", 1480)
	b.open("/providers/main")
	b.shoot("provider", 1280)
	b.open("/routing/payments?" + url.Values{"region": {"eu-west"}, "w.main": {"20"}, "w.backup": {"70"}, "w.legacy": {"10"}}.Encode())
	b.shoot("routing", 1480)
	b.open("/cluster")
	b.shoot("cluster", 1280)
	stop()
	h.apiFor(t, http.MethodPatch, "/services/payments/weights/eu-west", "fees of May", map[string]float64{"main": 20, "backup": 70, "legacy": 10})
	before := h.revision(t)
	h.apiFor(t, http.MethodPatch, "/services/payments/weights/eu-west", "main rests", map[string]float64{"main": 0, "backup": 90, "legacy": 10})
	b.open(fmt.Sprintf("/changes/%d?rollback=1", before))
	b.shoot("changes", 1280)
	h.restore(t)
	h.well(t)
}

// shoot takes the whole page.
func (b *tab) shoot(name string, width int64) {
	b.t.Helper()
	b.wide(width)
	if err := chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void]("document.fonts.ready.then(() => {})", chromedp.EvalAwaitPromise)); err != nil {
		b.t.Fatal(err)
	}
	height := tell[int64](b, "Math.ceil(document.documentElement.getBoundingClientRect().height)")
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: min(height, tallest), DeviceScaleFactor: 1})
	b.must(err)
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.must(err)
	if len(png) > largest || !bytes.HasPrefix(png, []byte("\x89PNG")) {
		b.t.Errorf("%s: %d bytes, over %d, or no picture", name, len(png), largest)
	}
	b.must(os.WriteFile(filepath.Join("..", "..", "docs", "pictures", name+".png"), png, 0o644))
}
