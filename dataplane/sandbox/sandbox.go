package sandbox

import (
	"context"
	"log/slog"
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

// Latency is what an undisturbed provider takes: log-normal around its median.
type Latency struct {
	Median time.Duration // 0 means 12 ms; negative means none at all, for tests
	Spread float64       // sigma of the logarithm; 0 means 0.5
}

// ProviderConfig describes one simulated provider.
type ProviderConfig struct {
	Name       string
	Keys       Keys   // Enforced if none is given
	Credential string // the only key let in; empty lets any non-empty key in
	Latency    Latency
}

// Config describes a sandbox.
type Config struct {
	Host      string // loopback only; 127.0.0.1 if none is given
	Port      int    // the sandbox's own listener; providers on Port+1 and up. 0 means any free ports
	Seed      uint64
	Providers []ProviderConfig
	Keep      int              // how many executions, objects and stored answers each provider keeps in full; 0 means 100,000
	Now       func() time.Time // time.Now if none is given
	Log       *slog.Logger     // discarded if none is given
}

// Sandbox is the set of simulated providers of one process, with the listener at which their books are read.
type Sandbox struct {
	providers []*Provider
}

// New binds every listener.
func New(c Config) (*Sandbox, error) { return nil, nil }

// Start serves. It does not block.
func (s *Sandbox) Start() error { return nil }

// Stop ends every connection, and returns when no goroutine is left or ctx is over.
func (s *Sandbox) Stop(ctx context.Context) error { return nil }

// Addr is host:port of a provider; empty if there is none of that name.
func (s *Sandbox) Addr(name string) string { return "" }

// BooksAddr is host:port of the sandbox's own listener: /_books, /providers/NAME/_books, /providers/NAME/_faults.
func (s *Sandbox) BooksAddr() string { return "" }

// Provider is the provider of that name, or nil.
func (s *Sandbox) Provider(name string) *Provider { return nil }

// Providers are all of them, in their order.
func (s *Sandbox) Providers() []*Provider { return s.providers }

// Books are those of all providers, in their order.
func (s *Sandbox) Books() []*Books { return nil }
