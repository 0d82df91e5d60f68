package main

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// replayWithin is how long a control node waits for agents that decide again.
const replayWithin = 8 * time.Second

// quietly is how long something may take before a bar is worth a person's eye.
const quietly = time.Second

// watched does what takes a while; on a terminal a bar shows how much of its time is gone, and is taken away at the end.
func watched(to io.Writer, what string, slow bool, do func() error) error {
	if !slow || !terminal(to) {
		return do()
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	done := make(chan struct{})
	var bar sync.WaitGroup
	bar.Go(func() { drawTime(to, what, time.Now(), tick.C, done) })
	err := do()
	close(done)
	bar.Wait()
	return err
}

// drawTime draws the time since began, of replayWithin, until done.
func drawTime(to io.Writer, what string, began time.Time, ticks <-chan time.Time, done <-chan struct{}) {
	bar := progressbar.NewOptions64(replayWithin.Milliseconds(), progressbar.OptionSetWriter(to), progressbar.OptionSetDescription(what),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
	shown := false
	for {
		select {
		case <-done:
			if shown {
				_ = bar.Finish() // a bar that cannot be drawn is no reason to stop
			}
			return
		case now := <-ticks:
			if gone := now.Sub(began); gone >= quietly {
				shown = true
				_ = bar.Set64(min(gone, replayWithin-time.Millisecond).Milliseconds())
			}
		}
	}
}
