package cassandra

import (
	"errors"
	"slices"
	"testing"

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
	k := hashOf(tx)
	if _, err := s.openEntry(t.Context(), k, tx); err != nil {
		t.Fatal(err)
	}
	columns, err := values(tx)
	must(t, err)
	args := slices.Concat([]any{k, map[int64]gocql.UUID{1: gocql.MustRandomUUID()}}, columns, []any{seconds(s.opts.Keep)})
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
