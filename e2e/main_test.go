// Package e2e holds Segue against the providers' own books: processes of the real binary on one side, the sandbox's providers in the
// test on the other.
//
// It owns nothing but what its tests start: each world is a directory, a block of ports and child processes that end with their test.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// workshop is the directory in which the binary is built; TestMain removes it.
var workshop string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "segue-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	workshop = dir
	code := m.Run()
	closePassages()
	for _, complaint := range verdict() {
		fmt.Fprintln(os.Stderr, "API:", complaint)
		code = max(code, 1)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build makes the binary, once, when the first test needs it: the tests of the sources do not.
var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(workshop, "segue")
	out, err := exec.Command("go", "build", "-o", bin, "segue/cmd/segue").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

func binary(t testing.TB) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// usualSeed makes a run repeatable; SEGUE_E2E_SEED sets another.
const usualSeed = 20261121

func seed(t testing.TB) uint64 {
	t.Helper()
	s := uint64(usualSeed)
	if text := os.Getenv("SEGUE_E2E_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("SEGUE_E2E_SEED: %v", err)
		}
		s = n
	}
	t.Logf("seed %d", s)
	return s
}

// upTo is the full size of a test, or its small one under -short.
func upTo[T any](full, short T) T {
	if testing.Short() {
		return short
	}
	return full
}
