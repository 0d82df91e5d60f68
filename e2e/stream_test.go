package e2e

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// Streams may cost an agent so much memory over what it has at rest.
const streamMemory = 16 << 20

// TestStreamsInLittleMemory sends a 100 MB download and a stream of events through an agent of its own: bounded memory, every byte, and
// each event before the next is sent.
func TestStreamsInLittleMemory(t *testing.T) {
	w := newWorld(t, alone())
	c := w.caller("local")
	agent := w.agents["local"]
	for range 20 {
		c.get("/v1/balance", "").must(t)
	}
	size := upTo(100_000_000, 30_000_000)
	idle := agent.memory("VmRSS")
	agent.forgetPeak()
	provider := newCaller(t, w.provider(mainProvider).URL())
	provider.slot = credential
	direct, through := digestOf(t, provider, size), digestOf(t, c, size)
	if through != direct {
		t.Error("the download came through changed")
	}
	gatedEvents(t, w, c, 20)
	peak := agent.memory("VmHWM")
	t.Logf("idle %.1f MB, peak %.1f MB", float64(idle)/1e6, float64(peak)/1e6)
	if peak-idle > streamMemory {
		t.Errorf("peak − idle is %.1f MB, over 16 MB", float64(peak-idle)/(1<<20))
	}
}

func digestOf(t *testing.T, c *caller, size int) [sha256.Size]byte {
	t.Helper()
	ctx, cancel := patience.Context(t.Context(), 2*time.Minute)
	defer cancel()
	resp, err := c.open(ctx, ask{method: http.MethodGet, path: fmt.Sprintf("/v1/files/file_1/contents?bytes=%d", size)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, resp.Body)
	if err != nil || n != int64(size) || resp.ContentLength != int64(size) {
		t.Fatalf("%d of %d bytes, said to be %d: %v", n, size, resp.ContentLength, err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// gatedEvents reads events of which each is sent only when the one before was read here.
func gatedEvents(t *testing.T, w *world, c *caller, n int) {
	t.Helper()
	ctx, cancel := patience.Context(t.Context(), time.Minute)
	defer cancel()
	resp, err := c.open(ctx, ask{method: http.MethodGet, path: fmt.Sprintf("/v1/stream?events=%d&gate=1", n)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	for i := range n {
		w.openGate()
		data, err := nextEvent(lines) // hangs, and ends with the context, if the event waits for the next
		if err != nil || strings.TrimSpace(data) != fmt.Sprintf(`{"n":%d}`, i) {
			t.Fatalf("event %d: %q, %v", i, data, err)
		}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		t.Errorf("after the last event: %q, %v", rest, err)
	}
}

// openGate lets one event go.
func (w *world) openGate() {
	w.t.Helper()
	resp, err := http.Post("http://"+w.box.BooksAddr()+"/providers/main/_gate", "", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// TestCutIsNoCleanEnd cuts answers midway, with a length and without: the client gets an error, never an end.
func TestCutIsNoCleanEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	c := w.caller("local")
	for _, end := range []sandbox.Ending{sandbox.Close, sandbox.Abort} {
		for _, path := range []string{"/v1/files/file_1/contents?bytes=3000000", "/v1/stream?events=20"} {
			w.faults(mainProvider, sandbox.Fault{Kind: sandbox.CutBody, End: end})
			got := c.get(path, "")
			if got.err == nil {
				t.Errorf("%s, cut by %s: a clean end after %d bytes: %d", path, end, len(got.body), got.status)
			}
			w.faults(mainProvider)
			c.get(path, "").must(t) // and the agent goes on
		}
	}
	headers := sandbox.Fault{Kind: sandbox.CutHeaders, Count: 1}
	w.faults(mainProvider, headers)
	cut := insist(func() told { return c.charge("o-cut-headers", "") }, func(a told) bool { return a.status/100 == 2 })
	w.faults(mainProvider)
	cut.must(t) // sent again with the same key
	w.reckon(map[string]told{"o-cut-headers": cut})
}

// TestKilledMidStream kills the agent in the middle of an answer: the client gets an error.
func TestKilledMidStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	ctx, cancel := patience.Context(t.Context(), time.Minute)
	defer cancel()
	resp, err := w.caller("local").open(ctx, ask{method: http.MethodGet, path: "/v1/stream?events=2&gate=1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	w.openGate()
	if _, err := nextEvent(lines); err != nil {
		t.Fatal(err)
	}
	w.agents["local"].kill()
	if rest, err := io.ReadAll(lines); err == nil {
		t.Errorf("a clean end after %q", rest)
	}
}
