package cassandra

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

// TestTakerWritesIndices: who claimed a row may have died between its row and the places at which people find it. Whoever takes it over
// writes them, and his own open entry.
func TestTakerWritesIndices(t *testing.T) {
	hosts := one(t)
	empty(t)
	died, taker := open(t, Options{Hosts: hosts}), open(t, Options{Hosts: hosts})
	tx := ledgertest.Sample(1)
	tx.Run = "agent-1/life-1"
	claimedAlone(t, died, tx)
	find := func(q ledger.Query) int {
		found, err := taker.Ledger().Recent(t.Context(), q)
		must(t, err)
		return len(found)
	}
	if _, err := taker.Ledger().ByID(t.Context(), tx.ID); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("the row is found by its id before anybody wrote where it is: %v", err)
	}
	if n := find(ledger.Query{Key: tx.Key.Key}) + find(ledger.Query{}); n != 0 {
		t.Fatalf("the row is found %d times before anybody wrote where it is", n)
	}

	left := leftBy(t, taker, tx.Run)
	if len(left) != 1 || left[0].ID != tx.ID {
		t.Fatalf("its run left %+v", left)
	}
	taken := left[0]
	taken.Run, taken.State = "agent-2/life-1", ledger.Held
	taken.Version++
	if _, how, err := taker.Ledger().Advance(t.Context(), taken); err != nil || how != ledger.Stored {
		t.Fatalf("taken over: %d, %v", how, err)
	}
	if got, err := taker.Ledger().ByID(t.Context(), tx.ID); err != nil || got.Run != taken.Run {
		t.Errorf("by its id: %+v, %v", got, err)
	}
	for what, q := range map[string]ledger.Query{"its key": {Key: tx.Key.Key}, "its time": {}, "its state": {State: ledger.Held}} {
		if n := find(q); n != 1 {
			t.Errorf("by %s it is found %d times", what, n)
		}
	}
	if left := leftBy(t, taker, taken.Run); len(left) != 1 {
		t.Errorf("the taker's own run would leave %+v", left)
	}
}

// claimedAlone does the part of Claim that was done when its process died: the open entry and the row, not the indices.
func claimedAlone(t *testing.T, s *Store, tx *ledger.Transaction) {
	t.Helper()
	if _, err := s.openEntry(t.Context(), hashOf(tx), tx); err != nil {
		t.Fatal(err)
	}
	rowAlone(t, s, tx)
}

// rowAlone writes the row, and nothing beside it.
func rowAlone(t *testing.T, s *Store, tx *ledger.Transaction) {
	t.Helper()
	columns, err := values(tx)
	must(t, err)
	args := slices.Concat([]any{hashOf(tx), map[int64]gocql.UUID{1: gocql.MustRandomUUID()}}, columns, []any{seconds(s.opts.Keep)})
	if applied, _, err := s.cas(t.Context(), s.names.claim, args...); err != nil || !applied {
		t.Fatalf("applied %v: %v", applied, err)
	}
}

func leftBy(t *testing.T, s *Store, run string) (left []*ledger.Transaction) {
	t.Helper()
	must(t, s.Runs().Left(t.Context(), run, func(t *ledger.Transaction) bool {
		left = append(left, t)
		return true
	}))
	return left
}

// TestVouched: a row whose claimer died before its open entry was written is found by whoever takes over its run, once a caller asked for it
// again.
func TestVouched(t *testing.T) {
	hosts := one(t)
	empty(t)
	died, other := open(t, Options{Hosts: hosts}), open(t, Options{Hosts: hosts})
	tx := ledgertest.Sample(1)
	tx.Run = "agent-1/life-1"
	rowAlone(t, died, tx)
	if left := leftBy(t, other, tx.Run); len(left) != 0 {
		t.Fatalf("without an entry its run leaves %+v", left)
	}
	for range 3 {
		again := ledgertest.Sample(1)
		again.ID, again.Run, again.Token = "tx_again", "agent-2/life-1", [16]byte{9}
		current, won, err := other.Ledger().Claim(t.Context(), again)
		if err != nil || won || current.ID != tx.ID {
			t.Fatalf("asked for again: won %v, %+v, %v", won, current, err)
		}
	}
	if left := leftBy(t, other, tx.Run); len(left) != 1 || left[0].ID != tx.ID {
		t.Errorf("asked for again, its run leaves %+v", left)
	}
	until(t, "one entry, however often it was asked for", func() bool { return count(t, "ledger.open") == 1 })
}

// TestReopened: a row that was closed and is opened again by the same run has an entry, whenever the first one is removed.
func TestReopened(t *testing.T) {
	hosts := one(t)
	empty(t)
	s := open(t, Options{Hosts: hosts})
	tx := ledgertest.Sample(1)
	if _, won, err := s.Ledger().Claim(t.Context(), tx); err != nil || !won {
		t.Fatalf("won %v: %v", won, err)
	}
	for version := uint64(2); version < 8; version++ {
		tx = tx.Clone()
		tx.State, tx.Version = ledger.Refused, version
		if version%2 == 1 {
			tx.State = ledger.Intent
		}
		if _, how, err := s.Ledger().Advance(t.Context(), tx); err != nil || how != ledger.Stored {
			t.Fatalf("version %d: %d, %v", version, how, err)
		}
		s.flush(t.Context())
		if n := count(t, "ledger.open"); n != int(version%2) {
			t.Errorf("version %d, %s: %d entries", version, tx.State, n)
		}
	}
}

// TestEntriesCount: what is not known to be there, or is about to be removed, is not counted on.
func TestEntriesCount(t *testing.T) {
	var e entries
	e.init()
	e.put("k", []entry{{run: "a/1", n: 1}, {run: "b/1", n: 2}})
	if e.has("k", "a/1") {
		t.Error("an entry whose write nobody acknowledged is counted on")
	}
	e.acknowledged("k", 1)
	if !e.has("k", "a/1") || e.has("k", "b/1") || e.has("k", "c/1") || e.has("j", "a/1") {
		t.Error("an acknowledged entry is not counted on, or another is")
	}
	taken := e.take("k")
	if e.has("k", "a/1") || len(taken) != 2 {
		t.Errorf("what is being removed is counted on: %+v", taken)
	}
	e.put("k", []entry{{run: "a/1", n: 3, there: true}})
	e.unknow(taken[0])
	if !e.has("k", "a/1") {
		t.Error("the entry of the row that was opened again went with the old one")
	}
}

// TestHeldIsShown: the entry of an earlier try, whose agent died before its row, does not hide the row from who looks for what is open.
func TestHeldIsShown(t *testing.T) {
	hosts := one(t)
	empty(t)
	died, other := open(t, Options{Hosts: hosts}), open(t, Options{Hosts: hosts})
	first, tx := ledgertest.Sample(1), ledgertest.Sample(1)
	first.ID, first.Run, first.Created = "tx_first", "agent-1/life-1", tx.Created.Add(-time.Second)
	if _, err := died.openEntry(t.Context(), hashOf(first), first); err != nil {
		t.Fatal(err)
	}
	if _, won, err := other.Ledger().Claim(t.Context(), tx); err != nil || !won {
		t.Fatalf("won %v: %v", won, err)
	}
	for _, state := range []ledger.State{ledger.Intent, ledger.Held} {
		if tx = tx.Clone(); state != tx.State {
			tx.State, tx.Version = state, tx.Version+1
			if _, how, err := other.Ledger().Advance(t.Context(), tx); err != nil || how != ledger.Stored {
				t.Fatalf("%d: %v", how, err)
			}
		}
		found, err := other.Ledger().Recent(t.Context(), ledger.Query{State: tx.State})
		if err != nil || len(found) != 1 || found[0].ID != tx.ID {
			t.Errorf("%s: found %+v: %v", tx.State, found, err)
		}
	}
}
