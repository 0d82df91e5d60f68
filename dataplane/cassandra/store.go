package cassandra

import (
	"context"
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
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	driver, err := connect(o)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, names: statementsFor(o.Ledger, o.Soft)}
	s.driver.Store(driver)
	s.entries.init()
	err = s.prepareSchema(ctx)
	if err == nil {
		err = s.inspect(ctx)
	}
	if err != nil {
		driver.Close()
		return nil, err
	}
	background, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.idle.Go(func() { s.watch(background) })
	s.idle.Go(func() { s.tidy(background) })
	s.idle.Go(func() { s.keepHouse(background) })
	return s, nil
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
	s.flush(ctx)
	s.driver.Load().Close()
	return nil
}

// enter lets a call in unless the store is closed.
func (s *Store) enter() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }

// keepHouse looks at the cluster's settings now and then, and gives open rows new life at half of theirs.
func (s *Store) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.inspect(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("the settings of Cassandra could not be looked at", "error", err)
		}
		if n, err := (transactions{s}).renew(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Error("open rows could not be given new life: they end with their time to live", "renewed", n, "error", err)
		}
	}
}
