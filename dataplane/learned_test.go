package dataplane

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/proxy"
	"segue/dataplane/route"
	"segue/dataplane/sandbox"
	"segue/dataplane/standing"
	"segue/e2e/patience"
)

// budgeted gives payments one euro a day, of which each charge costs a quarter.
func budgeted(doc string) string {
	return strings.Replace(priced(doc), "    strategy: priority\n", "    strategy: priority\n    budget: {spend: 1 EUR/day, then: refuse}\n", 1)
}

// TestABudgetOutlivesKill9: a crash loop spends no budget twice. What was spent is on the disk within a second, and the next run goes on from it.
func TestABudgetOutlivesKill9(t *testing.T) {
	for left := untilMidnight(time.Now()); left < time.Minute; left = untilMidnight(time.Now()) {
		t.Skip("the day of the budget ends")
	}
	w := newWorld(t)
	w.stop()
	w.cfg.Dir = patience.Dir(t)
	doc := budgeted(w.doc("main, backup"))
	must(t, os.WriteFile(w.cfg.Dir+".policy", []byte(doc), 0o600))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+w.cfg.Dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	addr := strings.TrimSpace(strings.TrimPrefix(line, "ready "))
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	for i := range 3 {
		a, err := w.callAt(context.Background(), addr, "POST", "/v1/charges", charge(fmt.Sprint("o", i)), "Idempotency-Key", fmt.Sprint("k", i))
		if err != nil || a.status != 200 {
			t.Fatalf("charge %d: %v, %v", i, a, err)
		}
	}
	eventually(t, "what was spent is on the disk", func() bool {
		raw, _ := os.ReadFile(filepath.Join(w.cfg.Dir, learnedFile))
		return strings.Contains(string(raw), `"Spent":750000,`)
	})
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	w.box.Provider("main").ClearFaults()
	w.start()
	if a := w.charge("k-3", "o3"); a.status != 200 {
		t.Fatalf("the last quarter is refused: %d %s", a.status, a.body)
	}
	w.charge("k-4", "o4").problem(t, 429, "budget-exhausted")
	if m := w.metrics(); !regexp.MustCompile(`segue_failover_proven_timestamp_seconds\{provider="backup",service="payments"\} 1\.\d+e\+09`).MatchString(m) {
		t.Error("that backup took calls over is forgotten")
	}
	w.restart() // and a clean end keeps it as well
	w.charge("k-5", "o5").problem(t, 429, "budget-exhausted")
}

func untilMidnight(now time.Time) time.Duration {
	return now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
}

// What is damaged is left out and said, whatever stands there; the next write mends it.
func TestDamagedNotebook(t *testing.T) {
	is := learned{
		Spent:  []standing.Spent{{Service: "payments", Spending: route.Spending{Spent: 5 * policy.Unit, Since: time.Unix(86_400*20_000, 0).UTC(), Per: 24 * time.Hour}}},
		Proven: []proxy.Proven{{Service: "payments", Provider: "backup", At: time.Unix(1_790_000_000, 0).UTC()}},
	}
	var log safeBuffer
	n := newNotebook(patience.Dir(t), slog.New(slog.NewTextHandler(&log, nil)), func() learned { return is })
	if got := n.load(); got.Spent != nil || log.String() != "" {
		t.Fatalf("of no file: %+v, %s", got, log.String())
	}
	n.save()
	whole, err := os.ReadFile(n.path)
	must(t, err)
	if got := n.load(); len(got.Spent) != 1 || got.Spent[0].Spending != is.Spent[0].Spending || len(got.Proven) != 1 || got.Proven[0] != is.Proven[0] {
		t.Fatalf("read back: %+v", got)
	}
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)-3] ^= 1
	for name, raw := range map[string][]byte{
		"cut": whole[:len(whole)/2], "empty": {}, "flipped": flipped, "of a later version": []byte(strings.Replace(string(whole), "learned 1", "learned 2", 1)),
		"of zeros": make([]byte, 4096), "not JSON": []byte("hello\nworld"),
	} {
		must(t, os.WriteFile(n.path, raw, 0o600))
		before := len(log.String())
		if got := n.load(); got.Spent != nil || got.Proven != nil || !strings.Contains(log.String()[before:], "budgets begin anew") {
			t.Errorf("%s: %+v, %s", name, got, log.String()[before:])
		}
	}
	is.Spent[0].Spending.Spent++
	n.save()
	if got := n.load(); len(got.Spent) != 1 || got.Spent[0].Spending.Spent != 5*policy.Unit+1 {
		t.Errorf("after the next write: %+v", got)
	}
	must(t, os.RemoveAll(filepath.Dir(n.path)))
	before := len(log.String())
	for range 3 {
		is.Spent[0].Spending.Spent++
		n.save()
	}
	if said := strings.Count(log.String()[before:], "could not be written"); said != 1 {
		t.Errorf("a disk that takes nothing is told %d times", said)
	}
}
