package cassandra

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

// Store is a cluster, as seen by one process.
type Store struct {
	opts    Options
	names   statements
	driver  atomic.Pointer[gocql.Session]
	refusal atomic.Pointer[error] // why new claims are refused; nil: they are not
	entries entries
	minutes minutes
	gate    sync.RWMutex // held for reading by every call, for writing by Close
	closed  bool
	cancel  context.CancelFunc
	idle    sync.WaitGroup
}

// Open connects, and checks or makes the schema. A cluster whose settings break promises opens: what it holds can be read, outcomes can
// be recorded, and claims are refused.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := prepare(o)
	if err != nil {
		return nil, err
	}
	switch err := s.reach(ctx); {
	case away(err) && o.Patient && ctx.Err() == nil:
		s.opts.Log.Warn("Cassandra cannot be used yet: effects are refused", "error", err)
		s.refuse(err)
	case err != nil:
		return nil, err
	}
	background, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.idle.Go(func() { s.watch(background) })
	s.idle.Go(func() { s.tidy(background) })
	s.idle.Go(func() { s.keepHouse(background) })
	return s, nil
}

// prepare makes a store that is connected to nobody.
func prepare(o Options) (*Store, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, names: statementsFor(o.Ledger, o.Soft)}
	s.entries.init()
	return s, nil
}

// reach connects for the first time. While it looks at what it reached, nobody else sees the connection: calls fail until all is well.
func (s *Store) reach(ctx context.Context) error {
	driver, err := connect(s.opts)
	if err != nil {
		return err
	}
	scout := &Store{opts: s.opts, names: s.names}
	scout.driver.Store(driver)
	if err = scout.modern(ctx); err == nil {
		err = scout.prepareSchema(ctx)
	}
	if err == nil {
		err = scout.inspect(ctx)
	}
	if err != nil {
		driver.Close()
		return err
	}
	s.refusal.Store(scout.refusal.Load())
	s.driver.Store(driver)
	return nil
}

// Ledger is the store of transactions.
func (s *Store) Ledger() ledger.Store { return transactions{s} }

// Sessions is the store of sessions.
func (s *Store) Sessions() session.Store { return sessions{s} }

// Refused tells why new claims are refused, or nil.
func (s *Store) Refused() error {
	if e := s.refusal.Load(); e != nil {
		return *e
	}
	return nil
}

// Level is how a write of a transaction is acknowledged.
func (s *Store) Level() string { return "serial" }

func (s *Store) refuse(why error) { s.refusal.Store(&why) }

// Close waits for the calls under way, tidies what this process left, and disconnects.
func (s *Store) Close() error {
	s.gate.Lock()
	was := s.closed
	s.closed = true
	s.gate.Unlock() // what runs in the background enters too: it must not find the gate held
	if was {
		return nil
	}
	s.cancel()
	s.idle.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	s.entries.retire()
	if driver := s.driver.Load(); driver != nil {
		s.flush(ctx)
		driver.Close()
	}
	return nil
}

// enter lets a call in unless the store is closed.
func (s *Store) enter() error {
	s.gate.RLock()
	err := error(nil)
	switch {
	case s.closed:
		err = ErrClosed
	case s.driver.Load() == nil:
		err = fmt.Errorf("%w: %w", ErrNotWritten, s.Refused())
	}
	if err != nil {
		s.gate.RUnlock()
	}
	return err
}

func (s *Store) leave() { s.gate.RUnlock() }

// keepHouse looks at the cluster's settings now and then (soon, while they are wrong), and gives open rows new life at half of theirs.
func (s *Store) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.driver.Load() == nil || s.Refused() == nil && n%int(lookEvery/lookAgain) > 0 {
			continue
		}
		if err := s.inspect(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("the settings of Cassandra could not be looked at", "error", err)
		}
		if n, err := (transactions{s}).renew(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Error("open rows could not be given new life: they end with their time to live", "renewed", n, "error", err)
		}
	}
}
