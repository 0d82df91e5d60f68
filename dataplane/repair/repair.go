package repair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

const (
	defaultTimeout = 2 * time.Second
	defaultSync    = time.Minute
	defaultRanges  = 4
	maxRanges      = 256
	poll           = time.Second // a replayer looks so often at least
	batch          = 64          // hints that a replayer takes in hand
	nudges         = 256         // keys that reads found behind; the rest is found in its turn
)

// Options are what a Repair may be told. The zero value works.
type Options struct {
	Log *slog.Logger
	// Outage tells an error of a store that is out of reach from a refusal; the function Outage is the default.
	Outage    func(error) bool
	Timeout   time.Duration // of a call to the store of sessions, and of a replayed hint
	Ranges    int           // key ranges, with one replayer each
	SyncEvery time.Duration // between two rounds of the background sync
	Now       func() time.Time

	at func(string) // tests end the process at a named point
}

// Repair stands before the two stores of an agent.
type Repair struct {
	log      *Log
	ledger   ledger.Store
	sessions session.Store
	opts     Options
	ranges   []*keyRange
	seen     *lately
	front    atomic.Int64 // calls of new traffic under way
	down     atomic.Bool  // the store was out of reach when it was last asked
	paused   atomic.Bool
	rate     atomic.Uint64 // bits of the most hints a second
	counts   counts
	meter    meter
	idle     sync.WaitGroup
	running  atomic.Bool
	cancel   context.CancelFunc
}

// keyRange is a share of the keys. Who holds the lock is its one replayer.
type keyRange struct {
	mu    sync.Mutex
	wake  chan struct{}
	back  chan struct{} // the store is back
	first chan place    // keys that a read found behind
}

// counts are for the metrics.
type counts struct{ applied, superseded, discarded, held, failed, missing atomic.Int64 }

// New makes a Repair of a log and two stores. Start begins to replay.
func New(log *Log, transactions ledger.Store, talks session.Store, o Options) *Repair {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Outage == nil {
		o.Outage = Outage
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Ranges <= 0 || o.Ranges > maxRanges {
		o.Ranges = defaultRanges
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = defaultSync
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.at == nil {
		o.at = func(string) {}
	}
	r := &Repair{log: log, ledger: transactions, sessions: talks, opts: o, seen: &lately{}}
	for range o.Ranges {
		r.ranges = append(r.ranges, &keyRange{wake: make(chan struct{}, 1), back: make(chan struct{}, 1), first: make(chan place, nudges)})
	}
	return r
}

// refusals are answers of a store that was reached.
var refusals = []error{
	ledger.ErrNotFound, ledger.ErrNotProven, ledger.ErrTooMany, ledger.ErrTooLarge, ledger.ErrCorrupt, ledger.ErrNewer,
	session.ErrNotFound, session.ErrTooManyPins, session.ErrTooMany, session.ErrTooLarge, session.ErrCorrupt, session.ErrNewer,
}

// Outage tells whether an error may mean that a quorum was out of reach: all may but the refusals that the stores name. A write that
// failed for an unknown reason may have been applied, and is hinted: what was applied changes nothing when it is replayed.
func Outage(err error) bool {
	for _, r := range refusals {
		if errors.Is(err, r) {
			return false
		}
	}
	return err != nil
}

// Ledger is the store of transactions with hints.
func (r *Repair) Ledger() ledger.Store { return transactions{r.ledger, r} }

// Sessions is the store of sessions with hints.
func (r *Repair) Sessions() session.Store { return sessions{r.sessions, r} }

// Start begins to replay and to sync in the background.
func (r *Repair) Start() error {
	if r.running.Swap(true) {
		return errRunning
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	for i := range r.ranges {
		r.idle.Go(func() { r.replayRange(ctx, i) })
	}
	r.idle.Go(func() { r.syncAlways(ctx) })
	return nil
}

// Stop ends the replayers. The log stays open: who opened it closes it.
func (r *Repair) Stop() {
	if r.running.Load() {
		r.cancel()
		r.idle.Wait()
		r.running.Store(false)
	}
}

// Pause stops the replay until Resume. Hints are taken on.
func (r *Repair) Pause() { r.paused.Store(true) }

// Resume ends a pause.
func (r *Repair) Resume() {
	r.paused.Store(false)
	for _, k := range r.ranges {
		k.rouse()
	}
}

// Throttle bounds the replay to so many hints a second, all key ranges together; 0 lifts the bound.
func (r *Repair) Throttle(perSecond float64) error {
	if !(perSecond >= 0) || math.IsInf(perSecond, 0) {
		return fmt.Errorf("repair: a rate of %v hints a second: give a number from 0 (no bound) on", perSecond)
	}
	r.rate.Store(math.Float64bits(perSecond))
	return nil
}

func (r *Repair) throttle() float64 { return math.Float64frombits(r.rate.Load()) }

// Stats are figures for gauges and pages.
type Stats struct {
	Pending  int           // hints that wait for the store
	Held     int           // hints that a person must look at
	Journal  int           // hints that were replayed and not looked for since
	Oldest   time.Time     // when the oldest hint that is not in the store was taken; zero: there is none
	Bytes    int64         // of the log on the disk
	Limit    int64         // of Bytes
	Rate     float64       // hints replayed a second, lately
	Left     time.Duration // until the backlog is gone at this rate; 0 where there is no rate
	Expires  time.Duration // until the oldest hint is past its age, and nothing new is taken
	Throttle float64       // most hints a second; 0: no bound
	Paused   bool
	Down     bool // the store was out of reach when it was last asked
}

// Stats tells how the log stands.
func (r *Repair) Stats() Stats {
	now := r.opts.Now()
	l := r.log
	l.mu.Lock()
	s := Stats{
		Pending: l.index.count[pending], Held: l.index.count[stuck], Journal: l.index.count[replayed],
		Oldest: l.index.oldest(), Bytes: l.bytes, Limit: l.opts.Limit,
	}
	l.mu.Unlock()
	s.Rate, s.Throttle, s.Paused, s.Down = r.meter.rate(now), r.throttle(), r.paused.Load(), r.down.Load()
	if s.Rate > 0 {
		s.Left = time.Duration(float64(s.Pending) / s.Rate * float64(time.Second))
	}
	if !s.Oldest.IsZero() {
		s.Expires = max(0, l.opts.Age-now.Sub(s.Oldest))
	}
	return s
}

// enter counts a call of new traffic; the function it returns ends it.
func (r *Repair) enter() func() {
	r.front.Add(1)
	return func() { r.front.Add(-1) }
}

// hint writes an event to the log and wakes who replays it.
func (r *Repair) hint(p place, attempt string, payload []byte) error {
	if _, err := r.log.Append(p.kind, p.key, attempt, payload); err != nil {
		return fmt.Errorf("it could not be hinted either: %w", err)
	}
	r.of(p).rouse()
	return nil
}

func (r *Repair) of(p place) *keyRange { return r.ranges[int(p.key[0])%len(r.ranges)] }

// away tells whether the store is known to be out of reach, and somebody is trying all the time whether it is back.
func (r *Repair) away() bool {
	return r.down.Load() && r.running.Load() && !r.paused.Load() && r.log.backlog(r.opts.Now())
}

func (k *keyRange) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// nudge asks the replayer to take a key first.
func (r *Repair) nudge(p place) {
	k := r.of(p)
	select {
	case k.first <- p:
		k.rouse()
	default:
	}
}
