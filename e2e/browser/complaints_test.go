package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// complaints are what a browser's console, log and network would tell a developer: nothing of it belongs to a page that works.
type complaints struct {
	mu        sync.Mutex
	list      []string
	urls      map[network.RequestID]string
	answers   map[string]float64 // when the answer to a form came, by path, in seconds since 1970
	tolerated []string
}

// hear is called for every event of a tab, one after the other.
func (c *complaints) hear(ev any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		c.add("exception: %s %s", e.ExceptionDetails.Text, described(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			c.add("console: %s", said(e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			c.add("log: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		c.sent(e)
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			c.add("network: %d from %s", e.Response.Status, e.Response.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled { // leaving a page ends its stream
			c.add("network: %s: %s %s", c.urls[e.RequestID], e.ErrorText, e.BlockedReason)
		}
	}
}

// sent remembers addresses, and when a form that leads elsewhere was answered.
func (c *complaints) sent(e *network.EventRequestWillBeSent) {
	if c.urls == nil {
		c.urls, c.answers = map[network.RequestID]string{}, map[string]float64{}
	}
	c.urls[e.RequestID] = e.Request.URL
	if r := e.RedirectResponse; r != nil {
		c.answers[r.URL] = epoch(r.ResponseTime)
	}
}

// epoch is in seconds; the protocol gives milliseconds here.
func epoch(at cdp.TimeSinceEpoch) float64 { return at.Float64() / 1000 }

func described(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description
}

func said(args []*runtime.RemoteObject) string {
	var words []string
	for _, a := range args {
		words = append(words, string(a.Value)+a.Description)
	}
	return strings.Join(words, " ")
}

func (c *complaints) add(format string, args ...any) {
	c.list = append(c.list, fmt.Sprintf(format, args...))
}

// tolerate says which complaints a test provokes itself.
func (c *complaints) tolerate(part string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tolerated = append(c.tolerated, part)
}

// all returns what was heard, but for what is tolerated.
func (c *complaints) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
next:
	for _, text := range c.list {
		for _, part := range c.tolerated {
			if strings.Contains(text, part) {
				continue next
			}
		}
		list = append(list, text)
	}
	return list
}

// answered is when the form that was sent to a URL got its answer; 0: not yet.
func (c *complaints) answered(url string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[url]
}

// TestComplaintsAreHeard opens a page that does wrong what ours must not: the other tests' silence is worth something.
func TestComplaintsAreHeard(t *testing.T) {
	h := open(t)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
			fmt.Fprint(w, `<!DOCTYPE html><link rel="icon" href="/gone.svg"><img src="http://127.0.0.1:1/elsewhere.png"><img src="/cut.png"><p style="color:red"><script>inline()</script><script src="/bad.js"></script>
				<div style="width:3000px">wide</div>`)
		case "/bad.js":
			fmt.Fprint(w, `console.error("said by the page"); console.warn("warned by the page"); setTimeout(() => { throw new Error("thrown by the page") })`)
		case "/cut.png":
			panic(http.ErrAbortHandler)
		default:
			http.NotFound(w, r)
		}
	}))
	defer bad.Close()
	b := h.tab(t)
	b.base = bad.URL
	b.tolerate("") // everything: this page is meant to be bad
	b.open("/")
	for _, want := range []string{
		"said by the page", "warned by the page", "thrown by the page", "404 from", "refused by policy: img-src", "refused by policy: script-src",
		"refused by policy: style-src", "/cut.png: net::ERR",
	} {
		eventually(t, within, "the browser complains of "+want, func() error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if all := strings.Join(b.list, "\n"); !strings.Contains(all, want) {
				return fmt.Errorf("it says\n%s", all)
			}
			return nil
		})
	}
	found, err := b.axe()
	if err != nil || !strings.Contains(found, "image-alt") {
		t.Errorf("axe finds no image without a text: %s %v", found, err)
	}
}
