package storm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"segue/e2e/patience"
)

// workshop is the directory in which binaries are built; TestMain removes it.
var workshop string

func TestMain(m *testing.M) {
	if config := os.Getenv(providerVariable); config != "" {
		if err := provide(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "segue-storm-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	workshop = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// product is a binary with points, and their names.
type product struct {
	bin      string
	embedded []string
	cluster  []string // more: those of the hints
}

// build makes it, once.
var build = sync.OnceValues(func() (product, error) { return buildWith("segue") })

// seed is SEGUE_SEED, or a new one; it is printed.
func seed(t testing.TB) uint64 {
	t.Helper()
	s := rand.Uint64N(1_000_000_000)
	if text := os.Getenv("SEGUE_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("SEGUE_SEED: %v", err)
		}
		s = n
	}
	fmt.Printf("storm: SEGUE_SEED=%d\n", s)
	return s
}

// eventually asks again and again until done has no complaint; the last one is its error when the time is up.
func eventually(within time.Duration, what string, done func() error) error {
	gone, last := ended(""), error(nil)
	err := patience.Await(within, 20*time.Millisecond, func() error {
		if last = done(); errors.As(last, &gone) {
			return nil // it will not come back: no use in waiting
		}
		return last
	})
	if err != nil {
		return fmt.Errorf("%s: not within %v: %w", what, within, err)
	}
	return last
}
