package dataplane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

var errAway = errors.New("the store is out of reach")

// far is a store that others share, and that can be out of reach for sessions and owners.
type far struct {
	Store
	away *atomic.Bool
}

func (f far) Ledger() ledger.Store { return farLedger{f.Store.Ledger(), f.away} }

func (f far) Sessions() session.Store { return farSessions{f.Store.Sessions(), f.away} }

func (f far) Close() error { return nil }

type farLedger struct {
	ledger.Store
	away *atomic.Bool
}

func (f farLedger) Own(ctx context.Context, o ledger.Object) error {
	if f.away.Load() {
		return errAway
	}
	return f.Store.Own(ctx, o)
}

type farSessions struct {
	session.Store
	away *atomic.Bool
}

func (f farSessions) Load(ctx context.Context, k session.Key) (*session.Session, error) {
	if f.away.Load() {
		return nil, errAway
	}
	return f.Store.Load(ctx, k)
}

func (f farSessions) Append(ctx context.Context, k session.Key, events ...session.Event) error {
	if f.away.Load() {
		return errAway
	}
	return f.Store.Append(ctx, k, events...)
}

// sharing starts agents of one store, each by its own way.
type sharing struct {
	t     *testing.T
	dir   string
	store *embedded.Store
}

func share(t *testing.T) *sharing {
	t.Helper()
	s := &sharing{t: t, dir: patience.Dir(t)}
	var err error
	s.store, err = embedded.Open(filepath.Join(s.dir, "store"), embedded.Options{Reserve: 1, Log: quiet(t)})
	must(t, err)
	t.Cleanup(func() { must(t, s.store.Close()) })
	return s
}

func (s *sharing) agent(id, mirror string) (*Agent, *atomic.Bool) {
	s.t.Helper()
	away := &atomic.Bool{}
	a, err := New(Config{
		ID: id, Region: "here", Dir: filepath.Join(s.dir, id), KeysDir: filepath.Join(s.dir, "keys"), Listen: Listen{Any: true}, Mirror: mirror,
		Store: far{s.store, away}, Log: quiet(s.t),
	})
	must(s.t, err)
	must(s.t, a.Start(context.Background()))
	return a, away
}

func halt(t *testing.T, a *Agent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := a.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func hintLogOf(t *testing.T, a *Agent, which *query.Which) query.HintLog {
	t.Helper()
	body, err := a.Answer(t.Context(), query.Question{Kind: query.Hints, Which: which})
	must(t, err)
	var log query.HintLog
	must(t, json.Unmarshal(body, &log))
	return log
}

func soon(t *testing.T, what string, within time.Duration, is func() bool) {
	t.Helper()
	for end := time.Now().Add(max(within, time.Minute)); !is(); <-time.NewTimer(5 * time.Millisecond).C {
		if time.Now().After(end) {
			t.Fatal("never happened: " + what)
		}
	}
}

func pinAt(n int, provider string) session.Event {
	return session.Event{At: time.Now().Add(time.Duration(n) * time.Millisecond), Pin: session.Pin{Service: "payments", Provider: provider}}
}

// TestAgentHints: an agent of a shared store goes on by hints, holds them back as an order says, and replays as another does, once.
func TestAgentHints(t *testing.T) {
	s := share(t)
	a, away := s.agent("a-1", "")
	defer halt(t, a)
	k := session.Key{App: "default", ID: "ses_1"}
	index := uint64(0)
	orders := func(list ...policy.Order) {
		index++
		now := time.Now()
		for i := range list {
			list[i].At = now
		}
		must(t, a.Apply(state.Update{Position: state.Position{Incarnation: "one", Index: index}, Orders: list, Now: now}))
	}
	pause := policy.Order{ID: "o_1", Kind: policy.HintThrottle, For: time.Hour, Hints: &policy.Hints{Pause: true}}
	orders(pause)
	away.Store(true)
	for n := range 5 {
		must(t, a.store.Sessions().Append(t.Context(), k, pinAt(n, fmt.Sprint("p", n))))
	}
	away.Store(false)
	soon(t, "the store is found again", 10*time.Second, func() bool { return !hintLogOf(t, a, nil).Away })
	log := hintLogOf(t, a, &query.Which{DryRun: true})
	if !log.Kept || log.Waiting != 5 || !log.Paused || log.Until.IsZero() || len(log.Hints) != 5 || log.Hints[0].Replays != "apply" || !strings.Contains(log.Hints[0].About, "ses_1") {
		t.Errorf("%+v", log)
	}
	if _, err := s.store.Sessions().Load(t.Context(), k); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("in the pause, after a dry run: %v", err)
	}
	replay := policy.Order{ID: "o_2", Kind: policy.HintReplay, For: time.Minute, Hints: &policy.Hints{To: log.Hints[1].Number}}
	orders(pause, replay)
	var done query.HintReplayed
	soon(t, "the replay that was asked for", 10*time.Second, func() bool {
		body, err := a.Answer(t.Context(), query.Question{Kind: query.HintReplay, Order: "o_2"})
		must(t, err)
		must(t, json.Unmarshal(body, &done))
		return done.Done
	})
	if done.Ended != 2 || done.Left != 3 || done.Problem != "" {
		t.Errorf("%+v", done)
	}
	orders(pause, replay) // the same order again, with a later update
	orders()              // and the pause is over
	soon(t, "the rest goes by itself", 10*time.Second, func() bool { return hintLogOf(t, a, nil).Waiting == 0 })
	if got, err := s.store.Sessions().Load(t.Context(), k); err != nil || got.Pinned("payments") != "p4" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestOwnStoreKeepsNoHints: the agent's own store is on the same disk as hints would be.
func TestOwnStoreKeepsNoHints(t *testing.T) {
	w := newWorld(t)
	if log := hintLogOf(t, w.agent, nil); log.Kept || log.Waiting != 0 {
		t.Errorf("%+v", log)
	}
	if _, err := os.Stat(filepath.Join(w.cfg.Dir, "hints")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it has a log of hints: %v", err)
	}
	for path, want := range map[string]int{"hints": http.StatusConflict, "beat": http.StatusConflict} {
		answer, err := http.Post("http://"+w.agent.AdminAddr()+"/mirror/other/"+path, "", strings.NewReader("{}"))
		must(t, err)
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	cfg := w.cfg
	cfg.Dir, cfg.Mirror = patience.Dir(t), "http://127.0.0.1:7091"
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "mirror") {
		t.Errorf("a mirror for a store of its own: %v", err)
	}
	for _, bad := range []string{"127.0.0.1:7091", "https://127.0.0.1:7091", "http://10.0.0.1:7091", "http://127.0.0.1:7091/x", "http://", "http://u@127.0.0.1:1"} {
		if _, err := newMirror(bad, "a"); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestAgentGoneForGood: an agent that acknowledged events and is gone with its disk has lost none of them: its mirror replays them.
func TestAgentGoneForGood(t *testing.T) {
	t.Parallel() // the mirror waits for fifteen seconds
	s := share(t)
	b, awayB := s.agent("b-1", "")
	defer halt(t, b)
	a, awayA := s.agent("a-1", "http://"+b.AdminAddr())
	awayA.Store(true)
	awayB.Store(true)
	k := session.Key{App: "default", ID: "ses_1"}
	for n := range 10 {
		must(t, a.store.Sessions().Append(t.Context(), k, pinAt(n, fmt.Sprint("p", n))))
	}
	o := ledger.Object{App: "default", Service: "payments", ID: "ch_1", Provider: "main", Transaction: "tx_1"}
	must(t, a.store.Ledger().Own(t.Context(), o))
	if log := hintLogOf(t, b, nil); log.Mirrored != 11 || log.Waiting != 0 {
		t.Errorf("the mirror: %+v", log)
	}
	if log := hintLogOf(t, a, nil); log.Waiting != 11 || log.Mirror == "" {
		t.Errorf("the agent: %+v", log)
	}
	halt(t, a)
	must(t, os.RemoveAll(filepath.Join(s.dir, "a-1")))
	answer, err := http.Post("http://"+b.AdminAddr()+"/mirror/a-1/hints", "", bytes.NewReader([]byte("nonsense")))
	must(t, err)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("nonsense: %d", answer.StatusCode)
	}
	awayB.Store(false)
	soon(t, "its mirror replays", 40*time.Second, func() bool { return hintLogOf(t, b, nil).Mirrored == 0 })
	if got, err := s.store.Sessions().Load(t.Context(), k); err != nil || got.Pinned("payments") != "p9" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.store.Ledger().Owner(t.Context(), o.App, o.Service, o.ID); err != nil || got != o {
		t.Errorf("%+v, %v", got, err)
	}
}
