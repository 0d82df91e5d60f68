package provider

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
)

// authority signs certificates, as a public one would.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-10 * 365 * 24 * time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// serve listens with a certificate of its own for a name, valid from and until.
func (a *authority) serve(t *testing.T, name string, from, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(name); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{name}
	}
	raw, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// TestCertificates: a TLS check says until when a certificate holds, and what is wrong with one; no request is sent.
func TestCertificates(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	w := newWorld(t, func(c *Config) { c.RootCAs = a.pool })
	defer w.Close()
	now, day := time.Now(), 24*time.Hour
	tlsCheck := policy.Check{Kind: policy.CheckTLS}
	for name, tc := range map[string]struct {
		by          *authority
		of          string
		from, until time.Time
		check       policy.Check
		good, warn  bool
		says        string
	}{
		"good":              {a, "127.0.0.1", now.Add(-day), now.Add(61*day + time.Hour), tlsCheck, true, false, "holds for 61 days"},
		"soon":              {a, "127.0.0.1", now.Add(-day), now.Add(20*day + time.Hour), tlsCheck, true, true, "holds for 20 days"},
		"one day":           {a, "127.0.0.1", now.Add(-day), now.Add(day + time.Hour), tlsCheck, false, false, "it holds for 1 more day only"},
		"very soon":         {a, "127.0.0.1", now.Add(-day), now.Add(6*day + time.Hour), tlsCheck, false, false, "it holds for 6 more days only"},
		"own bounds, good":  {a, "127.0.0.1", now.Add(-day), now.Add(6*day + time.Hour), policy.Check{Kind: policy.CheckTLS, Warn: 5, Bad: 2}, true, false, "holds for 6 days"},
		"own bounds, warns": {a, "127.0.0.1", now.Add(-day), now.Add(61*day + time.Hour), policy.Check{Kind: policy.CheckTLS, Warn: 90}, true, true, "holds for 61 days"},
		"expired":           {a, "127.0.0.1", now.Add(-2 * day), now.Add(-time.Hour), tlsCheck, false, false, "it ended on "},
		"not yet valid":     {a, "127.0.0.1", now.Add(time.Hour), now.Add(90 * day), tlsCheck, false, false, "it is not valid before "},
		"another's name":    {a, "other.example", now.Add(-day), now.Add(90 * day), tlsCheck, false, false, "127.0.0.1"},
		"nobody's":          {stranger, "127.0.0.1", now.Add(-day), now.Add(90 * day), tlsCheck, false, false, "unknown authority"},
		"only connected":    {stranger, "other.example", now.Add(-2 * day), now.Add(-time.Hour), policy.Check{Kind: policy.CheckTCP}, true, false, ""},
	} {
		got := w.Check(t.Context(), candidate(tc.by.serve(t, tc.of, tc.from, tc.until)), tc.check)
		says := got.Says
		if got.Err != nil {
			says = got.Err.Error()
		}
		if got.Good != tc.good || got.Warn != tc.warn || !strings.Contains(says, tc.says) || (got.Err == nil) != tc.good {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestConnections: a TCP check is a connection and nothing more, and sees drills.
func TestConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	defer w.Close()
	tcp := policy.Check{Kind: policy.CheckTCP}
	p := candidate("http://" + l.Addr().String())
	if got := w.Check(t.Context(), p, tcp); !got.Good || got.Err != nil || got.Latency <= 0 {
		t.Errorf("%+v", got)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := w.Check(short, p, policy.Check{Kind: policy.CheckTLS}); got.Good || got.Err == nil {
		t.Errorf("a handshake with one that says nothing: %+v", got)
	}
	w.Drills([]policy.Order{order("a", policy.Fault{Kind: policy.FaultRefuse, Share: 1})})
	if got := w.Check(t.Context(), p, tcp); got.Good || got.Error != "connection_refused" {
		t.Errorf("in a drill: %+v", got)
	}
	w.Drills(nil)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := w.Check(t.Context(), p, tcp); got.Good || got.Error != "connection_refused" {
		t.Errorf("%+v", got)
	}
}
