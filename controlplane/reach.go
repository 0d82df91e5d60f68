package controlplane

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/controlplane/feed"
	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// retryEvery is the pause between tries to reach a leader.
const retryEvery = 50 * time.Millisecond

// Propose makes a change, on whichever node leads, and tries until ctx ends. Repeating is safe: the request id makes the
// state drop what it has seen.
func (s *Server) Propose(ctx context.Context, c state.Command) (state.Result, error) {
	if c.At.IsZero() {
		c.At = s.cfg.Now()
	}
	var result state.Result
	err := s.withLeader(ctx, func(ctx context.Context, p *feed.Peer) (err error) {
		if p == nil {
			result, err = s.replica.Propose(ctx, c)
		} else {
			result, err = p.Propose(ctx, c)
		}
		return err
	})
	if err == nil && result.Err != nil {
		err = result.Err // refused: one way to tell, whichever node answered
	}
	return result, err
}

// withLeader calls do with the leader (nil: this node) until it is answered by one, or ctx ends.
func (s *Server) withLeader(ctx context.Context, do func(context.Context, *feed.Peer) error) error {
	return s.withLeaderIn(ctx, leaderTry, do)
}

// leaderTry bounds one try at a leader elsewhere. One that was killed a moment ago takes no answer back: ask again soon, by then there may be
// another.
const leaderTry = 2 * time.Second

// withLeaderIn is withLeader for what takes longer.
func (s *Server) withLeaderIn(ctx context.Context, limit time.Duration, do func(context.Context, *feed.Peer) error) error {
	for {
		err := s.tryLeader(ctx, limit, do)
		if err == nil || !again(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return noLeader(err)
		case <-time.After(retryEvery):
		}
	}
}

func (s *Server) tryLeader(ctx context.Context, limit time.Duration, do func(context.Context, *feed.Peer) error) error {
	leader, _ := s.replica.Leader()
	if leader == s.cfg.ID {
		return do(ctx, nil)
	}
	n, ok := s.replica.State().Node(leader)
	if !ok {
		return &state.Error{Code: state.NoLeader, Message: "no control node leads"}
	}
	peer := s.peers.at(n.API)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx, peer)
}

// again tells whether asking the leader once more may help: everything but a definite refusal.
func again(err error) bool {
	var refused *state.Error
	if errors.As(err, &refused) {
		return refused.Code == state.NoLeader || refused.Code == state.Unknown
	}
	return true
}

// noLeader is what the caller is told when time ran out; what is known to be unknown stays so.
func noLeader(last error) error {
	var refused *state.Error
	if errors.As(last, &refused) {
		return refused
	}
	return &state.Error{Code: state.Unknown, Message: "the leader did not answer in time; repeat with the same request id: " + last.Error()}
}

// Read returns a state that is at least as new as every change that was acknowledged before the call.
func (s *Server) Read(ctx context.Context) (*state.State, error) {
	var index uint64
	err := s.withLeader(ctx, func(ctx context.Context, p *feed.Peer) error {
		if p == nil {
			st, err := s.replica.Read(ctx)
			if err == nil {
				index = st.Index
			}
			return err
		}
		var err error
		index, err = p.Confirm(ctx)
		return err
	})
	if err != nil {
		return nil, unread(err)
	}
	return s.applied(ctx, index)
}

// unread is why a read has no answer. Nothing was to be changed, so no outcome is unknown.
func unread(err error) error {
	var refused *state.Error
	if errors.As(err, &refused) && refused.Code == state.Unknown {
		return &state.Error{Code: state.NoLeader, Message: "no leader answered in time"}
	}
	return err
}

// applied waits until this node's copy holds the change at index.
func (s *Server) applied(ctx context.Context, index uint64) (*state.State, error) {
	for {
		changed := s.replica.Changed()
		if st := s.replica.State(); st.Index >= index {
			return st, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, &state.Error{Code: state.NoLeader, Message: "this node is behind the leader and did not catch up in time"}
		}
	}
}

// View is what the leader knows beside the state: the regions' health, and what became of Updates.
type View struct {
	Term  uint64 // of the leader whose view it is
	World health.World
	Acks  []state.Ack // the newest of each agent
}

// View returns the leader's view.
func (s *Server) View(ctx context.Context) (View, error) {
	var view View
	err := s.withLeader(ctx, func(ctx context.Context, p *feed.Peer) error {
		raw, err := s.look(ctx, p)
		if err != nil {
			return err
		}
		view = View{}
		return json.Unmarshal(raw, &view)
	})
	return view, unread(err)
}

func (s *Server) look(ctx context.Context, p *feed.Peer) ([]byte, error) {
	if p != nil {
		return p.Look(ctx)
	}
	return node{s}.Look(ctx)
}

// Ask puts q to every agent, whichever node it is attached to.
func (s *Server) Ask(ctx context.Context, q query.Question) ([]feed.Answer, error) {
	var mu sync.Mutex
	var all []feed.Answer
	var wait sync.WaitGroup
	add := func(answers []feed.Answer) { mu.Lock(); all = append(all, answers...); mu.Unlock() }
	wait.Go(func() { add(s.feed.Ask(ctx, q)) })
	for _, n := range s.replica.State().Nodes {
		if n.ID == s.cfg.ID {
			continue
		}
		wait.Go(func() {
			answers, err := s.peers.at(n.API).Ask(ctx, q)
			if err != nil {
				s.cfg.Log.Debug("a peer's agents were not asked", "peer", n.ID, "error", err)
			}
			add(answers)
		})
	}
	wait.Wait()
	return oneEach(all), nil
}

// oneEach keeps one answer of each run of an agent: one that moved from node to node may be attached twice for a moment. Two runs under
// one id are two agents, and both are heard; of a run that is about to be forgotten, nothing but its silence comes, and that is left out.
func oneEach(all []feed.Answer) []feed.Answer {
	slices.SortStableFunc(all, func(a, b feed.Answer) int { // no error sorts first
		return cmp.Or(strings.Compare(a.Agent, b.Agent), strings.Compare(a.Err, b.Err), strings.Compare(a.Run, b.Run))
	})
	type run struct{ agent, run string }
	heard, told := map[string]bool{}, map[run]bool{}
	out := all[:0]
	for _, a := range all {
		if told[run{a.Agent, a.Run}] || a.Err != "" && heard[a.Agent] {
			continue
		}
		told[run{a.Agent, a.Run}], heard[a.Agent] = true, true
		out = append(out, a)
	}
	return out
}

// Leader returns the id of the node that leads, "" if none is known, and the term.
func (s *Server) Leader() (id string, term uint64) { return s.replica.Leader() }

// Update implements feed.Source.
func (s *Server) Update(region string) (state.Update, error) {
	if !s.replica.Ready() {
		return state.Update{}, &state.Error{Code: state.NoLeader, Message: "this node is still replaying its log: ask another"}
	}
	u, err := s.replica.State().Update(region, s.cfg.Now())
	if err != nil {
		return state.Update{}, fmt.Errorf("controlplane: %w", err)
	}
	return u, nil
}

// Pull returns what region is to be sent, as soon as it is newer than known; fresh is false where ctx ended before.
func (s *Server) Pull(ctx context.Context, region string, known state.Position) (u state.Update, fresh bool, err error) {
	return s.feed.Pull(ctx, region, known)
}

// Newest implements feed.Source.
func (s *Server) Newest(ctx context.Context) error {
	_, err := s.Read(ctx)
	return err
}

// Changed implements feed.Source.
func (s *Server) Changed() <-chan struct{} { return s.replica.Changed() }

// Reported implements feed.Source.
func (s *Server) Reported(r health.Report) { s.up.report(r) }

// Acked implements feed.Source.
func (s *Server) Acked(a state.Ack) { s.up.ack(a) }
