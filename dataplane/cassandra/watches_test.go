package cassandra

import (
	"testing"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

// TestMend: an open row that lost its entry gets it again from whoever looks through all rows, and only that one.
func TestMend(t *testing.T) {
	hosts := one(t)
	empty(t)
	s := open(t, patient(Options{Hosts: hosts}))
	for n := range 3 {
		if _, won, err := s.Ledger().Claim(t.Context(), ledgertest.Sample(n)); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	lost := ledgertest.Sample(1)
	for _, e := range s.entries.take(string(hashOf(lost))) {
		if err := s.query(t.Context(), gocql.Quorum, s.names.open.remove, s.entries.tick(time.Now()), e.run, e.slot.number, e.k, e.n).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	other := open(t, patient(Options{Hosts: hosts}))
	opened := func() (n int) {
		t.Helper()
		if err := other.Ledger().Open(t.Context(), func(*ledger.Transaction) bool { n++; return true }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := opened(); n != 2 {
		t.Fatalf("%d are open before", n)
	}
	for want := 1; want >= 0; want-- {
		if n, err := other.Runs().Mend(t.Context()); err != nil || n != want {
			t.Errorf("%d were mended, want %d: %v", n, want, err)
		}
	}
	if n := opened(); n != 3 {
		t.Errorf("%d are open", n)
	}
}

// TestTime: the cluster's clock, which here is this machine's.
func TestTime(t *testing.T) {
	s := open(t, patient(Options{Hosts: one(t)}))
	before := time.Now().Truncate(time.Millisecond)
	at, err := s.Time(t.Context())
	if err != nil || at.Before(before.Add(-time.Millisecond)) || at.After(time.Now().Add(time.Millisecond)) {
		t.Errorf("%v after %v: %v", at, before, err)
	}
}
