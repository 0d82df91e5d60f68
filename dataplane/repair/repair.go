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
	watchEvery     = 250 * time.Millisecond
)

// Options are what a Repair may be told. The zero value works.
type Options struct {
	Log *slog.Logger
	// Outage tells an error of a store that is out of reach from a refusal; the function Outage is the default.
	Outage    func(error) bool
	Timeout   time.Duration // of a replayed hint; calls of new traffic are bounded by the store itself
	Ranges    int           // key ranges, with one replayer each
	SyncEvery time.Duration // between two rounds of the background sync
	Mirror    Mirror        // a second machine that keeps each hint too; nil: none
	Now       func() time.Time
	Claimed   func(*ledger.Transaction) // is told each row that was made from a recorded INTENT; nil: nobody is

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
	hold     hold
	counts   counts
	meter    meter
	ended    ended
	idle     sync.WaitGroup
	running  atomic.Bool
	cancel   context.CancelFunc
}

// hold is what keeps the replay back.
type hold struct {
	halted atomic.Bool           // by Pause
	by     atomic.Pointer[Steer] // a person; nil: nobody steers
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
	r := &Repair{log: log, ledger: transactions, sessions: talks, opts: o, seen: newLately()}
	r.ended.kept = o.Mirror != nil
	for range o.Ranges {
		r.ranges = append(r.ranges, &keyRange{wake: make(chan struct{}, 1), back: make(chan struct{}, 1), first: make(chan place, nudges)})
	}
	return r
}

// refusals are answers of a store that was reached.
var refusals = []error{
	ledger.ErrNotFound, ledger.ErrNotProven, ledger.ErrNoRoom, ledger.ErrTooMany, ledger.ErrTooLarge, ledger.ErrCorrupt, ledger.ErrNewer,
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
	r.idle.Go(func() { r.watch(ctx) })
	if r.opts.Mirror != nil {
		r.idle.Go(func() { r.beats(ctx) })
	}
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
func (r *Repair) Pause() { r.hold.halted.Store(true) }

// Resume ends a pause.
func (r *Repair) Resume() {
	if r.hold.halted.Swap(false) {
		r.rouse()
	}
}

// Steer is how a person holds the replay back.
type Steer struct {
	Paused bool
	Rate   float64   // most hints a second, all key ranges together; 0: no bound
	Until  time.Time // then it goes on as if nobody had steered; zero: until somebody steers again
}

// Steer holds the replay back, or lets it go: the zero value.
func (r *Repair) Steer(s Steer) error {
	if !(s.Rate >= 0) || math.IsInf(s.Rate, 0) {
		return fmt.Errorf("repair: a rate of %v hints a second: give a number from 0 (no bound) on", s.Rate)
	}
	r.hold.by.Store(&s)
	r.rouse()
	return nil
}

// steered is what a person asked for, as long as it holds.
func (r *Repair) steered() Steer {
	s := r.hold.by.Load()
	if s == nil || !s.Until.IsZero() && !r.opts.Now().Before(s.Until) {
		return Steer{}
	}
	return *s
}

func (r *Repair) paused() bool { return r.hold.halted.Load() || r.steered().Paused }

func (r *Repair) rouse() {
	for _, k := range r.ranges {
		k.rouse()
	}
}

// Stats are figures for gauges and pages.
type Stats struct {
	Pending int           // hints that wait for the store
	Held    int           // hints that a person must look at
	Journal int           // hints that were replayed and not looked for since
	Oldest  time.Time     // when the oldest hint that is not in the store was taken; zero: there is none
	Bytes   int64         // of the log on the disk
	Limit   int64         // of Bytes
	Replays float64       // hints a second, lately
	Left    time.Duration // until the backlog is gone at this rate; 0 where there is no rate
	Expires time.Duration // until the oldest that waits for the store is past its age, and nothing new is taken
	Steer                 // how a person holds it back
	Down    bool          // the store was out of reach when it was last asked
	Full    error         // why nothing new is taken; nil: it is
}

// Stats tells how the log stands.
func (r *Repair) Stats() Stats {
	now := r.opts.Now()
	l := r.log
	l.mu.Lock()
	s := Stats{
		Pending: l.index.count[pending], Held: l.index.count[stuck], Journal: l.index.count[replayed],
		Oldest: l.index.oldest(pending, stuck), Bytes: l.bytes, Limit: l.opts.Limit,
	}
	waits := l.index.oldest(pending)
	l.mu.Unlock()
	s.Steer, s.Down, s.Full = r.steered(), r.down.Load(), l.refused()
	s.Replays, s.Paused = r.meter.rate(now), r.paused()
	if s.Replays > 0 {
		s.Left = time.Duration(float64(s.Pending) / s.Replays * float64(time.Second))
	}
	if !waits.IsZero() {
		s.Expires = max(0, l.opts.Age-now.Sub(waits))
	}
	return s
}

// calm tells whether the store answered when it was last asked, and nothing waits for it: then it is asked, and there is nothing to add.
func (r *Repair) calm() bool { return !r.down.Load() && r.log.index.waitingNow.Load() == 0 }

// hint writes an event to the log, and to the mirror where there is one, and wakes who replays it.
func (r *Repair) hint(p place, attempt string, payload []byte) error {
	c, err := r.log.sealed(p.kind, p.key, attempt, payload)
	if err != nil {
		return fmt.Errorf("it could not be hinted either: %w", err)
	}
	mirrored := make(chan error, 1)
	if m := r.opts.Mirror; m != nil {
		go func() { mirrored <- m.Keep(c) }() // awaited below
	} else {
		mirrored <- nil
	}
	err = r.log.Keep(c)
	if lost := <-mirrored; lost != nil {
		err = errors.Join(err, fmt.Errorf("the mirror has not got it: %w", lost))
	}
	if err != nil {
		return fmt.Errorf("it could not be hinted either: %w", err)
	}
	r.of(p).rouse()
	return nil
}

func (r *Repair) of(p place) *keyRange { return r.ranges[int(p.key[0])%len(r.ranges)] }

// away tells whether the store is known to be out of reach; watch tries all the time whether it is back.
func (r *Repair) away() bool { return r.down.Load() && r.running.Load() }

// Feel is told how a call of the store's ended that did not come by here.
func (r *Repair) Feel(err error) {
	switch {
	case r.opts.Outage(err):
		r.down.Store(true)
	case err == nil:
		r.reached()
	}
}

// watch asks for a store that is out of reach, so that nobody else waits for it.
func (r *Repair) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if r.down.Load() {
			r.ask(ctx)
		}
	}
}

func (r *Repair) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	if _, err := r.sessions.Load(ctx, session.Key{App: "segue", ID: "watch"}); !r.opts.Outage(err) {
		r.reached()
	}
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
