package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

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

// BenchmarkNewKey asks a store of many rows, none of them in the machine's memory, for one that it does not have, as each claim does: beside
// Pebble's Get, which uses no filter of the lowest level.
func BenchmarkNewKey(b *testing.B) {
	dir, o := b.TempDir(), options(b)
	o.write = pebble.NoSync
	s, err := Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	defer shut(b, s)
	for i := range 100_000 {
		if _, _, err := s.Ledger().Claim(b.Context(), ledgertest.Sample(i)); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.db.Compact(b.Context(), []byte{0}, []byte{0xff}, true); err != nil {
		b.Fatal(err)
	}
	absent := func(i int) []byte { return rowKey(ledgertest.Sample(1_000_000 + i).Key.Hash()) }
	b.Run("get", func(b *testing.B) {
		cool(b, dir)
		for i := range b.N {
			if there, err := s.get(absent(i), func([]byte) error { return nil }); there || err != nil {
				b.Fatal(there, err)
			}
		}
	})
	b.Run("sought", func(b *testing.B) {
		cool(b, dir)
		for i := range b.N {
			if row, err := s.sought(absent(i)); row != nil || err != nil {
				b.Fatal(row, err)
			}
		}
	})
}

// cool takes a directory's files out of the system's memory.
func cool(b *testing.B, dir string) {
	b.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		b.Fatal(len(tables), err)
	}
	for _, name := range tables {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a compaction is over, and nobody needs it any more
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close()); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
}
