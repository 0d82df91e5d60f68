package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// tape is a provider that answers every request with 200 and keeps each byte that came.
type tape struct {
	net.Listener
	mu  sync.Mutex
	got bytes.Buffer
}

func newTape(t testing.TB) *tape {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tape{Listener: l}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return p
}

func (p *tape) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got.Write(b)
}

func (p *tape) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(io.TeeReader(c, p))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
			return
		}
	}
}

// take returns what came, and forgets it.
func (p *tape) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.got.String()
	p.got.Reset()
	return s
}

// hostile are requests that two readers could take differently, or that ask for too much. upstream is how many may go out.
func hostile() map[string]struct {
	raw      string
	status   string
	upstream int
} {
	type bad = struct {
		raw      string
		status   string
		upstream int
	}
	const post = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\n"
	const key = "Idempotency-Key: k-hostile\r\n"
	const inner = "GET /v1/inner HTTP/1.1\r\nHost: localhost\r\n\r\n"
	return map[string]bad{
		"length, then coding":     {post + key + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, "400", 0},
		"coding, then length":     {post + key + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + inner, "400", 0},
		"coding with a tab":       {post + key + "Content-Length: 6\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + inner, "400", 0},
		"coding in two words":     {post + key + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner, "501", 0},
		"coding, space, colon":    {post + key + "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner, "400", 0},
		"two lengths":             {post + key + "Content-Length: 0\r\nContent-Length: 46\r\n\r\n" + inner, "400", 0},
		"two equal lengths":       {post + key + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab" + inner, "400", 0},
		"two keys":                {post + "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 2\r\n\r\nab", "400", 0},
		"two sessions":            {post + key + "Session-Id: a\r\nSession-Id: b\r\nContent-Length: 2\r\n\r\nab", "400", 0},
		"two hosts":               {"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nHost: elsewhere\r\n\r\n", "400", 0},
		"another host in the URI": {"GET http://elsewhere/v1/a HTTP/1.1\r\nHost: localhost\r\n\r\n", "40", 0},
		"bare LF":                 {"GET /v1/a HTTP/1.1\nHost: localhost\n\n", "400", 0},
		"bare LF in a value":      {"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nX-A: 1\nX-Inner: 2\r\n\r\n", "400", 0},
		"bare CR in a value":      {"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nX-A: 1\rX-Inner: 2\r\n\r\n", "400", 0},
		"a folded line":           {"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n\tX-Inner: 2\r\n\r\n", "400", 0},
		"a NUL":                   {"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nX-A: 1\x00\r\n\r\n", "400", 0},
		"a flood of headers":      {"GET /v1/a HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X-A: 1\r\n", 2000) + "\r\n", "400", 0},
		"a header of 1 MB":        {"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431", 0},
		"a chunk beyond numbers":  {post + key + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx", "400", 0},
		"a negative chunk":        {post + key + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx", "400", 0},
		"a chunk of 1 TB":         {post + key + "Transfer-Encoding: chunked\r\n\r\n10000000000\r\n" + strings.Repeat("x", 3<<20), "413", 0},
		"chunks with bare LF":     {post + key + "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", "400", 0},
		"endless extensions":      {post + key + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 1<<16) + "\r\nx\r\n0\r\n\r\n", "400", 0},
		"a request behind chunks": {post + "Idempotency-Key: k-chunks\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" + inner, "200", 1},
		"framing in a trailer":    {post + "Idempotency-Key: k-trailer\r\nTransfer-Encoding: chunked\r\nTrailer: X-Good\r\n\r\n2\r\nab\r\n0\r\nX-Good: 1\r\nContent-Length: 99\r\nIdempotency-Key: other\r\n\r\n", "200", 1},
		"hop-by-hop by name":      {"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nConnection: close, Authorization\r\nAuthorization: x\r\n\r\n", "200", 1},
	}
}

// TestHostileRequests writes them on raw connections: each is refused, or at most one request goes out, framed in one way.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	p := newTape(t)
	w := filesWorld(t, []string{"--max-body", "2MiB"}, "http://"+p.Addr().String())
	for name, x := range hostile() {
		t.Run(name, func(t *testing.T) {
			said := speak(t, w.url("local"), x.raw)
			if !strings.HasPrefix(said, "HTTP/1.1 "+x.status) || strings.Count(said, "HTTP/1.1 ") != 1 {
				t.Errorf("answered %.300q, want one %s", said, x.status)
			}
			out := p.take()
			if n := strings.Count(out, " HTTP/1.1\r\n"); n != x.upstream {
				t.Fatalf("%d requests went out, not %d: %.500q", n, x.upstream, out)
			}
			lower := strings.ToLower(out)
			if strings.Contains(lower, "content-length:") && strings.Contains(lower, "transfer-encoding:") ||
				strings.Count(lower, "idempotency-key:") > 1 || strings.Contains(lower, "inner") || strings.Count(lower, "host:") > 1 {
				t.Errorf("went out: %q", out)
			}
		})
	}
}

// speak writes bytes and returns all that is answered until the connection ends or falls silent.
func speak(t *testing.T, base, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = io.WriteString(c, raw) // the answer may come before all is written
	}()
	in := bufio.NewReader(c)
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, _ = in.Peek(1)
	_ = c.SetDeadline(time.Now().Add(5 * time.Second)) // for the rest, and for silence behind it
	said, _ := io.ReadAll(in)                          // a reset behind the answer is an end too
	_ = c.Close()
	<-wrote
	return string(said)
}

// TestSlowClients: a header or a body that drips in is given up in bounded time, and holds nothing up for others.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	p := newTape(t)
	w := filesWorld(t, nil, "http://"+p.Addr().String())
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(w.url("local"), "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			begun := time.Now()
			_, _ = io.WriteString(c, "GET /v1/a HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
			_ = c.SetDeadline(begun.Add(2 * time.Minute))
			_, _ = io.ReadAll(c)
			if took := time.Since(begun); took > 45*time.Second {
				t.Errorf("an unfinished header was held for %v", took)
			}
		})
	}
	for range 20 {
		if got := newCaller(t, w.url("local")).get("/v1/a", ""); got.status != 200 {
			t.Errorf("beside slow clients: %v", got)
		}
	}
	all.Wait()
}

// TestCompressedIsNotOpened: nothing that an application sends is ever decompressed, so that a bomb passes as the few bytes that it is;
// of a provider's failing answer at most 64 KiB are, to learn its code. (There is no mapping that would need more.)
func TestCompressedIsNotOpened(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.Copy(z, io.LimitReader(zeros{}, 200<<20))
	_ = z.Close()
	var got atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got.Store(n)
		rw.Header().Set("Content-Encoding", "gzip")
		rw.WriteHeader(402)
		_, _ = rw.Write(bomb.Bytes())
	}))
	defer s.Close()
	w := filesWorld(t, nil, s.URL)
	agent := w.agents["local"]
	newCaller(t, w.url("local")).get("/v1/a", "")
	idle := agent.memory("VmRSS")
	agent.forgetPeak()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url("local")+"/v1/files", bytes.NewReader(bomb.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Set("Idempotency-Key", "bomb")
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 402 || !bytes.Equal(body, bomb.Bytes()) || got.Load() != int64(bomb.Len()) {
		t.Errorf("%s with %d bytes (%v); %d of %d arrived", resp.Status, len(body), err, got.Load(), bomb.Len())
	}
	if grew := agent.memory("VmHWM") - idle; grew > 16<<20 {
		t.Errorf("the agent grew by %d MiB", grew>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// certify writes a certificate for localhost and its key, and returns the pool that trusts it.
func certify(t *testing.T, dir, name string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: raw}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	parsed, _ := x509.ParseCertificate(raw)
	pool.AddCert(parsed)
	return cert, key, pool
}

// speaking is a client that speaks one protocol.
func speaking(t *testing.T, pool *x509.CertPool, set func(*http.Protocols)) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, Protocols: new(http.Protocols), DisableCompression: true}
	set(tr.Protocols)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

// trailed sends a body with a trailer, and wants both at the provider, and the provider's back.
func trailed(t *testing.T, d *depot, c *http.Client, url, proto, key string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/files", struct{ io.Reader }{&pattern{left: 300_000}})
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("TE", "trailers")
	r.Trailer = http.Header{"X-Note": {"late"}, "X-Forwarded-For": {"192.0.2.1"}}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	want := sumOf(300_000)
	if err != nil || resp.StatusCode != 200 || resp.Proto != proto || resp.Trailer.Get("X-Checksum") != fmt.Sprintf("%x", want) {
		t.Errorf("%s %s, trailer %v, %v", resp.Proto, resp.Status, resp.Trailer, err)
	}
	came := d.arrived()
	if len(came) != 1 || came[0].sum != want || came[0].trailer.Get("X-Note") != "late" || len(came[0].trailer) != 1 || came[0].key != key {
		t.Errorf("arrived: %+v", came)
	}
}

// TestProtocols: HTTP/1.1, HTTP/2 with prior knowledge and HTTP/2 over TLS are one service, with bodies and trailers both ways; nothing
// below TLS 1.2 is spoken; a renewed certificate is shown without a restart, and a broken one changes nothing.
func TestProtocols(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	plain := filesWorld(t, nil, d.URL)
	h1 := func(p *http.Protocols) { p.SetHTTP1(true) }
	h2 := func(p *http.Protocols) { p.SetHTTP2(true) }
	h2c := func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }
	trailed(t, d, speaking(t, nil, h1), plain.url("local"), "HTTP/1.1", "k-h1")
	trailed(t, d, speaking(t, nil, h2c), plain.url("local"), "HTTP/2.0", "k-h2c")

	dir := t.TempDir()
	cert, key, pool := certify(t, dir, "first")
	w := filesWorld(t, []string{"--tls-cert", cert, "--tls-key", key}, d.URL)
	url := strings.Replace(w.url("local"), "http://", "https://", 1)
	trailed(t, d, speaking(t, pool, h1), url, "HTTP/1.1", "k-tls")
	trailed(t, d, speaking(t, pool, h2), url, "HTTP/2.0", "k-h2")
	addr := strings.TrimPrefix(url, "https://")
	if c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	shown := func(want *x509.CertPool) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c, err := (&tls.Dialer{Config: &tls.Config{RootCAs: want, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	_, _, second := certify(t, dir, "second")
	eventually(t, 10*time.Second, "the renewed certificate is shown", func() error { return shown(second) })
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.agents["local"].signal(syscall.SIGHUP)
	eventually(t, 10*time.Second, "the agent says that a certificate is broken", func() error {
		if !strings.Contains(w.agents["local"].said(), "a certificate could not be taken") {
			return fmt.Errorf("nothing yet")
		}
		return nil
	})
	if err := shown(second); err != nil {
		t.Errorf("after a broken one: %v", err)
	}
}
