package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"segue/cmd/segue/dev"
	"segue/controlplane"
)

type controlFlags struct {
	id, dir, listen, raft, peers, log string
	join                              bool
	diskTimeout                       time.Duration
}

func newControl(s *settings) *cobra.Command {
	f := controlFlags{}
	c := &cobra.Command{
		Use:   "control",
		Short: "Run one control node",
		Long: `Runs one control node: it holds the policy, serves agents, the API and the pages.

Give every node the same --peers: the replica addresses of all voters, in the same
order everywhere. A node finds itself in the list by its --raft. Without --peers the
node is alone. Several nodes on one machine count up from ports 7070 and 7080.

A node that is to be added to a cluster that runs is started with --id, --join and an
empty --dir, without --peers: it begins nothing of its own and waits until somebody
says "segue cluster add ID RAFT-ADDR". Later starts may keep --join.

Until certificates and sign-in come, only loopback addresses are served.`,
		Example: `  segue control --dir /var/lib/segue/control
  segue control --dir c1 --listen 127.0.0.1:7070 --raft 127.0.0.1:7080 --peers 127.0.0.1:7080,127.0.0.1:7081,127.0.0.1:7082
  segue control --dir c2 --listen 127.0.0.1:7071 --raft 127.0.0.1:7081 --peers 127.0.0.1:7080,127.0.0.1:7081,127.0.0.1:7082
  segue control --id c4 --join --dir c4 --listen 127.0.0.1:7073 --raft 127.0.0.1:7083`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runControl(c.Context(), s, f) },
	}
	c.Flags().StringVar(&f.id, "id", "", "the node's name (default: c1, c2 … by its place in --peers)")
	c.Flags().StringVar(&f.dir, "dir", "", "where the node keeps its log and snapshots")
	c.Flags().StringVar(&f.listen, "listen", "", "feed, API and pages (default: the first free of 127.0.0.1:7070 and up)")
	c.Flags().StringVar(&f.raft, "raft", "", "the replica's address (default: the first free of 127.0.0.1:7080 and up)")
	c.Flags().StringVar(&f.peers, "peers", "", "replica addresses of all voters, comma-separated: ADDR or ID=ADDR")
	c.Flags().BoolVar(&f.join, "join", false, "wait to be added to a cluster that runs: segue cluster add")
	c.Flags().DurationVar(&f.diskTimeout, "disk-timeout", 10*time.Second, "a write that takes longer ends the node, if another voter can lead")
	c.Flags().StringVar(&f.log, "log", "info", "debug, info, warn or error")
	_ = c.MarkFlagRequired("dir")
	return c
}

func runControl(ctx context.Context, s *settings, f controlFlags) error {
	tuneMemory(controlGrows)
	tuneThreads()
	log, err := newLog(s.io.err, f.log)
	if err != nil {
		return err
	}
	cfg, err := controlConfig(f)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg.Log, cfg.Now, cfg.Metrics = log, time.Now, registry
	cfg.Fatal = func(err error) { log.Error("the node cannot go on", "error", err); os.Exit(exitError) }
	if n := len(cfg.Peers); n%2 == 0 && !cfg.Join {
		log.Warn("an even number of voters survives no more deaths than one less would: three or five are meant", "peers", n)
	}
	node, err := controlplane.New(cfg)
	if err != nil {
		return err
	}
	pages, err := dev.Mount(node, "control", log)
	if err != nil {
		return err
	}
	node.Start()
	fmt.Fprintf(s.io.out, "control node %s: pages, API and feed on http://%s, replica on %s\n", cfg.ID, node.Addr(), cfg.Raft)
	if cfg.Join && !node.Member() {
		fmt.Fprintf(s.io.out, "control node %s waits to be added: segue cluster add %s %s\n", cfg.ID, cfg.ID, cfg.Raft)
	}
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(pages.Close(), node.Stop(end))
}

func controlConfig(f controlFlags) (controlplane.Config, error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return controlplane.Config{}, fmt.Errorf("--dir: %w", err)
	}
	if f.diskTimeout < time.Second {
		return controlplane.Config{}, usageError{fmt.Errorf("--disk-timeout is %s: 1s or more, a busy disk takes as long now and then", f.diskTimeout)}
	}
	cfg := controlplane.Config{ID: f.id, Dir: f.dir, Listen: f.listen, Raft: f.raft, DiskTimeout: f.diskTimeout}
	var err error
	if cfg.Raft, err = addressOr(cfg.Raft, 7080, "--raft"); err != nil {
		return cfg, err
	}
	if cfg.Listen, err = addressOr(cfg.Listen, 7070, "--listen"); err != nil {
		return cfg, err
	}
	if f.join {
		return joining(cfg, f)
	}
	if cfg.Peers, err = parsePeers(f.peers); err != nil {
		return cfg, err
	}
	if err := placeSelf(&cfg); err != nil {
		return cfg, err
	}
	if f.raft != "" && cfg.Raft != f.raft {
		return cfg, usageError{fmt.Errorf("--raft is %s, but --peers has node %s at %s", f.raft, cfg.ID, cfg.Raft)}
	}
	return cfg, nil
}

// joining is the configuration of a node that waits to be added. A list of peers would make it begin a cluster.
func joining(cfg controlplane.Config, f controlFlags) (controlplane.Config, error) {
	switch {
	case f.id == "":
		return cfg, usageError{errors.New("--join: give the node a name that no other has, with --id")}
	case f.peers != "":
		return cfg, usageError{errors.New("--join and --peers do not go together: a node that joins learns its peers when it is added")}
	}
	cfg.Join = true
	return cfg, nil
}

// parsePeers reads ADDR or ID=ADDR, comma-separated. An id that is not given is the place in the list.
func parsePeers(list string) ([]controlplane.Peer, error) {
	if list == "" {
		return nil, nil
	}
	var peers []controlplane.Peer
	for i, entry := range strings.Split(list, ",") {
		id, addr, named := strings.Cut(strings.TrimSpace(entry), "=")
		if !named {
			id, addr = fmt.Sprintf("c%d", i+1), id
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, usageError{fmt.Errorf("--peers: %q is not host:port: %w", entry, err)}
		}
		for _, p := range peers {
			if p.ID == id || p.Raft == addr {
				return nil, usageError{fmt.Errorf("--peers: %q stands twice: each voter has a name and an address of its own", entry)}
			}
		}
		peers = append(peers, controlplane.Peer{ID: id, Raft: addr})
	}
	return peers, nil
}

// placeSelf finds the node in its list of peers: by its name where it was given one, else by its replica's address.
func placeSelf(cfg *controlplane.Config) error {
	if len(cfg.Peers) == 0 {
		if cfg.ID == "" {
			cfg.ID = "c1"
		}
		cfg.Peers = []controlplane.Peer{{ID: cfg.ID, Raft: cfg.Raft}}
		return nil
	}
	i := slices.IndexFunc(cfg.Peers, func(p controlplane.Peer) bool {
		return cfg.ID != "" && p.ID == cfg.ID || cfg.ID == "" && p.Raft == cfg.Raft
	})
	if i < 0 {
		return usageError{fmt.Errorf("--peers does not hold this node: --id is %q, --raft is %s", cfg.ID, cfg.Raft)}
	}
	cfg.ID, cfg.Raft = cfg.Peers[i].ID, cfg.Peers[i].Raft
	return nil
}

// addressOr returns addr, or the first free loopback port from port on: several processes on one machine count up.
func addressOr(addr string, port int, flag string) (string, error) {
	if addr != "" {
		return addr, nil
	}
	for p := port; p < port+10; p++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("ports %d to %d are all in use: name one with %s", port, port+9, flag)
}
