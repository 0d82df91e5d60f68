package provider

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/health"
)

// Config is what a Client is made of. The zero value works; each field says what it then is.
type Config struct {
	Region   string                      // drills for other regions are ignored; "": only drills for every region count
	Logger   *slog.Logger                // default: discards
	Metrics  prometheus.Registerer       // nil: not registered
	Env      func(string) (string, bool) // where env: credentials are read; default os.LookupEnv
	RootCAs  *x509.CertPool              // default: the system's
	Clock    func() time.Time            // default time.Now
	Seed     uint64                      // of the drills' draws
	Connect  time.Duration               // for DNS, TCP and TLS together; default 5 s
	Idle     time.Duration               // silence in an answer's body that ends it; default 30 s
	Quiet    time.Duration               // silence both ways in a tunnel that ends it; default 5 min
	Note     func(health.Event)          // told when an endpoint of several cannot be reached, and when it can again; nil: nobody
	KeepIdle time.Duration               // an unused connection is closed after; default 30 s, under the 60–75 s of most servers
}

// Limits of the client. Each bounds memory or time that a provider could otherwise take from us.
const (
	maxPrefix      = 64 << 10               // of an error's body that is read to learn its code, before the answer is passed on
	maxHeaderBytes = 64 << 10               // of an answer's header
	maxIdleHost    = 256                    // unused connections kept per provider
	maxConnsHost   = 2048                   // connections per provider, whatever the policy's limits are
	holdFor        = 250 * time.Millisecond // that the header of a read's answer waits for the body's first bytes
	bufferSize     = 32 << 10               // read from a provider at once
	defaultPerTry  = 30 * time.Second
	UserTimeout    = 20 * time.Second // TCP gives up on bytes that the provider did not acknowledge
)

// Client sends calls to providers. It is safe for use by many goroutines.
type Client struct {
	now       func() time.Time
	idle      time.Duration
	quiet     time.Duration
	dial      *dialer
	transport *http.Transport // HTTP/1.1
	multiplex *multiplex      // HTTP/2
	targets   targets
	reach     reach
	note      func(health.Event)
	secrets   *secrets
	drills    drills
	metrics   *metrics
	buffers   sync.Pool
	prefixes  sync.Pool
}

// New makes a client. It opens no connection.
func New(c Config) (*Client, error) {
	c = c.withDefaults()
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("provider: metrics: %w", err)
	}
	d := &dialer{
		timeout: c.Connect,
		tls:     &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
	}
	return &Client{
		now:       c.Clock,
		note:      c.Note,
		idle:      c.Idle,
		quiet:     c.Quiet,
		dial:      d,
		transport: newTransport(d, c),
		multiplex: newMultiplex(d, c),
		secrets:   newSecrets(c.Env, c.Logger),
		drills:    drills{region: c.Region, seed: c.Seed, log: c.Logger},
		metrics:   m,
		buffers:   sync.Pool{New: func() any { return new([bufferSize]byte) }},
		prefixes:  sync.Pool{New: func() any { return new([maxPrefix]byte) }},
	}, nil
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Env == nil {
		c.Env = os.LookupEnv
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.Connect = orDefault(c.Connect, 5*time.Second)
	c.Idle = orDefault(c.Idle, 30*time.Second)
	c.Quiet = orDefault(c.Quiet, 5*time.Minute)
	c.KeepIdle = orDefault(c.KeepIdle, 30*time.Second)
	return c
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// newTransport speaks HTTP/1.1: there a send is one run of bytes on one connection, and the wire can count it. It reads no
// proxy settings from the environment and decompresses nothing: what the caller asked for passes as it is.
func newTransport(d *dialer, c Config) *http.Transport {
	return &http.Transport{
		DialContext:            d.plain,
		DialTLSContext:         d.secure,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdleHost,
		MaxConnsPerHost:        maxConnsHost,
		IdleConnTimeout:        c.KeepIdle,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// Close lets go of the connections. Sends under way over HTTP/1.1 end by themselves, bounded by their time-outs; over HTTP/2 they are cut.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.multiplex.close()
}
