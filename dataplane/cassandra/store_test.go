package cassandra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/cassandra/clustertest"
	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

// loser is a dialer whose connections lose answers: an armed one breaks off when the answer to a request comes, which was executed by then.
type loser struct {
	net.Dialer
	armed atomic.Int32
	lost  atomic.Int32
}

func (l *loser) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := l.Dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &losing{Conn: c, loser: l}, nil
}

type losing struct {
	net.Conn
	loser  *loser
	doomed atomic.Bool
}

// execute is the opcode of a prepared statement's execution, the fifth byte of a frame.
const execute = 0x0a

func (c *losing) Write(b []byte) (int, error) {
	if len(b) > 4 && b[4] == execute && bytes.Contains(b, []byte("tx_")) && c.loser.armed.CompareAndSwap(1, 0) {
		c.doomed.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *losing) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.doomed.Load() {
		c.loser.lost.Add(1)
		_ = c.Close()
		return 0, errors.New("the answer is lost")
	}
	return n, err
}

// TestLostAnswers: a conditional write whose answer is lost is found to be our own, and never another's.
func TestLostAnswers(t *testing.T) {
	hosts := one(t)
	empty(t)
	l := &loser{}
	s := open(t, Options{Hosts: hosts, test: hooks{dial: l}}).Ledger()
	for n := range 12 {
		tx := ledgertest.Sample(n)
		l.armed.Store(1)
		if current, won, err := s.Claim(t.Context(), tx); err != nil || !won || !reflect.DeepEqual(current, tx) {
			t.Fatalf("claim %d: won %v, %v", n, won, err)
		}
		for version := uint64(2); version < 5; version++ {
			tx = tx.Clone()
			tx.State, tx.Version, tx.Token[1] = ledger.Held, version, byte(version)
			l.armed.Store(1)
			if _, how, err := s.Advance(t.Context(), tx); err != nil || how != ledger.Stored {
				t.Fatalf("advance %d to %d: %d, %v", n, version, how, err)
			}
		}
		if got, err := s.ByID(t.Context(), tx.ID); err != nil || !reflect.DeepEqual(got, tx) {
			t.Fatalf("%+v, want %+v: %v", got, tx, err)
		}
	}
	if l.lost.Load() < 24 {
		t.Errorf("only %d answers were lost: the test shows nothing", l.lost.Load())
	}
}

// TestLongTrail: a row knows who wrote its last eight versions, and says so no longer of older ones.
func TestLongTrail(t *testing.T) {
	hosts := one(t)
	empty(t)
	s := open(t, Options{Hosts: hosts})
	l := transactions{s}
	tx := ledgertest.Sample(1)
	if _, won, err := l.Claim(t.Context(), tx); err != nil || !won {
		t.Fatalf("won %v: %v", won, err)
	}
	for version := uint64(2); version < 14; version++ {
		tx = tx.Clone()
		tx.State, tx.Version = ledger.Held, version
		if _, how, err := l.Advance(t.Context(), tx); err != nil || how != ledger.Stored {
			t.Fatalf("advance to %d: %d: %v", version, how, err)
		}
	}
	r, err := s.row(t.Context(), hashOf(tx))
	if err != nil || len(r.trail) != trailLength {
		t.Fatalf("the trail has %d marks: %v", len(r.trail), err)
	}
	stale := tx.Clone()
	stale.Version = 3
	if _, _, err := l.Advance(t.Context(), stale); !errors.Is(err, ErrUnknown) {
		t.Errorf("a write that is ten versions late: %v", err)
	}
	stale.Version = 12
	if current, how, err := l.Advance(t.Context(), stale); err != nil || how != ledger.Lost || current.Version != 13 {
		t.Errorf("a write that is late: %v, %d, %v", current, how, err)
	}
}

// TestLargeAnswer: an answer beyond what a row carries comes back whole, and one that was damaged is told.
func TestLargeAnswer(t *testing.T) {
	hosts := one(t)
	empty(t)
	s := open(t, Options{Hosts: hosts})
	tx := ledgertest.Sample(1)
	if _, _, err := s.Ledger().Claim(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	done := tx.Clone()
	done.State, done.Version = ledger.DoneSucceeded, 2
	done.Current().Outcome = ledger.Succeeded
	done.Answer = &ledger.StoredAnswer{Status: 200, Sealed: bytes.Repeat([]byte("0123456789abcdef"), ledger.MaxAnswer/16), Kept: true}
	if _, how, err := s.Ledger().Advance(t.Context(), done); err != nil || how != ledger.Stored {
		t.Fatalf("%d: %v", how, err)
	}
	if got, err := s.Ledger().Load(t.Context(), tx.Key); err != nil || !reflect.DeepEqual(got, done) {
		t.Fatalf("the answer came back other than it went: %v", err)
	}
	r, err := s.row(t.Context(), hashOf(tx))
	if err != nil || len(r.encoded) > 4096 {
		t.Errorf("the row itself has %d bytes: %v", len(r.encoded), err)
	}
	if err := s.query(t.Context(), gocql.Quorum, "UPDATE ledger.payload SET sealed = 0x00 WHERE k = ? AND epoch = 0 AND part = ? AND n = 2", hashOf(tx), part(r.outside)).Exec(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ledger().Load(t.Context(), tx.Key); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged answer: %v", err)
	}
}

// TestEntriesGo: what is closed leaves no entry behind, and the slot of a process that ended goes with its last.
func TestEntriesGo(t *testing.T) {
	hosts := one(t)
	empty(t)
	s := open(t, Options{Hosts: hosts})
	for n := range 5 {
		tx := ledgertest.Sample(n)
		if _, _, err := s.Ledger().Claim(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		loser := ledgertest.Sample(100 + n)
		loser.Key = tx.Key
		if _, won, err := s.Ledger().Claim(t.Context(), loser); err != nil || won {
			t.Fatalf("the second claim: won %v: %v", won, err)
		}
		if n == 0 {
			continue // stays open
		}
		tx = tx.Clone()
		tx.State, tx.Version = ledger.Refused, 2
		if _, how, err := s.Ledger().Advance(t.Context(), tx); err != nil || how != ledger.Stored {
			t.Fatalf("%d: %v", how, err)
		}
	}
	until(t, "one open entry is left", func() bool { return count(t, "ledger.open") == 1 })
	tx := ledgertest.Sample(0)
	tx.State, tx.Version = ledger.DoneDeclined, 2
	if _, _, err := s.Ledger().Advance(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	if entries, slots := count(t, "ledger.open"), count(t, "ledger.slot"); entries+slots > 0 {
		t.Errorf("%d entries and %d slots are left", entries, slots)
	}
	if _, err := s.Ledger().Load(t.Context(), tx.Key); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
}

// TestOwed: a row whose entry and indices could not be written is not shown to its driver before they are.
func TestOwed(t *testing.T) {
	hosts := one(t)
	empty(t)
	s := open(t, Options{Hosts: hosts})
	tx := ledgertest.Sample(1)
	if _, _, err := s.Ledger().Claim(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"ledger.open", "ledger.id"} { // as if they had failed
		if err := shared.store.query(t.Context(), gocql.Quorum, "TRUNCATE "+table).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	s.entries.owe(hashOf(tx), tx)
	if _, err := s.Ledger().Load(t.Context(), tx.Key); err != nil {
		t.Fatal(err)
	}
	if entries, ids := count(t, "ledger.open"), count(t, "ledger.id"); entries != 1 || ids != 1 || len(s.entries.owed) > 0 {
		t.Errorf("%d entries and %d ids; %d are owed still", entries, ids, len(s.entries.owed))
	}
}

func count(t *testing.T, table string) (n int) {
	t.Helper()
	if err := shared.store.query(t.Context(), gocql.Quorum, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(4 * time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so in time: %s", what)
		}
	}
}

// TestPlant: what a fenced run left is found, and a claim of it that was cut off before its row was written comes too late afterwards.
func TestPlant(t *testing.T) {
	hosts := one(t)
	empty(t)
	s := open(t, Options{Hosts: hosts})
	there, late := ledgertest.Sample(1), ledgertest.Sample(2)
	if _, _, err := s.Ledger().Claim(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	if _, err := s.openEntry(t.Context(), hashOf(late), late); err != nil { // the entry got there, the row did not
		t.Fatal(err)
	}
	if err := s.query(t.Context(), gocql.Quorum, "INSERT INTO ledger.open (run, slot, k, n, at) VALUES (?, ?, 0x01, 7, 7)", late.Run, s.entries.slots[late.Run].number).Exec(); err != nil {
		t.Fatal(err) // as the first version wrote them
	}
	left := func() (ids []string) {
		if err := s.Runs().Left(t.Context(), late.Run, func(t *ledger.Transaction) bool {
			ids = append(ids, t.ID)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if ids := left(); !reflect.DeepEqual(ids, []string{there.ID}) {
		t.Errorf("left: %v", ids)
	}
	if current, won, err := s.Ledger().Claim(t.Context(), late); err != nil || won || !current.Planted() || current.Key != late.Key {
		t.Errorf("the late claim: won %v, %+v: %v", won, current, err)
	}
	until(t, "the entries of the planted row and of the lost claim are gone", func() bool { return count(t, "ledger.open") == 2 })
	if ids := left(); !reflect.DeepEqual(ids, []string{there.ID}) {
		t.Errorf("left afterwards: %v", ids)
	}
}

// TestRenew: an open row gets new life, stays what it is, and a driver that holds it loses nothing.
func TestRenew(t *testing.T) {
	hosts := one(t)
	empty(t)
	short, long := open(t, Options{Hosts: hosts, Keep: time.Minute}), open(t, Options{Hosts: hosts})
	tx := ledgertest.Sample(1)
	if _, _, err := short.Ledger().Claim(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	if n, err := (transactions{short}).renew(t.Context()); err != nil || n != 0 {
		t.Fatalf("young rows: %d were renewed: %v", n, err)
	}
	if n, err := (transactions{long}).renew(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d rows were renewed: %v", n, err)
	}
	var life int
	var trail map[int64]gocql.UUID
	if err := long.read(t.Context(), serial, long.names.life, hashOf(tx)).Scan(&life, &trail); err != nil || life < seconds(DefaultKeep)-60 || len(trail) != 1 {
		t.Errorf("%d seconds are left: %v", life, err)
	}
	next := tx.Clone()
	next.State, next.Version = ledger.Held, 2
	if _, how, err := short.Ledger().Advance(t.Context(), next); err != nil || how != ledger.Stored {
		t.Errorf("its driver: %d: %v", how, err)
	}
}

// TestSchema: what a program finds that is not the schema it knows.
func TestSchema(t *testing.T) {
	hosts := one(t)
	o := Options{Hosts: hosts, Ledger: "ledger_b", Soft: "soft_b", Log: quiet()}
	refused := func(what string, want error, text string) {
		t.Helper()
		if s, err := Open(t.Context(), o); !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", what, err)
			if s != nil {
				shut(t, s)
			}
		}
	}
	exec := func(statement string) {
		t.Helper()
		must(t, patiently(t.Context(), func(ctx context.Context) error { return shared.store.query(ctx, gocql.Quorum, statement).Exec() }))
	}
	refused("nothing is there", ErrNoSchema, "migrate=true in --store")
	o.Migrate = true
	all := migrations
	migrations = all[:1] // as the first version did
	old, err := Open(t.Context(), o)
	migrations = all
	must(t, err)
	must(t, old.Close())
	o.Migrate = false
	refused("the first version's", ErrNoSchema, "migration 2 (")
	o.Migrate = true
	var group sync.WaitGroup // told to migrate by mistake, several do no harm
	errs := make([]error, 3)
	for i := range errs {
		group.Go(func() {
			s, err := Open(t.Context(), o)
			if errs[i] = err; err == nil {
				errs[i] = s.Close()
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	o.Migrate = false
	shut(t, open(t, o))
	exec("UPDATE ledger_b.migration SET state = 'begun' WHERE n = 1 IF EXISTS")
	refused("half migrated", ErrHalfMigrated, "migrate=true&resume=true in --store")
	shows(t, o, "tables", Wrong, "number 1 was begun at", "migrate=true&resume=true")
	o.Migrate, o.Resume = true, true
	shut(t, open(t, o))
	o.Migrate, o.Resume = false, false
	shut(t, open(t, o))
	exec("INSERT INTO ledger_b.migration (n, state) VALUES (3, 'done') IF NOT EXISTS")
	refused("a newer schema", ErrNewerSchema, "it has migration 3; this program knows 2")
	o.Migrate = true
	refused("a newer schema, to be migrated", ErrNewerSchema, "this program knows 2")
	exec("DELETE FROM ledger_b.migration WHERE n = 3 IF EXISTS")
	exec("UPDATE ledger_b.migration SET digest = 0x00 WHERE n = 1 IF EXISTS")
	o.Migrate = false
	refused("another history", ErrOtherSchema, "one of them is no release")
	exec("DROP KEYSPACE IF EXISTS ledger_b")
	exec("DROP KEYSPACE IF EXISTS soft_b")
}

// TestRefusesPeriodic: on a cluster that acknowledges what a power cut takes back, nothing new is claimed; outcomes are still recorded.
func TestRefusesPeriodic(t *testing.T) {
	one(t)
	c, err := clustertest.Start([]string{"SEGUE_CASSANDRA_SYNC=periodic", "SEGUE_CASSANDRA_PAXOS=v1"}, "dc1")
	must(t, err)
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := open(t, Options{Hosts: c.Hosts(), Migrate: true})
	shows(t, Options{Hosts: c.Hosts()}, "settings", Wrong, "commitlog_sync is periodic", "commitlog_sync: group")
	shows(t, Options{Hosts: c.Hosts()}, "settings", Wrong, "paxos_variant is v1", "paxos_variant: v2")
	tx := ledgertest.Sample(1)
	_, _, err = s.Ledger().Claim(t.Context(), tx)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "commitlog_sync is periodic") || !strings.Contains(err.Error(), "paxos_variant is v1") {
		t.Errorf("a claim: %v", err)
	}
	if _, err := s.Ledger().Load(t.Context(), tx.Key); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a row was written all the same: %v", err)
	}
	s.refusal.Store(nil)
	if _, won, err := s.Ledger().Claim(t.Context(), tx); err != nil || !won {
		t.Fatalf("before the settings went wrong: %v", err)
	}
	if err := s.inspect(t.Context()); err != nil || s.Refused() == nil {
		t.Fatalf("looked at again: %v, %v", s.Refused(), err)
	}
	done := tx.Clone()
	done.State, done.Version = ledger.DoneDeclined, 2
	if _, how, err := s.Ledger().Advance(t.Context(), done); err != nil || how != ledger.Stored {
		t.Errorf("an outcome: %d: %v", how, err)
	}
}

// TestLook: each node says how it is set, and its clock is ours.
func TestLook(t *testing.T) {
	s := open(t, Options{Hosts: one(t)})
	nodes, err := s.Look(t.Context())
	if err != nil || len(nodes) != 1 {
		t.Fatalf("%v: %v", nodes, err)
	}
	n := nodes[0]
	if n.Err != nil || len(n.faults()) > 0 || n.Version != "5.0.6" || n.Datacenter != "dc1" || !reflect.DeepEqual(n.Settings, settings()) || n.Offset.Abs() > time.Second {
		t.Errorf("the node says %+v", n)
	}
	ahead := open(t, Options{Hosts: one(t), Now: func() time.Time { return time.Now().Add(-3 * time.Second) }})
	if err := ahead.Refused(); err == nil || !strings.Contains(err.Error(), "its clock is 3") {
		t.Errorf("a clock that is off: %v", err)
	}
	if _, err := Open(t.Context(), Options{Hosts: []string{"127.0.250.1"}}); err == nil || !strings.Contains(err.Error(), "no node lets us in, of [127.0.250.1]") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestExamine: what a survey of a real node shows, and that measuring it leaves nothing that anybody sees.
func TestExamine(t *testing.T) {
	o := Options{Hosts: one(t), Datacenter: "dc1"}
	empty(t)
	shows(t, o, "nodes", Fine, "1 nodes in 1 data centres answer", "")
	shows(t, o, "tables", Fine, "2 migrations", "")
	shows(t, o, "copies", Note, "ledger: 1 in all", "three data centres")
	shows(t, o, "repair", Note, "no repair of the transactions is known", "nodetool repair")
	shows(t, o, "claim", Fine, "a claim takes ", "")
	must(t, shared.store.query(t.Context(), gocql.One, "INSERT INTO system_distributed.repair_history (keyspace_name, columnfamily_name, id, finished_at) VALUES ('ledger', 'tx', now(), ?)",
		time.Now().Add(-50*time.Hour)).Exec())
	shows(t, o, "repair", Fine, "ended 50h", "")
	s := open(t, o)
	if rows, err := s.Ledger().Recent(t.Context(), ledger.Query{}); err != nil || len(rows) > 0 {
		t.Errorf("it left %d rows to be seen: %v", len(rows), err)
	}
	ahead := o
	ahead.Now = func() time.Time { return time.Now().Add(-3 * time.Second) }
	shows(t, ahead, "clock", Wrong, "its clock is 3", "NTP")
	none := o
	none.Ledger = "nobody"
	shows(t, none, "tables", Wrong, "there is no keyspace nobody", "migrate=true")
}

// shows wants a finding of a survey.
func shows(t *testing.T, o Options, check string, state State, says, fix string) {
	t.Helper()
	survey, err := Examine(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found := survey.Findings()
	for _, f := range found {
		if f.Check == check && f.State == state && strings.Contains(f.Says, says) && strings.Contains(f.Fix, fix) {
			return
		}
	}
	t.Errorf("no %s %s %q → %q in %+v", state, check, says, fix, found)
}

// TestCost counts, by the server's own tracing, what the normal path costs: two lightweight transactions, one of them before the send.
func TestCost(t *testing.T) {
	hosts := one(t)
	empty(t)
	traces := &traced{}
	s := open(t, Options{Hosts: hosts, test: hooks{trace: traces}})
	warm := ledgertest.Sample(0)
	if _, _, err := s.Ledger().Claim(t.Context(), warm); err != nil {
		t.Fatal(err)
	}
	traces.take()
	tx := ledgertest.Sample(1)
	if _, _, err := s.Ledger().Claim(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	before := traces.take()
	done := tx.Clone()
	done.State, done.Version = ledger.DoneDeclined, 2
	if _, _, err := s.Ledger().Advance(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	after := traces.take()
	lwt, plain := paxos(t, before)
	if lwt != 1 || plain != 2 {
		t.Errorf("before the send: %d lightweight transactions and %d plain requests, want 1 and 2", lwt, plain)
	}
	if lwt, plain = paxos(t, after); lwt != 1 || plain != 0 {
		t.Errorf("after it: %d lightweight transactions and %d plain requests, want 1 and none", lwt, plain)
	}
}

// traced collects the ids of traces.
type traced struct {
	mu  sync.Mutex
	ids [][]byte
}

func (c *traced) Trace(id []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids = append(c.ids, append([]byte(nil), id...))
}

func (c *traced) take() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.ids
	c.ids = nil
	return ids
}

// paxos counts which of the traced requests were lightweight transactions: their events tell of promises and proposals.
func paxos(t *testing.T, ids [][]byte) (lwt, plain int) {
	t.Helper()
	for _, id := range ids {
		until(t, fmt.Sprintf("the trace %x is complete", id), func() bool {
			var duration *int
			err := shared.store.query(t.Context(), gocql.One, "SELECT duration FROM system_traces.sessions WHERE session_id = ?", id).Scan(&duration)
			return err == nil && duration != nil
		})
		iter := shared.store.query(t.Context(), gocql.One, "SELECT activity FROM system_traces.events WHERE session_id = ?", id).Iter()
		var activity string
		is := false
		for iter.Scan(&activity) {
			is = is || strings.Contains(strings.ToLower(activity), "ballot") || strings.Contains(strings.ToLower(activity), "propos")
		}
		if err := iter.Close(); err != nil {
			t.Fatal(err)
		}
		if is {
			lwt++
		} else {
			plain++
		}
	}
	return lwt, plain
}

// TestPatient: a store that nobody reached refuses with the reason, and works as soon as a node lets it in.
func TestPatient(t *testing.T) {
	hosts := one(t)
	empty(t)
	gate := &gated{}
	o := Options{Hosts: hosts, Log: slog.New(slog.DiscardHandler), test: hooks{dial: gate}}
	if s, err := Open(t.Context(), o); !errors.Is(err, ErrUnreached) {
		t.Fatalf("nobody there: %v, %v", s, err)
	}
	o.Patient = true
	s := open(t, o)
	tx := ledgertest.Sample(1)
	if _, _, err := s.Ledger().Claim(t.Context(), tx); !errors.Is(err, ErrNotWritten) || !errors.Is(err, ErrUnreached) {
		t.Errorf("a claim: %v", err)
	}
	if _, err := s.Ledger().Load(t.Context(), tx.Key); !errors.Is(err, ErrUnreached) || s.Refused() == nil {
		t.Errorf("a read: %v; refused: %v", err, s.Refused())
	}
	gate.open.Store(true)
	until(t, "it is reached", func() bool { return s.Refused() == nil })
	if _, won, err := s.Ledger().Claim(t.Context(), tx); err != nil || !won {
		t.Errorf("a claim: won %v: %v", won, err)
	}
}

// gated is a dialer that reaches nobody until it is opened.
type gated struct {
	net.Dialer
	open atomic.Bool
}

func (g *gated) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if !g.open.Load() {
		return nil, errors.New("no route")
	}
	return g.Dialer.DialContext(ctx, network, addr)
}
