package edge

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/proxy"
)

// BenchmarkPath measures the CPU (user and system, of this whole process: client, edge, provider and server) of one call through edge and
// provider, with nothing between them, beside net/http's ReverseProxy and a direct call, at 32 connections. cpu-ns/op of path and
// ReverseProxy, each less direct, is what they cost.
func BenchmarkPath(b *testing.B) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"ch_1","object":"charge","amount":100,"currency":"eur","status":"succeeded"}`)
	}))
	defer origin.Close()
	b.Run("direct", func(b *testing.B) { load(b, origin.URL) })
	b.Run("ReverseProxy", func(b *testing.B) {
		to, err := url.Parse(origin.URL)
		if err != nil {
			b.Fatal(err)
		}
		transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
		defer transport.CloseIdleConnections()
		s := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, BufferPool: pool{make(chan []byte, 64)}, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
		defer s.Close()
		load(b, s.URL)
	})
	b.Run("path", func(b *testing.B) {
		client, err := provider.New(provider.Config{})
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
		candidate := &policy.Candidate{Provider: "main", Endpoint: origin.URL, Credential: policy.Credential{Kind: policy.CredentialCaller},
			Contract: &policy.Contract{Keys: policy.Keys{Header: "Idempotency-Key"}, Statuses: []policy.StatusRule{{From: 200, To: 299, Class: "ok", Outcome: "succeeded"}}}}
		w := newWorld(b, func(ctx context.Context, c *proxy.Call, to message.Reply) {
			client.Send(ctx, &provider.Call{Candidate: candidate, Service: c.Service, Operation: "charge", Request: c.Request, PerTry: 10 * time.Second, RequestID: c.RequestID}, to)
		}, nil)
		load(b, w.url(""))
	})
}

// load calls a URL from 32 connections of a client that costs little, and reports the CPU per call.
func load(b *testing.B, to string) {
	const connections = 32
	u, err := url.Parse(to)
	if err != nil {
		b.Fatal(err)
	}
	request := []byte("POST /v1/charges HTTP/1.1\r\nHost: " + u.Host + "\r\nUser-Agent: Stripe/v1 GoBindings/82.5.1\r\nContent-Length: 38\r\n" +
		"Authorization: Bearer sk_test_1\r\nContent-Type: application/x-www-form-urlencoded\r\nStripe-Version: 2025-08-27\r\nAccept: application/json\r\n" +
		"X-Stripe-Client-Telemetry: " + strings.Repeat("x", 100) + "\r\n\r\namount=100&currency=eur&source=tok_visa")
	var conns []net.Conn
	for range connections {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		ask(b, c, request)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			for range share(b.N, connections, i) {
				ask(b, c, request)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

func share(n, of, i int) int {
	if i < n%of {
		return n/of + 1
	}
	return n / of
}

// ask sends one request and reads until the body's end, which the bodies of this benchmark show by a brace.
func ask(b *testing.B, c net.Conn, request []byte) {
	if _, err := c.Write(request); err != nil {
		b.Error(err)
		return
	}
	var room [4096]byte
	for n := 0; ; {
		m, err := c.Read(room[n:])
		if n += m; err != nil || n == len(room) {
			b.Errorf("%v: %s", err, room[:n])
			return
		}
		if end := n - 1; room[end] == '}' || room[end] == '\n' && strings.HasSuffix(string(room[:n]), "\r\n0\r\n\r\n") {
			if !strings.HasPrefix(string(room[:12]), "HTTP/1.1 200") {
				b.Errorf("%s", room[:n])
			}
			return
		}
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pool gives ReverseProxy its buffers, so that it is measured at its best.
type pool struct{ free chan []byte }

func (p pool) Get() []byte {
	select {
	case b := <-p.free:
		return b
	default:
		return make([]byte, 32<<10)
	}
}

func (p pool) Put(b []byte) {
	select {
	case p.free <- b:
	default:
	}
}
