package embedded

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"segue/dataplane/ledger/ledgertest"
)

// writers runs op b.N times by n writers and reports the median of what each took.
func writers(b *testing.B, n int, op func(i int) error) {
	b.Helper()
	var next atomic.Int64
	took := make([]time.Duration, b.N)
	done := make(chan error, n)
	b.ResetTimer()
	for range n {
		go func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				begun := time.Now()
				if err := op(i); err != nil {
					done <- err
					return
				}
				took[i] = time.Since(begun)
			}
			done <- nil
		}()
	}
	for range n {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// BenchmarkBareCommit is Pebble's own commit of a row's bytes with a sync: what the disk allows.
func BenchmarkBareCommit(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			s, err := Open(b.TempDir(), options(b))
			if err != nil {
				b.Fatal(err)
			}
			defer shut(b, s)
			value := make([]byte, 600)
			writers(b, n, func(i int) error { return s.db.Set(fmt.Appendf(nil, "x%09d", i), value, pebble.Sync) })
		})
	}
}

// BenchmarkClaim and BenchmarkClaimAdvance are held against BenchmarkBareCommit: one commit and two.
func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			s, err := Open(b.TempDir(), options(b))
			if err != nil {
				b.Fatal(err)
			}
			defer shut(b, s)
			l := s.Ledger()
			writers(b, n, func(i int) error {
				_, _, err := l.Claim(b.Context(), ledgertest.Sample(i))
				return err
			})
		})
	}
}

// BenchmarkClaimAdvance is a whole transaction: INTENT and outcome, with an answer of 2 kB.
func BenchmarkClaimAdvance(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			s, err := Open(b.TempDir(), options(b))
			if err != nil {
				b.Fatal(err)
			}
			defer shut(b, s)
			l := s.Ledger()
			writers(b, n, func(i int) error {
				row := ledgertest.Sample(i)
				if _, _, err := l.Claim(b.Context(), row); err != nil {
					return err
				}
				_, _, err := l.Advance(b.Context(), done(row))
				return err
			})
		})
	}
}
