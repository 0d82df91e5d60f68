package replica

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"

	"segue/controlplane/state"
)

// Read returns a State that holds every change acknowledged before Read began. Only the leader can; others answer no-leader.
//
// It is the read of Raft's own paper (section 8): the commit index is taken first, then a quorum confirms that this node leads still, then
// what the index names is awaited. It works only after the term's barrier, before which a leader does not know its own commit index.
//
// The library's VerifyLeader would not do: it counts the next answer of each follower, and that may be one to a question asked before the
// read, on its way while the follower chose another leader.
func (r *Replica) Read(ctx context.Context) (*state.State, error) {
	own := r.reign.Load()
	if own == nil {
		return nil, r.noLeader()
	}
	index := r.raft.Load().CommitIndex()
	asked := r.nextRound(own)
	if asked == nil {
		return nil, r.noLeader()
	}
	select {
	case <-asked.done:
		if !asked.led {
			return nil, r.noLeader()
		}
	case <-own.ctx.Done():
		return nil, r.noLeader()
	case <-ctx.Done():
		return nil, &state.Error{Code: state.NoLeader, Message: "no quorum confirmed in time that this node leads: " + ctx.Err().Error()}
	}
	return r.wait(ctx, own, index)
}

// rounds are the questions to the voters in one term. Reads that begin while one is under way share the next: an answer to a question asked
// before a read began proves nothing to it.
type rounds struct {
	mu   sync.Mutex
	busy bool
	next *round
}

// round is one question to every voter: does this node lead still?
type round struct {
	done chan struct{} // closed when led is set
	led  bool
}

// nextRound returns the round that begins next; nil when the node is stopping.
func (r *Replica) nextRound(own *reign) *round {
	own.reads.mu.Lock()
	defer own.reads.mu.Unlock()
	if own.reads.next == nil {
		own.reads.next = &round{done: make(chan struct{})}
	}
	next := own.reads.next
	if !own.reads.busy {
		if !r.gate.enter() {
			return nil
		}
		own.reads.busy = true
		go r.hold(own) // awaited by Stop through the gate
	}
	return next
}

// hold holds rounds until nobody waits for one.
func (r *Replica) hold(own *reign) {
	defer r.gate.count.Done()
	for {
		own.reads.mu.Lock()
		now := own.reads.next
		own.reads.next = nil
		own.reads.busy = now != nil
		own.reads.mu.Unlock()
		if now == nil {
			return
		}
		now.led = r.confirmed(own)
		close(now.done)
	}
}

// confirmed asks every voter, this node too, and is true as soon as more than half of them are in its term. None of these had voted in a
// later term when it was asked, so nobody else led by then.
func (r *Replica) confirmed(own *reign) bool {
	servers := r.servers()
	answers := make(chan bool, len(servers))
	voters := 0
	for _, sv := range servers {
		switch {
		case sv.Suffrage != raft.Voter:
		case sv.ID == r.trans.id:
			voters++
			answers <- r.raft.Load().CurrentTerm() == own.term
		default:
			voters++
			go func() { answers <- r.trans.follows(sv, own.term) }()
		}
	}
	for agree, left := 0, voters; left > 0; left-- {
		select {
		case yes := <-answers:
			if yes {
				agree++
			}
		case <-own.ctx.Done():
			return false
		}
		if agree > voters/2 {
			return true
		}
	}
	return false
}

// wait returns the State once everything up to index is applied.
func (r *Replica) wait(ctx context.Context, own *reign, index uint64) (*state.State, error) {
	for {
		now := r.fsm.now.Load()
		if now.index >= index {
			return now.state, nil
		}
		select {
		case <-now.applied:
		case <-own.ctx.Done():
			return nil, r.noLeader()
		case <-ctx.Done():
			return nil, &state.Error{Code: state.NoLeader, Message: "this node did not catch up in time: " + ctx.Err().Error()}
		}
	}
}
