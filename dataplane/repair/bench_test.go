package repair

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// payloadSize is a session's event, or a small outcome.
const payloadSize = 600

func writers(b *testing.B, n int, op func(i int) error) {
	b.Helper()
	var next atomic.Int64
	done := make(chan error, n)
	b.ResetTimer()
	for range n {
		go func() {
			var err error
			for i := int(next.Add(1)) - 1; i < b.N && err == nil; i = int(next.Add(1)) - 1 {
				err = op(i)
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// BenchmarkPebble is Pebble's own commit of as many bytes with a sync: what the disk allows.
func BenchmarkPebble(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			db, err := pebble.Open(b.TempDir(), &pebble.Options{FS: vfs.Default, Logger: quiet{}})
			must(b, err)
			defer shut(b, db)
			value := make([]byte, payloadSize)
			writers(b, n, func(i int) error { return db.Set(fmt.Appendf(nil, "x%09d", i), value, pebble.Sync) })
		})
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// BenchmarkAppend is held against BenchmarkPebble.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			o := logOptions(b)
			o.Limit = 8 << 30
			l := openLog(b, b.TempDir(), o)
			writers(b, n, func(i int) error {
				payload := make([]byte, payloadSize)
				copy(payload, fmt.Sprint(i))
				_, err := l.Append(OfSession, [32]byte{byte(i)}, "", payload)
				return err
			})
		})
	}
}
