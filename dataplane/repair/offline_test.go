package repair

import (
	"errors"
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/e2e/patience"
)

// atThePin is a transaction whose first attempt goes to an offline pin, as every region makes it.
func atThePin(t *testing.T, run string, token byte) *ledger.Transaction {
	t.Helper()
	k := ledger.Key{App: "shop", Service: "payments", Key: "order-7"}
	now := time.Now().UTC().Truncate(time.Millisecond)
	row := ledger.New(ledger.PinnedID(k), k, "charge", [32]byte{7}, now)
	if err := row.Begin(ledger.Attempt{ID: ledger.PinnedAttemptID(k), Provider: "main", IntentAt: now}, run); err != nil {
		t.Fatal(err)
	}
	row.Version, row.Token = 1, [16]byte{token}
	return row
}

// finishedAs is row with the outcome of its attempt, as another version.
func finishedAs(t *testing.T, row *ledger.Transaction, version uint64, token byte, o ledger.Outcome) *ledger.Transaction {
	t.Helper()
	next := row.Clone()
	next.Settle(ledger.Evidence{Attempt: next.Current().ID, Kind: ledger.FromAnswer, Outcome: o, Status: 200})
	step := ledger.Finish
	if o == ledger.NotSent {
		step = ledger.Refuse
	}
	if err := next.Close(step); err != nil {
		t.Fatal(err)
	}
	next.Version, next.Token = version, [16]byte{token}
	return next
}

// TestRecorded: what was done without a quorum is read back on this machine, goes to the store as a claim and an outcome, and is told to whoever looks for
// outcomes.
func TestRecorded(t *testing.T) {
	store := openStore(t, patience.Dir(t))
	w := newRegion(t, store, nil)
	var claimed []ledger.State
	w.opts.Claimed = func(row *ledger.Transaction) { claimed = append(claimed, row.State) }
	off := w.Offline()
	row := atThePin(t, "here/1", 1)
	if _, err := off.Recorded(row.Key); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	done := finishedAs(t, row, 3, 3, ledger.Succeeded)
	for _, one := range []*ledger.Transaction{row, done} {
		if err := off.Record(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		if got, err := off.Recorded(row.Key); err != nil || got.Version != one.Version || got.State != one.State {
			t.Errorf("recorded: %+v, %v", got, err)
		}
	}
	open := row.Clone()
	open.State, open.Version = ledger.Held, 2
	if err := off.Record(t.Context(), open); err == nil {
		t.Error("what is neither an INTENT nor an outcome was recorded")
	}
	if _, err := w.Replay(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	got, err := store.Ledger().Load(t.Context(), row.Key)
	if err != nil || got.State != ledger.DoneSucceeded || got.ID != row.ID || len(claimed) != 1 || claimed[0] != ledger.Intent {
		t.Errorf("the store has %+v, %v; told: %v", got, err, claimed)
	}
}

// TestRecordedOverAnotherRow: a region with a quorum made the same transaction, a fence was shown at the pin, and another provider was asked. What was
// recorded here is evidence about the first attempt, whatever its version is: the row stays.
func TestRecordedOverAnotherRow(t *testing.T) {
	store := openStore(t, patience.Dir(t))
	w := newRegion(t, store, nil)
	there := atThePin(t, "there/1", 9)
	if _, won, err := store.Ledger().Claim(t.Context(), there); err != nil || !won {
		t.Fatal(won, err)
	}
	moved := there.Clone()
	moved.Note(ledger.Evidence{Attempt: moved.Current().ID, Kind: ledger.FromLookup, Outcome: ledger.Unknown, Finding: ledger.Voided, Begun: time.Now()}, ledger.Circumstances{AtPin: true})
	if err := moved.Begin(ledger.Attempt{ID: "at_elsewhere", Provider: "backup", IntentAt: time.Now()}, "there/1"); err != nil {
		t.Fatal(err)
	}
	moved.Version, moved.Token = 2, [16]byte{10}
	if _, how, err := store.Ledger().Advance(t.Context(), moved); err != nil || how != ledger.Stored {
		t.Fatal(how, err)
	}
	here := atThePin(t, "here/1", 1)
	for _, one := range []*ledger.Transaction{here, finishedAs(t, here, 3, 3, ledger.Succeeded)} {
		if err := w.Offline().Record(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Replay(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	got, err := store.Ledger().Load(t.Context(), here.Key)
	if err != nil || len(got.Attempts) != 2 || got.Final() || got.Run != "there/1" {
		t.Errorf("the store has %+v, %v", got, err)
	}
}
