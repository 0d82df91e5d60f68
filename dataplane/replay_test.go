package dataplane

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
)

const shares = `    strategy: weighted
    weights: {here: {main: 70, backup: 30}, there: {main: 70, backup: 30}}
`

func weighted(doc string) string {
	return strings.Replace(doc, "    strategy: priority\n    priority: [main, backup]\n", shares, 1)
}

func (w *world) replay(doc string, window time.Duration) query.Replayed {
	w.t.Helper()
	body, err := w.agent.Answer(context.Background(), query.Question{Kind: query.ReplayAll, Replay: &query.Replay{Policy: []byte(doc), Window: window}})
	must(w.t, err)
	var r query.Replayed
	must(w.t, json.Unmarshal(body, &r))
	return r
}

// sessions makes n sessions of two reads each and returns which share of them main got.
func (w *world) sessions(prefix string, n int) float64 {
	w.t.Helper()
	main := 0
	for i := range n {
		for range 2 {
			a := w.do("GET", "/v1/balance", "", "Session-Id", fmt.Sprintf("%s-%d", prefix, i))
			if a.status != 200 {
				w.t.Fatalf("answered %d %s", a.status, a.body)
			}
			if strings.HasPrefix(a.header.Get("Segue-Route"), "main;") {
				main++
			}
		}
	}
	return float64(main) / float64(2*n)
}

// calm tells whether no circuit has opened by itself: a machine that is late for its own calls in flight shows other shares than the
// weights.
func (w *world) calm() bool {
	w.t.Helper()
	for _, row := range w.agent.Report().Rows {
		if !row.Since.IsZero() {
			w.t.Logf("%s: %s since %v: %s", row.Provider, row.Breaker, row.Since, row.Why)
			return false
		}
	}
	return true
}

func rowOf(t testing.TB, s query.ReplayedService, name string) query.ReplayedProvider {
	t.Helper()
	for _, p := range s.Providers {
		if p.Provider == name {
			return p
		}
	}
	t.Fatalf("%s is not in %+v", name, s)
	return query.ReplayedProvider{}
}

// What a replay says of other weights is what then comes, within the noise; nothing moves under the policy in force.
func TestReplayTellsWhatComes(t *testing.T) {
	for range 10 {
		if replayTells(t) {
			return
		}
	}
	t.Error("in each of ten worlds a circuit opened by itself")
}

// replayTells is false where a circuit opened by itself, which shows nothing.
func replayTells(t *testing.T) bool {
	t.Helper()
	var doc string
	w := newWorld(t, edited(func(s string) string { doc = weighted(s); return doc }))
	const n = 300
	was := w.sessions("then", n)
	if !w.calm() {
		return false
	}
	same := w.replay(doc, time.Hour)
	if same.Decisions != 2*n || same.Stand != 2*n || same.Moves != 0 || len(same.Left) != 0 || same.Cut {
		t.Fatalf("under the policy in force: %+v", same)
	}
	other := strings.ReplaceAll(doc, "main: 70, backup: 30", "main: 20, backup: 80")
	r := w.replay(other, time.Hour)
	m := rowOf(t, r.Services[0], "main")
	before, after := float64(m.Before)/(2*n), float64(m.After)/(2*n)
	if before != was {
		t.Errorf("main had %.3f of the calls, the replay says %.3f", was, before)
	}
	if m.SessionsBefore*2 != m.Before || m.SessionsAfter*2 != m.After { // the second call of a session follows the first
		t.Errorf("sessions do not stay together: %+v", m)
	}
	if moved := float64(r.Moves) / (2 * n); math.Abs(moved-(before-after)) > 1e-9 {
		t.Errorf("%.3f moved, though main went from %.3f to %.3f: weights move nothing that they need not", moved, before, after)
	}
	u := w.update(2, other)
	must(t, w.agent.Apply(u))
	came := w.sessions("now", n)
	if !w.calm() {
		return false
	}
	noise := 5 * math.Sqrt(2*0.2*0.8/n)
	t.Logf("main: %.3f before; %.3f predicted, %.3f came; noise %.3f", was, after, came, noise)
	if math.Abs(came-after) > noise || math.Abs(was-after) < noise {
		t.Errorf("predicted %.3f, came %.3f, was %.3f", after, came, was)
	}
	return true
}

// A provider that fails is expected to fail; a further attempt is not made again; what has no place in the new policy is told.
func TestReplayExpectsWhatProvidersShowed(t *testing.T) {
	var doc string
	w := newWorld(t, edited(func(s string) string { doc = s; return s }))
	w.fault("main", sandbox.Fault{Kind: sandbox.Status, Code: 503})
	first := uint64(0) // went to main first: until its circuit opened
	for i := range 20 {
		a := w.do("GET", "/v1/balance", "", "Session-Id", fmt.Sprint("s-", i))
		if a.status != 200 {
			t.Fatalf("answered %d %s", a.status, a.body)
		}
		if strings.HasPrefix(a.header.Get("Segue-Route"), "main;") {
			first++
		}
	}
	if first == 0 {
		t.Fatal("nobody went to main")
	}
	r := w.replay(strings.Replace(doc, "[main, backup]", "[backup, main]", 1), time.Minute)
	s := r.Services[0]
	if r.Decisions != 20 || r.Moves != first || s.Success.Calls != 20 || s.Success.Before != float64(20-first) || s.Success.After != 20 {
		t.Errorf("%d of 20 went to main first: %+v", first, s)
	}
	if len(r.Left) != 1 || r.Left[0].Stand != first || !strings.Contains(r.Left[0].Why, "further attempt") {
		t.Errorf("left out: %+v", r.Left)
	}
	gone := strings.Replace(strings.Replace(doc, "payments:", "other:", 1), "listen: 7101", "listen: 7109", 1)
	if r := w.replay(gone, time.Minute); r.Decisions != 0 || len(r.Left) != 1 || r.Left[0].Why != "the service is not in the policy" {
		t.Errorf("%+v", r)
	}
}

// What cannot be asked is refused, and the refusal quotes nothing of the document.
func TestReplayRefuses(t *testing.T) {
	w := newWorld(t)
	for name, r := range map[string]*query.Replay{
		"nothing": nil, "no policy": {Window: time.Minute}, "too far": {Policy: []byte("segue: v1"), Window: 2 * time.Hour},
		"no YAML": {Policy: []byte("sk_live_secret: ["), Window: time.Minute}, "unfit": {Policy: []byte("segue: v1\nservices: {sk_live_secret: {}}"), Window: time.Minute},
	} {
		_, err := w.agent.Answer(context.Background(), query.Question{Kind: query.ReplayAll, Replay: r})
		if err == nil || strings.Contains(err.Error(), "sk_live") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
