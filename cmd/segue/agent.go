package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"segue/dataplane"
)

type agentFlags struct {
	id, region, dir, control, store, admin, log string
	keys, mirror                                string
	cert, key                                   string
	sizes                                       bodySizes
	offset                                      int
	drain                                       time.Duration
}

// bodySizes bound the bodies of requests.
type bodySizes struct{ body, memory, disk string }

// adminPort is where an agent's own listener begins to count.
const adminPort = 7090

func newAgent(s *settings) *cobra.Command {
	f := agentFlags{}
	c := &cobra.Command{
		Use:   "agent",
		Short: "Run one agent in one region",
		Long: `Runs one agent: it serves applications on its services' listeners, chooses a provider
for each call, and keeps transactions and sessions.

With the embedded store, a key is known only to the agent that took it: an application
must come back to the same agent with the same key. With --store cassandra://… all agents
of the cluster know it; they need the same --keys to give each other's answers again. Data
centres have the regions' names, or dc= names one. The first agent makes the tables when its
address says migrate=true. Name and password come from a file or a variable, as
credential=file:PATH or env:NAME, which holds name:password.

Several agents on one machine count up: the second one's own listener is on port 7091
and its services listen 100 ports higher, and so on. --port-offset says otherwise.

Bodies up to 64 KiB are held in memory, larger ones in files without a name under --dir.
What is over --max-body is refused; what finds no room now is refused as overloaded.

With --tls-cert and --tls-key the services speak TLS 1.2 and up, with HTTP/2. The files are
read again when they change, and on SIGHUP.

Until certificates and application tokens come, only loopback addresses are served.`,
		Example: `  segue agent --region eu-west --dir /var/lib/segue/agent --control 127.0.0.1:7070,127.0.0.1:7071,127.0.0.1:7072
  segue agent --region eu-west --dir ./agent --store 'cassandra://127.0.0.1,127.0.0.2?credential=file:/etc/segue/cassandra'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runAgent(c.Context(), s, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.region, "region", "", "the region that it serves, as the policy names it")
	flags.StringVar(&f.dir, "dir", "", "where it keeps its store, its keys and the last good policies")
	flags.StringVar(&f.control, "control", "127.0.0.1:7070", "feeds of the control nodes, comma-separated")
	flags.StringVar(&f.store, "store", "embedded", storeFlag)
	flags.StringVar(&f.keys, "keys", "", "directory of the keys that seal answers and make providers' keys (default: under --dir); agents with one cluster have one")
	flags.StringVar(&f.mirror, "mirror", "", "own listener of another agent, like http://127.0.0.1:7091: it keeps this one's hints too, and replays them when this one is gone (with a cluster only)")
	flags.StringVar(&f.id, "id", "", "the agent's name (default: the region and its number on this machine)")
	flags.StringVar(&f.admin, "admin", "", "its own listener: /metrics /livez /readyz /version (default: the first free of 127.0.0.1:7090 and up)")
	flags.IntVar(&f.offset, "port-offset", -1, "added to every service's port (default: 100 for each agent that counts below this one)")
	flags.DurationVar(&f.drain, "drain", 15*time.Second, "how long calls in flight may take to finish at the end")
	flags.StringVar(&f.cert, "tls-cert", "", "PEM file with the certificate of the services' listeners (default: plain HTTP)")
	flags.StringVar(&f.key, "tls-key", "", "PEM file with its key")
	flags.StringVar(&f.sizes.body, "max-body", "128MiB", "the largest body of a request")
	flags.StringVar(&f.sizes.memory, "spool-memory", "64MiB", "memory for the bodies of all requests together")
	flags.StringVar(&f.sizes.disk, "spool-disk", "4GiB", "disk under --dir for the bodies of all requests together")
	flags.StringVar(&f.log, "log", "info", "debug, info, warn or error")
	_ = c.MarkFlagRequired("region")
	_ = c.MarkFlagRequired("dir")
	return c
}

func runAgent(ctx context.Context, s *settings, f agentFlags) error {
	log, err := newLog(s.io.err, f.log)
	if err != nil {
		return err
	}
	cfg, err := agentConfig(f)
	if err != nil {
		return err
	}
	at, err := parseStore(f.store)
	if err != nil {
		return err
	}
	tuneMemory(agentGrows)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg.Log, cfg.Now, cfg.Metrics = log.With("agent", cfg.ID), time.Now, registry
	cfg.Fatal = func(err error) { log.Error("the agent cannot go on", "error", err); os.Exit(exitError) }
	if at.cluster == nil {
		return s.serveAgent(ctx, cfg, f.drain)
	}
	at.cluster.Patient = true // it starts without the cluster: reads go on, and effects are refused until it is there
	if cfg.Store, err = openCluster(ctx, *at.cluster, cfg.Region, cfg.Log); err != nil {
		return err
	}
	if err := s.serveAgent(ctx, cfg, f.drain); err != nil {
		return err // what is under way may use the store still: the process's end closes it
	}
	return cfg.Store.Close()
}

// serveAgent runs an agent until ctx ends.
func (s *settings) serveAgent(ctx context.Context, cfg dataplane.Config, drain time.Duration) error {
	a, err := dataplane.New(cfg)
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	defer onHangup(a.Reload)()
	s.tellAgent(ctx, cfg, a)
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	return a.Stop(end)
}

// onHangup calls do on each SIGHUP, which then does not end the process.
func onHangup(do func()) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range signals {
			do()
		}
	}()
	return func() { signal.Stop(signals); close(signals); <-done }
}

// How much a heap may grow, in percent of what is in use, before the collector runs. An agent holds some ten megabytes and throws away as much
// many times a second under load: Go's default of 100 spends an eighth of its CPU on that. A control node rests, but for the moment in which it sends a
// change to all its agents: that moment shall seldom meet the collector.
const (
	agentGrows   = 300
	controlGrows = 400
)

func tuneMemory(grows int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(grows)
	}
}

// spareThreads are the threads of Go code at least, whatever the machine has: one that waits for its disk keeps its place until the runtime
// notices, for milliseconds on a machine that was idle, and a change's way to the agents must not wait with it.
const spareThreads = 4

func tuneThreads() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(spareThreads, runtime.NumCPU()))
	}
}

// tellAgent prints where the agent serves, once it does: the first start needs a policy from a control node.
func (s *settings) tellAgent(ctx context.Context, cfg dataplane.Config, a *dataplane.Agent) {
	fmt.Fprintf(s.io.out, "agent %s: its own listener is http://%s\n", cfg.ID, a.AdminAddr())
	if len(a.Addrs()) == 0 {
		fmt.Fprintf(s.io.out, "agent %s: waiting for a policy from %s\n", cfg.ID, strings.Join(cfg.Control, ", "))
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for len(a.Addrs()) == 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	scheme := "http"
	if cfg.Listen.Cert != "" {
		scheme = "https"
	}
	fmt.Fprintf(s.io.out, "agent %s serves %s: %s\n", cfg.ID, cfg.Region, servicesAt(scheme, a.Addrs()))
}

func servicesAt(scheme string, addrs map[string]string) string {
	var parts []string
	for service, addr := range addrs {
		parts = append(parts, service+" on "+scheme+"://"+addr)
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

func agentConfig(f agentFlags) (dataplane.Config, error) {
	for flag, value := range map[string]string{"--region": f.region, "--dir": f.dir} {
		if value == "" {
			return dataplane.Config{}, usageError{fmt.Errorf("%s is empty: name one", flag)}
		}
	}
	cfg := dataplane.Config{ID: f.id, Region: f.region, Dir: f.dir, PortOffset: f.offset, Mirror: f.mirror}
	var err error
	if cfg.Listen, err = listening(f); err != nil {
		return cfg, usageError{err}
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return cfg, fmt.Errorf("--dir: %w", err)
	}
	at, err := parseStore(f.store)
	if err != nil {
		return cfg, err
	}
	if f.mirror != "" && at.cluster == nil {
		return cfg, usageError{errors.New("--mirror: an agent whose store is embedded keeps no hints; leave it out, or name a cluster with --store")}
	}
	cfg.StoreDir, cfg.KeysDir = cmp.Or(at.dir, filepath.Join(f.dir, "store")), cmp.Or(f.keys, filepath.Join(f.dir, "keys"))
	for node := range strings.SplitSeq(f.control, ",") {
		if _, _, err := net.SplitHostPort(strings.TrimSpace(node)); err != nil {
			return cfg, usageError{fmt.Errorf("--control: %q is not host:port: %w", node, err)}
		}
		cfg.Control = append(cfg.Control, strings.TrimSpace(node))
	}
	return cfg, countUp(&cfg, f)
}

// listening reads how the services' listeners serve.
func listening(f agentFlags) (l dataplane.Listen, err error) {
	l.Host, l.Cert, l.Key = "127.0.0.1", f.cert, f.key
	if (f.cert == "") != (f.key == "") {
		return l, errors.New("--tls-cert and --tls-key: one is of no use without the other")
	}
	for _, size := range []struct {
		flag, text string
		to         *int64
	}{{"--max-body", f.sizes.body, &l.Limits.Body}, {"--spool-memory", f.sizes.memory, &l.Limits.SpoolMemory}, {"--spool-disk", f.sizes.disk, &l.Limits.SpoolDisk}} {
		if *size.to, err = bytesOf(size.text); err != nil {
			return l, fmt.Errorf("%s: %w", size.flag, err)
		}
	}
	return l, nil
}

// bytesOf reads 64MiB, 64KiB, 4GiB or a plain number of bytes.
func bytesOf(text string) (int64, error) {
	digits, unit := text, int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB"} {
		if cut, ok := strings.CutSuffix(text, suffix); ok {
			digits, unit = cut, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > (1<<50)/unit {
		return 0, fmt.Errorf("%q is no size: want a number with KiB, MiB or GiB, like 64MiB", text)
	}
	return n * unit, nil
}

// countUp gives the agent a number on this machine: that of the first free admin port. It remembers it in its directory, so that
// an agent that comes back serves where it did.
func countUp(cfg *dataplane.Config, f agentFlags) error {
	var err error
	if cfg.Admin, err = remembered(filepath.Join(f.dir, "admin-address"), f.admin); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(cfg.Admin)
	if err != nil {
		return usageError{fmt.Errorf("--admin: %q is not host:port: %w", cfg.Admin, err)}
	}
	number := 0
	if p, err := strconv.Atoi(port); err == nil && p >= adminPort && p < adminPort+10 {
		number = p - adminPort
	}
	if cfg.PortOffset < 0 {
		cfg.PortOffset = 100 * number
	}
	if cfg.ID == "" {
		cfg.ID = fmt.Sprintf("%s-%d", cfg.Region, number+1)
	}
	return nil
}

// remembered returns the address that was asked for, or the one from last time if it is free, or the first free one.
func remembered(file, asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	addr := ""
	if b, err := os.ReadFile(file); err == nil {
		if l, err := net.Listen("tcp", strings.TrimSpace(string(b))); err == nil {
			addr = l.Addr().String()
			_ = l.Close()
		}
	}
	var err error
	if addr == "" {
		if addr, err = addressOr("", adminPort, "--admin"); err != nil {
			return "", err
		}
	}
	return addr, errors.Join(err, os.WriteFile(file, []byte(addr+"\n"), 0o600))
}
