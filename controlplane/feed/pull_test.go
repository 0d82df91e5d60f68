package feed

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/controlplane/state"
)

func at(index uint64) state.Position { return state.Position{Incarnation: "i1", Index: index} }

// pulled runs a pull of its own and hands over what it led to.
func pulled(s *Server, ctx context.Context, known state.Position) <-chan string {
	out := make(chan string, 1)
	go func() {
		u, fresh, err := s.Pull(ctx, "eu", known)
		out <- fmt.Sprint(u.Index, fresh, err != nil)
	}()
	return out
}

func TestAPullWaitsForWhatIsNewer(t *testing.T) {
	src := newSource()
	src.set(5, "five")
	s, _ := serve(t, src)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for known, want := range map[state.Position]string{
		{}: "5 true false", at(4): "5 true false", at(5): "5 false false", at(6): "5 false false", {Incarnation: "i0", Index: 9}: "5 true false",
	} {
		if got := <-pulled(s, over, known); got != want {
			t.Errorf("known %+v: %s, want %s", known, got, want)
		}
	}
	waits, ahead := pulled(s, t.Context(), at(5)), pulled(s, t.Context(), at(6))
	eventually(t, "both wait", func() bool { return s.pulls.Load() == 2 })
	src.set(6, "six")
	if got := <-waits; got != "6 true false" {
		t.Error(got)
	}
	src.set(7, "seven")
	if got := <-ahead; got != "7 true false" {
		t.Errorf("one that was ahead went back: %s", got)
	}
}

func TestPullsAreBoundedAndEndWithTheNode(t *testing.T) {
	src := newSource()
	src.set(1, "one")
	s, _ := serve(t, src)
	waits := pulled(s, t.Context(), at(1))
	eventually(t, "it waits", func() bool { return s.pulls.Load() == 1 })
	s.pulls.Add(maxPulls - 1)
	var refused *state.Error
	if _, _, err := s.Pull(t.Context(), "eu", at(1)); !errors.As(err, &refused) || refused.Code != state.NoLeader {
		t.Errorf("one too many: %v", err)
	}
	s.pulls.Add(1 - maxPulls)
	s.Stop()
	if got := <-waits; got != "0 false true" {
		t.Errorf("at the end of the node: %s", got)
	}
	if _, _, err := s.Pull(t.Context(), "eu", at(0)); err == nil {
		t.Error("a node that has stopped answers")
	}
}

// Two agents under one id are both asked; which is which, their runs tell.
func TestTwoAgentsOfOneIDAnswer(t *testing.T) {
	src := newSource()
	src.set(1, "one")
	s, addr := serve(t, src)
	join(t, &local{}, "a", addr)
	join(t, &local{}, "a", addr)
	eventually(t, "both are attached", func() bool { return s.Attached() == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answers := s.Ask(ctx, query.Question{Kind: query.Transactions, Service: "x"})
	if len(answers) != 2 || answers[0].Agent != "a" || answers[1].Agent != "a" || answers[0].Run == "" {
		t.Errorf("%+v", answers)
	}
}
