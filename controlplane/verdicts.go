package controlplane

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/state"
)

const (
	judgeEvery    = 250 * time.Millisecond
	proposeWithin = 2 * time.Second
)

// bench is where a tenure judges: from its window, and into the log only what changed.
type bench struct {
	server   *Server
	window   *health.Window
	revision uint64       // of the policy whose limits the window knows
	busy     atomic.Bool  // a proposal is under way
	rest     atomic.Int64 // after one that failed: until when, unix nanoseconds
}

// newBench takes over what a leader before this one left.
func newBench(s *Server, w *health.Window) *bench {
	w.Adopt(s.replica.State().Verdicts, s.cfg.Now())
	return &bench{server: s, window: w}
}

// judge looks once. It proposes aside: reports do not wait for the log.
func (b *bench) judge(ctx context.Context, aside *sync.WaitGroup) {
	s := b.server
	st, now := s.replica.State(), s.cfg.Now()
	if current := st.Current(); current.Number != b.revision {
		b.window.Learn(current.Policy)
		b.window.Know(current.Policy)
		b.revision = current.Number
	}
	verdicts := b.window.Judge(now)
	if st.Incarnation == "" || b.busy.Load() || now.UnixNano() < b.rest.Load() || unchanged(st.Verdicts, verdicts, now) {
		return
	}
	b.busy.Store(true)
	aside.Go(func() {
		defer b.busy.Store(false)
		if err := b.propose(ctx, verdicts, now); err != nil && ctx.Err() == nil {
			b.rest.Store(now.Add(proposeWithin).UnixNano())
			s.cfg.Log.Warn("verdicts were not taken", "verdicts", len(verdicts), "error", err)
		}
	})
}

func (b *bench) propose(ctx context.Context, verdicts []health.Verdict, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, proposeWithin)
	defer cancel()
	result, err := b.server.replica.Propose(ctx, state.Command{
		Version: 1, Request: "verdicts-" + rand.Text(), Actor: "control node " + b.server.cfg.ID, Reason: "the regions' reports say so", At: now, Ignorable: true,
		Beside: state.Beside{SetVerdicts: &state.SetVerdicts{Verdicts: verdicts}},
	})
	if err == nil && result.Err != nil {
		err = result.Err
	}
	return err
}

// unchanged tells whether the State says what was judged. Words alone are no change: the window's are shown.
func unchanged(in, judged []health.Verdict, now time.Time) bool {
	in = slices.DeleteFunc(slices.Clone(in), func(v health.Verdict) bool { return !v.Until.After(now) })
	return slices.EqualFunc(in, judged, func(a, b health.Verdict) bool {
		return a.Same(b) && a.Eject == b.Eject && a.All == b.All && a.Since.Equal(b.Since) && a.Until.Equal(b.Until)
	})
}
