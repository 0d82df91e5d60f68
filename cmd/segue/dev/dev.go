package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/feed"
	"segue/controlplane/policy"
	"segue/dataplane"
	"segue/dataplane/sandbox"
	"segue/web"
)

// Ports are where the parts listen. Nodes and agents count up from theirs; services listen on their policy's ports plus Services,
// further regions 100 higher each.
type Ports struct{ UI, Control, Raft, Agent, Sandbox, Services int }

// DefaultPorts are those of the documentation, each raised by offset.
func DefaultPorts(offset int) Ports {
	return Ports{UI: 7070 + offset, Control: 7071 + offset, Raft: 7080 + offset, Agent: 7090 + offset, Sandbox: 7600 + offset, Services: offset}
}

// Config is what the assembly needs.
type Config struct {
	Dir    string // everything it keeps
	Policy []byte // the user's own policy; nil: the demo with the sandbox and the shopper
	File   string // the policy's name, for messages
	UI     string // host:port of the pages; "": Ports.UI
	Ports  Ports
	Seed   uint64
	Rate   float64 // new sessions a second and region of the shopper; 0: none
	Naive  bool    // the naive client is on from the start
	Log    *slog.Logger
	Fatal  func(error)

	StoreDir string // of the one embedded store that all agents share; "": under Dir
	// OpenStore opens the store of a region's agent; nil: the embedded one.
	OpenStore func(ctx context.Context, region string) (dataplane.Store, error)
}

// Dev is everything in one process.
type Dev struct {
	cfg      Config
	policy   *policy.Policy // in force when it started
	revision uint64         // its number
	source   []byte
	sandbox  *sandbox.Sandbox
	nodes    *nodes
	stores   stores
	faults   *faults
	web      *web.Web
	listen   net.Listener
	http     *http.Server
	idle     sync.WaitGroup

	mu      sync.Mutex
	agents  []*dataplane.Agent
	shopper *sandbox.Shopper
}

// New binds the pages' listener and prepares the parts.
func New(cfg Config) (*Dev, error) {
	d := &Dev{cfg: cfg, source: cfg.Policy}
	d.faults = &faults{dev: d, running: map[string]*running{}}
	if cfg.UI == "" {
		d.cfg.UI = loopback(cfg.Ports.UI)
	}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(hinted(err), d.Stop(context.Background()))
	}
	return d, nil
}

func (d *Dev) prepare() error {
	var err error
	if err = os.MkdirAll(d.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	if err = sameReplicas(d.cfg); err != nil {
		return err
	}
	if d.source == nil {
		if err = d.prepareSandbox(); err != nil {
			return err
		}
	}
	if d.policy, err = parse(d.cfg.File, d.source); err != nil {
		return err
	}
	if d.listen, err = listenLoopback(d.cfg.UI); err != nil {
		return err
	}
	d.nodes = newNodes(d.cfg)
	if err = d.openEmbedded(); err != nil {
		return err
	}
	return d.prepareWeb()
}

// Start brings the parts up in order: control nodes, the first policy, agents, pages, load.
func (d *Dev) Start(ctx context.Context) error {
	if err := d.start(ctx); err != nil {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin) // ctx may be what ended the start
		defer cancel()
		return errors.Join(hinted(err), d.Stop(end))
	}
	return nil
}

// hinted says what helps where a port is taken.
func hinted(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; is another segue running? --port-offset moves every port of this one, --ui the pages", err)
	}
	return err
}

// stopWithin bounds the end of what did not start.
const stopWithin = 15 * time.Second

func (d *Dev) start(ctx context.Context) error {
	d.serveFront()
	for i := range d.nodes.configs {
		if err := d.nodes.start(i); err != nil {
			return err
		}
	}
	if err := d.firstPolicy(ctx); err != nil {
		return err
	}
	if err := d.openStores(ctx); err != nil {
		return err
	}
	if err := d.startAgents(); err != nil {
		return err
	}
	if err := d.awaitServices(ctx); err != nil {
		return err
	}
	if d.sandbox == nil {
		return nil
	}
	if d.cfg.Naive {
		if err := d.sandbox.Naive().On(naiveFor); err != nil {
			return err
		}
	}
	if d.cfg.Rate <= 0 {
		return nil
	}
	return d.startShopper()
}

// serveFront serves pages, API and feed on one listener that outlives every control node.
func (d *Dev) serveFront() {
	d.http = feed.Serve(http.HandlerFunc(d.front), nil)
	d.http.ErrorLog = slog.NewLogLogger(d.cfg.Log.Handler(), slog.LevelDebug)
	d.idle.Go(func() {
		if err := d.http.Serve(d.listen); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.cfg.Log.Error("the pages' listener failed", "error", err)
		}
	})
}

// ofNode tells the paths that a control node answers itself.
func ofNode(path string) bool {
	switch path {
	case "/metrics", "/readyz", "/livez", "/version":
		return true
	}
	return strings.HasPrefix(path, "/segue.feed.v1.")
}

func (d *Dev) startAgents() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, region := range d.policy.Regions {
		a, err := d.newAgent(i, region.Name)
		if err != nil {
			return err
		}
		d.agents = append(d.agents, a) // before its start: Stop closes what New opened
		if err := a.Start(context.Background()); err != nil {
			return fmt.Errorf("the agent of %s: %w", region.Name, err)
		}
	}
	return nil
}

func (d *Dev) newAgent(i int, region string) (*dataplane.Agent, error) {
	id := region + "-1"
	control := make([]string, len(d.nodes.configs))
	for j, c := range d.nodes.configs {
		control[j] = c.Listen
	}
	a, err := dataplane.New(dataplane.Config{
		ID: id, Region: region, Dir: filepath.Join(d.cfg.Dir, "agents", id), KeysDir: filepath.Join(d.cfg.Dir, "keys"), PortOffset: d.cfg.Ports.Services + 100*i,
		Admin: loopback(d.cfg.Ports.Agent + i), Control: control, Store: d.stores.link(region),
		Log: d.cfg.Log.With("agent", id), Now: time.Now, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, fmt.Errorf("the agent of %s: %w", region, err)
	}
	return a, nil
}

// restartAgents ends every agent and starts it again, as an operator's rolling restart would.
func (d *Dev) restartAgents() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, old := range d.agents {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		err := old.Stop(ctx)
		cancel()
		if err != nil {
			return err
		}
		a, err := d.newAgent(i, d.policy.Regions[i].Name)
		if err != nil {
			return err
		}
		if err := a.Start(context.Background()); err != nil {
			return err
		}
		d.agents[i] = a
	}
	return nil
}

// Addr is where the pages are served.
func (d *Dev) Addr() string { return d.listen.Addr().String() }

// Service is where the service is served in the region.
func (d *Dev) Service(region, service string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, r := range d.policy.Regions {
		if r.Name == region && i < len(d.agents) {
			return d.agents[i].Addr(service)
		}
	}
	return ""
}

// Policy is the policy that was in force when it started.
func (d *Dev) Policy() *policy.Policy { return d.policy }

// Stop ends the parts in reverse order.
func (d *Dev) Stop(ctx context.Context) error {
	var err error
	d.faults.close()
	if s := d.load(); s != nil {
		err = errors.Join(err, s.Stop(ctx))
	}
	d.mu.Lock()
	for _, a := range d.agents {
		err = errors.Join(err, a.Stop(ctx))
	}
	d.agents = nil
	d.mu.Unlock()
	if d.web != nil {
		err = errors.Join(err, d.web.Close())
	}
	if d.http != nil {
		err = errors.Join(err, d.http.Close())
	} else if d.listen != nil {
		err = errors.Join(err, d.listen.Close())
	}
	if d.nodes != nil {
		err = errors.Join(err, d.nodes.stop(ctx))
	}
	err = errors.Join(err, d.stores.close())
	if d.sandbox != nil {
		err = errors.Join(err, d.sandbox.Stop(ctx))
	}
	d.idle.Wait()
	return err
}

func listenLoopback(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--ui %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--ui %s: there is no sign-in yet, so only loopback is served; use 127.0.0.1", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the pages: %w", err)
	}
	return l, nil
}

// load is the shopper; nil where there is none, or none yet.
func (d *Dev) load() *sandbox.Shopper {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shopper
}

// Simulated tells whether the providers are the sandbox's.
func (d *Dev) Simulated() bool { return d.sandbox != nil }

// BooksAddr is where the simulated providers' books are read.
func (d *Dev) BooksAddr() string { return strings.TrimPrefix(d.sandbox.BooksAddr(), "http://") }
