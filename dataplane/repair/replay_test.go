package repair

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/dataplane/ledger"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

// TestPace: how long a replayer waits, as a function.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		p    pace
		want time.Duration // at draw 1
	}{
		{"nothing else goes on", pace{latency: 4 * ms, best: 4 * ms}, 0},
		{"new traffic goes first", pace{latency: 4 * ms, best: 4 * ms, front: 3}, 12 * ms},
		{"a backlog ends, whatever the load", pace{latency: 4 * ms, best: 4 * ms, front: 100_000}, time.Second},
		{"the store is loaded", pace{latency: 40 * ms, best: 4 * ms}, 40 * ms},
		{"ten a second at most", pace{latency: 4 * ms, best: 4 * ms, rate: 10}, 96 * ms},
		{"a slow store is slower than the rate", pace{latency: 200 * ms, best: 200 * ms, rate: 10}, 0},
		{"one failure", pace{failures: 1}, 50 * ms},
		{"three failures", pace{failures: 3, front: 9}, 200 * ms},
		{"many failures", pace{failures: 99}, 2 * time.Second},
	} {
		if got := c.p.wait(1); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if p := (pace{failures: 2}); p.wait(0) != 50*ms {
		t.Errorf("without luck: %s", p.wait(0))
	}
	p := pace{}.observed(4 * ms).observed(400 * ms)
	if p.best < 4*ms || p.best > 5*ms {
		t.Errorf("the best is %s", p.best)
	}
	for range 400 {
		p = p.observed(400 * ms)
	}
	if p.wait(1) != 0 {
		t.Errorf("a store that became slow for good is taken for a loaded one: %+v", p)
	}
}

func TestMeter(t *testing.T) {
	var m meter
	for s := range 20 {
		for range 5 {
			m.add(base.Add(time.Duration(s) * time.Second))
		}
	}
	if got := m.rate(base.Add(19 * time.Second)); got != 5 {
		t.Errorf("%v a second", got)
	}
	if got := m.rate(base.Add(time.Hour)); got != 0 {
		t.Errorf("%v a second an hour later", got)
	}
}

// TestKeyOrder: each key's events reach the store in the order in which they were taken, through failures and with many replayers; what
// comes while hints wait stands behind them.
func TestKeyOrder(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	var mu sync.Mutex
	got := map[session.Key][]time.Time{}
	r.link.saw = func(k session.Key, events []session.Event) {
		mu.Lock()
		defer mu.Unlock()
		got[k] = append(got[k], events[0].At)
	}
	r.link.cut.Store(true)
	r.start(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	for n := range 300 {
		k := session.Key{App: "default", ID: fmt.Sprint("ses_", rng.IntN(12))}
		must(t, r.Sessions().Append(t.Context(), k, pin(n, "payments", "p")))
		if n%30 == 15 {
			r.link.cut.Store(!r.link.cut.Load())
		}
	}
	r.link.cut.Store(false)
	r.drained(t)
	mu.Lock()
	defer mu.Unlock()
	n := 0
	for k, times := range got {
		n += len(times)
		for i := 1; i < len(times); i++ {
			if times[i].Before(times[i-1]) {
				t.Errorf("%s: %s came after %s", k.ID, times[i], times[i-1])
			}
		}
	}
	if n != 300 {
		t.Errorf("%d events reached the store", n)
	}
}

// TestPauseThrottle: a pause stops the replay and not the hints; a throttle bounds it.
func TestPauseThrottle(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, func(o *Options, _ *LogOptions) { o.Ranges = 1 })
	r.Pause()
	r.start(t)
	r.link.cut.Store(true)
	for n := range 20 {
		must(t, r.Sessions().Append(t.Context(), session.Key{ID: fmt.Sprint(n)}, pin(n, "payments", "stripe")))
	}
	r.link.cut.Store(false)
	var wrote atomic.Int64
	r.link.saw = func(session.Key, []session.Event) { wrote.Add(1) }
	pinned(t, r.Sessions(), session.Key{ID: "1"}, "payments", "stripe") // asks for a write back, which waits too
	if st := r.Stats(); st.Pending != 20 || !st.Paused {
		t.Errorf("in the pause: %+v", st)
	}
	if n := wrote.Load(); n != 0 {
		t.Errorf("%d writes in the pause", n)
	}
	must(t, r.Steer(Steer{Rate: 50}))
	begun := time.Now()
	r.Resume()
	r.drained(t)
	if took := time.Since(begun); took < 300*time.Millisecond {
		t.Errorf("20 hints at 50 a second took %s", took)
	}
	for _, bad := range []float64{-1, math.NaN(), math.Inf(1)} {
		if r.Steer(Steer{Rate: bad}) == nil {
			t.Errorf("a rate of %v was taken", bad)
		}
	}
	if r.Start() == nil {
		t.Error("a second start")
	}
}

// TestOverlay: while hints wait, a read shows what the store has and what waits here.
func TestOverlay(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	must(t, s.Sessions().Append(t.Context(), talk1, pin(1, "chat", "openai")))
	r.link.cut.Store(true)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(2, "payments", "stripe")))
	r.link.cut.Store(false)
	r.reached()
	pinned(t, r.Sessions(), talk1, "chat", "openai")
	pinned(t, r.Sessions(), talk1, "payments", "stripe")
	if n := r.Stats().Pending; n != 1 {
		t.Errorf("%d hints wait", n)
	}
}

// TestReadRepair: a read that finds an older copy than the overlay has it written back first, before what waits since long.
func TestReadRepair(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, func(o *Options, _ *LogOptions) { o.Ranges = 1 })
	r.link.cut.Store(true)
	for n := range 30 {
		must(t, r.Sessions().Append(t.Context(), session.Key{ID: fmt.Sprint(n)}, pin(n, "payments", "stripe")))
	}
	last := session.Key{ID: "29"}
	r.link.cut.Store(false)
	pinned(t, r.Sessions(), last, "payments", "stripe")
	var mu sync.Mutex
	var order []string
	r.link.saw = func(k session.Key, _ []session.Event) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, k.ID)
	}
	r.start(t)
	r.drained(t)
	mu.Lock()
	defer mu.Unlock()
	if len(order) != 30 || order[0] != last.ID {
		t.Errorf("written back in the order %v", order)
	}
	pinned(t, s.Sessions(), last, "payments", "stripe")
}

// TestDryRun tells what would be written, and writes nothing.
func TestDryRun(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	r.link.cut.Store(true)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	must(t, r.Sessions().Append(t.Context(), talk1, pin(2, "payments", "adyen")))
	if _, err := r.DryRun(t.Context(), Filter{}); !errors.Is(err, errCut) {
		t.Errorf("a dry run without the store: %v", err)
	}
	if _, err := r.Replay(t.Context(), Filter{}); !errors.Is(err, errCut) {
		t.Errorf("a replay without the store: %v", err)
	}
	r.link.cut.Store(false)
	must(t, s.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	got, err := r.DryRun(t.Context(), Filter{})
	if err != nil || len(got) != 2 || got[0].Does != "superseded" || got[1].Does != "apply" || got[1].Seq != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	pinned(t, s.Sessions(), talk1, "payments", "stripe")
	if done, err := r.Replay(t.Context(), Filter{From: 2, To: 2, Kind: OfSession, Limit: 5}); err != nil || done.Ended != 1 || r.Stats().Pending != 1 {
		t.Errorf("%+v, %v, %+v", done, err, r.Stats())
	}
	pinned(t, s.Sessions(), talk1, "payments", "adyen")
	if n := len(r.List(Filter{Kind: OfTransaction})); n != 0 {
		t.Errorf("%d transactions' hints", n)
	}
}

// TestOldHints: a hint past its age is replayed only when somebody asks for it.
func TestOldHints(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	clock := func() time.Time { return base.Add(time.Duration(now.Load())) }
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, func(o *Options, l *LogOptions) { o.Now, l.Now, l.Age = clock, clock, time.Hour })
	r.link.cut.Store(true)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	now.Store(int64(2 * time.Hour))
	r.link.cut.Store(false)
	if err := r.Sessions().Append(t.Context(), talk1, pin(2, "payments", "adyen")); !errors.Is(err, ErrOld) {
		t.Errorf("behind a hint past its age: %v", err)
	}
	r.start(t)
	other := session.Key{ID: "other"}
	must(t, r.Sessions().Append(t.Context(), other, pin(1, "payments", "stripe"))) // the store is there: nothing to hint
	if done, err := r.Replay(t.Context(), Filter{}); err != nil || done != (Replayed{}) {
		t.Errorf("%+v, %v", done, err)
	}
	if st := r.Stats(); st.Pending != 1 || st.Expires != 0 {
		t.Errorf("%+v", st)
	}
	if done, err := r.Replay(t.Context(), Filter{Old: true}); err != nil || done.Ended != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	pinned(t, s.Sessions(), talk1, "payments", "stripe")
}

// TestHeld: what the store refuses for good waits for a person, and what comes after it goes on.
func TestHeld(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	a, b := newRegion(t, s, nil), newRegion(t, s, nil)
	a.link.cut.Store(true)
	for n := range session.MaxPins { // two regions fill one session, and together it is too much
		must(t, b.Sessions().Append(t.Context(), talk1, pin(n, fmt.Sprint("b-", n), "p")))
	}
	must(t, a.Sessions().Append(t.Context(), talk1, pin(1, "a", "p")))
	must(t, a.Sessions().Append(t.Context(), talk1, pin(99, "b-1", "q")))
	a.link.cut.Store(false)
	a.start(t)
	a.drained(t)
	held := a.List(Filter{Held: true})
	if st := a.Stats(); st.Held != 1 || len(held) != 1 || !strings.Contains(held[0].Held, "refuses") || st.Oldest.IsZero() {
		t.Errorf("%+v %+v", st, held)
	}
	pinned(t, s.Sessions(), talk1, "b-1", "q")
	pinned(t, a.Sessions(), talk1, "b-2", "p") // a read goes on
	if done, err := a.Replay(t.Context(), Filter{Held: true}); err != nil || done.Held != 1 {
		t.Errorf("again: %+v, %v", done, err)
	}
}

// TestSync: the journal is held against the store. What a store lost is brought back; what it has leaves the journal.
func TestSync(t *testing.T) {
	t.Parallel()
	dir := patience.Dir(t)
	early, late := filepath.Join(dir, "early"), filepath.Join(dir, "late")
	s := openStore(t, early)
	row := claimed(t, s.Ledger(), 1)
	shut(t, s)
	must(t, os.CopyFS(late, os.DirFS(early))) // a copy from before the outage
	s = openStore(t, early)
	r := newRegion(t, s, nil)
	r.link.cut.Store(true)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	advance(t, r.Ledger(), finished(row, ledger.DoneSucceeded, ledger.Succeeded), ledger.Hinted)
	r.link.cut.Store(false)
	if done, err := r.Replay(t.Context(), Filter{}); err != nil || done.Ended != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	restored := openStore(t, late)
	r.ledger, r.sessions = linkedLedger{restored.Ledger(), r.link}, linkedSessions{restored.Sessions(), r.link}
	if got, err := r.Sync(t.Context()); err != nil || got != (Synced{Missing: 2}) {
		t.Errorf("against a store that lost them: %+v, %v", got, err)
	}
	if done, err := r.Replay(t.Context(), Filter{}); err != nil || done.Ended != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	pinned(t, restored.Sessions(), talk1, "payments", "stripe")
	if got, err := restored.Ledger().Load(t.Context(), row.Key); err != nil || got.Version != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := r.Sync(t.Context()); err != nil || got != (Synced{Seen: 2}) || r.Stats().Journal != 0 {
		t.Errorf("against a store that has them: %+v, %v", got, err)
	}
	r.link.cut.Store(true)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(2, "payments", "adyen")))
	if got, err := r.Sync(t.Context()); err != nil || got != (Synced{}) {
		t.Errorf("with an empty journal: %+v, %v", got, err)
	}
}

// TestSyncAlone: the background does it by itself, and the log's files go.
func TestSyncAlone(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, func(o *Options, l *LogOptions) { o.SyncEvery, l.Segment = time.Millisecond, 1000 })
	r.start(t)
	r.link.cut.Store(true)
	for n := range 50 {
		must(t, r.Sessions().Append(t.Context(), talk1, pin(n, "payments", "stripe")))
	}
	full := r.Stats().Bytes
	r.link.cut.Store(false)
	until(t, "log and journal are empty", func() bool { s := r.Stats(); return s.Pending == 0 && s.Journal == 0 && s.Bytes < full/4 })
}

// TestRebuild replays a session's history over what the store has; dry it writes nothing.
func TestRebuild(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	must(t, s.Sessions().Append(t.Context(), talk1, pin(5, "payments", "stripe")))
	history := []session.Event{pin(9, "payments", "adyen"), pin(1, "chat", "openai"), pin(5, "payments", "stripe"), pin(7, "chat", "anthropic")}
	got, err := r.Rebuild(t.Context(), talk1, history, true)
	if err != nil || !got.Changed || got.Before.Pinned("payments") != "stripe" || got.After.Pinned("payments") != "adyen" || got.After.Pinned("chat") != "anthropic" {
		t.Errorf("dry: %+v, %v", got, err)
	}
	pinned(t, s.Sessions(), talk1, "payments", "stripe")
	for _, changed := range []bool{true, false} {
		if got, err := r.Rebuild(t.Context(), talk1, history, false); err != nil || got.Changed != changed || got.Events != 4 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	pinned(t, s.Sessions(), talk1, "payments", "adyen")
	pinned(t, s.Sessions(), talk1, "chat", "anthropic")
	lost := session.Key{App: "default", ID: "lost"}
	r.link.cut.Store(true)
	must(t, r.Sessions().Append(t.Context(), lost, pin(1, "chat", "openai")))
	r.link.cut.Store(false)
	if got, err := r.Rebuild(t.Context(), lost, nil, false); err != nil || got.Before != nil || !got.Changed || got.Events != 1 {
		t.Errorf("from the log alone: %+v, %v", got, err)
	}
	pinned(t, s.Sessions(), lost, "chat", "openai")
	if got, err := r.Rebuild(t.Context(), session.Key{ID: "nobody"}, nil, false); err != nil || got.After != nil || got.Changed {
		t.Errorf("nothing: %+v, %v", got, err)
	}
	if _, err := r.Rebuild(t.Context(), talk1, []session.Event{{}}, false); err == nil {
		t.Error("an event without a service was replayed")
	}
}

// TestCanary: what is hinted stands in the log only sealed.
func TestCanary(t *testing.T) {
	const canary = "4242424242424242"
	dir := patience.Dir(t)
	s := openStore(t, patience.Dir(t))
	l := openLog(t, dir, logOptions(t))
	way := &link{}
	way.cut.Store(true)
	r := New(l, linkedLedger{s.Ledger(), way}, linkedSessions{s.Sessions(), way}, Options{})
	k := session.Key{App: "app-" + canary, ID: "ses-" + canary}
	must(t, r.Sessions().Append(t.Context(), k, pin(1, "payments", canary)))
	row := claimed(t, s.Ledger(), 1)
	done := finished(row, ledger.DoneSucceeded, ledger.Succeeded)
	done.Answer.ObjectID = canary
	advance(t, r.Ledger(), done, ledger.Hinted)
	names, err := os.ReadDir(dir)
	must(t, err)
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n.Name()))
		must(t, err)
		if bytes.Contains(b, []byte(canary)) {
			t.Errorf("%s has the canary", n.Name())
		}
	}
}

// TestCollector: the figures are metrics, under their names.
func TestCollector(t *testing.T) {
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	r.link.cut.Store(true)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	reg := prometheus.NewPedanticRegistry()
	must(t, reg.Register(NewCollector(r.Repair, "eu-west")))
	got := gather(t, reg)
	if got["segue_hints eu-west"] != 1 || got["segue_hint_bytes eu-west"] == 0 || got["segue_hint_expires_seconds eu-west"] == 0 {
		t.Errorf("with one hint: %v", got)
	}
	r.link.cut.Store(false)
	if _, err := r.Replay(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	got = gather(t, reg)
	want := []string{"segue_hints eu-west", "segue_hints_held eu-west", "segue_hint_oldest_seconds eu-west", "segue_hint_left_seconds eu-west"}
	for _, name := range want {
		if v, ok := got[name]; !ok || v != 0 {
			t.Errorf("%s is %v, %v", name, v, ok)
		}
	}
	if got["segue_hints_journal eu-west"] != 1 || got["segue_hints_replayed_total applied "] != 1 || got["segue_hint_rate eu-west"] != 0.1 || len(got) != 15 {
		t.Errorf("after the replay: %v", got)
	}
}

// gather returns the metrics by name and labels.
func gather(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	must(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name, region := f.GetName(), ""
			for _, l := range m.GetLabel() {
				if l.GetName() == "region" {
					region = l.GetValue()
				} else {
					name += " " + l.GetValue()
				}
			}
			out[name+" "+region] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}
