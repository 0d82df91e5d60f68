package cassandra

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

// claimBar is what a claim may cost against a lightweight transaction of the same bytes with two plain writes beside it.
const claimBar = 1.2

// TestClaimCost holds a claim against the least that could be asked of the same cluster by the same driver, by turns, so that what else
// the machine does falls on both. SEGUE_BENCH=1.
func TestClaimCost(t *testing.T) {
	if os.Getenv("SEGUE_BENCH") == "" {
		t.Skip("a measurement: SEGUE_BENCH=1")
	}
	hosts := one(t)
	empty(t)
	s := open(t, Options{Hosts: hosts})
	for _, statement := range []string{
		keyspace("bare", nil), table("bare", "lwt", "k blob PRIMARY KEY, v bigint, encoded blob", ""), table("bare", "plain", "k blob, n int, b blob, PRIMARY KEY (k, n)", ""),
	} {
		if err := shared.store.change(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	var claims, bare []time.Duration
	const warm, rounds = 1500, 1000
	for n := range warm + rounds {
		tx := ledgertest.Sample(n)
		tx.Key.Key, tx.Created = fmt.Sprintf("cost-%d", n), time.Now().UTC()
		began := time.Now()
		if _, won, err := s.Ledger().Claim(t.Context(), tx); err != nil || !won {
			t.Fatalf("won %v: %v", won, err)
		}
		claimed := time.Now()
		if err := bareClaim(t, s, tx); err != nil {
			t.Fatal(err)
		}
		if n >= warm {
			claims, bare = append(claims, claimed.Sub(began)), append(bare, time.Since(claimed))
		}
	}
	slices.Sort(claims)
	slices.Sort(bare)
	ratio := float64(claims[rounds/2]) / float64(bare[rounds/2])
	t.Logf("claim p50 %s p99 %s; a lightweight transaction with two plain writes p50 %s p99 %s; %.2f ×", claims[rounds/2], claims[rounds*99/100], bare[rounds/2], bare[rounds*99/100], ratio)
	if ratio > claimBar {
		t.Errorf("a claim takes %.2f × the least, over %.1f", ratio, claimBar)
	}
}

func bareClaim(t *testing.T, s *Store, tx *ledger.Transaction) error {
	t.Helper()
	k := hashOf(tx)
	row, err := ledger.Encode(tx)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	errs := make([]error, 3)
	for n := range 2 {
		group.Go(func() {
			errs[n] = s.query(t.Context(), gocql.Quorum, "INSERT INTO bare.plain (k, n, b) VALUES (?, ?, ?)", k, n, k).Exec()
		})
	}
	_, _, errs[2] = s.cas(t.Context(), "INSERT INTO bare.lwt (k, v, encoded) VALUES (?, ?, ?) IF NOT EXISTS", k, int64(1), row)
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
