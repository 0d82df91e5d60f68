package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/controlplane/feed"
	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// tenure is what a node holds while it leads. It begins after the term's barrier and ends with the term: a new leader begins with an empty
// window and knows nothing from before. One goroutine owns it; others send it work.
type tenure struct {
	term uint64
	work chan func(*health.Window, map[string]state.Ack)
	over <-chan struct{}
}

// maxAcks bounds the agents whose acknowledgements a leader remembers.
const maxAcks = 10_000

// lead runs one tenure: the replica calls it after the term's barrier, and ends ctx with the term.
func (s *Server) lead(ctx context.Context, term uint64) {
	t := &tenure{term: term, work: make(chan func(*health.Window, map[string]state.Ack), 256), over: ctx.Done()}
	window, acks := health.NewWindow(), map[string]state.Ack{}
	s.tenure.Store(t)
	defer s.tenure.CompareAndSwap(t, nil)
	s.cfg.Log.Info("leading", "node", s.cfg.ID, "term", term)
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { s.promote(ctx) })
	judges, tick := newBench(s, window), time.NewTicker(judgeEvery)
	shifts := &mover{server: s, window: window, began: s.cfg.Now()}
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.cfg.Log.Info("leads no more", "node", s.cfg.ID, "term", term)
			return
		case do := <-t.work:
			do(window, acks)
		case <-tick.C:
			judges.judge(ctx, &work)
			shifts.move(ctx, &work)
		}
	}
}

// do runs f in the tenure's goroutine and waits for it; false if the tenure is over.
func (t *tenure) do(ctx context.Context, f func(*health.Window, map[string]state.Ack)) bool {
	done := make(chan struct{})
	select {
	case t.work <- func(w *health.Window, a map[string]state.Ack) { f(w, a); close(done) }:
	case <-t.over:
		return false
	case <-ctx.Done():
		return false
	}
	select {
	case <-done:
		return true
	case <-t.over:
		return false
	}
}

// node is what peers may ask of a Server. Unlike the Server's own methods it never forwards: a request cannot go in circles.
type node struct{ s *Server }

func (n node) Propose(ctx context.Context, c state.Command) (state.Result, error) {
	if c.Announce != nil && !n.s.replica.Has(c.Announce.Node.ID) {
		return state.Result{}, refuse(state.NotFound, "control node %q is not in this cluster", c.Announce.Node.ID)
	}
	return n.s.replica.Propose(ctx, c)
}

func (n node) Confirm(ctx context.Context) (uint64, error) {
	st, err := n.s.replica.Read(ctx)
	if err != nil {
		return 0, err
	}
	return st.Index, nil
}

func (n node) Look(ctx context.Context) ([]byte, error) {
	t := n.s.tenure.Load()
	if t == nil {
		return nil, &state.Error{Code: state.NoLeader, Message: n.s.cfg.ID + " does not lead"}
	}
	view := View{Term: t.term}
	if !t.do(ctx, func(w *health.Window, acks map[string]state.Ack) {
		view.World = w.World(n.s.cfg.Now())
		for _, a := range acks {
			view.Acks = append(view.Acks, a)
		}
	}) {
		return nil, &state.Error{Code: state.NoLeader, Message: n.s.cfg.ID + " leads no more"}
	}
	slices.SortFunc(view.Acks, func(a, b state.Ack) int { return strings.Compare(a.Agent, b.Agent) })
	return json.Marshal(view)
}

func (n node) Tell(ctx context.Context, reports []health.Report, acks []state.Ack) error {
	t := n.s.tenure.Load()
	if t == nil || !t.do(ctx, func(w *health.Window, known map[string]state.Ack) { n.s.note(w, known, reports, acks) }) {
		return &state.Error{Code: state.NoLeader, Message: n.s.cfg.ID + " does not lead"}
	}
	return nil
}

func (s *Server) note(w *health.Window, known map[string]state.Ack, reports []health.Report, acks []state.Ack) {
	now := s.cfg.Now()
	for i := range reports {
		err := w.Put(reports[i], now)
		if errors.Is(err, health.ErrTwin) {
			s.twins.Inc()
		}
		if err != nil {
			s.cfg.Log.Warn("a report was refused", "agent", reports[i].Agent, "error", err)
		}
		left := w.Strange()
		s.strange.Add(float64(left.Rows))
		if left.First {
			s.cfg.Log.Warn("an agent reports of what the policy does not have: it is left out, and counted from now on", "agent", reports[i].Agent, "name", left.Name, "rows", left.Rows)
		}
	}
	for _, a := range acks {
		if _, ok := known[a.Agent]; ok || len(known) < maxAcks {
			known[a.Agent] = a
		}
	}
}

func (n node) Attached(ctx context.Context, q query.Question) []feed.Answer {
	return n.s.feed.Ask(ctx, q)
}
