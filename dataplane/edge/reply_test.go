package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

var plainText = message.Header{{Name: "Content-Type", Value: "text/plain"}}

func withLength(n int) message.Header {
	return append(plainText[:1:1], message.Field{Name: "Content-Length", Value: fmt.Sprint(n)})
}

// TestEvents: the header of a stream reaches the application before its first event is written, and each event before the next.
func TestEvents(t *testing.T) {
	taken := make(chan struct{})
	w := newWorld(t, func(_ context.Context, _ *proxy.Call, to message.Reply) {
		_ = to.Begin(200, message.Header{{Name: "Content-Type", Value: "text/event-stream"}})
		<-taken
		for i := range 20 {
			if err := to.Write([]byte(fmt.Sprintf("data: %d\n", i))); err != nil {
				t.Error(err)
			}
			<-taken
		}
		_ = to.End(nil)
	}, nil)
	resp, err := w.client.Get(w.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	taken <- struct{}{}
	lines := bufio.NewScanner(resp.Body)
	n := 0
	for ; lines.Scan(); n++ {
		if lines.Text() != fmt.Sprintf("data: %d", n) {
			t.Fatalf("line %d: %s", n, lines.Text())
		}
		taken <- struct{}{}
	}
	if n != 20 || lines.Err() != nil {
		t.Fatalf("%d lines, %v", n, lines.Err())
	}
}

// TestCutIsNoEnd: an answer that was cut, fell short of its length, panicked or was forgotten in the middle is an error to every reader:
// chunked, with a length, and in HTTP/1.0, where the end of the connection is the end of the answer.
func TestCutIsNoEnd(t *testing.T) {
	ends := map[string]func(message.Reply){
		"cut":       func(to message.Reply) { _ = to.End(errors.New("cut")) },
		"forgotten": func(message.Reply) {},
		"panic":     func(message.Reply) { panic("a bug") },
		"clean":     func(to message.Reply) { _ = to.End(nil) },
	}
	for name, end := range ends {
		for _, length := range []int{-1, 9, 5} {
			w := newWorld(t, func(_ context.Context, _ *proxy.Call, to message.Reply) {
				h := plainText
				if length >= 0 {
					h = withLength(length)
				}
				_ = to.Begin(200, h)
				_ = to.Write([]byte("hello"))
				end(to)
			}, nil)
			wantErr := name != "clean" || length == 9
			_, body, err := w.do(t, "GET", "/", "")
			if length == 5 && name != "clean" {
				continue // all of it may be with the reader before the cut: it has what was promised
			}
			if (err != nil) != wantErr || !wantErr && body != "hello" {
				t.Errorf("%s, length %d: %q %v", name, length, body, err)
			}
			if length < 0 {
				if err := oldReader(t, w.Addr("payments")); (err != nil) != wantErr {
					t.Errorf("%s, HTTP/1.0: %v", name, err)
				}
			}
		}
	}
}

// oldReader reads an answer as HTTP/1.0 does: to the end of the connection.
func oldReader(t *testing.T, addr string) error {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
	_, err = io.ReadAll(c)
	return err
}

// TestNoAnswer: a call that nobody answers, or that panics first, is told that its outcome is unknown; the process goes on, and the log has
// the stack.
func TestNoAnswer(t *testing.T) {
	w := newWorld(t, func(_ context.Context, c *proxy.Call, _ message.Reply) {
		if c.Request.Path == "/panic" {
			panic("a bug")
		}
	}, nil)
	for _, path := range []string{"/panic", "/silent", "/panic"} {
		resp, body, err := w.do(t, "POST", path, "")
		if err != nil || resp.StatusCode != 504 || !strings.Contains(body, `"executed":"unknown"`) || !strings.Contains(body, `"error":{`) || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v %s %v", path, resp, body, err)
		}
	}
	if !strings.Contains(w.log.String(), "a bug") || !strings.Contains(w.log.String(), "reply_test.go") {
		t.Errorf("log: %s", w.log)
	}
}

// TestOneWriteForSmall: a whole answer leaves in one piece, not header and body apart: half the work of a small call.
func TestOneWriteForSmall(t *testing.T) {
	w := newWorld(t, func(_ context.Context, _ *proxy.Call, to message.Reply) { answer(to, 200, "hello") }, nil)
	c, err := net.Dial("tcp", w.Addr("payments"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 20 {
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		if err != nil || !strings.HasSuffix(string(buf[:n]), "\r\n\r\nhello") {
			t.Fatalf("%q %v", buf[:n], err)
		}
	}
}

// TestAnswerHeaders: the provider's pass, Segue's own too, those of one hop do not, and none is made up.
func TestAnswerHeaders(t *testing.T) {
	w := newWorld(t, func(_ context.Context, _ *proxy.Call, to message.Reply) {
		_ = (&message.Answer{Status: 402, Header: message.Header{{Name: "X-Many", Value: "1"}, {Name: "X-Many", Value: "2"}, {Name: "Segue-Route", Value: "main"},
			{Name: "Connection", Value: "close"}, {Name: "Transfer-Encoding", Value: "chunked"}, {Name: "Keep-Alive", Value: "1"}}, Body: []byte("<html>")}).Send(to)
	}, nil)
	resp, body, err := w.do(t, "GET", "/", "")
	if err != nil || resp.StatusCode != 402 || body != "<html>" || resp.Close || len(resp.TransferEncoding) > 0 {
		t.Fatalf("%v %q %v", resp, body, err)
	}
	if strings.Join(resp.Header["X-Many"], ",") != "1,2" || resp.Header.Get("Segue-Route") != "main" || resp.Header.Get("Keep-Alive") != "" || resp.Header["Content-Type"] != nil {
		t.Errorf("%v", resp.Header)
	}
}

// TestBodyless: HEAD, 204 and 304 end cleanly whatever length they tell.
func TestBodyless(t *testing.T) {
	w := newWorld(t, func(_ context.Context, c *proxy.Call, to message.Reply) {
		status := map[string]int{"/204": 204, "/304": 304}[c.Request.Path]
		if status == 0 {
			status = 200
		}
		h := withLength(500)
		if status == 204 {
			h = nil
		}
		_ = to.Begin(status, h)
		_ = to.End(nil)
	}, nil)
	for _, x := range [][2]string{{"HEAD", "/"}, {"GET", "/204"}, {"GET", "/304"}, {"HEAD", "/"}} {
		if resp, body, err := w.do(t, x[0], x[1], ""); err != nil || body != "" || x[0] == "HEAD" && resp.ContentLength != 500 {
			t.Errorf("%v: %v %q %v", x, resp, body, err)
		}
	}
}

// TestOrder: a reply that is used wrongly says so and writes nothing; one whose call is over takes nothing.
func TestOrder(t *testing.T) {
	late := make(chan message.Reply, 1)
	w := newWorld(t, func(_ context.Context, _ *proxy.Call, to message.Reply) {
		if err := to.Write([]byte("x")); !errors.Is(err, errOrder) {
			t.Errorf("Write first: %v", err)
		}
		if err := to.End(nil); !errors.Is(err, errOrder) {
			t.Errorf("End first: %v", err)
		}
		if err := to.Begin(99, nil); !errors.Is(err, errOrder) {
			t.Errorf("status 99: %v", err)
		}
		answer(to, 200, "once")
		if err := to.Begin(200, nil); !errors.Is(err, errOrder) {
			t.Errorf("Begin again: %v", err)
		}
		late <- to
	}, nil)
	if _, body, err := w.do(t, "GET", "/", ""); err != nil || body != "once" {
		t.Fatalf("%q %v", body, err)
	}
	to := <-late
	deadline := time.Now().Add(5 * time.Second)
	for err := to.Write([]byte("late")); !errors.Is(err, errClosed); err = to.Write([]byte("late")) {
		if time.Now().After(deadline) {
			t.Fatalf("late: %v", err)
		}
	}
}

// TestCallerLeaves: the context ends, and writes fail, so that reads are given up.
func TestCallerLeaves(t *testing.T) {
	over := make(chan error, 1)
	entered := make(chan struct{}, 1)
	w := newWorld(t, func(ctx context.Context, _ *proxy.Call, to message.Reply) {
		entered <- struct{}{}
		<-ctx.Done()
		_ = to.Begin(200, plainText)
		var err error
		for err == nil {
			err = to.Write(make([]byte, 64<<10))
		}
		over <- err
	}, nil)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", w.url("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-entered; leave() }()
	if resp, err := w.client.Do(r); err == nil {
		resp.Body.Close()
		t.Fatal("answered")
	}
	<-over
}

// TestTakesNothing: an application that does not read is given up after the limit for one write.
func TestTakesNothing(t *testing.T) {
	over := make(chan error, 1)
	w := newWorld(t, func(_ context.Context, _ *proxy.Call, to message.Reply) {
		err := to.Begin(200, plainText)
		for err == nil {
			err = to.Write(make([]byte, 64<<10))
		}
		over <- err
	}, func(c *Config) { c.Limits.Write = 100 * time.Millisecond })
	c, err := net.Dial("tcp", w.Addr("payments"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	var timeout net.Error
	if err := <-over; !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatal(err)
	}
}
