package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Provider is one simulated provider: its port, its accounts, its books and its faults.
type Provider struct {
	config  ProviderConfig
	bank    *bank
	faults  *faultSet
	pace    *pace
	line    *line
	server  *http.Server
	control http.Handler
	gate    chan struct{} // one receive lets one event of a gated stream go

	now func() time.Time
	log *slog.Logger

	mu   sync.Mutex
	life *life
	step step
	work sync.WaitGroup // the keeper, the serving of each opening, and each request
}

// step is how far a provider's value has come: New, Start, Stop.
type step struct {
	serving, stopped bool
	wake             chan struct{} // the faults changed: the keeper looks again
}

func newProvider(pc ProviderConfig, addr netip.AddrPort, seed uint64, c Config) (*Provider, error) {
	p := &Provider{
		config: pc, bank: newBank(pc, c.Keep, c.Now), faults: newFaultSet(seed), pace: newPace(pc.Latency, seed),
		gate: make(chan struct{}), now: c.Now, log: c.Log.With("provider", pc.Name), life: newLife(),
		step: step{wake: make(chan struct{}, 1)},
	}
	p.control = controls(p)
	p.server = newServer(p, p.log)
	var err error
	if p.line, err = newLine(addr); err != nil {
		return nil, fmt.Errorf("provider %s: %w", pc.Name, err)
	}
	if _, err = p.line.listen(p.life); err != nil {
		return nil, errors.Join(fmt.Errorf("provider %s: %w", pc.Name, err), p.line.close())
	}
	return p, nil
}

type connKey struct{}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
}

// Name is the provider's name.
func (p *Provider) Name() string { return p.config.Name }

// Addr is host:port; it stays the same, and reserved, while the provider refuses or is dead.
func (p *Provider) Addr() string { return p.line.addr.String() }

// URL is the base URL.
func (p *Provider) URL() string { return "http://" + p.Addr() }

// Books are the provider's books.
func (p *Provider) Books() *Books { return p.bank.books }

func (p *Provider) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step.serving = true
	if l := p.line.current(); l != nil {
		p.serve(l)
	}
	p.work.Go(p.keep)
}

// serve is called with p.mu held, so that nothing begins once stop has begun.
func (p *Provider) serve(l *listener) {
	p.work.Go(func() {
		if err := p.server.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("provider stopped serving", "err", err)
		}
	})
}

// stop ends the provider for good and awaits what runs in it.
func (p *Provider) stop(ctx context.Context) error {
	p.mu.Lock()
	p.step.stopped = true
	p.bank.end(p.life)
	p.line.refuse()
	p.poke()
	p.mu.Unlock()

	err := p.server.Shutdown(ctx)
	ended := make(chan struct{})
	go func() { p.work.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err := errors.Join(err, p.line.close()); err != nil {
		return fmt.Errorf("stop provider %s: %w", p.Name(), err)
	}
	return nil
}

// enter says whether a request may still begin; each that may ends with p.work.Done.
func (p *Provider) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.step.stopped {
		return false
	}
	p.work.Add(1)
	return true
}

// SetFaults replaces the faults that are on. When it returns, they hold.
func (p *Provider) SetFaults(faults ...Fault) error {
	var errs []error
	for _, f := range faults {
		errs = append(errs, f.check())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("provider %s: %w", p.Name(), err)
	}
	p.faults.set(faults, p.now())
	p.settlePort()
	p.poke()
	return nil
}

// ClearFaults ends all faults. When it returns, the port accepts again (unless the provider was killed).
func (p *Provider) ClearFaults() { _ = p.SetFaults() } // no fault cannot be a wrong fault

// Faults are those still on.
func (p *Provider) Faults() []ActiveFault { return p.faults.list(p.now()) }

// Kill models the death of the process: the port refuses, open connections are reset, and no request that was not executed by now ever will be.
func (p *Provider) Kill() {
	p.mu.Lock()
	p.bank.end(p.life)
	p.mu.Unlock()
	p.settlePort()
	p.poke()
}

// Revive starts the process again. What it executed, and the answers it stored, are still there.
func (p *Provider) Revive() {
	p.mu.Lock()
	if p.life.Err() != nil && !p.step.stopped {
		p.life = newLife()
	}
	p.mu.Unlock()
	p.settlePort()
	p.poke()
}

// Alive is false between Kill and Revive.
func (p *Provider) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life.Err() == nil
}

// settlePort opens or closes the port as life and faults want it, and says when that may change by itself.
func (p *Provider) settlePort() (next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	refuse, next := p.faults.port(p.now())
	if refuse || p.life.Err() != nil {
		p.line.refuse()
		return next
	}
	fresh, err := p.line.listen(p.life)
	if err != nil {
		p.log.Warn("port not open yet, trying again", "err", err)
		return p.now().Add(reopenEvery)
	}
	if fresh != nil && p.step.serving {
		p.serve(fresh)
	}
	return next
}

// reopenEvery is the time between attempts to open a port that somebody else took; it happens only where a port cannot be reserved.
const reopenEvery = 50 * time.Millisecond

func (p *Provider) poke() {
	select {
	case p.step.wake <- struct{}{}:
	default:
	}
}

// keep opens and closes the port when a fault's time has come.
func (p *Provider) keep() {
	for !p.over() {
		next := p.settlePort()
		var due <-chan time.Time
		var timer *time.Timer
		if !next.IsZero() {
			timer = time.NewTimer(next.Sub(p.now()))
			due = timer.C
		}
		select {
		case <-due:
		case <-p.step.wake:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

func (p *Provider) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.step.stopped
}

// KeysInUse counts the calls that are in progress under an idempotency key; 0 where keys are ignored.
func (p *Provider) KeysInUse() int {
	p.bank.mu.Lock()
	defer p.bank.mu.Unlock()
	if p.bank.keys == nil {
		return 0
	}
	return p.bank.keys.inUse()
}
