package replica

import (
	"context"
	"errors"
	"fmt"

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
	p := &proposal{text: text, done: make(chan answer, 1)}
	r.put(p)
	select {
	case a := <-p.done:
		return a.result, a.err
	case <-ctx.Done():
	}
	if r.queue.withdraw(p) {
		r.gate.count.Done()
		return state.Result{}, &state.Error{Code: state.NoLeader, Message: "nothing was proposed: " + ctx.Err().Error()}
	}
	return state.Result{}, unknown(ctx.Err())
}

// answerOf unpacks what the FSM answered to the i-th command of an entry.
func answerOf(v any, i int) answer {
	if all, ok := v.([]any); ok && i < len(all) {
		v = all[i]
	}
	switch v := v.(type) {
	case state.Result:
		return answer{result: v}
	case error:
		return answer{err: unknown(v)}
	default:
		return answer{err: unknown(fmt.Errorf("replica: answer %T", v))}
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
