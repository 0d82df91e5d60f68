package browser

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// line is what lies between a browser and the pages; it can be cut.
type line struct {
	to     string
	listen net.Listener
	work   sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{to: to, listen: listen, conns: map[net.Conn]bool{}}
	l.work.Go(l.serve)
	t.Cleanup(func() { _ = listen.Close(); l.cut(true); l.work.Wait() })
	return l
}

func (l *line) serve() {
	for {
		from, err := l.listen.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", l.to)
		if err != nil || !l.keep(from, to) {
			_ = from.Close()
			continue
		}
		for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
			l.work.Go(func() {
				_, _ = io.Copy(way[0], way[1]) // a cut line is what this is for
				_ = way[0].Close()
			})
		}
	}
}

// keep remembers connections, unless the line is down.
func (l *line) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.conns[c] = true; l.down {
			_ = c.Close()
		}
	}
	return !l.down
}

// cut ends every connection and lets none through, until it is mended.
func (l *line) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for c := range l.conns {
		_ = c.Close()
	}
	clear(l.conns)
}

// TestSilence cuts the line under an open page: it says itself how old its figures are, steers nothing by them, and comes back.
func TestSilence(t *testing.T) {
	h := open(t)
	h.well(t)
	l := newLine(t, h.dev.Addr())
	b := h.tab(t)
	b.base = "http://" + l.listen.Addr().String()
	_, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `{ const now = performance.now.bind(performance); window.later = 0; performance.now = () => now() + window.later }`,
	})
	b.must(err)
	b.open("/routing/payments")
	field := b.find("spinbutton", "main in eu-west, percent of new sessions")
	b.reads("#age", `data \d\.\d s old`, within)
	b.tolerate("ERR_")
	b.tolerate("htmx:sse:error")
	l.cut(true)
	eventually(t, within, "the browser misses the stream", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if all := strings.Join(b.list, "\n"); !strings.Contains(all, "/live/routing/payments") {
			return fmt.Errorf("it says %q", all)
		}
		return nil
	})
	for _, step := range []struct {
		later  int
		class  string
		frozen bool
	}{{6000, "is-warn", false}, {16000, "is-bad", true}} {
		tell[int](b, fmt.Sprintf("window.later = %d", step.later))
		eventually(t, within, fmt.Sprintf("the age after %d ms is %s", step.later, step.class), func() error {
			if class := tell[string](b, "document.getElementById('age').className"); !strings.Contains(class, step.class) {
				return fmt.Errorf("it is %q: %s", class, b.textOf("#age"))
			}
			return nil
		})
		if got := field.disabled(); got != step.frozen {
			t.Errorf("after %d ms of silence the fields are disabled: %v", step.later, got)
		}
	}
	b.reads("#alarm", "the page hears nothing", within)
	b.holds("a page that hears nothing")
	l.cut(false)
	tell[int](b, "window.later = 0")
	b.reads("#age", `data [0-2]\.\d s old`, within)
	eventually(t, within, "weights can be moved again", func() error {
		if text := b.textOf("#alarm"); text != "" || field.disabled() {
			return fmt.Errorf("the banner reads %q", text)
		}
		return nil
	})
}
