package replica

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	key := newKey(t)
	a := &authority{t: t, key: key}
	a.cert = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour),
	}, nil, key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(c, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// config is the TLS of a node called name.
func (a *authority) config(name string) *tls.Config {
	key := newKey(a.t)
	cert := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, key)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, RootCAs: pool, ClientCAs: pool,
	}
}

func TestOnlyServersOfTheClusterAreHeard(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	c := start(t, 3, func(i int, c *Config) { c.TLS = ca.config(c.ID) })
	l := c.leader()
	c.agree(c.must(l, first()).Index)
	addr := c.peers[l].Addr
	stranger := ca.config("somebody")
	expired := ca.config("n1")
	expired.Certificates = nil
	old := ca.config("n1")
	old.MaxVersion = tls.VersionTLS12
	for name, cfg := range map[string]*tls.Config{
		"not in the server set": stranger, "no certificate": expired, "TLS 1.2": old, "another authority": other.config("n1"),
	} {
		cfg.RootCAs = ca.config("n1").RootCAs
		cfg.ServerName = c.peers[l].ID
		if err := speak(t, addr, cfg); err == nil {
			t.Errorf("%s: was heard", name)
		}
	}
	member := ca.config("n1")
	member.ServerName = c.peers[l].ID
	if err := speak(t, addr, member); err != nil {
		t.Errorf("a member: %v", err)
	}
	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close() // says nothing, and keeps nobody waiting
	c.agree(c.must(c.leader(), weights("w", 1)).Index)
}

// speak asks for a pre-vote by its type byte and an empty message; whoever is heard gets an answer.
func speak(t *testing.T, addr string, cfg *tls.Config) error {
	conn, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte{4, 0x80}); err != nil { // rpcRequestPreVote and an empty msgpack map
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

func TestNodeIsNotFooledByAnotherServersCertificate(t *testing.T) {
	ca := newAuthority(t)
	cfg := Config{ID: "n0", TLS: ca.config("n0")}
	var at raft.ServerAddress
	a, err := newStream(&cfg, listen(t, "127.0.0.1:0"), func() []raft.Server { return []raft.Server{{ID: "n1", Address: at}} })
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	imposter, err := tls.Listen("tcp", "127.0.0.1:0", ca.config("n0")) // a true member, at another's address
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer func() { imposter.Close(); <-done }()
	go func() {
		defer close(done)
		for {
			conn, err := imposter.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	at = raft.ServerAddress(imposter.Addr().String())
	if conn, err := a.Dial(at, time.Second); err == nil {
		conn.Close()
		t.Error("n0's certificate passed for n1's")
	}
	if a.idAt("127.0.0.1:9") != "-" {
		t.Error("an unknown address has a name")
	}
}
