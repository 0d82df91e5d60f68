package replica

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"segue/controlplane/state"
)

// Add takes a node into the cluster as a learner: it gets everything and has no vote. Only the leader can. A learner that is there at that
// address stays as it is.
func (r *Replica) Add(ctx context.Context, id, addr string) error {
	if r.reign.Load() == nil {
		return r.noLeader()
	}
	for _, sv := range r.servers() {
		switch {
		case string(sv.ID) == id && string(sv.Address) == addr:
			return nil
		case string(sv.ID) == id:
			return refuse("control node %s is known at %s: remove it first, or give the new node another name", id, sv.Address)
		case string(sv.Address) == addr:
			return refuse("%s is the address of control node %s", addr, sv.ID)
		}
	}
	if n := len(r.servers()); n >= maxPeers {
		return refuse("the cluster has %d nodes, the limit: more voters make each change slower and nothing safer", n)
	}
	if err := r.suits(ctx, id, addr); err != nil {
		return err
	}
	return r.reform(ctx, func(node *raft.Raft) raft.Future {
		return node.AddNonvoter(raft.ServerID(id), raft.ServerAddress(addr), 0, enqueueFor)
	})
}

// suits asks the node at addr who it is. One that has files of another cluster must not be taken in: entries that it applied already would
// be skipped, and its State would differ from the others' without anybody noticing.
func (r *Replica) suits(ctx context.Context, id, addr string) error {
	who, err := r.trans.stream.ask(ctx, addr, id)
	switch {
	case err != nil:
		return refuse("no control node answers at %s (%v): start it first, with: segue control --id %s --raft %s --join", addr, err, id, addr)
	case who.ID != id:
		return refuse("the control node at %s calls itself %s, not %s", addr, who.ID, id)
	case who.Incarnation != "" && who.Incarnation != r.State().Incarnation, who.Servers > 0 && who.Incarnation == "":
		return refuse("the control node at %s belongs to a cluster of its own: start it with --join and an empty --dir", addr)
	default:
		return nil
	}
}

// Answers asks the node called id who it is, at the listener that Raft uses; nil: it lives.
func (r *Replica) Answers(ctx context.Context, id string) error {
	sv, ok := r.server(id)
	if !ok {
		return missing(id)
	}
	who, err := r.trans.stream.ask(ctx, string(sv.Address), id)
	if err == nil && who.ID != id {
		return refuse("the control node at %s calls itself %s, not %s", sv.Address, who.ID, id)
	}
	return err
}

// Promote gives a learner its vote.
func (r *Replica) Promote(ctx context.Context, id string) error {
	sv, ok := r.server(id)
	switch {
	case !ok:
		return missing(id)
	case sv.Suffrage == raft.Voter:
		return nil
	}
	return r.reform(ctx, func(node *raft.Raft) raft.Future { return node.AddVoter(sv.ID, sv.Address, 0, enqueueFor) })
}

// Remove takes a node out of the cluster. The leader does not remove itself: it hands the leadership on first.
func (r *Replica) Remove(ctx context.Context, id string) error {
	sv, ok := r.server(id)
	switch {
	case !ok:
		return missing(id)
	case id == r.cfg.ID:
		return refuse("%s leads: it must hand the leadership on before it can go", id)
	}
	return r.reform(ctx, func(node *raft.Raft) raft.Future { return node.RemoveServer(sv.ID, 0, enqueueFor) })
}

// Transfer gives the leadership to the voter called to, or to whichever has the most of the log. Where the library wedges on the way (its
// issue 696), the watch in pass ends the process in the term in which it would matter.
func (r *Replica) Transfer(ctx context.Context, to string) error {
	if to == "" {
		return r.await(ctx, func(node *raft.Raft) error { return node.LeadershipTransfer().Error() })
	}
	sv, ok := r.server(to)
	switch {
	case !ok:
		return missing(to)
	case sv.Suffrage != raft.Voter:
		return refuse("control node %s has no vote yet: it cannot lead", to)
	}
	return r.await(ctx, func(node *raft.Raft) error { return node.LeadershipTransferToServer(sv.ID, sv.Address).Error() })
}

func (r *Replica) server(id string) (raft.Server, bool) {
	for _, sv := range r.servers() {
		if string(sv.ID) == id {
			return sv, true
		}
	}
	return raft.Server{}, false
}

// Has tells whether the cluster, as this node knows it, has a node called id.
func (r *Replica) Has(id string) bool {
	_, ok := r.server(id)
	return ok
}

// Member tells whether this node is in the newest list of the cluster that it has, or was told of. A node that waits to be added is in none.
func (r *Replica) Member() bool {
	return !r.out.Load() && r.Has(r.cfg.ID)
}

// reform changes the list of servers, once a term's barrier has passed.
func (r *Replica) reform(ctx context.Context, change func(*raft.Raft) raft.Future) error {
	if r.reign.Load() == nil {
		return r.noLeader()
	}
	return r.await(ctx, func(node *raft.Raft) error { return change(node).Error() })
}

// await runs what raft answers in its own time.
func (r *Replica) await(ctx context.Context, do func(*raft.Raft) error) error {
	if !r.gate.enter() {
		return r.noLeader()
	}
	done := make(chan error, 1)
	go func() { // awaited by Stop through the gate
		defer r.gate.count.Done()
		done <- do(r.raft.Load())
	}()
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
		return r.failed(err)
	case <-ctx.Done():
		return unknown(ctx.Err())
	}
}

// Restore puts st, which was made by State.Restored, in the place of the State, here and on every node. Proposals under way end unknown;
// until it is done nothing is proposed.
func (r *Replica) Restore(ctx context.Context, make func(index uint64) (*state.State, error)) error {
	own := r.reign.Load()
	if own == nil || !r.reign.CompareAndSwap(own, nil) {
		return r.noLeader()
	}
	defer r.resume(own)
	st, err := make(r.raft.Load().LastIndex() + restoreGap)
	if err != nil {
		return err
	}
	snapshot, err := textOf(st)
	if err != nil {
		return err
	}
	meta := raft.SnapshotMeta{Version: raft.SnapshotVersionMax, Index: st.Index, Term: own.term, Size: int64(snapshot.Len())}
	return r.await(ctx, func(node *raft.Raft) error {
		if err := node.Restore(&meta, snapshot, restoreFor); err != nil {
			return err
		}
		f := node.Barrier(barrierFor)
		if err := f.Error(); err != nil {
			return err
		}
		if i, ok := f.(raft.IndexFuture); ok {
			r.fsm.passed(i.Index())
		}
		return nil
	})
}

// resume goes on with a reign, unless its term has ended meanwhile.
func (r *Replica) resume(own *reign) {
	r.reign.CompareAndSwap(nil, own)
	if own.ctx.Err() != nil {
		r.reign.CompareAndSwap(own, nil)
	}
}

// textOf is the State as snapshots hold it, read back once: raft ends the process over a snapshot that it cannot load.
func textOf(st *state.State) (*bytes.Buffer, error) {
	var text bytes.Buffer
	if err := st.Save(&text); err != nil {
		return nil, fmt.Errorf("replica: restore: %w", err)
	}
	if _, err := state.Load(bytes.NewReader(text.Bytes())); err != nil {
		return nil, fmt.Errorf("replica: restore: %w", err)
	}
	return &text, nil
}

const (
	// restoreGap leaves room for raft's own entries between the last index and the restored State's.
	restoreGap = 1024
	restoreFor = 30 * time.Second
)

func refuse(format string, args ...any) error {
	return &state.Error{Code: state.Invalid, Message: fmt.Sprintf(format, args...)}
}

func missing(id string) error {
	return &state.Error{Code: state.NotFound, Message: fmt.Sprintf("there is no control node %q", id)}
}
