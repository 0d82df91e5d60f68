package cassandra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
)

func TestRecentEnough(t *testing.T) {
	for version, fine := range map[string]bool{"5.0.6": true, "4.1.0": true, "4.1-beta1": false, "4.0.11": false, "3.11.4": false, "10.0": true, "": false, "five": false, "5": false} {
		if err := recentEnough(version); (err == nil) != fine || err != nil && !errors.Is(err, ErrOldServer) {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func settings(change ...string) map[string]string {
	good := map[string]string{"commitlog_sync": "group", "paxos_variant": "v2", "paxos_state_purging": "repaired"}
	for i := 0; i < len(change); i += 2 {
		good[change[i]] = change[i+1]
	}
	return good
}

// TestFaults: a node's settings, version and clock are judged, with what to do.
func TestFaults(t *testing.T) {
	for _, fine := range []Node{{Version: "5.0.6", Settings: settings()}, {Version: "4.1.0", Settings: settings("commitlog_sync", "batch"), Offset: -1200 * time.Millisecond, Blur: 300 * time.Millisecond}} {
		if found := fine.faults(); len(found) > 0 {
			t.Errorf("%+v: %+v", fine, found)
		}
	}
	for setting, bad := range map[string]string{"commitlog_sync": "periodic", "paxos_variant": "v1", "paxos_state_purging": "legacy"} {
		n := Node{Version: "5.0.6", Settings: settings(setting, bad)}
		if found := n.faults(); len(found) != 1 || !strings.Contains(found[0].says, setting+" is "+bad+", and must be ") || !strings.Contains(found[0].fix, setting+": ") {
			t.Errorf("%s %s: %+v", setting, bad, found)
		}
	}
	if found := (&Node{Version: "5.0.6"}).faults(); len(found) != 3 {
		t.Errorf("a node that says nothing: %+v", found)
	}
	if found := (&Node{Version: "3.11.4"}).faults(); len(found) != 1 || found[0].check != "version" {
		t.Errorf("an old node: %+v", found)
	}
	if found := (&Node{Version: "5.0.6", Settings: settings(), Offset: -1500 * time.Millisecond}).faults(); len(found) != 1 || found[0].check != "clock" {
		t.Errorf("a clock that is off: %+v", found)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no hosts": {}, "injection": {Hosts: []string{"a"}, Ledger: "x; DROP"}, "capital": {Hosts: []string{"a"}, Soft: "Soft"},
		"one for both": {Hosts: []string{"a"}, Ledger: "x", Soft: "x"}, "long": {Hosts: []string{"a"}, Ledger: strings.Repeat("a", 42)},
	} {
		if _, err := o.filled(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestTableIDs: a table's id is what it always was. Another id would be another table of the same name.
func TestTableIDs(t *testing.T) {
	if got := tableID("ledger", "tx").String(); got != fixedID {
		t.Errorf("the id of ledger.tx is %s, and was %s", got, fixedID)
	}
	seen := map[gocql.UUID]string{}
	for _, statement := range append(migrations[0].statements("ledger", "soft"), migrationTable("ledger")) {
		_, id, _ := strings.Cut(statement, "WITH id = ")
		parsed, err := gocql.ParseUUID(id[:36])
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[parsed]; ok {
			t.Errorf("one id for two tables: %s, %s", was, statement)
		}
		seen[parsed] = statement
	}
}

func TestKeyspaceStatement(t *testing.T) {
	if got := keyspace("ledger", map[string]int{"eu'w": 3}); got != "CREATE KEYSPACE IF NOT EXISTS ledger WITH replication = {'class': 'NetworkTopologyStrategy', 'eu''w': 3}" {
		t.Error(got)
	}
	if got := keyspace("ledger", nil); !strings.Contains(got, "'replication_factor': 1") {
		t.Error(got)
	}
}

// TestWrote: what a row says of a version that somebody tried to write.
func TestWrote(t *testing.T) {
	mine, other := gocql.MustRandomUUID(), gocql.MustRandomUUID()
	r := row{version: 5, trail: map[int64]gocql.UUID{3: other, 4: mine, 5: other}}
	for version, want := range map[int64][2]bool{4: {true, true}, 5: {false, true}, 3: {false, true}, 6: {false, true}, 2: {false, false}} {
		if got, known := r.wrote(version, mine); got != want[0] || known != want[1] {
			t.Errorf("version %d: mine %v, known %v", version, got, known)
		}
	}
}

func TestRowOfRefuses(t *testing.T) {
	for _, columns := range []map[string]any{nil, {}, {"v": int64(1)}, {"v": "1", "encoded": []byte{1}, "trail": map[int64]gocql.UUID{}}} {
		if _, err := rowOf(columns); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v: %v", columns, err)
		}
	}
}

// TestValues: a large answer leaves the row, and the transaction in hand keeps it.
func TestValues(t *testing.T) {
	tx := ledgertest.Sample(1)
	got, err := values(tx)
	if err != nil || len(got) != len(txColumns) {
		t.Fatalf("%d values for %d columns: %v", len(got), len(txColumns), err)
	}
	if outside := got[len(got)-2]; outside.([]byte) != nil {
		t.Errorf("a row without an answer has one outside: %v", outside)
	}
}

func TestEvents(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 42, time.UTC)
	var last []byte
	for _, e := range []session.Event{
		{At: time.Unix(-5, 7).UTC(), Pin: session.Pin{Service: "s", Provider: "b"}}, {At: noon, Pin: session.Pin{Service: "s", Provider: "a"}},
		{At: noon, Pin: session.Pin{Service: "s", Provider: "b"}}, {At: noon.Add(1), Pin: session.Pin{Service: "s", Provider: "a"}},
	} {
		item, value := encodeEvent(e)
		if back, err := decodeEvent(item, value); err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%+v came back as %+v: %v", e, back, err)
		}
		if bytes.Compare(item, last) <= 0 {
			t.Errorf("%+v does not sort behind the one before it", e)
		}
		last = item
	}
}

func FuzzDecodeEvent(f *testing.F) {
	item, value := encodeEvent(session.Event{At: time.Unix(1, 2), Pin: session.Pin{Service: "s", Provider: "p"}})
	f.Add(item, value)
	f.Add([]byte{0}, []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, item, value []byte) {
		if _, err := decodeEvent(item, value); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// TestSuspects: a node that did not answer is asked last, until it answers or a while has passed.
func TestSuspects(t *testing.T) {
	now := time.Unix(1000, 0)
	h := &hosts{now: func() time.Time { return now }, suspect: map[string]time.Time{}}
	var all []*gocql.HostInfo
	for i := range 3 {
		info := (&gocql.HostInfo{}).SetConnectAddress(net.IPv4(127, 0, 0, byte(i+1)))
		all = append(all, info)
	}
	order := func() string {
		next, out := h.suspectsLast(list(all)), ""
		for host := next(); host != nil; host = next() {
			out += host.Info().ConnectAddress().String()[8:]
		}
		return out
	}
	h.observe(all[0], gocql.ErrTimeoutNoResponse)
	if got := order(); got != "231" {
		t.Errorf("after a time-out of node 1: %s", got)
	}
	h.observe(all[0], nil)
	if got := order(); got != "123" {
		t.Errorf("after an answer of node 1: %s", got)
	}
	h.observe(all[1], gocql.ErrConnectionClosed)
	now = now.Add(suspectFor)
	if got := order(); got != "123" {
		t.Errorf("a while later: %s", got)
	}
	next := only(list(all), "127.0.0.2")
	if host := next(); host == nil || host.Info() != all[1] || next() != nil {
		t.Errorf("one node by name: %v", host)
	}
}

type picked struct{ info *gocql.HostInfo }

func (p picked) Info() *gocql.HostInfo { return p.info }
func (p picked) Mark(error)            {}

func list(all []*gocql.HostInfo) gocql.NextHost {
	i := 0
	return func() gocql.SelectedHost {
		if i >= len(all) {
			return nil
		}
		i++
		return picked{all[i-1]}
	}
}

// fixedID was taken down when the table was first published.
const fixedID = "ffe2f673-0190-57ce-a582-a10df7946a4d"

// TestCounted: the server's word on how many copies answer comes with the error.
func TestCounted(t *testing.T) {
	for _, err := range []error{
		&gocql.RequestErrUnavailable{Alive: 1, Required: 2}, &gocql.RequestErrWriteTimeout{Received: 1, BlockFor: 2},
		&gocql.RequestErrReadTimeout{Received: 1, BlockFor: 2}, &gocql.RequestErrCASWriteUnknown{Received: 1, BlockFor: 2},
	} {
		var q *ledger.NoQuorum
		if got := counted(err); !errors.As(got, &q) || q.Alive != 1 || q.Needed != 2 || !errors.Is(got, err) {
			t.Errorf("%T: %v", err, got)
		}
	}
	if err := errors.New("no route"); counted(err) != err {
		t.Error("another error is counted")
	}
	calls := 0
	ctx, cancel := context.WithCancel(t.Context())
	err := patiently(ctx, func(ctx context.Context) error {
		if calls++; calls == 1 {
			return &gocql.RequestErrUnavailable{Alive: 1, Required: 2}
		}
		cancel()
		return ctx.Err()
	})
	if q := (*ledger.NoQuorum)(nil); !errors.As(err, &q) {
		t.Errorf("the deadline hides what the server said: %v", err)
	}
}

// TestAbsence: whoever is told for a while that too few copies live stops waiting; a node that does not answer is waited for.
func TestAbsence(t *testing.T) {
	now := time.Unix(1000, 0)
	missing := &gocql.RequestErrUnavailable{Alive: 1, Required: 2}
	var a absence
	for _, step := range []struct {
		after time.Duration
		err   error
		long  bool
	}{
		{0, missing, false}, {time.Second, fmt.Errorf("read: %w", missing), false}, {time.Second, gocql.ErrTimeoutNoResponse, false}, // it may be back
		{0, gocql.ErrNoConnections, false}, {time.Second, missing, false}, {time.Second, gocql.ErrNoConnections, true},
	} {
		now = now.Add(step.after)
		if a.long(step.err, now) != step.long {
			t.Errorf("%v at %s: %v", step.err, now.Format("05.0"), !step.long)
		}
	}
	s := &Store{opts: Options{Resolve: time.Minute, Now: func() time.Time { now = now.Add(time.Second); return now }}}
	calls := 0
	if err := s.often(t.Context(), func(context.Context) error { calls++; return missing }); !errors.Is(err, missing) || calls > 4 {
		t.Errorf("%d calls: %v", calls, err)
	}
}

// TestAway: what passes by itself is waited for; what somebody must mend is said at once.
func TestAway(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("migration 1: %w", &gocql.RequestErrUnavailable{Alive: 1, Required: 2}), &gocql.RequestErrReadTimeout{Received: 1, BlockFor: 2},
		fmt.Errorf("migration 3: %w", context.DeadlineExceeded), gocql.ErrTimeoutNoResponse, fmt.Errorf("%w, of %v", ErrUnreached, "a"),
	} {
		if !away(err) {
			t.Errorf("%v is taken for lasting", err)
		}
	}
	for _, err := range []error{ErrNoSchema, ErrHalfMigrated, errors.New("the name or password is wrong")} {
		if away(err) {
			t.Errorf("%v is waited for", err)
		}
	}
}
