package web

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve puts the site on a real listener: streams need one.
func (s *site) serve() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	srv := &http.Server{Handler: s.web.Handler(), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	s.t.Cleanup(func() { _ = srv.Close(); <-done })
	return "http://" + l.Addr().String()
}

// listen opens a stream and hands out its messages; comments are passed over.
func listen(t *testing.T, url string) (next func() string, answer *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return func() string {
		var b strings.Builder
		for lines.Scan() {
			switch line := lines.Text(); {
			case line == "" && b.Len() > 0:
				return b.String()
			case strings.HasPrefix(line, "data: "):
				b.WriteString(strings.TrimPrefix(line, "data: ") + "\n")
			}
		}
		return ""
	}, answer
}

// until reads messages until one says text.
func until(t *testing.T, next func() string, text string) string {
	t.Helper()
	for {
		message := next()
		if message == "" {
			t.Fatalf("the stream ended before it said %q", text)
		}
		if strings.Contains(message, text) {
			return message
		}
	}
}

func TestStreamSendsWhatChanged(t *testing.T) {
	s := newSite(t, options{})
	next, answer := listen(t, s.serve()+"/live/overview")
	if answer.Header.Get("Content-Type") != "text/event-stream" || answer.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%v", answer.Header)
	}
	first := next()
	for _, id := range []string{"status", "alarm", "headline", "tiles", "band", "matrix", "running", "happened"} {
		if !strings.Contains(first, `hx-target="#`+id+`"`) {
			t.Errorf("a new stream does not begin with %s", id)
		}
	}
	page := s.get("/", 200)
	for _, id := range []string{"status", "alarm", "headline", "tiles", "band", "matrix", "running", "happened"} {
		if strings.Count(page, `id="`+id+`"`) != 1 {
			t.Errorf("the page has no place for %s", id)
		}
	}
	s.plane.set(func(p *plane) { p.leader = "" })
	s.web.look()
	second := until(t, next, "No control node leads")
	if strings.Contains(second, `hx-target="#matrix"`) || strings.Contains(second, `hx-target="#tiles"`) {
		t.Error("what did not change was sent again")
	}
	if strings.Contains(first, "<input") || strings.Contains(first, "<select") {
		t.Error("a moving part holds what people type into")
	}
}

// TestNewFiguresOfTheSameAgeAreSent: a page counts the age on by itself, so that it must hear of each new figure, however young.
func TestNewFiguresOfTheSameAgeAreSent(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) { p.view.World.At = s.now })
	s.web.look()
	next, _ := listen(t, s.serve()+"/live/overview")
	wants(t, next(), `data-age="0"`, fmt.Sprintf(`data-figures="%d"`, s.now.UnixMilli()))
	later := s.now.Add(time.Second) // the clock stands still: the age is 0 again
	s.plane.set(func(p *plane) { p.view.World.At = later })
	s.web.look()
	wants(t, until(t, next, fmt.Sprintf(`data-figures="%d"`, later.UnixMilli())), `data-age="0"`)
}

func TestRoutingStreamNeverTouchesWhatIsTyped(t *testing.T) {
	s := newSite(t, options{})
	next, _ := listen(t, s.serve()+"/live/routing/payments?base=1")
	first := next()
	wants(t, first, `hx-target="#eff-eu-west-main"`, `hx-target="#rollout"`, "!<input", "!Show it")
	page := s.get("/routing/payments", 200)
	wants(t, page, `id="eff-eu-west-main"`, `id="rollout"`)
	s.plane.apply(t, weight(30, 60, 10))
	s.web.look()
	until(t, next, "Revision 2 is in force now.")
}

func TestTransactionsStream(t *testing.T) {
	s := newSite(t, options{})
	base := s.serve()
	next, _ := listen(t, base+"/live/transactions?state=held")
	wants(t, next(), `hx-target="#list"`, "tx_01J9W2K7QH", "!tx_01J9W2K7QJ")
	next, _ = listen(t, base+"/live/transactions?q=order-88121")
	wants(t, next(), `!hx-target="#list"`)
}

func TestEventsStream(t *testing.T) {
	s := newSite(t, options{})
	next, _ := listen(t, s.serve()+"/api/v1/events")
	until(t, next, "main opened: 3 failures in a row")
	s.plane.apply(t, weight(30, 60, 10))
	s.web.look()
	if message := until(t, next, "revision 2"); strings.Contains(message, "main opened") {
		t.Error("an event was told twice")
	}
}

func TestCloseEndsStreams(t *testing.T) {
	s := newSite(t, options{})
	next, _ := listen(t, s.serve()+"/live/overview")
	next()
	if err := s.web.Close(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if next() == "" {
			return
		}
	}
	t.Error("the stream goes on")
}

func TestStreamsAreBounded(t *testing.T) {
	s := newSite(t, options{})
	s.web.streams.Store(maxStreams)
	if rec := s.ask(http.MethodGet, "/live/overview", ""); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", rec.Code)
	}
	if s.web.streams.Load() != maxStreams {
		t.Error("a refused stream is counted")
	}
	for _, path := range []string{"/live/nothing", "/live/transactions?limit=0"} {
		if rec := s.ask(http.MethodGet, path, ""); rec.Code < 400 {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

func TestStaticFilesAreKeptForEver(t *testing.T) {
	s := newSite(t, options{})
	page := s.get("/", 200)
	found := 0
	for _, piece := range strings.Split(page, `"/static/`)[1:] {
		path, _, _ := strings.Cut(piece, `"`)
		rec := s.ask(http.MethodGet, "/static/"+path, "")
		if rec.Code != 200 || !strings.Contains(rec.Header().Get("Cache-Control"), "immutable") || rec.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
		}
		found++
	}
	if found < 4 {
		t.Errorf("%d static files", found)
	}
	if strings.Count(page, "<script") != 1 {
		t.Error("the page's scripts race")
	}
	js := s.ask(http.MethodGet, s.web.assets.urls["segue.js"], "").Body.String()
	for _, piece := range []string{"var htmx=", `registerExtension("sse"`, "[data-palette-input]"} {
		_, rest, ok := strings.Cut(js, piece)
		if !ok {
			t.Errorf("%s is not in the script, or not in its place", piece)
		}
		js = rest
	}
	css := s.ask(http.MethodGet, s.web.assets.urls["segue.css"], "").Body.String()
	if strings.Count(css, `url("/static/`) != 2 || strings.Contains(css, "//") {
		t.Error("the sheet's fonts do not come from here")
	}
	for _, path := range []string{"/static/segue.css", "/static/CHECKSUMS", "/static/../web.go"} {
		if rec := s.ask(http.MethodGet, path, ""); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

// What was copied from elsewhere is what was copied, and its licence is beside it.
func TestCopiedFilesAreWhatTheyWere(t *testing.T) {
	sums, err := os.ReadFile("static/CHECKSUMS")
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(string(sums)) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		body, err := os.ReadFile(filepath.Join("static", fields[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		sum := sha256.Sum256(body)
		if hex.EncodeToString(sum[:]) != fields[0] {
			t.Errorf("%s was changed", fields[1])
		}
		listed++
	}
	licences, err := filepath.Glob("static/licences/*.txt")
	if err != nil || listed != 4 || len(licences) != 4 {
		t.Errorf("%d files, %d licences, %v", listed, len(licences), err)
	}
}
