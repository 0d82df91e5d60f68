package cassandra

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/cassandra/clustertest"
	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
	"segue/dataplane/session/sessiontest"
)

// centres are the data centres of the three nodes; each keeps one copy.
var centres = []string{"us", "eu", "ap"}

// TestThree is everything that needs three data centres, on one cluster: the suites; linearizability while nodes are killed and paused;
// a quorum that is lost and comes back. SEGUE_OPS (5000), SEGUE_OUTAGE (15s) and SEGUE_SEED change the run.
func TestThree(t *testing.T) {
	needed(t)
	c, err := clustertest.Start(nil, centres...)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	maker := open(t, Options{Hosts: c.Hosts(), Datacenter: "us", Migrate: true})
	if k, err := maker.keyspaces(t.Context()); err != nil || len(k) != 2 || len(k[0].Copies) != 3 || k[0].Copies["eu"] != 1 {
		t.Fatalf("a copy in each data centre was asked for: %+v, %v", k, err)
	}
	t.Run("ledger", func(t *testing.T) {
		ledgertest.Run(t, func(t *testing.T) func() ledger.Store {
			again := around(t, c, maker)
			return func() ledger.Store { return again().Ledger() }
		})
	})
	t.Run("runs and payloads", func(t *testing.T) {
		ledgertest.RunParts(t, func(t *testing.T) func() ledgertest.Parts {
			again := around(t, c, maker)
			return func() ledgertest.Parts { return again() }
		})
	})
	t.Run("sessions", func(t *testing.T) {
		sessiontest.Run(t, func(t *testing.T) func() session.Store {
			again := around(t, c, maker)
			return func() session.Store { return again().Sessions() }
		})
	})
	emptied(t, maker)
	t.Run("faults", func(t *testing.T) { faults(t, c) })
	t.Run("no quorum", func(t *testing.T) { noQuorum(t, c) })
	t.Run("the first comes back last", func(t *testing.T) {
		must(t, errors.Join(c.Kill(3), c.Kill(1)))
		must(t, errors.Join(c.Up(3), c.Up(1)))
		s := open(t, Options{Hosts: c.Hosts(), Datacenter: "ap"})
		until(t, "claims are taken", func() bool {
			_, won, err := s.Ledger().Claim(t.Context(), quorumRow("last", 0))
			return err == nil || won
		})
	})
}

// around returns a function that opens the store on empty tables, each time in the next data centre. It commits everywhere at once: the suites
// use the same keys again and again, and a commit that reaches a node after its table was emptied would bring a row of the last case back.
func around(t *testing.T, c *clustertest.Cluster, maker *Store) func() *Store {
	emptied(t, maker)
	var s *Store
	n := 0
	return func() *Store {
		if s != nil {
			shut(t, s)
		}
		s = open(t, patient(Options{Hosts: c.Hosts(), Datacenter: centres[n%3], test: hooks{commit: gocql.All}}))
		n++
		return s
	}
}

// regional are stores of three agents, each in a data centre of its own.
func regional(t *testing.T, c *clustertest.Cluster) []*Store {
	t.Helper()
	var out []*Store
	for _, dc := range centres {
		out = append(out, open(t, Options{Hosts: c.Hosts(), Datacenter: dc}))
	}
	return out
}

// faults: nodes are killed and paused, one after the other, under workers that write the same rows in three data centres, and under others
// that write sessions.
func faults(t *testing.T, c *clustertest.Cluster) {
	stores := regional(t, c)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	talk := &talks{acknowledged: map[session.Key][]session.Event{}, took: map[string][]time.Duration{}}
	kills, pauses, ops := 0, 0, int(number("SEGUE_OPS", 5000))
	var talking sync.WaitGroup
	l := ledgertest.Linearizable(t, func(worker int) ledger.Store { return stores[worker%3].Ledger() }, ops, func(l *ledgertest.Load) {
		talking.Go(func() { talk.run(ctx, stores, l) })
		kills, pauses = nemesis(t, c, l, ops)
	})
	stop()
	talking.Wait()
	talk.check(t, stores[0])
	t.Logf("%d kills, %d pauses", kills, pauses)
	for _, phase := range []string{calm, dead, paused} {
		figures(t, "claims, "+phase, l.Claims(phase))
		figures(t, "sessions, "+phase, talk.took[phase])
	}
}

// The phases of a load.
const (
	calm   = "calm"
	dead   = "one of three dead"
	paused = "one of three paused"
)

// nemesis kills or pauses one node after another until enough operations ran. In each phase work must go on.
func nemesis(t *testing.T, c *clustertest.Cluster, l *ledgertest.Load, enough int) (kills, pauses int) {
	rng := rand.New(rand.NewPCG(l.Seed(), 99))
	more := func(what string, n int) {
		at := l.Ops()
		until(t, what, func() bool { return l.Ops() >= at+n })
	}
	l.In("warming up")
	more("the cluster is warm", 500)
	for round := 0; round < 2 || l.Ops() < enough; round++ {
		l.In(calm)
		more("work goes on with all nodes", 300)
		node := 1 + rng.IntN(3)
		if round%2 == 0 {
			must(t, c.Kill(node))
			l.In(dead)
			more("work goes on with one node dead", 400)
			l.In("coming back")
			must(t, c.Up(node))
			kills++
			continue
		}
		must(t, c.Pause(node))
		l.In(paused)
		more("work goes on with one node paused", 400)
		l.In("coming back")
		must(t, c.Resume(node))
		pauses++
	}
	return kills, pauses
}

// figures reports latencies, and demands that there are some.
func figures(t *testing.T, what string, took []time.Duration) {
	t.Helper()
	if len(took) == 0 {
		t.Errorf("%s: nothing was acknowledged", what)
		return
	}
	slices.Sort(took)
	t.Logf("%-34s %6d: p50 %8s, p99 %8s, longest %s", what, len(took), took[len(took)/2].Round(100*time.Microsecond),
		took[len(took)*99/100].Round(100*time.Microsecond), took[len(took)-1].Round(time.Millisecond))
}

// talks are sessions that are written while things fail.
type talks struct {
	acknowledged map[session.Key][]session.Event
	took         map[string][]time.Duration
	failed       int
}

// run writes events, a few to each session, by the store of each data centre in turn.
func (k *talks) run(ctx context.Context, stores []*Store, l *ledgertest.Load) {
	began := time.Now().UTC().Truncate(time.Microsecond)
	for n := 0; ctx.Err() == nil; n++ {
		key := session.Key{App: "default", ID: fmt.Sprintf("talk-%d-%d", l.Seed(), n/10)}
		e := session.Event{At: began.Add(time.Duration(n) * time.Microsecond), Pin: session.Pin{Service: "chat", Provider: fmt.Sprintf("p%d", n)}}
		phase, before := l.Phase(), time.Now()
		limited, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		err := stores[n%3].Sessions().Append(limited, key, e)
		cancel()
		if err != nil {
			k.failed++
			continue
		}
		k.acknowledged[key] = append(k.acknowledged[key], e)
		k.took[phase] = append(k.took[phase], time.Since(before))
	}
}

// check reads back everything that was acknowledged.
func (k *talks) check(t *testing.T, s *Store) {
	t.Helper()
	events := 0
	for key, want := range k.acknowledged {
		found, err := sessions{s}.events(t.Context(), gocql.Quorum, key)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range want {
			events++
			if !slices.ContainsFunc(found, func(f event) bool { return f.At.Equal(e.At) && f.Pin == e.Pin }) {
				t.Errorf("%s: the event of %s was acknowledged and is lost", key.ID, e.At)
			}
		}
	}
	t.Logf("%d sessions, %d events acknowledged and there, %d were not taken", len(k.acknowledged), events, k.failed)
}

// noQuorum: with one data centre hanging and one dead, nothing guarded is acknowledged, and errors say that nobody knows. When they are
// back, what was acknowledged before is there, and each write of the outage is there as it was meant or not at all.
func noQuorum(t *testing.T, c *clustertest.Cluster) {
	length := 15 * time.Second // longer where the product runs on it: TestCassandra in e2e
	if d, err := time.ParseDuration(os.Getenv("SEGUE_OUTAGE")); err == nil {
		length = d
	}
	s := open(t, Options{Hosts: c.Hosts(), Datacenter: "us"})
	before := claimed(t, s, 20)
	must(t, c.Kill(3))
	shows(t, Options{Hosts: c.Hosts(), Datacenter: "us"}, "centre", Wrong, "data centre ap is out of reach", "bring it back")
	must(t, c.Pause(2))
	began := time.Now()
	var during []*ledger.Transaction
	var slowest time.Duration
	for n := 0; time.Since(began) < length; n++ {
		tx := quorumRow("during", n)
		during = append(during, tx)
		slowest = max(slowest, s.refuses(t, tx, before[n%len(before)]))
	}
	must(t, errors.Join(c.Resume(2), c.Up(3)))
	back := time.Now()
	until(t, "guarded work goes on", func() bool {
		_, won, err := s.Ledger().Claim(t.Context(), quorumRow("after", 0))
		return err == nil || won
	})
	t.Logf("%s without a quorum: %d claims, none acknowledged, the slowest refused after %s; %s after the nodes were back claims are taken",
		length, len(during), slowest.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
	for _, tx := range before {
		got, err := s.Ledger().Load(t.Context(), tx.Key)
		if err != nil || got.ID != tx.ID || got.Version > 2 {
			t.Errorf("%s was acknowledged, and is %+v: %v", tx.ID, got, err)
		}
	}
	applied := 0
	for _, tx := range during {
		current, won, err := s.Ledger().Claim(t.Context(), tx)
		if err != nil || current.ID != tx.ID || current.Token != tx.Token {
			t.Errorf("%s afterwards: %+v, %v", tx.ID, current, err)
		}
		if !won {
			applied++
		}
	}
	t.Logf("%d of the %d claims that nobody acknowledged had been applied", applied, len(during))
}

// refuses makes a claim and an advance that must not be acknowledged, and returns how long the claim took.
func (s *Store) refuses(t *testing.T, tx, row *ledger.Transaction) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	began := time.Now()
	_, won, err := s.Ledger().Claim(ctx, tx)
	took := time.Since(began)
	if won || !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotWritten) {
		t.Errorf("a claim without a quorum: won %v: %v", won, err)
	}
	if q := (*ledger.NoQuorum)(nil); errors.As(err, &q) && (q.Alive != 1 || q.Needed != 2) {
		t.Errorf("a claim without a quorum: %d of %d copies answer: %v", q.Alive, q.Needed, err)
	}
	if _, err := s.Ledger().Load(ctx, tx.Key); err == nil || errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a read without a quorum: %v", err)
	}
	next := row.Clone()
	next.State, next.Version = ledger.Held, 2
	limited, end := context.WithTimeout(t.Context(), 2*time.Second)
	defer end()
	if _, how, err := s.Ledger().Advance(limited, next); err == nil {
		t.Errorf("an outcome without a quorum: %d", how)
	}
	return took
}

func quorumRow(what string, n int) *ledger.Transaction {
	tx := ledgertest.Sample(n)
	tx.Key.Key, tx.ID = fmt.Sprintf("quorum-%s-%d", what, n), fmt.Sprintf("tx_q_%s_%d", what, n)
	tx.Token[5] = byte(n)
	return tx
}

// claimed makes rows that are acknowledged.
func claimed(t *testing.T, s *Store, n int) (rows []*ledger.Transaction) {
	t.Helper()
	for i := range n {
		tx := quorumRow("before", i)
		if _, won, err := s.Ledger().Claim(t.Context(), tx); err != nil || !won {
			t.Fatalf("won %v: %v", won, err)
		}
		rows = append(rows, tx)
	}
	return rows
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// number reads a test's figure from the environment.
func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}
