package cassandra

import (
	"testing"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

// TestFinalLife: a row lives as long after its outcome as before it. A shorter life would forget the key while the provider still
// executes it again.
func TestFinalLife(t *testing.T) {
	hosts := one(t)
	empty(t)
	s := open(t, Options{Hosts: hosts})
	tx := ledgertest.Sample(1)
	if _, _, err := s.Ledger().Claim(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	done := tx.Clone()
	done.State, done.Version, done.Token = ledger.DoneSucceeded, 2, [16]byte{9}
	done.Current().Outcome = ledger.Succeeded
	if _, how, err := s.Ledger().Advance(t.Context(), done); err != nil || how != ledger.Stored {
		t.Fatalf("the outcome: %d, %v", how, err)
	}
	var life int
	var trail map[int64]gocql.UUID
	if err := s.read(t.Context(), serial, s.names.life, hashOf(tx)).Scan(&life, &trail); err != nil || life < seconds(DefaultKeep)-60 {
		t.Errorf("%d seconds are left: %v", life, err)
	}
}
