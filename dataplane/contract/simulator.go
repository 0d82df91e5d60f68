package contract

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"segue/dataplane/sandbox"
)

// Simulator is the sandbox's provider of one API, alone, with a clock of its own.
type Simulator struct {
	box      *sandbox.Sandbox
	provider *sandbox.Provider
	other    *sandbox.Provider
	ahead    atomic.Int64 // of the wall clock
}

// Simulate starts the simulator of an API.
func Simulate(s Specimen) (*Simulator, error) {
	sim := &Simulator{}
	now := func() time.Time { return time.Now().Add(time.Duration(sim.ahead.Load())) }
	one := func(name string) sandbox.ProviderConfig {
		return sandbox.ProviderConfig{Name: name, API: s.API, Credential: s.Secret, Latency: sandbox.Latency{Median: -1}, Tokens: sandbox.TokenRules{Life: tokenLife}}
	}
	box, err := sandbox.New(sandbox.Config{Now: now, Providers: []sandbox.ProviderConfig{one("driven"), one("elsewhere")}})
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	if err := box.Start(); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	sim.box, sim.provider, sim.other = box, box.Provider("driven"), box.Provider("elsewhere")
	return sim, nil
}

// tokenLife is that of the tokens which a simulator gives, where its API has any.
const tokenLife = 10 * time.Minute

// Stop ends it.
func (s *Simulator) Stop(ctx context.Context) error { return s.box.Stop(ctx) }

// URL is where it listens.
func (s *Simulator) URL() string { return s.provider.URL() }

// Elsewhere is another endpoint of the provider: it has the account, and its own keys.
func (s *Simulator) Elsewhere() string { return s.other.URL() }

// Fail has the next effect answered with a status.
func (s *Simulator) Fail(status int, executed bool) error {
	return s.provider.SetFaults(sandbox.Fault{Kind: sandbox.Status, Code: status, Executed: executed, Operation: sandbox.Effects, Count: 1})
}

// Limit has the next effect answered with 429.
func (s *Simulator) Limit(after time.Duration) error {
	return s.provider.SetFaults(sandbox.Fault{Kind: sandbox.Limit, RetryAfter: after, Operation: sandbox.Effects, Count: 1})
}

// Hold makes the next effect take long. It is there once its key is known, so that a second one finds it in use.
func (s *Simulator) Hold() (taken func() bool, err error) {
	err = s.provider.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Delay: time.Hour, Operation: sandbox.Effects, Count: 1})
	return func() bool { return s.provider.KeysInUse() > 0 }, err
}

// Let ends what was asked for: the process is started again, so that no request is left in it.
func (s *Simulator) Let() error {
	s.provider.ClearFaults()
	s.provider.Kill()
	s.provider.Revive()
	return nil
}

// Advance moves its clock on.
func (s *Simulator) Advance(d time.Duration) { s.ahead.Add(int64(d)) }

// Executed counts the effects that were executed.
func (s *Simulator) Executed() int {
	n := uint64(0)
	for _, of := range s.provider.Books().Totals().Executed {
		n += of
	}
	return int(n)
}

// Booked is the last effect as the books have it.
func (s *Simulator) Booked() string {
	list := s.provider.Books().Entries(sandbox.Filter{})
	if len(list) == 0 {
		return ""
	}
	e := list[len(list)-1]
	words := []string{e.Operation}
	if e.Currency != "" {
		words = append(words, strconv.FormatInt(e.Amount, 10), e.Currency)
	}
	if domain := e.Metadata["domain"]; domain != "" {
		words = append(words, domain)
	}
	return strings.Join(words, " ")
}
