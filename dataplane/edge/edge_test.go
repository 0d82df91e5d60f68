package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

func echo(_ context.Context, c *proxy.Call, to message.Reply) { answer(to, 200, c.Service) }

// TestLoopbackOnly: nothing else is listened on, and the refusal says why.
func TestLoopbackOnly(t *testing.T) {
	for host, fine := range map[string]bool{"": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "localhost": true,
		"0.0.0.0": false, "::": false, "192.168.1.1": false, "example.com": false, "*": false} {
		_, err := New(Config{Host: host, Proxy: serve(echo)})
		if fine != (err == nil) || !fine && (!errors.Is(err, ErrNotLoopback) || !strings.Contains(err.Error(), "no sign-in")) {
			t.Errorf("%q: %v", host, err)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("without a proxy")
	}
}

// TestSwap: ports come and go, those that stay are never closed, and calls under way at one that goes are finished.
func TestSwap(t *testing.T) {
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	w := newWorld(t, func(ctx context.Context, c *proxy.Call, to message.Reply) {
		if c.Request.Path == "/slow" {
			entered <- struct{}{}
			<-hold
		}
		answer(to, 200, c.Service)
	}, nil)
	kept := w.Addr("payments")
	if err := w.Swap(snapshot(service("payments", 7101, ""), service("sms", 7102, ""))); err != nil {
		t.Fatal(err)
	}
	sms := w.Addr("sms")
	slow := make(chan error, 1)
	go func() {
		resp, err := w.client.Get("http://" + sms + "/slow")
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != 200 {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
		}
		slow <- err
	}()
	<-entered
	if err := w.Swap(snapshot(service("payments", 7101, ""), service("chat", 7103, ""))); err != nil {
		t.Fatal(err)
	}
	if w.Addr("payments") != kept || w.Addr("sms") != "" || w.Addr("chat") == "" || w.Addr("nobody") != "" {
		t.Fatalf("payments %s→%s, sms %q, chat %q", kept, w.Addr("payments"), w.Addr("sms"), w.Addr("chat"))
	}
	waitClosed(t, sms)
	close(hold)
	if err := <-slow; err != nil {
		t.Fatalf("the call under way: %v", err)
	}
}

func waitClosed(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
	}
	t.Fatalf("%s is still open", addr)
}

// TestSwapTaken: a port that cannot be bound is named, nothing of the new snapshot is served, and all of the old is.
func TestSwapTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	w := newWorld(t, echo, nil)
	w.config.AnyPort = false
	w.config.PortOffset = 100
	err = w.Swap(snapshot(service("sms", port-100, "")))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint("port ", port)) {
		t.Fatal(err)
	}
	if resp, body, err := w.do(t, "GET", "/", ""); err != nil || resp.StatusCode != 200 || body != "payments" {
		t.Fatalf("the old one: %v %v", resp, err)
	}
}

// TestHosts: services that share a port are told apart by name; without a name, only this machine's names are served, so that no page in a
// browser can point its own name here.
func TestHosts(t *testing.T) {
	w := newWorld(t, echo, nil)
	ask := func(host string) string {
		t.Helper()
		resp, body, err := w.do(t, "GET", "/", "", "Host", host)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == 404 && strings.Contains(body, "/problems/unknown-service") {
			return ""
		}
		return body
	}
	for host, want := range map[string]string{"127.0.0.1:7101": "payments", "localhost": "payments", "LOCALHOST:1": "payments", "shop.localhost": "payments", "[::1]:7101": "payments",
		"evil.example": "", "evil.example:7101": "", "10.0.0.1": "", "localhost.evil.example": "", "notlocalhost": ""} {
		if got := ask(host); got != want {
			t.Errorf("%s: %q", host, got)
		}
	}
	if err := w.Swap(snapshot(service("payments", 7101, "payments.segue.internal"), service("sms", 7101, "sms.segue.internal"))); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"payments.segue.internal": "payments", "SMS.segue.internal:7101": "sms", "localhost": "", "chat.segue.internal": ""} {
		if got := ask(host); got != want {
			t.Errorf("%s: %q", host, got)
		}
	}
}

// TestDrain: calls under way finish, new ones are not taken, and what takes too long is cut and told.
func TestDrain(t *testing.T) {
	for _, patient := range []bool{true, false} {
		hold, entered := make(chan struct{}), make(chan struct{}, 1)
		w := newWorld(t, func(ctx context.Context, _ *proxy.Call, to message.Reply) {
			entered <- struct{}{}
			select {
			case <-hold:
			case <-ctx.Done():
			}
			answer(to, 200, "done")
		}, nil)
		addr, got := w.Addr("payments"), make(chan error, 1)
		go func() {
			resp, err := w.client.Get("http://" + addr)
			if err == nil {
				resp.Body.Close()
			}
			got <- err
		}()
		<-entered
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if !patient {
			cancel()
		}
		drained := make(chan error, 1)
		go func() { drained <- w.Drain(ctx) }()
		waitClosed(t, addr)
		if patient {
			close(hold)
		}
		if err := <-drained; (err == nil) != patient {
			t.Errorf("patient %t: drain: %v", patient, err)
		}
		if err := <-got; (err == nil) != patient {
			t.Errorf("patient %t: call: %v", patient, err)
		}
		if err := w.Swap(snapshot()); !errors.Is(err, ErrStopped) {
			t.Errorf("swap after drain: %v", err)
		}
		cancel()
	}
}

// TestConnectionLimit: more connections than the limit wait; they are served when others go.
func TestConnectionLimit(t *testing.T) {
	w := newWorld(t, echo, func(c *Config) { c.Limits.Connections = 2 })
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", w.Addr("payments"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	third := make(chan string, 1)
	go func() { third <- w.raw(t, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") }()
	select {
	case got := <-third:
		t.Fatalf("a third was served: %q", got)
	case <-time.After(50 * time.Millisecond):
	}
	held[0].Close()
	if got := <-third; !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Fatalf("%q", got)
	}
}

// TestOwn: what is asked of the agent itself never reaches a provider, also where the agent does not know it.
func TestOwn(t *testing.T) {
	own := func(_ context.Context, service string, r *message.Request, to message.Reply) bool {
		if r.Path != "/.segue/region" {
			return false
		}
		answer(to, 200, service+" in eu-west")
		return true
	}
	w := newWorld(t, func(_ context.Context, c *proxy.Call, _ message.Reply) { t.Errorf("%s went on", c.Request.Path) }, func(c *Config) { c.Own = own })
	if resp, body, err := w.do(t, "GET", "/.segue/region", ""); err != nil || resp.StatusCode != 200 || body != "payments in eu-west" {
		t.Errorf("%v %s %v", resp, body, err)
	}
	if resp, _, err := w.do(t, "GET", "/.segue/nothing", ""); err != nil || resp.StatusCode != 404 {
		t.Errorf("%v %v", resp, err)
	}
}

var _ Handler = (*proxy.Proxy)(nil)

var _ http.Handler = (*port)(nil)
