package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane"
	"segue/controlplane/feed"
	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

const (
	updateRounds = 5
	updatesEach  = 100
	cutSize      = 4 << 10
)

// benchUpdates measures, in a real cluster of three, from a change's commit until the last agent has received it.
func benchUpdates(t *testing.T, r *report) {
	c := newCluster(t)
	for _, f := range []struct {
		agents int
		within time.Duration
	}{{1, 5 * time.Millisecond}, {100, 10 * time.Millisecond}} {
		t.Run(fmt.Sprint(f.agents), func(t *testing.T) {
			crowd := c.join(t, f.agents)
			for _, kind := range []struct {
				what string
				make func(int) state.Command
			}{{"an order is given or ended", c.order}, {"a weight is moved", c.weight}} {
				r.add(t, receipts(t, c, crowd, f.within, kind.what, kind.make))
			}
		})
	}
}

// receipts makes changes of one kind, and holds the slowest of a hundred against what is promised.
func receipts(t *testing.T, c *cluster, crowd []*receiver, within time.Duration, what string, next func(int) state.Command) figure {
	t.Helper()
	var all, last []time.Duration
	for i := range updateRounds {
		took := make([]time.Duration, updatesEach)
		for k := range took {
			took[k] = c.change(t, crowd, next(c.changes))
		}
		last = append(last, quantile(slices.Clone(took), 0.99))
		all = append(all, took...)
		t.Logf("%s, round %d: p50 %s, p99 %s", what, i+1, ms(median(took)), ms(last[i]))
	}
	p99 := quantile(slices.Clone(all), 0.99)
	return figure{
		what:  fmt.Sprintf("commit → receipt of a 4 KiB Update at the last of %d agent%s, p99 of %d, as a share of %v: %s", len(crowd), plural(len(crowd)), len(all), within, what),
		ratio: float64(p99) / float64(within), most: 1, command: "make bench",
		behind: fmt.Sprintf("p50 %s, p99 %s; the rounds' p99 %s to %s", ms(median(all)), ms(p99), ms(slices.Min(last)), ms(slices.Max(last))),
	}
}

// order gives a drill and ends it in turns, so that never more than one is in force: the Update stays what it is.
func (c *cluster) order(int) state.Command {
	if c.drill != "" {
		return state.Command{EndOrder: &state.EndOrder{ID: c.drill}}
	}
	return state.Command{GiveOrder: &state.GiveOrder{Order: policy.Order{
		Kind: policy.Drill, Provider: "a-00", Regions: []string{"eu"}, For: time.Minute, Fault: policy.Fault{Kind: policy.FaultRefuse, Share: 0.5},
	}}}
}

// weight moves a weight by one per cent.
func (*cluster) weight(n int) state.Command {
	share := float64(n % 100)
	return state.Command{SetWeights: &state.SetWeights{Service: "shop-00", Region: "eu", Weights: []policy.Weight{{Provider: "a-00", Percent: share}, {Provider: "b-00", Percent: 100 - share}}}}
}

// cluster is three control nodes in this process, over real sockets and files.
type cluster struct {
	nodes   []*controlplane.Server
	feeds   []string
	changes int
	drill   string // in force
	dice    *rand.Rand
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	t.Logf("seed %d", seed)
	old, threads := debug.SetGCPercent(400), runtime.GOMAXPROCS(max(4, runtime.NumCPU())) // as segue control does
	t.Cleanup(func() { debug.SetGCPercent(old); runtime.GOMAXPROCS(threads) })
	c := &cluster{dice: rand.New(rand.NewPCG(seed, seed))}
	var peers []controlplane.Peer
	for i := range 3 {
		peers = append(peers, controlplane.Peer{ID: fmt.Sprintf("c%d", i+1), Raft: free(t)})
	}
	dir := t.TempDir()
	for _, p := range peers {
		s, err := controlplane.New(controlplane.Config{
			ID: p.ID, Dir: filepath.Join(dir, p.ID), Listen: "127.0.0.1:0", Raft: p.Raft, Peers: peers,
			Log: slog.New(slog.DiscardHandler), Now: time.Now, Metrics: prometheus.NewRegistry(), Fatal: func(err error) { t.Error(err) },
		})
		must(t, err)
		s.Start()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			must(t, s.Stop(ctx))
		})
		c.nodes, c.feeds = append(c.nodes, s), append(c.feeds, s.Addr())
	}
	c.propose(t, state.Command{ApplyPolicy: &state.ApplyPolicy{Source: wide()}})
	return c
}

// wide is a policy whose cut for a region has 4 KiB.
func wide() []byte {
	var services, providers strings.Builder
	for i := 0; ; i++ {
		fmt.Fprintf(&services, "  shop-%02d: {speaks: stripe/v1, listen: %d, strategy: weighted, weights: {eu: {a-%02d: 70, b-%02d: 30}, us: {a-%02d: 70, b-%02d: 30}}}\n", i, 7101+i, i, i, i, i)
		for _, name := range []string{"a", "b"} {
			fmt.Fprintf(&providers, "  %s-%02d: {contract: stripe/v1, endpoint: \"http://127.0.0.1:7601\", credential: caller}\n", name, i)
		}
		source := []byte("segue: v1\nregions:\n  eu: {standby: [us]}\n  us: {standby: [eu]}\nservices:\n" + services.String() + "providers:\n" + providers.String())
		p, problems := policy.Parse("p.yaml", source)
		if len(problems) > 0 {
			panic(problems)
		}
		if len(policy.Marshal(policy.Cut(p, "eu"))) >= cutSize {
			return source
		}
	}
}

// propose makes a change on whichever node leads.
func (c *cluster) propose(t *testing.T, cmd state.Command) uint64 {
	t.Helper()
	c.changes++
	cmd.Version, cmd.Request, cmd.Actor, cmd.Reason = 1, fmt.Sprint("r", c.changes), "ann", "because"
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	result, err := c.leader(t).Propose(ctx, cmd)
	must(t, err)
	switch {
	case cmd.GiveOrder != nil:
		c.drill = result.Order
	case cmd.EndOrder != nil:
		c.drill = ""
	}
	return result.Index
}

func (c *cluster) leader(t *testing.T) *controlplane.Server {
	t.Helper()
	var leader *controlplane.Server
	eventually(t, "a leader", func() error {
		for _, s := range c.nodes {
			if id, _ := s.Leader(); id == s.ID() {
				leader = s
				return nil
			}
		}
		return errors.New("nobody leads")
	})
	return leader
}

// receiver is an agent that only receives.
type receiver struct{ got chan receipt }

type receipt struct {
	index uint64
	size  int
	at    time.Time
}

func (r *receiver) Apply(u state.Update) error {
	r.got <- receipt{u.Index, len(u.Policy), time.Now()}
	return nil
}

func (*receiver) Report() health.Report { return health.Report{} }
func (*receiver) Answer(context.Context, query.Question) ([]byte, error) {
	return nil, errors.New("only receives")
}

// join attaches agents, each to whichever node it finds first, and waits until each has the policy.
func (c *cluster) join(t *testing.T, n int) []*receiver {
	t.Helper()
	return attach(t, c.feeds, n)
}

func attach(t *testing.T, nodes []string, n int) []*receiver {
	t.Helper()
	crowd := make([]*receiver, n)
	for i := range crowd {
		crowd[i] = &receiver{got: make(chan receipt, 1024)}
		a, err := feed.NewAgent(feed.AgentConfig{Control: nodes, Agent: fmt.Sprintf("agent-%d", i), Region: "eu", Run: "r", Local: crowd[i], Log: slog.New(slog.DiscardHandler), Now: time.Now})
		must(t, err)
		a.Start()
		t.Cleanup(a.Stop)
	}
	for _, r := range crowd {
		for first := (receipt{}); first.size == 0; { // a follower may not have it yet
			first = <-r.got
		}
	}
	return crowd
}

// change makes a change, and returns how long after its commit the last agent had it. The commit is seen where the leader publishes
// what it applied; whoever saw it first counts: this test's own look there, the proposer's answer, or an agent. The pause before keeps
// out of step with reports, beats and acknowledgements: operators do not come in a loop.
func (c *cluster) change(t *testing.T, crowd []*receiver, cmd state.Command) time.Duration {
	t.Helper()
	c.pause()
	leader := c.leader(t)
	changed, published := leader.Changed(), make(chan time.Time, 1)
	go func() { // ends with the change, which is awaited below
		<-changed
		published <- time.Now()
	}()
	index := c.propose(t, cmd)
	commit := earlier(time.Now(), <-published)
	var last time.Time
	for _, r := range crowd {
		got := <-r.got
		for got.index < index {
			got = <-r.got
		}
		if got.size < cutSize {
			t.Fatalf("an update of %d bytes", got.size)
		}
		if commit = earlier(commit, got.at); got.at.After(last) {
			last = got.at
		}
	}
	return last.Sub(commit)
}

func (c *cluster) pause() { <-time.After(time.Duration(c.dice.Int64N(int64(40 * time.Millisecond)))) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
