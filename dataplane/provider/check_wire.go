package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"time"

	"segue/controlplane/policy"
)

// errCertificate is why a certificate is no good.
var errCertificate = errors.New("certificate")

// checkWire opens a connection to a provider's endpoint, and for a TLS check shakes hands on it. No request is sent.
func (c *Client) checkWire(ctx context.Context, p *policy.Candidate, k policy.Check) Checked {
	start := c.now()
	out := Checked{}
	switch fault := c.drills.draw(p.Provider, start); fault.Kind {
	case policy.FaultRefuse:
		out.Error, out.Err = "connection_refused", fmt.Errorf("provider %s: a drill refuses connections: %w", p.Provider, errCheck)
		return out
	case policy.FaultHang:
		<-ctx.Done()
		out.Error, out.Err = "connection_timeout", ctx.Err()
		return out
	}
	t, err := c.targets.get(c.reach.order(p, "", start, false)[0])
	if err != nil {
		out.Error, out.Err = "proxy_configuration_error", err
		return out
	}
	conn, err := c.dial.tcp(ctx, "tcp", wireAddr(t))
	if err != nil {
		out.Error, out.Err = token(err)
		return out
	}
	defer conn.Close()
	if k.Kind == policy.CheckTLS {
		c.certificate(ctx, conn, t, k, &out)
	}
	out.Good, out.Latency = out.Err == nil, c.now().Sub(start)
	return out
}

// wireAddr is where a target listens.
func wireAddr(t target) string {
	if _, _, err := net.SplitHostPort(t.host); err == nil || t.scheme == "https" {
		return withPort(t.host)
	}
	return net.JoinHostPort(strings.Trim(t.host, "[]"), "80")
}

// certificate shakes hands as a call would, and looks at how long the chain still holds. It is verified here and not by the handshake, so
// that one that ended can be told from one that is somebody else's.
func (c *Client) certificate(ctx context.Context, conn net.Conn, t target, k policy.Check, out *Checked) {
	host, _, _ := net.SplitHostPort(wireAddr(t))
	config := c.dial.tls.Clone()
	config.ServerName = host
	config.InsecureSkipVerify = true // verified below, with the reason kept
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		out.Error, out.Err = tlsToken(err), fmt.Errorf("TLS with %s: %w", host, err)
		return
	}
	chain := secured.ConnectionState().PeerCertificates
	if ends, err := verified(chain, host, config.RootCAs, c.now()); err != nil {
		out.Error, out.Err = "tls_certificate_error", err
	} else {
		judge(out, ends, k, c.now())
	}
}

// judge holds the end of a certificate against the bounds of its check.
func judge(out *Checked, ends time.Time, k policy.Check, now time.Time) {
	warn, bad := k.Days()
	days := int(math.Floor(ends.Sub(now).Hours() / 24))
	out.Says = fmt.Sprintf("the certificate holds for %s, until %s", plural(days, "day"), ends.UTC().Format(time.DateOnly))
	switch {
	case days < bad:
		out.Error, out.Err = "tls_certificate_error", fmt.Errorf("%w: it holds for %s only, until %s", errCertificate, plural(days, "more day"), ends.UTC().Format(time.DateOnly))
	case days < warn:
		out.Warn = true
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// verified says until when a chain is good for a host, or why it is not now.
func verified(chain []*x509.Certificate, host string, roots *x509.CertPool, now time.Time) (time.Time, error) {
	if len(chain) == 0 {
		return time.Time{}, fmt.Errorf("%w: none was shown", errCertificate)
	}
	switch leaf := chain[0]; {
	case now.After(leaf.NotAfter):
		return time.Time{}, fmt.Errorf("%w: it ended on %s", errCertificate, leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return time.Time{}, fmt.Errorf("%w: it is not valid before %s", errCertificate, leaf.NotBefore.UTC().Format(time.DateTime))
	}
	between := x509.NewCertPool()
	for _, x := range chain[1:] {
		between.AddCert(x)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between, CurrentTime: now})
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", errCertificate, err)
	}
	var ends time.Time
	for _, way := range chains { // the way that holds longest counts, and in it what ends first
		first := way[0].NotAfter
		for _, x := range way[:max(1, len(way)-1)] { // roots are trusted by this machine, whatever they say
			if x.NotAfter.Before(first) {
				first = x.NotAfter
			}
		}
		if first.After(ends) {
			ends = first
		}
	}
	return ends, nil
}
