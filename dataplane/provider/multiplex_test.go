package provider

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// framed is a provider that speaks HTTP/2 frame by frame, so that it can refuse and go away as the test says.
type framed struct {
	url   string
	pool  *x509.CertPool
	conns atomic.Int64
	seen  atomic.Int64 // streams that were opened
}

// newFramed serves connections with serve, which is told each HEADERS frame. It returns false to hang up.
func newFramed(t *testing.T, serve func(f *http2.Framer, conn int64, stream uint32) bool) *framed {
	t.Helper()
	// httptest makes the certificate; the listener is ours.
	cert := httptest.NewUnstartedServer(nil)
	cert.EnableHTTP2 = true
	cert.StartTLS()
	pool := x509.NewCertPool()
	pool.AddCert(cert.Certificate())
	config := &tls.Config{Certificates: cert.TLS.Certificates, NextProtos: []string{"h2"}}
	cert.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	s := &framed{url: "https://" + l.Addr().String(), pool: pool}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := s.conns.Add(1)
			open.Go(func() { s.talk(c, n, serve) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); open.Wait() })
	return s
}

func (s *framed) talk(c net.Conn, n int64, serve func(*http2.Framer, int64, uint32) bool) {
	defer func() { _ = c.Close() }()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				_ = f.WritePing(true, frame.Data)
			}
		case *http2.HeadersFrame:
			s.seen.Add(1)
			if !serve(f, n, frame.StreamID) {
				return
			}
		}
	}
}

// says answers a stream.
func says(f *http2.Framer, stream uint32, status, body string) {
	var block bytes.Buffer
	h := hpack.NewEncoder(&block)
	_ = h.WriteField(hpack.HeaderField{Name: ":status", Value: status})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = f.WriteData(stream, true, []byte(body))
}

// secureWorld is a client that trusts the framed provider.
func secureWorld(t *testing.T, pool *x509.CertPool) *world {
	return newWorld(t, func(c *Config) { c.RootCAs = pool })
}

// TestHTTP2Refused: a refused stream was not touched by the provider; it is not sent again by anybody below the ledger.
func TestHTTP2Refused(t *testing.T) {
	s := newFramed(t, func(f *http2.Framer, _ int64, id uint32) bool {
		return f.WriteRSTStream(id, http2.ErrCodeRefusedStream) == nil
	})
	w := secureWorld(t, s.pool)
	defer w.Close()
	r := w.Send(t.Context(), post(s.url, "amount=100"), &taker{})
	if r.Outcome != ledger.NotSent || r.Error != "connection_terminated" || s.seen.Load() != 1 {
		t.Errorf("%+v after %d streams", r, s.seen.Load())
	}
}

// TestHTTP2Reset: any other reset proves nothing, and nothing is sent again.
func TestHTTP2Reset(t *testing.T) {
	s := newFramed(t, func(f *http2.Framer, _ int64, id uint32) bool {
		return f.WriteRSTStream(id, http2.ErrCodeInternal) == nil
	})
	w := secureWorld(t, s.pool)
	defer w.Close()
	if r := w.Send(t.Context(), post(s.url, "amount=100"), &taker{}); r.Outcome != ledger.Unknown || s.seen.Load() != 1 {
		t.Errorf("%+v after %d streams", r, s.seen.Load())
	}
}

// TestHTTP2GoesAway: what the provider says that it did not come to is sent on another connection; what it may have done is not.
func TestHTTP2GoesAway(t *testing.T) {
	for _, x := range []struct {
		name    string
		handled bool
		want    ledger.Outcome
		streams int64
	}{{"below our stream", false, ledger.Succeeded, 2}, {"above our stream", true, ledger.Unknown, 1}} {
		t.Run(x.name, func(t *testing.T) {
			s := newFramed(t, func(f *http2.Framer, conn int64, id uint32) bool {
				if conn > 1 {
					says(f, id, "200", "{}")
					return true
				}
				last := uint32(0)
				if x.handled {
					last = id
				}
				_ = f.WriteGoAway(last, http2.ErrCodeNo, nil)
				return false
			})
			w := secureWorld(t, s.pool)
			defer w.Close()
			asked := 0
			call := post(s.url, "amount=100")
			call.Guard = func() error { asked++; return nil }
			r := w.Send(t.Context(), call, &taker{})
			if r.Outcome != x.want || s.seen.Load() != x.streams || asked != int(x.streams) {
				t.Errorf("%+v after %d streams; the guard was asked %d times", r, s.seen.Load(), asked)
			}
		})
	}
}

// TestHTTP2Stale: a sender that was paused sends nothing, here too; calls beside it may lose their connection, and no more.
func TestHTTP2Stale(t *testing.T) {
	s := newFramed(t, func(f *http2.Framer, _ int64, id uint32) bool { says(f, id, "200", "{}"); return true })
	w := secureWorld(t, s.pool)
	defer w.Close()
	call := post(s.url, "amount=100")
	call.Guard = func() error { return errors.New("paused") }
	if r := w.Send(t.Context(), call, &taker{}); r.Outcome != ledger.NotSent || r.Error != "stale_send" || s.seen.Load() != 0 {
		t.Errorf("%+v after %d streams", r, s.seen.Load())
	}
	if r := w.Send(t.Context(), post(s.url, "amount=100"), &taker{}); r.Outcome != ledger.Succeeded {
		t.Errorf("the next call: %+v", r)
	}
}

// TestHTTP2Shares: calls at once share connections, bodies of every size and trailers pass both ways, and an answer over HTTP/2 is whole.
func TestHTTP2Shares(t *testing.T) {
	var mu sync.Mutex
	from := map[string]bool{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		rw.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(rw, "%d %s %s %s", n, r.Proto, r.Trailer.Get("X-Note"), r.Header.Get("Idempotency-Key"))
		rw.Header().Set("X-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	w := secureWorld(t, pool)
	defer w.Close()
	if r := w.Send(t.Context(), post(s.URL, "x"), &taker{}); r.Outcome != ledger.Succeeded {
		t.Fatalf("%+v", r)
	}
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			call, to := post(s.URL, string(body)), &taker{}
			call.Request.Trailer = message.Header{{Name: "X-Note", Value: "late"}}
			r := w.Send(t.Context(), call, to)
			want := fmt.Sprintf("%d HTTP/2.0 late key-1", len(body))
			if r.Outcome != ledger.Succeeded || to.body.String() != want || !to.clean() || to.trailer.Get("X-Sum") != fmt.Sprintf("%x", sha256.Sum256(body)) {
				t.Errorf("%+v: %q %v", r, to.body.String(), to.trailer)
			}
		})
	}
	all.Wait()
	if len(from) != 1 {
		t.Errorf("%d connections, not one", len(from))
	}
}

// TestHTTP2CallerLeaves: giving a call up ends its stream, not the connection that others are on.
func TestHTTP2CallerLeaves(t *testing.T) {
	s := newFramed(t, func(f *http2.Framer, _ int64, id uint32) bool {
		if id > 1 {
			says(f, id, "200", "{}")
		}
		return true
	})
	w := secureWorld(t, s.pool)
	defer w.Close()
	call := post(s.url, "amount=100")
	call.PerTry = 100 * time.Millisecond
	if r := w.Send(t.Context(), call, &taker{}); r.Outcome != ledger.Unknown || r.Error != "http_response_timeout" {
		t.Errorf("%+v", r)
	}
	if r := w.Send(t.Context(), post(s.url, "amount=100"), &taker{}); r.Outcome != ledger.Succeeded || s.conns.Load() != 1 {
		t.Errorf("%+v over %d connections", r, s.conns.Load())
	}
}
