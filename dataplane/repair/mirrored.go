package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

const (
	// DefaultSilence is how long an agent is not heard before its mirror replays its hints.
	DefaultSilence = 15 * time.Second
	// maxOrigins bounds the agents of which one keeps hints: each has a log of its own.
	maxOrigins = 8
	hearEvery  = 250 * time.Millisecond
)

// MirroredOptions are what a Mirrored may be told. Log.Keys must be set.
type MirroredOptions struct {
	Log     LogOptions
	Repair  Options
	Silence time.Duration // DefaultSilence
}

// Mirrored keeps other agents' hints, a log for each, and replays those of an agent that is not heard any more. Should that one come back,
// both replay the same events, which changes nothing.
type Mirrored struct {
	dir      string
	opts     MirroredOptions
	ledger   ledger.Store
	sessions session.Store
	idle     sync.WaitGroup
	cancel   context.CancelFunc

	mu      sync.Mutex
	origins map[string]*origin
	closed  bool
}

// origin is an agent whose hints are kept here.
type origin struct {
	*Repair
	heard time.Time
	gone  bool
}

// named are the names that an agent may have here: they become those of directories.
var named = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// OpenMirrored opens what is in the directory. Nothing is replayed before the agents that it came from had time to be heard.
func OpenMirrored(dir string, transactions ledger.Store, talks session.Store, o MirroredOptions) (*Mirrored, error) {
	if o.Silence <= 0 {
		o.Silence = DefaultSilence
	}
	if o.Repair.Now == nil {
		o.Repair.Now = time.Now
	}
	if o.Repair.Log == nil {
		o.Repair.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Mirrored{dir: dir, opts: o, ledger: transactions, sessions: talks, cancel: cancel, origins: map[string]*origin{}}
	found, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		cancel()
		return nil, fmt.Errorf("repair: %w", err)
	}
	for _, d := range found {
		if d.IsDir() && named.MatchString(d.Name()) {
			if _, err := m.origin(d.Name()); err != nil {
				return nil, errors.Join(err, m.Close())
			}
		}
	}
	m.idle.Go(func() { m.listen(ctx) })
	return m, nil
}

// Keep returns when an agent's hint is on this machine's disk. One that nobody here could open is refused.
func (m *Mirrored) Keep(agent string, c Copy) error {
	o, err := m.origin(agent)
	if err != nil {
		return err
	}
	if _, err := o.log.opened(&c); err != nil {
		return fmt.Errorf("%w: %w", errForeign, err)
	}
	m.hear(o)
	return o.log.Keep(c)
}

// Beat notes that an agent lives, and forgets what it says is over.
func (m *Mirrored) Beat(agent string, b Beat) error {
	o, err := m.origin(agent)
	if err != nil {
		return err
	}
	m.hear(o)
	for _, id := range b.Ended {
		o.log.End(id, Superseded)
	}
	if !b.Whole {
		return nil
	}
	wanted := make(map[ID]bool, len(b.Wanted))
	for _, id := range b.Wanted {
		wanted[id] = true
	}
	for _, e := range o.log.all(func(e *entry) bool { return e.At.Before(b.Before) && !wanted[e.ID] }) {
		o.log.End(e.ID, Superseded)
	}
	return nil
}

// Waiting is how many hints of other agents are kept, and how many agents of those are not heard, so that they are replayed here.
func (m *Mirrored) Waiting() (hints, silent int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.origins {
		s := o.Stats()
		hints += s.Pending + s.Held
		if o.gone {
			silent++
		}
	}
	return hints, silent
}

func (m *Mirrored) hear(o *origin) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o.heard = m.opts.Repair.Now()
}

// origin returns the agent's part, and makes it when the agent is heard first.
func (m *Mirrored) origin(agent string) (*origin, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch o := m.origins[agent]; {
	case m.closed:
		return nil, ErrClosed
	case o != nil:
		return o, nil
	case !named.MatchString(agent):
		return nil, fmt.Errorf("repair: %.80q is no name of an agent: letters, digits, dots and dashes", agent)
	case len(m.origins) >= maxOrigins:
		return nil, fmt.Errorf("repair: hints of %d agents are kept here, the most: give %s another mirror", maxOrigins, agent)
	}
	log, err := OpenLog(filepath.Join(m.dir, agent), m.opts.Log)
	if err != nil {
		return nil, err
	}
	o := &origin{Repair: New(log, m.ledger, m.sessions, m.opts.Repair), heard: m.opts.Repair.Now()}
	o.Pause()
	if err := o.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	m.origins[agent] = o
	return o, nil
}

// listen lets the hints of an agent go that is not heard any more.
func (m *Mirrored) listen(ctx context.Context) {
	t := time.NewTicker(hearEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.judge()
		}
	}
}

func (m *Mirrored) judge() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for agent, o := range m.origins {
		gone := m.opts.Repair.Now().Sub(o.heard) > m.opts.Silence
		if gone == o.gone {
			continue
		}
		if o.gone = gone; !gone {
			o.Pause()
			m.opts.Repair.Log.Info("an agent is heard again: it replays its hints itself", "agent", agent)
			continue
		}
		if n := o.Stats().Pending; n > 0 {
			m.opts.Repair.Log.Warn("an agent is not heard any more: its hints are replayed here", "agent", agent, "hints", n)
		}
		o.Resume()
	}
}

// Close ends the replay. What is kept stays.
func (m *Mirrored) Close() error {
	m.cancel()
	m.idle.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	var err error
	for _, o := range m.origins {
		o.Stop()
		err = errors.Join(err, o.log.Close())
	}
	m.origins = nil
	return err
}
