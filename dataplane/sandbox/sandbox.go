package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultPort is where `segue dev` puts the sandbox's own listener; the providers follow, in their order.
const DefaultPort = 7600

// Keys says what a provider does with an Idempotency-Key.
type Keys string

const (
	Enforced Keys = "enforced" // same key, same parameters: the stored answer; other parameters: 400; while in progress: 409
	Ignored  Keys = "ignored"
)

// ProviderConfig describes one simulated provider.
type ProviderConfig struct {
	Name       string
	API        API    // Payments if none is given
	Keys       Keys   // Enforced if none is given; the other APIs know no keys
	Credential string // the only key let in (SID:token for Messages); empty lets any non-empty key in
	Latency    Latency
	References bool       // Payments only: charges are found, and voided before they are made, by metadata[reference]
	Tokens     TokenRules // Payments only
}

// keyed tells whether the provider knows idempotency keys.
func (c ProviderConfig) keyed() bool { return dialectOf(c.API).keys != nil && c.Keys != Ignored }

func (c ProviderConfig) speaks() API {
	if c.API == "" {
		return Payments
	}
	return c.API
}

// Config describes a sandbox.
type Config struct {
	Host      string // loopback only; 127.0.0.1 if none is given
	Port      int    // the sandbox's own listener; providers on Port+1 and up. 0 means any free ports
	Seed      uint64
	Providers []ProviderConfig
	Naive     NaiveConfig
	Keep      int              // how many executions, objects and stored answers each provider keeps in full; 0 means 100,000
	Now       func() time.Time // time.Now if none is given
	Log       *slog.Logger     // discarded if none is given
}

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.Keep <= 0 {
		c.Keep = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) check() (netip.Addr, error) {
	host, err := netip.ParseAddr(c.Host)
	if err != nil {
		return host, fmt.Errorf("sandbox: host: %w", err)
	}
	if !host.IsLoopback() {
		return host, fmt.Errorf("sandbox: host %s: only loopback, because anybody who reaches it may set faults", host)
	}
	names := map[string]bool{}
	for _, p := range c.Providers {
		switch {
		case p.Name == "" || strings.ContainsAny(p.Name, "/?# "):
			return host, fmt.Errorf("sandbox: provider %q: a name has no space, slash, ? or #", p.Name)
		case names[p.Name]:
			return host, fmt.Errorf("sandbox: provider %q is there twice", p.Name)
		case p.Keys != "" && p.Keys != Enforced && p.Keys != Ignored:
			return host, fmt.Errorf("sandbox: provider %q: keys are enforced or ignored, not %q", p.Name, p.Keys)
		case !slices.Contains(apis(), p.speaks()):
			return host, fmt.Errorf("sandbox: provider %q: an API is one of %v, not %q", p.Name, apis(), p.API)
		case p.References && p.speaks() != Payments:
			return host, fmt.Errorf("sandbox: provider %q: %s has no references", p.Name, p.API)
		case p.Keys == Enforced && !p.keyed():
			return host, fmt.Errorf("sandbox: provider %q: %s knows no keys", p.Name, p.API)
		}
		names[p.Name] = true
	}
	return host, nil
}

// Sandbox is the set of simulated providers of one process, with the listener at which their books are read.
type Sandbox struct {
	providers []*Provider
	naive     *Naive
	listener  net.Listener
	server    *http.Server
	log       *slog.Logger
	work      sync.WaitGroup
}

// New binds every listener.
func New(c Config) (*Sandbox, error) {
	c = c.withDefaults()
	host, err := c.check()
	if err != nil {
		return nil, err
	}
	s := &Sandbox{log: c.Log, naive: newNaive(c, nil)} // Stop ends it, also where a provider cannot be opened
	s.server = newServer(s.controls(), c.Log)
	if s.listener, err = net.Listen("tcp", netip.AddrPortFrom(host, uint16(c.Port)).String()); err != nil {
		return nil, fmt.Errorf("sandbox: books: %w", err)
	}
	for i, pc := range c.Providers {
		at := netip.AddrPortFrom(host, 0)
		if c.Port != 0 {
			at = netip.AddrPortFrom(host, uint16(c.Port+1+i))
		}
		p, err := newProvider(pc, at, c.Seed+uint64(i), c)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sandbox: %w", err), s.Stop(context.Background()))
		}
		s.providers = append(s.providers, p)
	}
	s.naive = newNaive(c, s.providers)
	return s, nil
}

// Start serves. It does not block.
func (s *Sandbox) Start() error {
	for _, p := range s.providers {
		p.start()
	}
	s.work.Go(func() {
		if err := s.server.Serve(s.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the sandbox's books are not served any more", "err", err)
		}
	})
	return nil
}

// Stop ends every connection, and returns when no goroutine is left or ctx is over.
func (s *Sandbox) Stop(ctx context.Context) error {
	var errs []error
	s.naive.stop()
	for _, p := range s.providers {
		errs = append(errs, p.stop(ctx))
	}
	if err := s.server.Close(); err != nil {
		errs = append(errs, fmt.Errorf("sandbox: %w", err))
	}
	// A server that never served does not know the listener.
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		errs = append(errs, fmt.Errorf("sandbox: %w", err))
	}
	s.work.Wait()
	return errors.Join(errs...)
}

// Addr is host:port of a provider; empty if there is none of that name.
func (s *Sandbox) Addr(name string) string {
	if p := s.Provider(name); p != nil {
		return p.Addr()
	}
	return ""
}

// BooksAddr is host:port of the sandbox's own listener: /_books, /providers/NAME/_books, /providers/NAME/_faults.
func (s *Sandbox) BooksAddr() string { return s.listener.Addr().String() }

// Provider is the provider of that name, or nil.
func (s *Sandbox) Provider(name string) *Provider {
	for _, p := range s.providers {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// Naive is the naive client of these providers; it is off until it is switched on.
func (s *Sandbox) Naive() *Naive { return s.naive }

// Providers are all of them, in their order.
func (s *Sandbox) Providers() []*Provider { return slices.Clone(s.providers) }

// Books are those of all providers, in their order.
func (s *Sandbox) Books() []*Books {
	out := make([]*Books, 0, len(s.providers))
	for _, p := range s.providers {
		out = append(out, p.Books())
	}
	return out
}
