package cassandra

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"segue/dataplane/cassandra/clustertest"
)

// certificate writes a key with its certificate for the node's addresses, and the certificate alone, as PEM.
func certificate(t *testing.T) (both, alone string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cassandra"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for offset := 100; offset < 200; offset++ {
		template.IPAddresses = append(template.IPAddresses, net.IPv4(127, 0, byte(offset), 1))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	both, alone = filepath.Join(t.TempDir(), "node.pem"), filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(both, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), cert...), 0o600))
	must(t, os.WriteFile(alone, cert, 0o600))
	return both, alone
}

// TestLogin: a node that wants TLS and a password lets in who has both, by an address as --store takes it; nobody else, and no error tells
// the password.
func TestLogin(t *testing.T) {
	needed(t)
	both, alone := certificate(t)
	c, err := clustertest.Start([]string{"SEGUE_CASSANDRA_PEM=" + both}, "dc1")
	must(t, err)
	defer func() { must(t, c.Close()) }()
	t.Setenv("RIGHT", "cassandra:cassandra")
	t.Setenv("FALSE", "cassandra:hunter2")
	try := func(query string) error {
		o, err := Parse(Scheme + c.Hosts()[0] + "?" + query)
		must(t, err)
		o.Log = quiet()
		s, err := Open(t.Context(), o)
		if err == nil {
			shut(t, s)
		}
		return err
	}
	until(t, "the server made its first user", func() bool {
		err = try("credential=env:RIGHT&ca=" + alone)
		return err != nil && strings.Contains(err.Error(), "migrate") || err == nil
	})
	if err := try("migrate=true&credential=env:RIGHT&ca=" + alone); err != nil {
		t.Errorf("name, password and authority are right: %v", err)
	}
	for what, query := range map[string]string{
		"no TLS": "credential=env:RIGHT", "no password": "ca=" + alone, "a false password": "credential=env:FALSE&ca=" + alone, "an authority that did not sign": "credential=env:RIGHT&ca=system",
	} {
		if err := try(query); err == nil || !strings.Contains(err.Error(), "no node lets us in") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
