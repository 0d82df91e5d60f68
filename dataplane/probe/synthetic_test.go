package probe

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/provider"
	"segue/dataplane/sandbox"
	"segue/dataplane/standing"
)

const syntheticPolicy = `
segue: v1
services:
  payments: {speaks: stripe/v1, listen: 7101, strategy: priority, priority: [main]}
providers:
  main: {contract: stripe/v1, endpoint: "URL", credential: "file:SECRET", checks: {synthetic: charge-and-void every 24h}}
`

// lab is a simulated provider, and what a prober needs to run its synthetic.
type lab struct {
	box   *sandbox.Sandbox
	bank  *sandbox.Provider
	front *front
	url   string
	snap  *policy.Snapshot
	dir   string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	box, err := sandbox.New(sandbox.Config{Providers: []sandbox.ProviderConfig{{Name: "main", Latency: sandbox.Latency{Median: -1}}}})
	if err != nil {
		t.Fatal(err)
	}
	box.Start()
	t.Cleanup(func() {
		if err := box.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	l := &lab{box: box, bank: box.Provider("main"), dir: t.TempDir()}
	secret := filepath.Join(l.dir, "secret")
	if err := os.WriteFile(secret, []byte("sk_test_1"), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(l.bank.URL())
	if err != nil {
		t.Fatal(err)
	}
	l.front = &front{to: httputil.NewSingleHostReverseProxy(target)}
	s := httptest.NewServer(l.front)
	t.Cleanup(s.Close)
	l.url = s.URL
	l.snap = compiled(t, l.url, secret)
	return l
}

// front stands before the provider and spoils what it is told to.
type front struct {
	to    http.Handler
	mu    sync.Mutex
	path  string // the end of the path
	kind  string // lose | drop | hang, or a status; "": nothing
	times int    // how often; -1: always
}

func (f *front) spoil(path, kind string, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.path, f.kind, f.times = path, kind, times
}

func (f *front) heal() { f.spoil("", "", 0) }

func (f *front) draw(r *http.Request) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kind == "" || f.times == 0 || !strings.HasSuffix(r.URL.Path, f.path) || r.Method != http.MethodPost {
		return ""
	}
	f.times--
	return f.kind
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch kind := f.draw(r); kind {
	case "":
		f.to.ServeHTTP(w, r)
	case "drop":
		panic(http.ErrAbortHandler)
	case "lose":
		f.to.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case "hang":
		f.to.ServeHTTP(httptest.NewRecorder(), r)
		<-r.Context().Done()
	default:
		code, err := strconv.Atoi(kind)
		if err != nil {
			panic(err)
		}
		if w.Header().Set("Content-Type", "application/json"); code == 429 {
			w.Header().Set("Retry-After", "3600")
		}
		w.WriteHeader(code)
	}
}

func compiled(t testing.TB, url, secret string) *policy.Snapshot {
	t.Helper()
	doc := strings.NewReplacer("URL", url, "SECRET", secret).Replace(syntheticPolicy)
	p, problems := policy.Parse("p.yaml", []byte(doc))
	if problems != nil {
		t.Fatal(problems)
	}
	snap, err := policy.Compile(p, policy.Local, 1)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// prober is one life of an agent's prober over the lab's directory.
func (l *lab) prober(t testing.TB) (*Prober, *standing.Board) { return life(t, l.snap, l.dir) }

func life(t testing.TB, snap *policy.Snapshot, dir string) (*Prober, *standing.Board) {
	t.Helper()
	client, err := provider.New(provider.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := standing.New()
	b.Swap(snap)
	p, err := New(Config{Client: client, Board: b, Seed: 1, Dir: filepath.Join(dir, "synthetics"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p.Swap(snap)
	t.Cleanup(func() {
		p.Stop()
		client.Close()
	})
	return p, b
}

// now runs the synthetic and returns what it showed.
func now(t *testing.T, p *Prober, order string) Result {
	t.Helper()
	p.Ask(order, "main", true)
	var results []Result
	until(t, "the run has ended", func() bool {
		var done bool
		results, done, _ = p.Asked(order)
		return done
	})
	if len(results) != 1 {
		t.Fatalf("%+v", results)
	}
	return results[0]
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("after a minute: not so: " + what)
		}
	}
}

// held is what the provider's books still hold for a customer: authorisations that were not let go of.
func (l *lab) held() int {
	open := map[string]bool{}
	for _, e := range l.bank.Books().Entries(sandbox.Filter{}) {
		switch e.Status {
		case "requires_capture":
			open[e.ID] = true
		case "canceled":
			delete(open, e.ID)
		}
	}
	return len(open)
}

func (l *lab) executed(operation string) uint64 { return l.bank.Books().Totals().Executed[operation] }

func (l *lab) records(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(l.dir, "synthetics", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// TestASyntheticRuns: an authorisation and its end, marked as a test, and nothing left of it.
func TestASyntheticRuns(t *testing.T) {
	l := newLab(t)
	p, b := l.prober(t)
	r := now(t, p, "o1")
	if r.Word != Good || r.Kind != health.Synthetic || r.Name != "charge-and-void" || r.Why != "2 steps as expected" {
		t.Errorf("%+v", r)
	}
	if l.executed(sandbox.OpIntent) != 1 || l.executed(sandbox.OpIntentCancel) != 1 || l.held() != 0 || l.records(t) != 0 {
		t.Errorf("%+v, %d held, %d records", l.bank.Books().Totals(), l.held(), l.records(t))
	}
	entries := l.bank.Books().Entries(sandbox.Filter{})
	if run := entries[0].Metadata["segue_test"]; !strings.HasPrefix(run, "st-") {
		t.Errorf("it is not marked as a test: %+v", entries[0])
	}
	row := b.Report(time.Now()).Rows[0]
	if lane := row.Lanes[0]; lane.Kind != health.Synthetic || lane.Level != Good || lane.MS <= 0 || lane.Left != 0 {
		t.Errorf("%+v", lane)
	}
	if row.CheckOK != 0 || row.Calls != 0 || row.Failed != 0 {
		t.Errorf("the synthetic moved another lane: %+v", row)
	}
}

// TestASyntheticThatFailsCleansUp: whatever goes wrong, an authorisation is made once at most and let go of.
func TestASyntheticThatFailsCleansUp(t *testing.T) {
	for name, tc := range map[string]struct{ path, kind, why string }{
		"the void is refused once":       {"/cancel", "400", "step void: status is 400, not 200"},
		"the void fails once":            {"/cancel", "503", "step void: status is 503"},
		"the reply to the void is lost":  {"/cancel", "lose", "step void: no answer: "},
		"the void never comes there":     {"/cancel", "drop", "step void: no answer: "},
		"the reply to the first is lost": {"/payment_intents", "lose", "step authorise: no answer: "},
		"the first never comes there":    {"/payment_intents", "drop", "step authorise: no answer: "},
		"the first is refused":           {"/payment_intents", "402", "step authorise: status is 402"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.front.spoil(tc.path, tc.kind, 1)
			p, _ := l.prober(t)
			r := now(t, p, "o1")
			if r.Word != Bad || !strings.HasPrefix(r.Why, tc.why) {
				t.Errorf("%+v", r)
			}
			until(t, "it is clean", func() bool { return l.records(t) == 0 })
			if l.held() != 0 || l.executed(sandbox.OpIntent) > 1 || l.executed(sandbox.OpIntentCancel) > 1 {
				t.Errorf("%d held, %+v", l.held(), l.bank.Books().Totals())
			}
			if r = now(t, p, "o2"); r.Word != Good {
				t.Errorf("afterwards: %+v", r)
			}
		})
	}
}

// TestLeavingsHoldUpTheNextRun: while something is left there is no other run, and the lane says so.
func TestLeavingsHoldUpTheNextRun(t *testing.T) {
	l := newLab(t)
	l.front.spoil("/cancel", "500", -1)
	p, b := l.prober(t)
	if r := now(t, p, "o1"); r.Word != Bad || !strings.Contains(r.Why, "what it made is not taken away yet") {
		t.Errorf("%+v", r)
	}
	if r := now(t, p, "o2"); r.Word != Bad || !strings.HasPrefix(r.Why, "what an earlier run made is not taken away yet: ") {
		t.Errorf("%+v", r)
	}
	if n := l.executed(sandbox.OpIntent); n != 1 || l.records(t) != 1 {
		t.Errorf("%d authorisations, %d records", n, l.records(t))
	}
	until(t, "the lane tells", func() bool { return b.Report(time.Now()).Rows[0].Lanes[0].Left == 1 })
	l.front.heal()
	p.Swap(l.snap) // a policy came: it is tried at once
	until(t, "it is clean", func() bool { return l.records(t) == 0 && l.held() == 0 })
	until(t, "the lane tells", func() bool { return b.Report(time.Now()).Rows[0].Lanes[0].Left == 0 })
}

// TestAKilledAgentCleansUp: a process is killed while the answer to its authorisation is on the way. The next one, on the same directory,
// learns by the same key what there is, and lets go of it: executed once, nothing held.
func TestAKilledAgentCleansUp(t *testing.T) {
	l := newLab(t)
	l.front.spoil("/payment_intents", "hang", 1)
	child := exec.Command(os.Args[0], "-test.run=^TestTheAgentThatIsKilled$", "-test.v")
	child.Env = append(os.Environ(), "SEGUE_PROBE_CHILD="+l.dir, "SEGUE_PROBE_URL="+l.url)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // it ends with the child
		for s := bufio.NewScanner(out); s.Scan(); {
			t.Log("child: " + s.Text())
		}
	}()
	until(t, "the effect is executed", func() bool { return l.executed(sandbox.OpIntent) == 1 })
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	if l.held() != 1 || l.records(t) != 1 {
		t.Fatalf("%d held, %d records", l.held(), l.records(t))
	}
	l.front.heal()
	l.prober(t)
	until(t, "it is clean", func() bool { return l.records(t) == 0 })
	if l.held() != 0 || l.executed(sandbox.OpIntent) != 1 {
		t.Errorf("%d held, %+v", l.held(), l.bank.Books().Totals())
	}
}

// TestTheAgentThatIsKilled is the process of the test above; otherwise it does nothing.
func TestTheAgentThatIsKilled(t *testing.T) {
	dir := os.Getenv("SEGUE_PROBE_CHILD")
	if dir == "" {
		t.Skip("it is the child of another test")
	}
	p, _ := life(t, compiled(t, os.Getenv("SEGUE_PROBE_URL"), filepath.Join(dir, "secret")), dir)
	p.Ask("o1", "main", true)
	time.Sleep(time.Minute) // until it is killed
}

// TestWhatIsNotInThePolicyWaits: the provider is gone: what a run left there is kept, and taken away when it comes back.
func TestWhatIsNotInThePolicyWaits(t *testing.T) {
	l := newLab(t)
	l.front.spoil("/cancel", "500", -1)
	p, _ := l.prober(t)
	now(t, p, "o1")
	p.Swap(&policy.Snapshot{})
	l.front.heal()
	p.Stop()
	again, _ := life(t, &policy.Snapshot{}, l.dir)
	until(t, "it is known to wait", func() bool {
		waits, n := again.leavings.of(target{"payments", "main", health.Synthetic, "charge-and-void"})
		return n == 1 && strings.HasPrefix(waits, "the policy has no provider main")
	})
	if l.records(t) != 1 {
		t.Fatal("the record is gone")
	}
	again.Swap(l.snap)
	until(t, "it is clean", func() bool { return l.records(t) == 0 && l.held() == 0 })
}

// TestASyntheticYields: a 429 is neither good nor bad; it keeps all checks of the provider away, and what was made before is let go of.
func TestASyntheticYields(t *testing.T) {
	l := newLab(t)
	l.front.spoil("", "429", -1)
	p, b := l.prober(t)
	if r := now(t, p, "o1"); r.Word != Busy || !strings.Contains(r.Why, "left alone for 10m0s") {
		t.Errorf("%+v", r)
	}
	lane := b.Report(time.Now()).Rows[0].Lanes[0]
	if lane.Level != "" || time.Until(lane.Yields) < time.Minute {
		t.Errorf("%+v", lane)
	}
	if l.records(t) != 0 {
		t.Error("nothing was made, and something is left")
	}
}

// TestAKeyThatIsForgotten: after the key's life an effect is not sent again: a person has to look.
func TestAKeyThatIsForgotten(t *testing.T) {
	l := newLab(t)
	l.front.spoil("/payment_intents", "lose", -1)
	p, _ := l.prober(t)
	now(t, p, "o1")
	l.front.heal()
	if n := l.records(t); n != 1 {
		t.Fatalf("%d records", n)
	}
	w := p.leavings.list[0]
	x := &run{record: w.record, client: p.client, journal: p.journal, candidate: l.snap.Services[0].Candidates[0], saved: true}
	if waits := x.clean(t.Context(), w.Begun.Add(23*time.Hour)); !strings.Contains(waits, "somebody has to look") || l.records(t) != 1 {
		t.Errorf("%q, %d records", waits, l.records(t))
	}
	if n := l.executed(sandbox.OpIntent); n != 1 {
		t.Errorf("executed %d times", n)
	}
}
