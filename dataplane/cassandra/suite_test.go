package cassandra

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
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

// shared is the one node that most tests use. It starts with the first of them.
var shared struct {
	once    sync.Once
	cluster *clustertest.Cluster
	store   *Store // makes the schema, and empties the tables
	err     error
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if shared.store != nil {
		_ = shared.store.Close()
	}
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// one returns the hosts of the shared node.
func one(t testing.TB) []string {
	t.Helper()
	needed(t)
	shared.once.Do(func() {
		if shared.cluster, shared.err = clustertest.Start(nil, "dc1"); shared.err != nil {
			return
		}
		shared.store, shared.err = Open(context.Background(), Options{Hosts: shared.cluster.Hosts(), Migrate: true, Log: quiet()})
	})
	must(t, shared.err)
	return shared.cluster.Hosts()
}

// needed leaves out what needs a real Cassandra, unless that was asked for: then a machine that cannot have one fails.
func needed(t testing.TB) {
	t.Helper()
	if os.Getenv("SEGUE_CASSANDRA") == "" {
		t.Skip("needs a real Cassandra: make cassandra")
	}
}

func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// emptyTables are those that the suites write to.
var emptyTables = []string{"ledger.tx", "ledger.slot", "ledger.open", "ledger.payload", "ledger.kept", "ledger.run", "ledger.object", "ledger.id", "ledger.name", "ledger.minute", "ledger.recent", "ledger.due", "soft.session", "soft.history"}

func empty(t testing.TB) {
	t.Helper()
	emptied(t, shared.store)
}

// emptied empties the tables that have rows.
func emptied(t testing.TB, s *Store) {
	t.Helper()
	var group sync.WaitGroup
	for _, table := range emptyTables {
		group.Go(func() {
			err := patiently(t.Context(), func(ctx context.Context) error {
				if rows := s.query(ctx, gocql.Quorum, "SELECT * FROM "+table+" LIMIT 1").Iter(); rows.NumRows() == 0 {
					return rows.Close()
				}
				return s.query(ctx, gocql.Quorum, "TRUNCATE "+table).Exec()
			})
			if err != nil {
				t.Errorf("truncate %s: %v", table, err)
			}
		})
	}
	group.Wait()
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	if o.Log == nil {
		o.Log = quiet()
	}
	s, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, s) })
	return s
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// patient waits longer than an agent's callers would: a machine that does much else at once is slow, which is not what the suites are about.
func patient(o Options) Options {
	o.Timeout, o.Resolve = 10*time.Second, 45*time.Second
	return o
}

// reopener returns a function that opens the store on empty tables, each time after it closed it.
func reopener(t *testing.T) func() *Store {
	hosts := one(t)
	empty(t)
	var s *Store
	return func() *Store {
		if s != nil {
			shut(t, s)
		}
		s = open(t, patient(Options{Hosts: hosts}))
		return s
	}
}

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) func() ledger.Store {
		again := reopener(t)
		return func() ledger.Store { return again().Ledger() }
	})
}

func TestParts(t *testing.T) {
	ledgertest.RunParts(t, func(t *testing.T) func() ledgertest.Parts {
		again := reopener(t)
		return func() ledgertest.Parts { return again() }
	})
}

func TestSessions(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) func() session.Store {
		again := reopener(t)
		return func() session.Store { return again().Sessions() }
	})
}
