package dataplane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/feed"
	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/dataplane/edge"
	"segue/dataplane/probe"
	"segue/dataplane/provider"
	"segue/dataplane/proxy"
	"segue/dataplane/settle"
	"segue/dataplane/standing"
	"segue/dataplane/transfer"
)

// Config is what an Agent is made of.
type Config struct {
	ID, Region string
	Dir        string // generations and keys
	StoreDir   string // of the agent's own store; default Dir/store
	KeysDir    string // default Dir/keys; agents that share a store share their keys too, to replay each other's answers
	Listen     Listen // how the services' listeners serve
	PortOffset int    // added to the policy's ports
	Mirror     string // address of another agent's own listener, which keeps this one's hints too; "": none. For a shared store
	Admin      string // host:port of the agent's own listener; loopback only
	Control    []string
	Store      Store // shared with other agents; who opened it closes it. nil: the agent's own, in StoreDir
	Log        *slog.Logger
	Now        func() time.Time
	Metrics    *prometheus.Registry
	Fatal      func(error) // ends the process: the store cannot go on
}

// Listen is how an agent's listeners for applications serve. The zero value is plain HTTP with the edge's limits.
type Listen struct {
	Host   string // default 127.0.0.1, loopback only
	Cert   string // PEM file with the certificate; "": no TLS
	Key    string // PEM file with its key
	Any    bool   // free ports instead of the policy's; Addr tells which
	Limits edge.Limits
}

func (c Config) withDefaults() Config {
	if c.StoreDir == "" {
		c.StoreDir = filepath.Join(c.Dir, "store")
	}
	if c.KeysDir == "" {
		c.KeysDir = filepath.Join(c.Dir, "keys")
	}
	if c.Listen.Host == "" {
		c.Listen.Host = "127.0.0.1"
	}
	if c.Admin == "" {
		c.Admin = "127.0.0.1:0"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c
}

// Agent is one data-plane process.
type Agent struct {
	cfg         Config
	run         string
	store       Store
	owned       bool // the store is this agent's alone
	parts       parts
	generations *generations
	metrics     *metrics
	force       force
	decided     decisions
	replaying   chan struct{} // holds one: a replay is under way
	stopping    atomic.Bool
	admin       net.Listener
	server      *http.Server
	feed        *feed.Agent
	idle        sync.WaitGroup
}

// parts are the rooms of the data plane.
type parts struct {
	board   *standing.Board
	client  *provider.Client
	driver  *settle.Driver
	carrier *transfer.Carrier
	proxy   *proxy.Proxy
	edge    *edge.Server
	shown   *edge.Certificate // nil: no TLS
	prober  *probe.Prober
	hints   *hints // nil: the store is the agent's own
	looks   looks
	keys    *settle.Ring
	learned *notebook
}

// force is what is in force.
type force struct {
	mu       sync.Mutex // one Update at a time
	position state.Position
	source   []byte // the policy's document
	orders   []policy.Order
	snapshot atomic.Pointer[policy.Snapshot]
}

// New opens the store and binds the agent's own listener. The services' listeners follow the policy.
func New(cfg Config) (*Agent, error) {
	cfg = cfg.withDefaults()
	if cfg.ID == "" || cfg.Region == "" || cfg.Dir == "" {
		return nil, errors.New("dataplane: an agent needs an id, a region and a directory")
	}
	a := &Agent{cfg: cfg, run: cfg.ID + "/" + nonce(), store: cfg.Store, replaying: make(chan struct{}, 1)}
	if err := a.assemble(); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// nonce tells this life of the agent from its earlier ones.
func nonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

func (a *Agent) assemble() error {
	var err error
	if a.admin, err = listenLoopback(a.cfg.Admin); err != nil {
		return err
	}
	if a.generations, err = openGenerations(filepath.Join(a.cfg.Dir, "generations"), a.cfg.Log); err != nil {
		return err
	}
	var vault *settle.Vault
	if vault, a.parts.keys, err = openVault(a.cfg.KeysDir, a.cfg.Now); err != nil {
		return err
	}
	if err := a.openStore(); err != nil {
		return err
	}
	if err := a.hint(); err != nil {
		return err
	}
	if a.metrics, err = newMetrics(a.cfg.Metrics, a.cfg.Region); err != nil {
		return err
	}
	if err := a.furnish(vault); err != nil {
		return err
	}
	a.server = a.own()
	if len(a.cfg.Control) == 0 {
		return nil
	}
	a.feed, err = feed.NewAgent(feed.AgentConfig{
		Control: a.cfg.Control, Agent: a.cfg.ID, Region: a.cfg.Region, Run: a.run, Local: a, Log: a.cfg.Log, Now: a.cfg.Now,
	})
	return err
}

// furnish makes the rooms, each of those that it calls.
func (a *Agent) furnish(vault *settle.Vault) error {
	p, cfg := &a.parts, &a.cfg
	var err error
	p.board = standing.New()
	if p.client, err = provider.New(provider.Config{
		Region: cfg.Region, Logger: cfg.Log, Metrics: cfg.Metrics, Clock: cfg.Now, Seed: seed(cfg.ID),
		Note: p.board.Note,
	}); err != nil {
		return fmt.Errorf("dataplane: %w", err)
	}
	sc := settle.Config{
		Store: a.store.Ledger(), Board: p.board, Client: p.client, Vault: vault, Agent: cfg.ID, Run: a.run, Region: cfg.Region,
		Now: cfg.Now, Boot: settle.Boot, Log: cfg.Log, Metrics: cfg.Metrics,
	}
	sc.Runs, sc.Payloads, sc.Watches, sc.Time = a.store.Runs(), a.store.Payloads(), a.store.Watches(), a.store.Time
	if p.hints != nil {
		sc.Offline = p.hints.repair.Offline()
	}
	p.driver = settle.New(sc)
	if p.hints != nil {
		tell := p.driver.Claimed
		p.hints.tell.Store(&tell)
	}
	if p.carrier, err = a.newCarrier(vault); err != nil {
		return err
	}
	if p.proxy, err = proxy.New(proxy.Config{
		Region: cfg.Region, Ledger: a.store.Ledger(), Sessions: a.store.Sessions(), Level: a.store.Level(), Board: p.board, Client: p.client,
		Driver: p.driver, Vault: vault, Carrier: p.carrier, Log: cfg.Log, Now: cfg.Now, Metrics: cfg.Metrics,
	}); err != nil {
		return fmt.Errorf("dataplane: %w", err)
	}
	p.learned = newNotebook(cfg.Dir, cfg.Log, func() learned { return learned{p.board.Spent(), p.proxy.Proven()} })
	if p.prober, err = probe.New(probe.Config{
		Client: p.client, Board: p.board, Seed: seed(cfg.ID), Dir: filepath.Join(cfg.Dir, "synthetics"), Log: cfg.Log,
	}); err != nil {
		return fmt.Errorf("dataplane: %w", err)
	}
	if cfg.Listen.Cert != "" {
		if p.shown, err = edge.OpenCertificate(cfg.Listen.Cert, cfg.Listen.Key, cfg.Log); err != nil {
			return fmt.Errorf("dataplane: %w", err)
		}
	}
	p.edge, err = edge.New(edge.Config{
		Host: cfg.Listen.Host, PortOffset: cfg.PortOffset, AnyPort: cfg.Listen.Any, Proxy: p.proxy, Own: a.serveOwn, Logger: cfg.Log, Clock: cfg.Now,
		Limits: cfg.Listen.Limits, Certificate: p.shown, SpoolDir: filepath.Join(cfg.Dir, "spool"),
	})
	if err != nil {
		return fmt.Errorf("dataplane: %w", err)
	}
	return nil
}

// seed spreads agents: what each draws differs from its neighbours', and is the same in every run.
func seed(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // a hash takes everything
	return h.Sum64()
}

// Start records what earlier runs left open, serves the newest good generation without waiting for anybody, and attaches to the
// control plane. ctx bounds the start alone.
func (a *Agent) Start(ctx context.Context) error {
	// killpoint: start.opened
	if err := a.adopt(ctx); err != nil {
		return err
	}
	was := a.parts.learned.load()
	a.parts.board.Remember(was.Spent)
	a.parts.proxy.Remember(was.Proven)
	a.resume()
	a.parts.board.Start(a.cfg.Now)
	a.parts.learned.start()
	a.parts.driver.Start()
	a.parts.keys.Start(a.cfg.Log)
	a.idle.Go(func() {
		if err := a.server.Serve(a.admin); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.cfg.Log.Error("the agent's own listener failed", "error", err)
		}
	})
	if a.feed != nil {
		a.feed.Start()
	}
	return nil
}

// resume takes the newest generation that applies.
func (a *Agent) resume() {
	for _, g := range a.generations.newestFirst() {
		u, err := a.generations.load(g, a.cfg.Now())
		if err == nil {
			err = a.take(u, false)
		}
		if err == nil {
			a.cfg.Log.Info("serving from disk", "revision", u.Revision, "generation", g)
			return
		}
		a.cfg.Log.Warn("a generation is skipped", "generation", g, "error", err)
	}
}

// Stop takes nothing new, lets calls under way finish, and closes everything, in reverse order. What ctx does not leave time for is
// cut: a transaction that is cut so stays open in the store, and the next run records it as unknown.
func (a *Agent) Stop(ctx context.Context) error {
	a.stopping.Store(true)
	if a.feed != nil {
		a.feed.Stop()
	}
	a.parts.prober.Stop()
	a.parts.keys.Stop()
	err := a.parts.edge.Drain(ctx)
	err = errors.Join(err, a.parts.carrier.Stop(ctx))
	a.parts.looks.stop()
	a.parts.driver.Stop()
	defer a.parts.learned.close() // when the last call has ended
	if waited := a.parts.driver.Wait(ctx); waited != nil {
		// A driver still uses the store: it is left open, for the process's end to close.
		a.parts.board.Stop()
		return errors.Join(err, fmt.Errorf("dataplane: transactions are still under way: %w", waited), a.server.Close())
	}
	a.parts.client.Close()
	a.parts.board.Stop()
	err = errors.Join(err, a.server.Close())
	a.idle.Wait()
	return errors.Join(err, a.close())
}

// close closes what New opened.
func (a *Agent) close() error {
	var err error
	if a.parts.carrier != nil {
		_ = a.parts.carrier.Stop(context.Background()) // done before, but where New failed: then nothing is in hand
	}
	if a.admin != nil {
		if e := a.admin.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = fmt.Errorf("dataplane: %w", e)
		}
	}
	if a.parts.hints != nil {
		err = errors.Join(err, a.parts.hints.shut())
	}
	if a.owned {
		err = errors.Join(err, a.store.Close())
	}
	return err
}

// Addr is where a service is served, or "".
func (a *Agent) Addr(service string) string { return a.parts.edge.Addr(service) }

// Addrs are the services' addresses.
func (a *Agent) Addrs() map[string]string {
	out := map[string]string{}
	if snap := a.force.snapshot.Load(); snap != nil {
		for _, svc := range snap.Services {
			if addr := a.Addr(svc.Name); addr != "" {
				out[svc.Name] = addr
			}
		}
	}
	return out
}

// Reload looks at the certificate's files now. Without it, they are looked at once a second while connections come.
func (a *Agent) Reload() {
	if a.parts.shown != nil {
		a.parts.shown.Reload()
	}
}

// AdminAddr is the agent's own listener.
func (a *Agent) AdminAddr() string { return a.admin.Addr().String() }

// Run names this life of the agent.
func (a *Agent) Run() string { return a.run }
