package edge

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

// got asks an edge and returns the call that came to the proxy.
func got(t *testing.T, method, path, body string, header ...string) proxy.Call {
	t.Helper()
	calls := make(chan proxy.Call, 1)
	w := newWorld(t, func(_ context.Context, c *proxy.Call, to message.Reply) { calls <- *c; answer(to, 200, "") }, nil)
	resp, _, err := w.do(t, method, path, body, header...)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	return <-calls
}

// TestCall: what the headers say to Segue becomes part of the call; what is for one hop, or pretends to be Segue's, is gone; the rest,
// the path and the body pass byte for byte.
func TestCall(t *testing.T) {
	before := time.Now()
	c := got(t, "POST", "/v1/a%2Fb//c%20?q=%zz&x=1", "amount=100",
		"Idempotency-Key", `"k1"`, "Idempotency-Key", "k2", "Session-Id", "s1", "Prefer", "respond-async, wait=8", "Segue-Dry-Run", "?1", "X-Request-Id", "mine",
		"X-Stainless-Timeout", "60", "Connection", "X-Trick", "X-Trick", "1", "Te", "trailers", "X-Forwarded-For", "1.1.1.1", "Forwarded", "for=x", "Via", "v",
		"Segue-Route", "forged", "Authorization", "Bearer a", "X-Many", "1", "X-Many", "2", "User-Agent", "sdk")
	if c.Service != "payments" || c.App != "default" || !slices.Equal(c.Key, []string{`"k1"`, "k2"}) || c.Session != "s1" || c.Prefer != "respond-async, wait=8" ||
		c.Timeout != 8*time.Second || !c.DryRun || c.RequestID != "mine" || c.Arrived.Before(before) {
		t.Errorf("%+v", c)
	}
	r := c.Request
	if r.Method != "POST" || r.Path != "/v1/a%2Fb//c%20" || r.RawQuery != "q=%zz&x=1" || string(r.Body) != "amount=100" {
		t.Errorf("%+v", r)
	}
	var lines []string
	for _, f := range r.Header {
		lines = append(lines, f.Name+": "+f.Value)
	}
	slices.Sort(lines)
	if got := strings.Join(lines, ", "); got != "Authorization: Bearer a, Te: trailers, User-Agent: sdk, X-Many: 1, X-Many: 2, X-Stainless-Timeout: 60" {
		t.Errorf("passed on: %s", got)
	}
}

// TestTimeouts: Prefer first, else what the SDK says, else the policy's.
func TestTimeouts(t *testing.T) {
	for _, x := range []struct {
		header []string
		want   time.Duration
	}{
		{nil, 0},
		{[]string{"X-Stainless-Timeout", "60"}, time.Minute},
		{[]string{"X-Stainless-Read-Timeout", "2.5"}, 2500 * time.Millisecond},
		{[]string{"X-Stainless-Timeout", "not given"}, 0},
		{[]string{"X-Stainless-Timeout", "60", "Prefer", "wait=3"}, 3 * time.Second},
		{[]string{"X-Stainless-Timeout", "60", "Prefer", "respond-async"}, time.Minute},
		{[]string{"Prefer", "wait=0"}, 0},
		{[]string{"Prefer", "wait=999999999999999999999"}, message.MaxWait},
	} {
		if c := got(t, "GET", "/", "", x.header...); c.Timeout != x.want || c.DryRun {
			t.Errorf("%q: %v", x.header, c.Timeout)
		}
	}
}

// TestRequestID: a caller's id is taken over if it is fit for a log, and made up otherwise; it comes back, but not over the provider's own.
func TestRequestID(t *testing.T) {
	w := newWorld(t, func(_ context.Context, c *proxy.Call, to message.Reply) {
		h := message.Header{{Name: "Echo", Value: c.RequestID}}
		if c.Request.Path == "/own" {
			h.Add("X-Request-Id", "theirs")
		}
		_ = (&message.Answer{Status: 200, Header: h}).Send(to)
	}, nil)
	for _, sent := range []string{"abc-1.2_3", "", "a b", strings.Repeat("x", 200)} {
		resp, _, err := w.do(t, "GET", "/", "", "X-Request-Id", sent)
		if err != nil {
			t.Fatal(err)
		}
		id := resp.Header.Get("X-Request-Id")
		if !message.SaneID(id) || id != resp.Header.Get("Echo") || (id == sent) != (sent == "abc-1.2_3") {
			t.Errorf("%q: %q, the proxy had %q", sent, id, resp.Header.Get("Echo"))
		}
	}
	if resp, _, err := w.do(t, "GET", "/own", ""); err != nil || !slices.Equal(resp.Header.Values("X-Request-Id"), []string{"theirs"}) {
		t.Errorf("%v %v", resp, err)
	}
}

// TestBodies: whole, chunked, empty, large and too large ones.
func TestBodies(t *testing.T) {
	const limit = 300 << 10
	w := newWorld(t, func(_ context.Context, c *proxy.Call, to message.Reply) {
		answer(to, 200, fmt.Sprint(len(c.Request.Body)))
	},
		func(c *Config) { c.Limits.Body = limit; c.Limits.ReadBody = 200 * time.Millisecond })
	for _, n := range []int{0, 1, 64 << 10, 65<<10 + 1, limit, limit + 1, 4 * limit} {
		for _, chunked := range []bool{false, true} {
			r, err := http.NewRequest("POST", w.url("/"), strings.NewReader(strings.Repeat("x", n)))
			if err != nil {
				t.Fatal(err)
			}
			if chunked {
				r.ContentLength = -1
			}
			resp, err := w.client.Do(r)
			if err != nil && n <= limit {
				t.Fatal(err)
			}
			if err != nil {
				continue // the connection was closed while the rest was still being sent: as good a refusal
			}
			resp.Body.Close()
			if want := map[bool]int{true: 200, false: 413}[n <= limit]; resp.StatusCode != want {
				t.Errorf("%d bytes, chunked %t: %d", n, chunked, resp.StatusCode)
			}
		}
	}
}

// TestBadInput: nothing that does not parse, or could be read in two ways, comes to the proxy.
func TestBadInput(t *testing.T) {
	w := newWorld(t, func(_ context.Context, c *proxy.Call, to message.Reply) {
		if strings.Contains(string(c.Request.Body), "SMUGGLED") || c.Request.Path == "/smuggled" {
			t.Errorf("%s %s %q", c.Request.Method, c.Request.Path, c.Request.Body)
		}
		answer(to, 200, "")
	}, func(c *Config) {
		c.Limits.Body = 100
		c.Limits.Header = 8 << 10
		c.Limits.ReadBody = 200 * time.Millisecond
	})
	const host = "Host: localhost\r\n"
	for name, x := range map[string]struct{ say, want, problem string }{
		"too large, told":      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 101\r\n\r\n", "413", "body-too-large"},
		"too large, chunked":   {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n80\r\n" + strings.Repeat("x", 128) + "\r\n0\r\n\r\n", "413", "body-too-large"},
		"slow body":            {"POST / HTTP/1.1\r\n" + host + "Content-Length: 10\r\n\r\nabc", "400", "header-malformed"},
		"bad chunk":            {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400", "header-malformed"},
		"header too large":     {"GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", "431", ""},
		"two hosts":            {"GET / HTTP/1.1\r\n" + host + "Host: b\r\n\r\n", "400", ""},
		"no host":              {"GET / HTTP/1.1\r\n\r\n", "400", ""},
		"two lengths":          {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400", ""},
		"not HTTP":             {"hello, is this a listener?\r\n\r\n", "400", ""},
		"absolute target":      {"GET http://localhost/x HTTP/1.1\r\n" + host + "\r\n", "400", "header-malformed"},
		"asterisk":             {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "", ""}, // net/http answers it itself
		"connect":              {"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n", "400", "header-malformed"},
		"unknown coding":       {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", "501", ""},
		"unknown expectation":  {"POST / HTTP/1.1\r\n" + host + "Expect: magic\r\n\r\n", "417", ""},
		"length with encoding": {"POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + host + "\r\n", "400", "header-malformed"},
		"encoding with length": {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + host + "\r\n", "400", "header-malformed"},
		"one length twice":     {"POST / HTTP/1.1\r\n" + host + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", "400", "header-malformed"},
		"two encodings":        {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501", ""},
		"encoding in HTTP/1.0": {"POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", "header-malformed"},
		"bare LF":              {"GET / HTTP/1.1\n" + host + "\r\n", "400", "header-malformed"},
		"bare LF in a header":  {"GET / HTTP/1.1\r\n" + host + "X: 1\nX-Smuggled: 1\r\n\r\n", "400", "header-malformed"},
		"bare CR":              {"GET / HTTP/1.1\r\n" + host + "X: 1\rX-Smuggled: 1\r\n\r\n", "400", ""},
		"folded line":          {"GET / HTTP/1.1\r\n" + host + "X: 1\r\n Transfer-Encoding: chunked\r\n\r\n", "400", "header-malformed"},
		"space before colon":   {"POST / HTTP/1.1\r\n" + host + "Content-Length : 3\r\n\r\nabc", "400", ""},
		"signed length":        {"POST / HTTP/1.1\r\n" + host + "Content-Length: +3\r\n\r\nabc", "400", ""},
		"length of zeros":      {"POST / HTTP/1.1\r\n" + host + "Content-Length: " + strings.Repeat("0", 50) + "3\r\n\r\nabc", "400", "header-malformed"},
		"two sessions":         {"GET / HTTP/1.1\r\n" + host + "Session-Id: a\r\nSession-Id: b\r\n\r\n", "400", "header-malformed"},
		"two credentials":      {"GET / HTTP/1.1\r\n" + host + "Authorization: a\r\nAuthorization: b\r\n\r\n", "400", "header-malformed"},
		"many headers":         {"GET / HTTP/1.1\r\n" + host + strings.Repeat("X: 1\r\n", 300) + "\r\n", "400", "header-malformed"},
		"endless chunk size":   {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 30) + "1\r\nx\r\n0\r\n\r\n", "400", "header-malformed"},
		"absurd chunk":         {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", "400", "header-malformed"},
		"chunk with bare LF":   {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", "400", "header-malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			say := x.say
			if x.want == "" || strings.HasPrefix(x.want, "2") {
				say = strings.Replace(say, host, host+"Connection: close\r\n", 1)
			}
			start := time.Now()
			answer := strings.Replace(w.raw(t, say), "HTTP/1.0 ", "HTTP/1.1 ", 1)
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("the connection was held for %v", took)
			}
			if !strings.HasPrefix(answer, "HTTP/1.1 "+x.want) || !strings.Contains(answer, "/problems/"+x.problem) && x.problem != "" {
				t.Errorf("%q", answer)
			}
			if strings.Count(answer, "HTTP/1.1 ") != 1 {
				t.Errorf("several answers: %q", answer)
			}
		})
	}
}

// TestRefusedBodyIsNotAwaited: net/http reads what is left of a refused body; it must not wait for it as long as for a good one.
func TestRefusedBodyIsNotAwaited(t *testing.T) {
	w := newWorld(t, echo, func(c *Config) { c.Limits.Body = 100 })
	start := time.Now()
	answer := w.raw(t, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 101\r\n\r\n")
	if took := time.Since(start); !strings.HasPrefix(answer, "HTTP/1.1 413") || took > 20*time.Second {
		t.Errorf("after %v: %q", took, answer)
	}
}

// TestBodyLimitEnds: the limit for reading a body ends with the body: a long answer is not cut by it.
func TestBodyLimitEnds(t *testing.T) {
	const limit = 500 * time.Millisecond
	read := make(chan struct{}, 1)
	w := newWorld(t, func(ctx context.Context, c *proxy.Call, to message.Reply) {
		select {
		case <-ctx.Done():
			t.Error("the call was cancelled")
		case <-time.After(limit * 3 / 2):
		}
		answer(to, 200, string(c.Request.Body))
	}, func(c *Config) { c.Limits.ReadBody = limit })
	c, err := net.Dial("tcp", w.Addr("payments"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, pieces := range [][2]string{{"helloworld", ""}, {"hello", "world"}, {"helloworld", ""}} {
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"+pieces[0])
		time.AfterFunc(limit/20, func() { fmt.Fprint(c, pieces[1]); read <- struct{}{} })
		<-read
		buf := make([]byte, 4096)
		if n, err := c.Read(buf); err != nil || !strings.HasSuffix(string(buf[:n]), "helloworld") {
			t.Fatalf("%q %v", buf[:n], err)
		}
	}
}

// FuzzHeaders: whatever a request says, taking its headers ends, keeps no line that is Segue's or for one hop, and bounds the time-out.
func FuzzHeaders(f *testing.F) {
	f.Add("Prefer", "wait=8", "X-Stainless-Timeout", "1e9")
	f.Add("Connection", "X-A, close", "X-A", "1")
	f.Add("Segue-Dry-Run", "?1", "X-Forwarded-For", "1")
	f.Add("Upgrade", "websocket", "Connection", "Upgrade")
	f.Add("Te", "trailers", "Session-Id", "s\x00")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		in := http.Header{}
		in.Add(n1, v1)
		in.Add(n2, v2)
		c := proxy.Call{Request: &message.Request{}}
		takeHeaders(&c, in)
		if c.Timeout < 0 || c.Timeout > message.MaxWait {
			t.Errorf("time-out %v", c.Timeout)
		}
		for _, h := range c.Request.Header {
			if h.Name == "Te" && h.Value == "trailers" {
				continue
			}
			if !message.EndToEnd(h.Name) || message.Listed(strings.Join(in["Connection"], ","), h.Name) {
				t.Errorf("%s passed", h.Name)
			}
		}
	})
}
