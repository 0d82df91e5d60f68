package embedded

import (
	"testing"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

// TestMend: an open row that lost its entry gets it again; one that is closed gets none.
func TestMend(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for n := range 3 {
		row := ledgertest.Sample(n)
		if _, won, err := s.Ledger().Claim(t.Context(), row); err != nil || !won {
			t.Fatal(won, err)
		}
		if n == 2 {
			continue
		}
		b := s.db.NewBatch()
		remove(b, openKey(row.Created, row.Key.Hash()))
		if err := s.commit(b, s.opts.write); err != nil {
			t.Fatal(err)
		}
	}
	opened := func() (n int) {
		if err := s.Ledger().Open(t.Context(), func(*ledger.Transaction) bool { n++; return true }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := opened(); n != 1 {
		t.Fatalf("%d are open before", n)
	}
	if n, err := s.Runs().Mend(t.Context()); err != nil || n != 2 {
		t.Errorf("%d were mended: %v", n, err)
	}
	if n := opened(); n != 3 {
		t.Errorf("%d are open", n)
	}
	if n, err := s.Runs().Mend(t.Context()); err != nil || n != 0 {
		t.Errorf("once more: %d, %v", n, err)
	}
}
