package provider

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// TestEvents: each event is passed on before the provider sends the next.
func TestEvents(t *testing.T) {
	taken := make(chan string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 20 {
			event := fmt.Sprintf("data: %d\n\n", i)
			io.WriteString(w, event)
			w.(http.Flusher).Flush()
			if got := <-taken; got != event {
				t.Errorf("event %d: %q", i, got)
			}
		}
	}))
	defer s.Close()
	w := newWorld(t, nil)
	defer w.Close()
	to := &taker{onWrite: func(p []byte) { taken <- string(p) }}
	if r := w.Send(t.Context(), get(s.URL), to); r.Outcome != ledger.Succeeded || !to.clean() {
		t.Fatalf("%+v", r)
	}
}

// counter is a reply that only counts.
type counter struct {
	silent
	bytes   int64
	biggest int
}

func (c *counter) Write(p []byte) error {
	c.bytes += int64(len(p))
	c.biggest = max(c.biggest, len(p))
	return nil
}

// TestDownload: 100 MB pass through one small buffer.
func TestDownload(t *testing.T) {
	const size = 100 << 20
	piece := make([]byte, 1<<20)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range size / len(piece) {
			w.Write(piece)
		}
	}))
	defer s.Close()
	w := newWorld(t, nil)
	defer w.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	to := &counter{}
	r := w.Send(t.Context(), get(s.URL), to)
	runtime.ReadMemStats(&after)
	if r.Outcome != ledger.Succeeded || to.bytes != size || to.biggest > bufferSize {
		t.Fatalf("%+v; %d bytes, %d at once", r, to.bytes, to.biggest)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
		t.Fatalf("%d bytes were allocated", used)
	}
}

// TestTakerRefuses: a taker that wants no more ends the reading, and the provider sees its connection go.
func TestTakerRefuses(t *testing.T) {
	gone := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	w := newWorld(t, nil)
	to := &taker{refuse: errors.New("left")}
	r := w.Send(t.Context(), get(s.URL), to)
	if r.Outcome != ledger.Unknown || r.Error != "caller_left" || r.Sample.Class != health.OK || !errors.Is(r.Err, to.refuse) || !to.cut() {
		t.Fatalf("%+v %v", r, to.ends)
	}
	<-gone
}

// TestStreamOutlivesDeadline: a read's deadline is for its first byte; an effect's is for all of it.
func TestStreamOutlivesDeadline(t *testing.T) {
	for _, read := range []bool{true, false} {
		later := make(chan struct{})
		s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
			<-later
			say(c, "cd")
			return true
		})
		w := newWorld(t, nil)
		call := post(s.url, "")
		call.Read = read
		ctx, cancel := contextWithTimeout(t, time.Second)
		to := &taker{onWrite: func(p []byte) {
			if string(p) == "ab" && read { // the rest comes after the deadline
				<-ctx.Done()
				close(later)
			}
		}}
		r := w.Send(ctx, call, to)
		cancel()
		if !read { // the rest would come after the send has ended
			close(later)
		}
		if read && (r.Outcome != ledger.Succeeded || to.body.String() != "abcd") {
			t.Errorf("read: %+v %s", r, &to.body)
		}
		if !read && (r.Outcome != ledger.Unknown || r.Error != "http_response_timeout" || !to.cut()) {
			t.Errorf("effect: %+v", r)
		}
	}
}

// TestSlowTaker: the time that the taker takes is not the provider's silence.
func TestSlowTaker(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 100<<10)) }))
	defer s.Close()
	w := newWorld(t, func(c *Config) { c.Idle = 100 * time.Millisecond })
	defer w.Close()
	slow := time.NewTimer(300 * time.Millisecond)
	first := true
	to := &taker{onWrite: func([]byte) {
		if first {
			first = false
			<-slow.C
		}
	}}
	if r := w.Send(t.Context(), get(s.URL), to); r.Outcome != ledger.Succeeded {
		t.Fatalf("%+v", r)
	}
}

// TestHeadAndEmpty: answers without a body end cleanly, and their connections are used again.
func TestHeadAndEmpty(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "HEAD" {
			w.Header().Set("Content-Length", "500")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	w := newWorld(t, nil)
	defer w.Close()
	ws := spy(w.Client)
	for _, method := range []string{"HEAD", "GET", "HEAD", "DELETE"} {
		call, to := get(s.URL), &taker{}
		call.Request.Method = method
		r := w.Send(t.Context(), call, to)
		if r.Outcome != ledger.Succeeded || !to.clean() || to.body.Len() != 0 || method == "HEAD" && to.header.Get("Content-Length") != "500" {
			t.Fatalf("%s: %+v %v", method, r, to.header)
		}
	}
	if len(ws.list) != 1 {
		t.Errorf("%d connections for 4 calls in a row", len(ws.list))
	}
}

// TestHeadOfAnError: an answer that can have no body is whole without a length too.
func TestHeadOfAnError(t *testing.T) {
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
		say(c, "HTTP/1.1 404 Not Found\r\n\r\n")
		return true
	})
	w, call, to := newWorld(t, nil), get(s.url), &taker{}
	call.Request.Method = "HEAD"
	if r := w.Send(t.Context(), call, to); r.Outcome != ledger.Declined || to.status != 404 || !to.clean() {
		t.Fatalf("%+v, %d", r, to.status)
	}
}

// TestEarlyAnswer: a provider that answers before it took the whole body has answered, or nobody knows; never was nothing sent.
func TestEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 512))
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
			_ = c.Close()
		}
	}()
	w := newWorld(t, nil)
	for range 50 {
		to := &taker{}
		r := w.Send(t.Context(), post("http://"+l.Addr().String(), strings.Repeat("x", 4<<20)), to)
		if r.Outcome != ledger.Declined && r.Outcome != ledger.Unknown || r.Outcome == ledger.Declined && (to.status != 413 || !to.clean()) {
			t.Fatalf("%+v, told %d", r, to.status)
		}
	}
}

// TestManyInterimAnswers: a provider that never stops saying "soon" is given up in time, and costs no memory.
func TestManyInterimAnswers(t *testing.T) {
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
		for {
			if _, err := io.WriteString(c, "HTTP/1.1 102 Processing\r\nX: "+strings.Repeat("y", 1000)+"\r\n\r\n"); err != nil {
				return false
			}
		}
	})
	w, call := newWorld(t, nil), post(s.url, "amount=1")
	call.PerTry = 300 * time.Millisecond
	if r := w.Send(t.Context(), call, &taker{}); r.Outcome != ledger.Unknown {
		t.Fatalf("%+v", r)
	}
}

// TestEarlyHints: answers before the answer are not the answer.
func TestEarlyHints(t *testing.T) {
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
		say(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"+fine)
		return true
	})
	w, to := newWorld(t, nil), &taker{}
	if r := w.Send(t.Context(), get(s.url), to); r.Outcome != ledger.Succeeded || to.status != 200 {
		t.Fatalf("%+v", r)
	}
}

var _ message.Reply = (*taker)(nil)
