package web

import (
	"context"
	"sync"
	"time"

	"segue/controlplane/state"
)

// The watch's times.
const (
	watchEvery  = time.Second
	watchWithin = 3 * time.Second
	readWithin  = 1500 * time.Millisecond
)

// scene is everything that a page is rendered from, at one moment.
type scene struct {
	State  *state.State // never nil
	View   View
	Seen   bool // a view has come
	Leader string
	Term   uint64
	Now    time.Time
	Acked  map[string]time.Time // agent → when it first acknowledged the revision Of
	Of     uint64
}

// watch keeps what was last known.
type watch struct {
	mu       sync.Mutex
	state    *state.State
	view     View
	seen     bool
	revision uint64
	life     string // the incarnation that revision belongs to: a restored backup begins another, and counts from where it was
	acked    map[string]time.Time
	changed  chan struct{}
}

func newWatch() *watch { return &watch{changed: make(chan struct{}), acked: map[string]time.Time{}} }

// keepWatch asks the leader each second, whoever looks.
func (w *Web) keepWatch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		w.look()
		select {
		case <-tick.C:
		case <-w.ends.Done():
			return
		}
	}
}

func (w *Web) look() {
	ctx, cancel := context.WithTimeout(w.ends, watchWithin)
	defer cancel()
	st := w.cfg.Control.State()
	v, err := w.cfg.Control.View(ctx)
	if err != nil {
		w.cfg.Log.Debug("the leader's view did not come", "error", err)
	}
	w.watch.keep(st, v, err == nil)
}

// keep takes what came, and wakes whoever waits. What did not come leaves the last in place: pages show how old it is.
func (k *watch) keep(st *state.State, v View, seen bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state = newer(k.state, st)
	if seen {
		k.view, k.seen = v, true
		k.note()
	}
	close(k.changed)
	k.changed = make(chan struct{})
}

// note remembers each agent's first acknowledgement of the newest revision.
func (k *watch) note() {
	if k.state != nil && k.state.Incarnation != k.life {
		k.life, k.revision = k.state.Incarnation, 0
		clear(k.acked)
	}
	for _, a := range k.view.Acks {
		if a.Incarnation != "" && a.Incarnation != k.life {
			continue
		}
		if a.Revision > k.revision {
			k.revision = a.Revision
			clear(k.acked)
		}
	}
	for _, a := range k.view.Acks {
		if _, known := k.acked[a.Agent]; !known && a.Revision == k.revision && a.Reason == "" && (a.Incarnation == "" || a.Incarnation == k.life) {
			k.acked[a.Agent] = a.At
		}
	}
}

// newer is the State to show. A node that has just started again knows nothing yet: what was known before it is not forgotten for that.
func newer(known, now *state.State) *state.State {
	if now == nil || known != nil && (now.Incarnation == "" || now.Incarnation == known.Incarnation) && now.Index < known.Index {
		return known
	}
	return now
}

// wait returns a channel that is closed when there is something new.
func (k *watch) wait() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// scene is what is known now, without asking anybody.
func (w *Web) scene() scene {
	leader, term := w.cfg.Control.Leader()
	s := scene{Leader: leader, Term: term, Now: w.cfg.Now(), State: w.cfg.Control.State(), Acked: map[string]time.Time{}}
	k := w.watch
	k.mu.Lock()
	defer k.mu.Unlock()
	s.State = newer(k.state, s.State)
	if s.State == nil {
		s.State = state.New("")
	}
	s.View, s.Seen, s.Of = k.view, k.seen, k.revision
	for agent, at := range k.acked {
		s.Acked[agent] = at
	}
	return s
}

// fresh is scene with a State that holds every acknowledged change, where a leader can tell; else the newest at hand.
func (w *Web) fresh(ctx context.Context) scene {
	s := w.scene()
	if s.Leader == "" {
		return s
	}
	if st, err := w.read(ctx); err == nil {
		s.State = st
	}
	return s
}

func (w *Web) read(ctx context.Context) (*state.State, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return w.cfg.Control.Read(ctx)
}
