package replica

import (
	"slices"
	"sync"

	"segue/controlplane/state"
)

// Proposals that come while others are on their way go into one entry of the log: it is encoded, written, sent and answered once. Without
// this, a busy cluster spends most of its time on entries and not on what they say.
const (
	flights     = 2        // entries under way at once: one is written here while another is on its way to the followers
	batchBytes  = 64 << 10 // of an entry with more than one command
	batchLength = 256      // commands of an entry
)

// proposal is a command that waits for its place in the log, and then for its answer.
type proposal struct {
	text []byte
	done chan answer // holds one
}

type answer struct {
	result state.Result
	err    error
}

// proposals are those that wait for an entry.
type proposals struct {
	mu      sync.Mutex
	waiting []*proposal
	flying  int
}

// put has p go with the next entry; alone and at once where few are under way.
func (r *Replica) put(p *proposal) {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.queue.waiting = append(r.queue.waiting, p)
	if r.queue.flying < flights {
		r.queue.flying++
		go r.fly() // awaited by Stop through the gate: each proposal is in it until it is answered
	}
}

// withdraw takes p back; false: it is under way already.
func (q *proposals) withdraw(p *proposal) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, p)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// next takes the proposals of one entry; none: nobody waits, and one flight less is under way.
func (q *proposals) next() []*proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for n < len(q.waiting) && n < batchLength {
		if bytes += len(q.waiting[n].text); n > 0 && bytes > batchBytes {
			break
		}
		n++
	}
	taken := q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; n == 0 {
		q.waiting, q.flying = nil, q.flying-1
	}
	return taken
}

// fly proposes entries until nobody waits.
func (r *Replica) fly() {
	for taken := r.queue.next(); len(taken) > 0; taken = r.queue.next() {
		texts := make([][]byte, len(taken))
		for i, p := range taken {
			texts[i] = p.text
		}
		f := r.raft.Load().Apply(state.Join(texts), enqueueFor)
		err := f.Error()
		for i, p := range taken {
			if err != nil {
				p.done <- answer{err: r.failed(err)}
			} else {
				p.done <- answerOf(f.Response(), i)
			}
			r.gate.count.Done()
		}
	}
}
