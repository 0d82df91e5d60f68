package e2e

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWhatIf plans other weights with a replay of recorded traffic, applies them, and holds the shares that come against those that were
// told. Then it tries one request. The commands are the built binary's, the agents processes of their own.
func TestWhatIf(t *testing.T) {
	for range 5 {
		if whatIf(t) {
			return
		}
	}
	t.Error("in each of five worlds a circuit opened by itself")
}

// whatIf is false where a circuit opened by itself, which shows nothing.
func whatIf(t *testing.T) bool {
	t.Helper()
	weights := "{main: 70, backup: 30, legacy: 0}"
	w := newWorld(t, plan{nodes: 1, weights: map[string]string{"us-east": weights, "eu-west": weights, "ap-south": weights}})
	const n = 300
	was := w.share("eu-west", "was", n)
	w.share("us-east", "was", 60)
	if !w.calm() {
		return false
	}

	doc := w.segue("policy", "get").fine(t).out
	file := filepath.Join(w.dir, "p.yaml")
	line := "eu-west: {main: 70, backup: 30"
	if !strings.Contains(doc, line) {
		t.Fatalf("the policy has no %q:\n%s", line, doc)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(doc, line, "eu-west: {main: 25, backup: 75", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	text := w.segue("policy", "plan", file, "--replay", "1h")
	if text.code != 2 || !strings.Contains(text.out, "  replayed ") || !strings.Contains(text.out, "moves ≈") || !strings.Contains(text.out, "  payments / eu-west: of ") {
		t.Fatalf("exit %d\n%s%s", text.code, text.out, text.err)
	}
	t.Log("\n" + text.out)
	var planned struct {
		Replay struct {
			Silent   []string
			Success  *float64 `json:"success_pp"`
			Services []struct {
				Region    string
				Moves     int
				Providers []struct {
					Provider       string
					SessionsBefore float64 `json:"sessions_before"`
					SessionsAfter  float64 `json:"sessions_after"`
				}
			}
		}
	}
	r := w.segue("policy", "plan", file, "--replay", "1h", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &planned); err != nil || len(planned.Replay.Silent) != 0 || planned.Replay.Success == nil {
		t.Fatalf("%v %s%s", err, r.out, r.err)
	}
	predicted := -1.0
	for _, s := range planned.Replay.Services {
		for _, p := range s.Providers {
			switch {
			case s.Region != "eu-west" && s.Moves != 0:
				t.Errorf("%d calls of %s move", s.Moves, s.Region)
			case s.Region == "eu-west" && p.Provider == mainProvider:
				predicted = p.SessionsAfter / 100
				if math.Abs(p.SessionsBefore/100-was) > 0.001 {
					t.Errorf("main had %.3f of the sessions, the replay says %.2f %%", was, p.SessionsBefore)
				}
			}
		}
	}
	w.segue("policy", "apply", file, "--reason", "e2e").fine(t)
	came := w.share("eu-west", "came", n)
	noise := 4.5 * math.Sqrt(2*0.25*0.75/n)
	t.Logf("main: %.3f was, %.3f predicted, %.3f came, noise %.3f, seed %d", was, predicted, came, noise, w.seed)
	if math.Abs(came-predicted) > noise || math.Abs(was-predicted) < noise {
		if w.stirred() {
			return false
		}
		t.Errorf("predicted %.3f, came %.3f, was %.3f", predicted, came, was)
	}
	tried := w.segue("tx", "try", "payments", "POST", "/v1/charges", "--region", "eu-west", "--body", "amount=1200&currency=eur").fine(t)
	if !strings.Contains(tried.out, "nothing was sent") || !strings.Contains(tried.out, "backup") {
		t.Error(tried.out)
	}
	if r := w.segue("tx", "try", "payments", "GET", "/nowhere"); r.code == exitFine {
		t.Errorf("an operation that is not there was tried:\n%s", r.out)
	}
	return true
}

// calm tells whether no circuit has opened by itself: a machine that is late for its own calls in flight shows other shares than the
// weights.
func (w *world) calm() bool {
	w.t.Helper()
	var seen struct{ Events []struct{ Kind, Text string } }
	if err := json.Unmarshal(w.api(0, http.MethodGet, "/health", "", "", nil).must(w.t).body, &seen); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range seen.Events {
		if e.Kind == "breaker" {
			w.t.Log(e.Text)
			return false
		}
	}
	return true
}

// stirred tells whether a circuit has opened by itself, at latest when the agents' next reports are in.
func (w *world) stirred() bool {
	w.t.Helper()
	tick, end := time.NewTicker(100*time.Millisecond), time.NewTimer(20*time.Second)
	defer tick.Stop()
	defer end.Stop()
	for w.calm() {
		select {
		case <-tick.C:
		case <-end.C:
			return false
		}
	}
	return true
}
