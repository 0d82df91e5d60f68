package bench

import (
	"context"
	be "encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"segue/controlplane/feed"
)

// fanout is what HTTP/2 alone costs: a handler per client that writes and flushes, and clients that read, each on a connection of its own,
// with the feed's own settings of the server. Nothing is encoded, reported or acknowledged.
type fanout struct {
	body    []byte
	clients []*bareClient
	mu      sync.Mutex
	slots   []chan []byte
}

type bareClient struct{ got chan time.Time }

// newFanout connects n clients.
func newFanout(t *testing.T, n, size int) *fanout {
	t.Helper()
	f := &fanout{body: make([]byte, size)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := feed.Serve(http.HandlerFunc(f.serve), nil)
	go server.Serve(listener) //nolint:errcheck // ends with Close
	t.Cleanup(func() { must(t, server.Close()) })
	for range n {
		f.clients = append(f.clients, f.connect(t, "http://"+listener.Addr().String()))
	}
	return f
}

func (f *fanout) serve(w http.ResponseWriter, r *http.Request) {
	slot := make(chan []byte, 1)
	f.mu.Lock()
	f.slots = append(f.slots, slot)
	f.mu.Unlock()
	flush := http.NewResponseController(w)
	if flush.Flush() != nil {
		return
	}
	for {
		select {
		case b := <-slot:
			if _, err := w.Write(b); err != nil || flush.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func (f *fanout) connect(t *testing.T, url string) *bareClient {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols}
	t.Cleanup(tr.CloseIdleConnections)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	must(t, err)
	answer, err := tr.RoundTrip(r)
	must(t, err)
	c := &bareClient{got: make(chan time.Time, 1024)}
	go func() { // ends with the context
		defer answer.Body.Close()
		b := make([]byte, len(f.body))
		for {
			if _, err := io.ReadFull(answer.Body, b); err != nil {
				return
			}
			c.got <- time.Now()
		}
	}()
	return c
}

// send gives every client the same bytes and returns how long it took until the last had them.
func (f *fanout) send(n uint64) time.Duration {
	b := make([]byte, len(f.body))
	be.BigEndian.PutUint64(b, n)
	begin := time.Now()
	f.mu.Lock()
	for _, s := range f.slots {
		s <- b
	}
	f.mu.Unlock()
	var last time.Time
	for _, c := range f.clients {
		if at := <-c.got; at.After(last) {
			last = at
		}
	}
	return last.Sub(begin)
}

// benchFanout holds a change's way to a thousand agents against what HTTP/2 alone takes for the same bytes, in turns.
func benchFanout(t *testing.T, r *report) {
	const agents, rounds, each = 1000, 5, 40
	c := newCluster(t)
	crowd := c.join(t, agents)
	bare := newFanout(t, agents, cutSize)
	var ours, theirs []time.Duration
	for i := range rounds {
		for range each {
			ours = append(ours, c.change(t, crowd, c.weight(c.changes)))
		}
		for n := range each {
			c.pause()
			theirs = append(theirs, bare.send(uint64(n)))
		}
		t.Logf("round %d: p50 %s, bare %s", i+1, ms(median(ours)), ms(median(theirs)))
	}
	p99, bare99 := quantile(slices.Clone(ours), 0.99), quantile(slices.Clone(theirs), 0.99)
	r.add(t, figure{what: fmt.Sprintf("commit → receipt of a 4 KiB Update at the last of %d agents, p99 of %d, beside a bare HTTP/2 fan-out of as many bytes", agents, len(ours)),
		ratio: float64(p99) / float64(bare99), most: 2, command: "make bench",
		behind: fmt.Sprintf("p50 %s, p99 %s; bare p50 %s, p99 %s", ms(median(ours)), ms(p99), ms(median(theirs)), ms(bare99))})
}

// benchAttached tells what a control node keeps for each agent that is attached to it.
func benchAttached(t *testing.T, r *report) {
	const agents = 1000
	dir, control, raft := t.TempDir(), free(t), free(t)
	file := filepath.Join(dir, "p.yaml")
	must(t, os.WriteFile(file, wide(), 0o600))
	node := segue(t, "control", "--dir", filepath.Join(dir, "control"), "--listen", control, "--raft", raft, "--log", "warn")
	command(t, "policy", "apply", file, "--api", "http://"+control, "--reason", "bench")
	before, err := memory(node.pid)
	must(t, err)
	attach(t, []string{control}, agents)
	after, err := memory(node.pid)
	must(t, err)
	r.facts = append(r.facts, fmt.Sprintf("A control node's resident memory grows by %d KiB for each agent that is attached to it (%d agents, each with reports every second).",
		(after-before)/agents/1024, agents))
}
