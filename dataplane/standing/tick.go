package standing

import (
	"sync"
	"sync/atomic"
	"time"
)

// TickEvery is how often Tick is called: a hang shows by then though nobody asks for the provider.
const TickEvery = 50 * time.Millisecond

// Tick looks at all rows: how old calls in flight are, ramps that are over.
func (b *Board) Tick(now time.Time) { b.tick(now, 0) }

// tick does, late by so much: while this process did not run, nobody's calls grew older by a provider's fault. Where half of the providers
// that have calls hang in the same moment it is ours too, more likely than theirs: then ages stand still, and the calls' ends tell.
func (b *Board) tick(now time.Time, late time.Duration) {
	services := *b.services.Load()
	busy, due, heard := 0, 0, uint32(0)
	for _, s := range services {
		s.mu.Lock()
		for _, r := range s.rows {
			r.Stall(late)
			if r.InFlight > 0 {
				busy++
			}
			if r.Due(now) {
				due++
			}
			heard += r.Silence.Heard()
		}
		s.mu.Unlock()
	}
	ours := due >= 2 && 2*due >= busy
	for _, s := range services {
		s.mu.Lock()
		for _, r := range s.rows {
			if ours {
				r.Ours(now, TickEvery)
			}
			switch {
			case late > 0:
				r.Silence.Excuse(TickEvery)
			case heard <= r.Silence.Heard():
				r.Silence.Excuse(TickEvery / 2)
			}
			if t, changed := r.Tick(now); changed {
				b.turned(r, t)
			}
			s.follow(b, r, now)
		}
		s.mu.Unlock()
	}
}

// slack is how late a tick may come without a word: timers are not exact.
const slack = 5 * time.Millisecond

// missed tells whether a tick should have come by now and did not: this process is behind, and ages are not to be looked at before it.
func (b *Board) missed(now time.Time) bool {
	last := b.beat.last.Load()
	return last != nil && now.Sub(*last) > TickEvery+slack
}

// beat calls Tick while the agent lives.
type beat struct {
	once sync.Once
	stop chan struct{}
	done sync.WaitGroup
	last atomic.Pointer[time.Time] // the last tick; nil: nothing ticks
	late atomic.Int64              // how late ticks came at most in the last second or so, ns
}

// came notes how late a tick came. What it was late by at most fades within a second.
func (k *beat) came(late time.Duration) {
	was := k.late.Load()
	k.late.Store(max(int64(late), was-was/16-1, 0))
}

// behind is how much longer than its provider took a call may have seemed, because this process waited for its processor when the call went out and
// when its answer came in.
func (k *beat) behind() time.Duration { return 2 * time.Duration(k.late.Load()) }

// Start ticks until Stop, by the agent's clock.
func (b *Board) Start(now func() time.Time) {
	b.beat.stop = make(chan struct{})
	b.beat.done.Go(func() {
		t := time.NewTicker(TickEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				at, late := now(), time.Duration(0)
				if last := b.beat.last.Load(); last != nil {
					late = max(0, at.Sub(*last)-TickEvery-slack)
				}
				b.beat.came(late)
				b.tick(at, late)
				b.beat.last.Store(&at)
			case <-b.beat.stop:
				return
			}
		}
	})
}

// Stop ends the ticks, if there are any.
func (b *Board) Stop() {
	if b.beat.stop != nil {
		b.beat.once.Do(func() { close(b.beat.stop) })
	}
	b.beat.done.Wait()
}
