package standing

import (
	"sync"
	"time"
)

// TickEvery is how often Tick is called: a hang shows by then though nobody asks for the provider.
const TickEvery = 50 * time.Millisecond

// Tick looks at all rows: how old calls in flight are, ramps that are over.
func (b *Board) Tick(now time.Time) {
	for _, s := range *b.services.Load() {
		s.mu.Lock()
		for _, r := range s.rows {
			if t, changed := r.Tick(now); changed {
				b.turned(r, t)
			}
		}
		s.mu.Unlock()
	}
}

// beat calls Tick while the agent lives.
type beat struct {
	once sync.Once
	stop chan struct{}
	done sync.WaitGroup
}

// Start ticks until Stop, by the agent's clock.
func (b *Board) Start(now func() time.Time) {
	b.beat.stop = make(chan struct{})
	b.beat.done.Go(func() {
		t := time.NewTicker(TickEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				b.Tick(now())
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
