package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"segue/cmd/segue/dev"
	"segue/dataplane"
)

type devFlags struct {
	dir, policy, ui, log, store string
	seed                        uint64
	offset                      int
	rate                        float64
	naive                       bool
}

func newDev(s *settings) *cobra.Command {
	f := devFlags{}
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine: three regions, providers, load and the pages",
		Long: `Runs three control nodes, an agent in each region, simulated providers of payments,
messages and chat with their own books, a shopper that calls them, and the pages, in one process on loopback.
Nothing is fetched and no key is needed.

With --policy it runs your policy and your providers instead: no simulated provider and
no shopper. An environment variable or a file can hold their credentials.

With the embedded store, a key is known only to the agent that took it; here the agents
share one store. With --store cassandra://… each region is in its own data centre of a
cluster that is there (make run-cassandra starts one); tables that are missing are made.`,
		Example: `  segue dev
  segue dev --seed 7 --dir ./segue-data
  segue dev --store cassandra://127.0.0.1,127.0.0.2,127.0.0.3
  STRIPE_KEY=... segue dev --policy p.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDev(c.Context(), s, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.dir, "dir", "", "where it keeps its files (default: a temporary folder, removed at the end)")
	flags.StringVar(&f.policy, "policy", "", "your own policy file")
	flags.StringVar(&f.ui, "ui", "", "where the pages are (default 127.0.0.1:7070)")
	flags.Uint64Var(&f.seed, "seed", 0, "seed of the load and the faults (default: a random one, printed)")
	flags.IntVar(&f.offset, "port-offset", 0, "added to every port, to run beside another")
	flags.StringVar(&f.store, "store", "embedded", storeFlag)
	flags.Float64Var(&f.rate, "rate", 5, "new sessions a second and region that the shopper makes; 0: none")
	flags.BoolVar(&f.naive, "naive", false, "start with the naive client on: beside Segue, it charges again elsewhere when no answer comes")
	flags.StringVar(&f.log, "log", "warn", "debug, info, warn or error")
	return c
}

func runDev(ctx context.Context, s *settings, f devFlags) error {
	if f.naive && f.policy != "" {
		return usageError{errors.New("--naive charges at the simulated providers, and --policy brings your own: leave one out")}
	}
	log, err := newLog(s.io.err, f.log)
	if err != nil {
		return err
	}
	cfg := dev.Config{Dir: f.dir, File: f.policy, UI: f.ui, Seed: f.seed, Rate: f.rate, Naive: f.naive, Log: log, Ports: dev.DefaultPorts(f.offset)}
	cfg.Fatal = func(err error) { log.Error("segue dev cannot go on", "error", err); os.Exit(exitError) }
	if cfg.Seed == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // crypto/rand never fails
		cfg.Seed = binary.LittleEndian.Uint64(b[:]) >> 40
	}
	if err := devStore(&cfg, f.store); err != nil {
		return err
	}
	if f.policy != "" {
		if cfg.Policy, err = s.readFile(f.policy); err != nil {
			return err
		}
	}
	if f.dir == "" {
		if cfg.Dir, err = os.MkdirTemp("", "segue-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(cfg.Dir)
	}
	return serveDev(ctx, s, cfg)
}

// devStore reads --store.
func devStore(cfg *dev.Config, text string) error {
	at, err := parseStore(text)
	if err != nil {
		return err
	}
	cfg.StoreDir = at.dir
	if at.cluster == nil {
		return nil
	}
	o, log := *at.cluster, cfg.Log
	o.Migrate = true
	cfg.OpenStore = func(ctx context.Context, region string) (dataplane.Store, error) {
		return openCluster(ctx, o, region, log.With("region", region))
	}
	return nil
}

func serveDev(ctx context.Context, s *settings, cfg dev.Config) error {
	began := time.Now()
	d, err := dev.New(cfg)
	if err != nil {
		return err
	}
	if err := d.Start(ctx); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(s.io.out, "stopped before it was up")
			return nil
		}
		return err
	}
	s.tellDev(d, cfg, time.Since(began))
	<-ctx.Done()
	fmt.Fprintln(s.io.out, "stopping")
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := d.Stop(end); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// tellDev prints where everything is, and one thing to break.
func (s *settings) tellDev(d *dev.Dev, cfg dev.Config, took time.Duration) {
	out := s.io.out
	fmt.Fprintf(out, "\nSegue is up after %.1f s (seed %d)\n\n  pages and API   http://%s\n", took.Seconds(), cfg.Seed, d.Addr())
	p := d.Policy()
	for _, region := range p.Regions {
		for _, service := range p.Services {
			fmt.Fprintf(out, "  %-15s http://%s\n", service.Name+" "+region.Name, d.Service(region.Name, service.Name))
		}
	}
	if !d.Simulated() {
		fmt.Fprintf(out, "\nYour policy is in force. Point an SDK's base URL at a service, and open the pages.\n\n")
		return
	}
	fmt.Fprintf(out, "  providers' books http://%s/_books\n", d.BooksAddr())
	tellCalls(out, d)
	api := ""
	if d.Addr() != "127.0.0.1:7070" {
		api = " --api http://" + d.Addr()
	}
	fmt.Fprintf(out, "Break something:\n  segue drill run kill-provider --provider main --for 30s --sandbox%s\n", api)
	fmt.Fprintf(out, "See what a naive retry does where replies get lost (also a switch on the overview):\n"+
		"  curl -X POST -H 'Segue-Reason: to see' http://%s/api/v1/sandbox/naive\n"+
		"  segue drill run lost-reply --provider main --for 30s --sandbox%s\n\n", d.Addr(), api)
}

// tellCalls prints a call of each service that the first region has.
func tellCalls(out io.Writer, d *dev.Dev) {
	calls := map[string]string{
		"payments": "/v1/charges -u sk_test_any: -H 'Idempotency-Key: order-1' -d amount=1290 -d currency=eur -d source=tok_visa",
		"sms":      "/2010-04-01/Accounts/ACany/Messages.json -u ACany:any --data-urlencode To=+4915112345678 --data-urlencode From=+15550100100 -d Body=Hello",
		"chat": "/v1/chat/completions -H 'Authorization: Bearer sk_any' -H 'Content-Type: application/json' " +
			`-d '{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hello"}]}'`,
	}
	fmt.Fprint(out, "\nTry a call:\n")
	p := d.Policy()
	for _, s := range p.Services {
		if call := calls[s.Name]; call != "" {
			fmt.Fprintf(out, "  curl -sN http://%s%s\n", d.Service(p.Regions[0].Name, s.Name), call)
		}
	}
}
