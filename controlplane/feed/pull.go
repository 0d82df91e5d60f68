package feed

import (
	"context"
	"fmt"

	"segue/controlplane/state"
)

// maxPulls bounds who waits at one node for an Update at the same time. Whoever pulls holds a connection, as an attached agent does.
const maxPulls = 2000

// Pull returns what region is to be sent, as soon as that is not what known names. Where nothing newer comes until ctx ends, fresh is
// false. A position that is ahead of this node's copy is waited for: an agent never goes back.
func (s *Server) Pull(ctx context.Context, region string, known state.Position) (u state.Update, fresh bool, err error) {
	if err := s.admit(); err != nil {
		return state.Update{}, false, err
	}
	defer s.pulls.Add(-1)
	defer s.idle.Done()
	for {
		changed := s.source.Changed() // before the look: no change is missed
		if u, err = s.updateFor(context.WithoutCancel(ctx), region, known.Incarnation); err != nil {
			return state.Update{}, false, err
		}
		if u.Incarnation != known.Incarnation || u.Index > known.Index {
			return u, true, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return u, false, nil
		case <-s.done:
			return state.Update{}, false, &state.Error{Code: state.NoLeader, Message: "this control node stops: ask another"}
		}
	}
}

// admit takes one more who pulls, unless the node stops or is full.
func (s *Server) admit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return &state.Error{Code: state.NoLeader, Message: "this control node stops: ask another"}
	}
	if s.pulls.Add(1) > maxPulls {
		s.pulls.Add(-1)
		return &state.Error{Code: state.NoLeader, Message: fmt.Sprintf("%d wait for an update at this control node, the limit: ask another", maxPulls)}
	}
	s.idle.Add(1)
	return nil
}
