// Package bench measures what the README promises of speed, in one run, and writes it down. Its one owner of state is the report:
// the figures of this run, each beside its bar. `make bench` calls it; without SEGUE_BENCH=1 nothing is measured.
//
// Everything that is compared runs in the same run, in turns, over real sockets and files: what this machine does at the time
// strikes both sides. Whoever's CPU is counted is a process of its own.
package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// seed of whatever is drawn here.
const seed = 7

// TestMain lets the test binary be the other processes too: the upstream, the plain proxy.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestBench makes every figure. The report is written only when all of them were made, and a bar that is missed fails the run.
func TestBench(t *testing.T) {
	if os.Getenv("SEGUE_BENCH") != "1" {
		t.Skip("measures for minutes: SEGUE_BENCH=1, or make bench")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("CPU per call is read from /proc")
	}
	r := &report{machine: machine(t)}
	parts := []struct {
		name    string
		measure func(*testing.T, *report)
	}{{"Calls", benchCalls}, {"Effects", benchEffects}, {"Updates", benchUpdates}, {"Fanout", benchFanout}, {"Attached", benchAttached}, {"Commits", benchCommits},
		{"Decision", benchDecision}, {"Peers", benchPeers}, {"Idle", benchIdle}, {"Start", benchStart}, {"Parts", benchParts}}
	made := 0
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.measure(t, r); made++ })
	}
	fmt.Println(r.markdown())
	if made == len(parts) && !t.Failed() {
		if err := os.WriteFile(filepath.Join(root(t), "docs", "measured.md"), []byte(r.markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range r.figures {
		if !f.held() {
			t.Errorf("missed: %s: %.2f, the bar is %s", f.what, f.ratio, f.bar())
		}
	}
}

// root is the module's directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}
