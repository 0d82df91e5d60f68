package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// dialer opens wires. All of it comes before a request's first byte: whatever fails here was not sent.
type dialer struct {
	timeout time.Duration
	tls     *tls.Config
}

func (d *dialer) plain(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := d.tcp(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: raw, raw: raw}, nil
}

func (d *dialer) secure(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := d.tcp(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("address %s: %w", addr, err), raw.Close())
	}
	config := d.tls.Clone()
	config.ServerName = host
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // the handshake's error is the one that says why
		return nil, &dialError{tlsToken(err), fmt.Errorf("TLS with %s: %w", addr, err)}
	}
	return &wire{Conn: conn, raw: raw}, nil
}

func (d *dialer) tcp(ctx context.Context, network, addr string) (*net.TCPConn, error) {
	conn, err := (&net.Dialer{Control: tune}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, &dialError{dialToken(err), fmt.Errorf("connect: %w", err)}
	}
	raw, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is no TCP address", addr), conn.Close())
	}
	return raw, nil
}

// dialError carries the RFC 9209 token of what failed.
type dialError struct {
	token string
	err   error
}

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func dialToken(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsTimeout:
		return "dns_timeout"
	case errors.As(err, &dns):
		return "dns_error"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "connection_timeout"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "destination_ip_unroutable"
	default:
		return "destination_unavailable"
	}
}

func tlsToken(err error) string {
	var certificate *tls.CertificateVerificationError
	var host x509.HostnameError
	var alert tls.AlertError
	switch {
	case errors.As(err, &certificate), errors.As(err, &host):
		return "tls_certificate_error"
	case errors.As(err, &alert):
		return "tls_alert_received"
	case errors.Is(err, context.DeadlineExceeded):
		return "connection_timeout"
	default:
		return "tls_protocol_error"
	}
}
