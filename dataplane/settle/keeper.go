package settle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// Bounds of the work in the background.
const (
	checksAtOnce = 8
	checkLimit   = 20 * time.Second // for one look at an outcome, its questions included
	leftAtOnce   = 256              // rows of a dead run that are taken over in one go
	scanEvery    = 6                // times Config.Fence lie between two looks for open rows whose run nobody knows
	mendLimit    = 3 * time.Hour    // for a look through all rows
	nightHour    = 3                // of UTC: when that begins
	soon         = 5 * time.Second  // a check that could not be made is tried again after
)

// keeper is what a Driver does in the background: it tells that its run lives, takes over what the dead left, and looks for unknown outcomes.
type keeper struct {
	stop    context.CancelFunc
	idle    sync.WaitGroup
	wake    chan struct{}
	slots   chan struct{}
	peers   peers
	strange map[string]time.Duration // runs without a row that have open transactions → Boot when first seen
	scanned time.Duration            // Boot of the last scan for them
	listed  time.Duration            // Boot of the last look at what is written down to be watched
	mend    time.Time                // when all rows are looked through next
	ill     map[[2]string]bool       // service and provider whose circuit was not closed
	watched watched
	under   *policy.Snapshot // the policy under which open rows that nobody could be asked about were looked at last
}

// Start begins the work in the background. Stop ends it.
func (d *Driver) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	k := &d.keeper
	k.stop, k.wake, k.slots = cancel, make(chan struct{}, 1), make(chan struct{}, checksAtOnce)
	k.peers, k.strange, k.ill = peers{}, map[string]time.Duration{}, map[[2]string]bool{}
	k.listed, k.mend, k.under = d.cfg.Boot(), nextNight(d.cfg.Now()), d.policy.Load()
	if d.cfg.Runs != nil {
		k.idle.Go(func() { d.every(ctx, nil, d.beats) })
	}
	k.idle.Go(func() {
		if err := d.Rewatch(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.Warn("attempts that may come to light late are watched only from now on", "error", err)
		}
		d.every(ctx, k.wake, d.look)
	})
}

// Stop ends the work in the background and waits for it. What it leaves open is found by the next run.
func (d *Driver) Stop() {
	if d.keeper.stop != nil {
		d.keeper.stop()
		d.keeper.idle.Wait()
	}
}

// nudge lets the background look now.
func (d *Driver) nudge() {
	select {
	case d.keeper.wake <- struct{}{}:
	default: // it will, or it does not run
	}
}

// every does something each tenth of the time after which a run is taken for dead, and when it is woken.
func (d *Driver) every(ctx context.Context, wake <-chan struct{}, do func(context.Context)) {
	tick := time.NewTicker(d.cfg.Fence / 10)
	defer tick.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-wake:
		}
	}
}

func (d *Driver) beats(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, d.cfg.Fence/2)
	defer cancel()
	if err := d.see(limited); err != nil && ctx.Err() == nil {
		d.cfg.Log.Debug("the ledger's clock was not seen", "error", err)
	}
	if err := d.beat(limited); err != nil && ctx.Err() == nil {
		d.cfg.Log.Warn("the ledger was not told that this agent lives", "error", err)
	}
}

// look observes the other runs, takes over what dead ones left, and begins the checks that are due.
func (d *Driver) look(ctx context.Context) {
	if d.Lease() != nil || d.Clock() != nil { // who may not drive takes nothing over
		return
	}
	if d.cfg.Runs != nil {
		limited, cancel := context.WithTimeout(ctx, d.cfg.Fence)
		if err := d.observe(limited); err != nil && ctx.Err() == nil {
			d.cfg.Log.Warn("other runs could not be looked at", "error", err)
		}
		cancel()
		d.inherit(ctx)
	}
	d.recovered()
	d.changed()
	d.gather(ctx)
	d.checks(ctx)
	d.watches(ctx)
	d.nightly(ctx)
}

// nightly does what has time: it takes up watches whose agents died, and once a night one of all agents looks through all rows.
func (d *Driver) nightly(ctx context.Context) {
	k := &d.keeper
	if now := d.cfg.Boot(); now-k.listed >= scanEvery*d.cfg.Fence {
		k.listed = now
		if err := d.Rewatch(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.Warn("what dead agents watched is taken up later", "error", err)
		}
	}
	if now := d.cfg.Now(); d.cfg.Runs != nil && !now.Before(k.mend) {
		if k.mend = nextNight(now); k.peers.lowest(d.RunID()) {
			k.idle.Go(func() { d.mendRows(ctx) })
		}
	}
}

// mendRows gives open rows that no entry leads to their entries again: nobody would find them when their driver is dead.
func (d *Driver) mendRows(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, mendLimit)
	defer cancel()
	switch n, err := d.cfg.Runs.Mend(ctx); {
	case err != nil && !errors.Is(err, context.Canceled):
		d.cfg.Log.Warn("not all rows were looked through for open ones that nothing leads to", "found", n, "error", err)
	case n > 0:
		d.cfg.Log.Error("open rows to which nothing led are found again", "rows", n)
	}
}

// nextNight is the next time at which all rows are looked through.
func nextNight(now time.Time) time.Time {
	now = now.UTC()
	at := time.Date(now.Year(), now.Month(), now.Day(), nightHour, 0, 0, 0, time.UTC)
	if !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at
}

// observe fences runs that stood still for too long, and takes over what fenced runs left.
func (d *Driver) observe(ctx context.Context) error {
	var runs []ledger.Run
	if err := d.cfg.Runs.Runs(ctx, func(r ledger.Run) bool { runs = append(runs, r); return true }); err != nil {
		return fmt.Errorf("settle: runs: %w", err)
	}
	k, now := &d.keeper, d.cfg.Boot()
	for _, r := range k.peers.observe(runs, d.RunID(), clocks{now, d.cfg.Now()}, d.cfg.Fence) {
		if err := d.fence(ctx, r); err != nil {
			return err
		}
	}
	return d.strangers(ctx, now)
}

// maxSlow is how many runs in a row may fail to be looked through before the store is left alone until the next time.
const maxSlow = 3

// inherit takes over what fenced runs left. Each has a time of its own: one that is slow to look through keeps nobody from the others.
func (d *Driver) inherit(ctx context.Context) {
	k, slow := &d.keeper, 0
	for _, id := range k.peers.due(d.cfg.Boot()) {
		limited, cancel := context.WithTimeout(ctx, d.cfg.Fence)
		n, err := d.takeLeft(limited, id)
		cancel()
		if err == nil {
			k.peers.scanned(id, n, d.cfg.Boot())
			slow = 0
			continue
		}
		if ctx.Err() != nil {
			return
		}
		d.cfg.Log.Warn("what another run left could not all be taken over", "run", id, "error", err)
		k.peers.scanned(id, max(n, 1), d.cfg.Boot()) // nobody knows that nothing is left
		if slow++; slow == maxSlow {
			return
		}
	}
}

func (d *Driver) fence(ctx context.Context, r ledger.Run) error {
	r.Fenced = d.cfg.Now()
	// killpoint: fence.before
	fenced, err := d.cfg.Runs.Fence(ctx, r)
	// killpoint: fence.written
	if err != nil {
		return fmt.Errorf("settle: fence of %s: %w", r.ID, err)
	}
	if !fenced {
		return nil // it beat after all
	}
	if p := d.keeper.peers[r.ID]; p != nil {
		p.fenced = true
	}
	d.cfg.Log.Warn("a run stood still and is taken for dead: its transactions are taken over", "run", r.ID)
	return nil
}

// strangers fences runs that have open transactions and no row: an older version wrote none, or it is gone.
func (d *Driver) strangers(ctx context.Context, now time.Duration) error {
	k := &d.keeper
	if k.scanned != 0 && now-k.scanned < scanEvery*d.cfg.Fence {
		return nil
	}
	k.scanned = now
	seen := map[string]bool{}
	err := d.cfg.Store.Open(ctx, func(t *ledger.Transaction) bool {
		k.peers.found(t.Run)
		seen[t.Run] = seen[t.Run] || k.peers[t.Run] == nil && t.Run != d.RunID()
		return true
	})
	if err != nil {
		return fmt.Errorf("settle: open transactions: %w", err)
	}
	for run, strange := range seen {
		since, known := k.strange[run]
		switch {
		case !strange:
			delete(k.strange, run)
		case !known:
			k.strange[run] = now
		case now-since >= d.cfg.Fence:
			if err := d.fence(ctx, ledger.Run{ID: run}); err != nil {
				return err
			}
			delete(k.strange, run)
		}
	}
	return nil
}

// takeLeft makes what a fenced run left this run's, as far as nobody is faster.
func (d *Driver) takeLeft(ctx context.Context, run string) (int, error) {
	var left []*ledger.Transaction
	err := d.cfg.Runs.Left(ctx, run, func(t *ledger.Transaction) bool {
		left = append(left, t)
		return len(left) < leftAtOnce
	})
	if err != nil {
		return 0, fmt.Errorf("settle: what %s left: %w", run, err)
	}
	for _, t := range left {
		if err := d.takeOver(ctx, t); err != nil && !errors.Is(err, ErrLost) {
			return len(left), err
		}
	}
	return len(left), nil
}

// takeOver makes an open row this run's. It is looked at at once.
func (d *Driver) takeOver(ctx context.Context, t *ledger.Transaction) error {
	now := d.cfg.Now()
	died := t.State == ledger.Intent
	t.TakeOver(d.RunID(), now)
	if died && len(t.Attempts) > 0 && t.Current().Error == "" {
		t.Current().Error = "proxy_internal_error"
	}
	d.Stamp(t, now)
	// killpoint: adopt.before
	if err := d.Put(ctx, t); err != nil {
		return err
	}
	// killpoint: adopt.written
	d.unknowns.add(t, now)
	d.nudge()
	return nil
}

// Adopt begins this run and takes what earlier runs of this agent left under way: it may have been sent, and nobody knows more. It is
// recorded as unknown, and looked for as soon as the background works. It returns how many it found open.
func (d *Driver) Adopt(ctx context.Context) (int, error) {
	if err := d.succeed(ctx); err != nil {
		return 0, err
	}
	var left []*ledger.Transaction
	n := 0
	err := d.cfg.Store.Open(ctx, func(t *ledger.Transaction) bool {
		if d.mine(t) && t.Run != d.RunID() {
			n++
			d.unknowns.add(t, d.cfg.Now())
			if t.State != ledger.Held { // those are taken over when they are looked at
				left = append(left, t)
			}
		}
		return true
	})
	if err != nil {
		return n, fmt.Errorf("settle: open transactions: %w", err)
	}
	for _, t := range left {
		if err := d.takeOver(ctx, t); err != nil && !errors.Is(err, ErrLost) {
			return n, err
		}
	}
	return n, nil
}

// succeed makes this run's row and fences the earlier ones of this agent.
func (d *Driver) succeed(ctx context.Context) error {
	if d.cfg.Runs == nil {
		return nil
	}
	if err := d.beat(ctx); err != nil {
		return err
	}
	var earlier []ledger.Run
	err := d.cfg.Runs.Runs(ctx, func(r ledger.Run) bool {
		if strings.HasPrefix(r.ID, d.cfg.Agent+"/") && r.ID != d.RunID() && r.Fenced.IsZero() {
			earlier = append(earlier, r)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("settle: runs: %w", err)
	}
	for _, r := range earlier {
		r.Fenced = d.cfg.Now()
		// killpoint: fence.earlier
		if fenced, err := d.cfg.Runs.Fence(ctx, r); err != nil {
			return fmt.Errorf("settle: fence of %s: %w", r.ID, err)
		} else if !fenced {
			d.cfg.Log.Error("another process runs as this agent: give each its own id", "agent", d.cfg.Agent, "run", r.ID)
		}
	}
	return nil
}

// recovered brings checks forward at providers whose circuit closed again.
func (d *Driver) recovered() {
	places := d.unknowns.places()
	for p := range places {
		closed := d.cfg.Board.Closed(p[0], p[1])
		if closed && d.keeper.ill[p] {
			d.unknowns.hurry(p[0], p[1], d.cfg.Now())
		}
		d.keeper.ill[p] = !closed
	}
	for p := range d.keeper.ill {
		if !places[p] {
			delete(d.keeper.ill, p)
		}
	}
}

// changed looks again, under a new policy, at rows that nobody could be asked about: now somebody may.
func (d *Driver) changed() {
	if now := d.policy.Load(); now != d.keeper.under {
		d.keeper.under = now
		d.unknowns.rearm(d.cfg.Now())
	}
}

// checks begins the checks that are due, a few at a time.
func (d *Driver) checks(ctx context.Context) {
	k := &d.keeper
	for _, key := range d.unknowns.take(cap(k.slots)-len(k.slots), d.cfg.Now()) {
		k.slots <- struct{}{}
		k.idle.Go(func() {
			defer func() { <-k.slots; d.nudge() }()
			d.check(ctx, key)
		})
	}
}

// check looks once for the outcome of a row, and tells what that showed.
func (d *Driver) check(ctx context.Context, key ledger.Key) Checked {
	t, err := d.cfg.Store.Load(ctx, key)
	switch {
	case errors.Is(err, ledger.ErrNotFound) && d.recorded(key):
		d.unknowns.postpone(key, d.cfg.Now().Add(soon))
		return unasked(nil, "its row waits on this agent's disk for the store")
	case errors.Is(err, ledger.ErrNotFound):
		d.unknowns.remove(key)
		return unasked(nil, "the store has its row no more")
	case err != nil:
		d.unknowns.postpone(key, d.cfg.Now().Add(soon))
		return unasked(nil, "the store could not be read: "+err.Error())
	case !t.Pending():
		d.settled(ctx, t)
		return Checked{Tx: t}
	case !d.mine(t):
		d.unknowns.remove(key)
		return unasked(t, "another agent drives it by now")
	}
	svc, op, who := d.place(t, len(t.Attempts)-1)
	if who < 0 || len(t.Attempts) == 0 { // the policy has it no more; it may have it again: see changed
		d.unknowns.postpone(key, time.Time{})
		return unasked(t, "the policy in force has its provider no more: nobody can be asked")
	}
	if until := t.Updated.Add(SendBy + svc.Attempts.Deadline + writeLimit); t.State == ledger.Intent && d.cfg.Now().Before(until) && t.Run == d.RunID() {
		d.unknowns.postpone(key, until) // a caller's exchange may be live
		return unasked(t, "its caller's exchange may be live")
	}
	if t.Run != d.RunID() || t.State == ledger.Intent {
		if err := d.takeOver(ctx, t); err != nil {
			d.unknowns.postpone(key, d.cfg.Now().Add(soon))
			return unasked(t, "it could not be taken over: "+err.Error())
		}
	}
	// killpoint: check.begun
	job := &Job{
		Tx: t, Service: svc, Operation: t.Operation, RequestID: t.ID, Candidate: who, Deadline: d.cfg.Now().Add(checkLimit), Way: Way{Resume: true},
		Request: d.kept(ctx, t),
	}
	job.Facts.Pinned, job.Facts.Owner = -1, int8(who)
	if op != nil {
		job.Leave, job.PinAt, job.Object = op.Leave, op.PinAt, d.theirs(ctx, t, op, job.Request)
	}
	end := d.Run(ctx, job)
	d.told(end)
	return Checked{Tx: end.Tx, Looked: end.Looked}
}

// told notes for people that an outcome is known.
func (d *Driver) told(end End) {
	t := end.Tx
	if end.Err != nil {
		d.cfg.Log.Warn("an outcome could not be looked for", "transaction", t.ID, "error", end.Err)
	}
	if t.Pending() || len(t.Attempts) == 0 {
		return
	}
	d.cfg.Board.Note(health.Event{
		At: d.cfg.Now(), Kind: "settled", Service: t.Key.Service, Provider: t.Settled().Provider, Transaction: t.ID, Level: "ok",
		Text: fmt.Sprintf("%s: what was unknown at %s is proven: %s %s", t.Key.Service, t.Settled().Provider, t.Operation, t.State),
	})
}
