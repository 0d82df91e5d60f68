package replica

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"segue/controlplane/state"
)

// moment is the State at one point of the log. Each batch makes the next one and closes the channels of the one before.
type moment struct {
	state   *state.State
	index   uint64        // of the last entry that was applied, whatever it did
	term    uint64        // of that entry
	applied chan struct{} // closed with the next batch
	changed chan struct{} // closed when the State differs
}

// fsm is what raft calls. It decodes; state applies.
type fsm struct {
	now    atomic.Pointer[moment]
	halted atomic.Bool
	fatal  func(error)
	news   atomic.Pointer[chan struct{}] // signalled after each batch; never waited for
}

func newFSM(fatal func(error)) *fsm {
	f := &fsm{fatal: fatal}
	f.now.Store(&moment{state: state.New(""), applied: make(chan struct{}), changed: make(chan struct{})})
	return f
}

var errHalted = errors.New("replica: halted on a command that this version does not know")

// Apply is ApplyBatch for one entry.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies entries in the order of the log and publishes the State once. Answers are state.Result or error.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	now := f.now.Load()
	s := now.state
	for i, l := range logs {
		s, answers[i] = f.one(s, l)
	}
	last := logs[len(logs)-1]
	f.publish(s, last.Index, last.Term, s.Index != now.state.Index)
	if news := f.news.Load(); news != nil {
		select {
		case *news <- struct{}{}:
		default: // one is waiting: it will see this batch too
		}
	}
	return answers
}

// listen has news signalled after each batch, until it is called with nil.
func (f *fsm) listen(news chan struct{}) {
	if news == nil {
		f.news.Store(nil)
		return
	}
	f.news.Store(&news)
}

// newest is the last entry that was applied.
func (f *fsm) newest() (index, term uint64) {
	now := f.now.Load()
	return now.index, now.term
}

// one applies an entry. The answer to several commands is a list.
func (f *fsm) one(s *state.State, l *raft.Log) (*state.State, any) {
	if l.Type != raft.LogCommand {
		return s, nil
	}
	commands, many, err := state.Split(l.Data)
	if err != nil {
		f.halt(fmt.Errorf("replica: log entry %d: %w", l.Index, err))
		return s, errHalted
	}
	answers := make([]any, len(commands))
	for i, text := range commands {
		s, answers[i] = f.command(s, text, l.Index)
	}
	if many {
		return s, answers
	}
	return s, answers[0]
}

func (f *fsm) command(s *state.State, text []byte, index uint64) (*state.State, any) {
	if f.halted.Load() {
		return s, errHalted
	}
	c, err := state.Decode(text)
	if err != nil {
		f.halt(fmt.Errorf("replica: log entry %d: %w", index, err))
		return s, errHalted
	}
	next, result := s.Apply(c, index)
	return next, result
}

// halt stops this node's State where it is. Skipping a command would make it differ from the others' without anybody noticing.
func (f *fsm) halt(err error) {
	f.halted.Store(true)
	f.fatal(err)
}

func (f *fsm) publish(s *state.State, index, term uint64, changed bool) {
	old := f.now.Load()
	next := &moment{state: s, index: index, term: term, applied: make(chan struct{}), changed: old.changed}
	if changed {
		next.changed = make(chan struct{})
	}
	f.now.Store(next)
	close(old.applied)
	if changed {
		close(old.changed)
	}
}

// passed notes that everything up to index is applied: raft shows the FSM neither barriers nor its own entries.
func (f *fsm) passed(index uint64) {
	for {
		old := f.now.Load()
		if old.index >= index {
			return
		}
		next := *old
		next.index = index
		if f.now.CompareAndSwap(old, &next) {
			return
		}
	}
}

// Snapshot captures the State, which is immutable: writing it out happens beside later applies.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if f.halted.Load() {
		return nil, errHalted // it would claim to hold the entry that was not applied
	}
	return saved{f.now.Load().state}, nil
}

// Restore replaces the State. Whoever waits for a change is woken: what it knew may be far behind.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	s, err := state.Load(r)
	if err != nil {
		return fmt.Errorf("replica: restore: %w", err)
	}
	f.publish(s, s.Index, 0, true)
	return nil
}

// saved is a State on its way to disk.
type saved struct{ state *state.State }

// Persist writes the State to the sink.
func (s saved) Persist(sink raft.SnapshotSink) error {
	if err := s.state.Save(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release has nothing to give back.
func (saved) Release() {}
