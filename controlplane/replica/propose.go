package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"segue/controlplane/state"
)

// Propose puts a command into the log and returns what it led to, here and on every node. A refusal stands in Result.Err; the error says
// that there is no result: nothing happened (no-leader, invalid), or nobody knows (outcome-unknown: propose again with the same request
// id). Every error is a *state.Error.
func (r *Replica) Propose(ctx context.Context, c state.Command) (state.Result, error) {
	if r.reign.Load() == nil {
		return state.Result{}, r.noLeader()
	}
	text, err := state.Encode(c)
	if err != nil {
		return state.Result{}, &state.Error{Code: state.Invalid, Message: err.Error()}
	}
	return r.apply(ctx, text)
}

// apply hands an encoded command to raft and waits for it or for ctx.
func (r *Replica) apply(ctx context.Context, text []byte) (state.Result, error) {
	if err := ctx.Err(); err != nil {
		return state.Result{}, &state.Error{Code: state.NoLeader, Message: "nothing was proposed: " + err.Error()}
	}
	if !r.gate.enter() {
		return state.Result{}, r.noLeader()
	}
	type answer struct {
		result state.Result
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // awaited by Stop through the gate
		defer r.gate.count.Done()
		f := r.raft.Load().Apply(text, enqueue(ctx))
		if err := f.Error(); err != nil {
			answered <- answer{err: r.failed(err)}
			return
		}
		result, err := answerOf(f.Response())
		answered <- answer{result, err}
	}()
	select {
	case a := <-answered:
		return a.result, a.err
	case <-ctx.Done():
		return state.Result{}, unknown(ctx.Err())
	}
}

// enqueue is how long the leader may take to accept a proposal.
func enqueue(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return max(min(time.Until(end), enqueueFor), time.Millisecond)
	}
	return enqueueFor
}

// answerOf unpacks what the FSM answered.
func answerOf(v any) (state.Result, error) {
	switch v := v.(type) {
	case state.Result:
		return v, nil
	case error:
		return state.Result{}, unknown(v)
	default:
		return state.Result{}, unknown(fmt.Errorf("replica: answer %T", v))
	}
}

// failed sorts raft's errors into those that prove that nothing happened and all others.
func (r *Replica) failed(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return r.noLeader()
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return &state.Error{Code: state.NoLeader, Message: "the leader is overrun and did not take the change; nothing changed"}
	default:
		return unknown(err)
	}
}

func unknown(err error) error {
	return &state.Error{
		Code:    state.Unknown,
		Message: fmt.Sprintf("it is not known whether the change was made (%s): repeat it with the same request id", err),
	}
}

// noLeader says who leads, for whoever can go there.
func (r *Replica) noLeader() error {
	message := "no node leads now"
	switch id, _ := r.Leader(); id {
	case "":
	case r.cfg.ID:
		message = "this node was elected and is still catching up"
	default:
		message = fmt.Sprintf("this node does not lead, %s does", id)
	}
	return &state.Error{Code: state.NoLeader, Message: message}
}
