package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/dataplane/ledger"
)

// world is providers, their executions and messages under way, around the shipped rules. Each provider enforces keys or ignores them.
type world struct {
	t        *ledger.Transaction
	runs     int
	live     bool
	now      time.Time
	enforced [3]bool
	done     map[string]int    // provider key → executions
	late     []string          // creates under way: provider key, to be executed or lost at any time
	mail     []ledger.Evidence // evidence that may come at any time, more than once, from anybody
	redrives int
}

const keyLife = time.Hour

func newWorld(rt *rapid.T) *world {
	w := &world{done: map[string]int{}, now: now, runs: 1, live: true}
	for i := range w.enforced {
		w.enforced[i] = rapid.Bool().Draw(rt, "enforced")
	}
	w.t = ledger.New("tx_1", ledger.Key{Key: "k"}, "charge", [32]byte{}, now)
	w.begin(rt)
	return w
}

func (w *world) run() string { return fmt.Sprint("run", w.runs) }

func (w *world) at() int {
	var n int
	_, _ = fmt.Sscanf(w.t.Current().Provider, "p%d", &n)
	return n
}

// begin makes an attempt at any provider and sends it.
func (w *world) begin(rt *rapid.T) {
	p := rapid.IntRange(0, 2).Draw(rt, "provider")
	before := w.t.Clone()
	n := len(w.t.Attempts)
	err := w.t.Begin(ledger.Attempt{
		ID: fmt.Sprint("at_", n), Provider: fmt.Sprint("p", p), IntentAt: w.now, ProviderKey: fmt.Sprintf("p%d/%s", p, ledger.Reference(w.t, fmt.Sprint("p", p), "")),
	}, w.run())
	if err != nil {
		w.t = before
		return
	}
	w.send(rt, false)
}

// send is one send: the world does with it what it likes.
func (w *world) send(rt *rapid.T, redrive bool) {
	a := w.t.Current()
	e := ledger.Evidence{Attempt: a.ID, Kind: ledger.FromAnswer, Redrive: redrive}
	switch what := rapid.SampledFrom([]string{"executed", "reply lost", "late", "refused", "declined"}).Draw(rt, "send"); what {
	case "executed", "reply lost":
		w.execute(a.ProviderKey)
		if e.Outcome = ledger.Succeeded; what == "reply lost" {
			e.Outcome = ledger.Unknown
		}
	case "late":
		w.late = append(w.late, a.ProviderKey)
		e.Outcome = ledger.Unknown
	case "refused":
		e.Outcome = ledger.NotSent
	case "declined":
		if e.Outcome = ledger.Declined; w.done[a.ProviderKey] > 0 || redrive { // a provider that executed says so
			e.Outcome = ledger.Unknown
		}
	}
	w.mail = append(w.mail, e)
}

func (w *world) execute(key string) {
	var n int
	_, _ = fmt.Sscanf(key, "p%d/", &n)
	if w.enforced[n] && w.done[key] > 0 {
		return
	}
	w.done[key]++
}

// hear takes evidence as a driver does: it comes late, twice, or to somebody who does not drive.
func (w *world) hear(rt *rapid.T) {
	if len(w.mail) == 0 {
		rt.Skip("no evidence")
	}
	e := w.mail[len(w.mail)-1]
	if rapid.Bool().Draw(rt, "old") {
		e = w.mail[rapid.IntRange(0, len(w.mail)-1).Draw(rt, "evidence")]
	}
	c := ledger.Circumstances{
		Now: w.now, Live: w.live, Deadline: w.now.Add(time.Duration(rapid.IntRange(0, 4).Draw(rt, "left"))), Enforced: w.enforced[w.at()],
		KeyLife: keyLife, MaxTries: 3, MaxSends: 4, Run: fmt.Sprint("run", rapid.IntRange(max(1, w.runs-1), w.runs).Draw(rt, "run")),
	}
	step := ledger.Next(w.t, e, c)
	mine := c.Run == w.t.Run
	was := w.t.Current().Outcome
	w.t.Settle(e)
	switch step.Kind {
	case ledger.Finish:
		w.close(rt, step.Kind)
	case ledger.Refuse, ledger.Hold:
		if mine && w.t.State == ledger.Intent {
			w.close(rt, step.Kind)
		}
	case ledger.Elsewhere:
		if was == ledger.Unknown && e.Redrive {
			rt.Fatalf("elsewhere after unknown: %s", step.Why)
		}
		w.begin(rt)
	case ledger.Redrive:
		w.t.Current().Sends++
		w.redrives++
		w.send(rt, true)
	default:
		rt.Fatalf("the step %v", step)
	}
}

func (w *world) close(rt *rapid.T, k ledger.StepKind) {
	if w.t.Final() {
		return
	}
	if err := w.t.Close(k); err != nil {
		rt.Fatalf("close: %v", err)
	}
}

// TestModel lets providers, drivers, crashes and clocks do what they like for a while and holds the books against the promises.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"hear":   w.hear,
			"crash":  func(*rapid.T) { w.runs++; w.live = false; w.t.TakeOver(w.run(), w.now) },
			"caller": func(rt *rapid.T) { w.retry(rt) },
			"later":  func(*rapid.T) { w.now = w.now.Add(keyLife / 20) },
			"late": func(rt *rapid.T) {
				if len(w.late) == 0 {
					rt.Skip("nothing is under way")
				}
				if rapid.Bool().Draw(rt, "arrives") {
					w.execute(w.late[0])
				}
				w.late = w.late[1:]
			},
			"": w.hold,
		})
	})
}

// retry is the caller's: a refused row opens a new epoch, an open one may be driven again.
func (w *world) retry(rt *rapid.T) {
	w.live = true
	if w.t.State == ledger.Refused {
		w.begin(rt)
	}
}

// hold checks the promises in every state.
func (w *world) hold(rt *rapid.T) {
	total := 0
	for key, n := range w.done {
		total += n
		var p int
		_, _ = fmt.Sscanf(key, "p%d/", &p)
		if n > 1 {
			rt.Fatalf("%s was executed %d times", key, n)
		}
	}
	possible := total + w.underWay()
	if possible > 1 {
		rt.Fatalf("%d executions are possible: %v, under way %v", possible, w.done, w.late)
	}
	if w.t.State == ledger.DoneSucceeded && total != 1 {
		rt.Fatalf("told succeeded, executed %d times", total)
	}
	if (w.t.State == ledger.DoneDeclined || w.t.State == ledger.Refused) && possible != 0 {
		rt.Fatalf("told %s, and %d executions are possible", w.t.State, possible)
	}
	if !w.enforced[w.at()] && w.t.Current().Sends > 1 {
		rt.Fatalf("a second send where keys are ignored")
	}
}

// underWay counts the executions that creates under way may still become. Those of one enforced key are one.
func (w *world) underWay() int {
	n := 0
	counted := map[string]bool{}
	for _, key := range w.late {
		var p int
		_, _ = fmt.Sscanf(key, "p%d/", &p)
		if !w.enforced[p] || !counted[key] && w.done[key] == 0 {
			n++
		}
		counted[key] = true
	}
	return n
}
