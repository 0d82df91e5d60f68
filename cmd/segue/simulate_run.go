package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	"segue/dataplane/simulator"
)

// chance makes the three kinds of chance of a seed, apart from each other.
func chance(seed uint64) simulator.Streams {
	return simulator.Streams{Arrivals: rand.NewPCG(seed, 1), World: rand.NewPCG(seed, 2), Policy: rand.NewPCG(seed, 3)}
}

// playAll plays the jobs on every core. Each has a place of its own in the result: which core was faster makes no difference to it.
func playAll(ctx context.Context, jobs []simulator.Job, to io.Writer) ([]*simulator.Tally, error) {
	tallies := make([]*simulator.Tally, len(jobs))
	order := make([]int, len(jobs)) // the long ones first, so that no core waits for one at the end
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(jobs[b].Rate, jobs[a].Rate) })
	bar := newBar(to, len(jobs))
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(order) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return fmt.Errorf("simulate: %w", err)
				}
				i := order[n]
				t, err := simulator.Play(jobs[i], chance(jobs[i].Seed))
				if err != nil {
					return fmt.Errorf("%w; play it again: %s", err, jobs[i].Replay())
				}
				tallies[i] = t
				bar.done(jobs[i].Scenario)
			}
		})
	}
	err := group.Wait()
	bar.finish()
	return tallies, err
}

// playBar is a progress bar on a terminal, and nothing elsewhere: a log has no use for one.
type playBar struct {
	mu  sync.Mutex
	bar *progressbar.ProgressBar
}

func newBar(to io.Writer, n int) *playBar {
	if !terminal(to) {
		return &playBar{}
	}
	return &playBar{bar: progressbar.NewOptions(n,
		progressbar.OptionSetWriter(to), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("simulate"),
	)}
}

func (p *playBar) done(what string) {
	if p.bar == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar.Describe(what)
	_ = p.bar.Add(1) // a bar that cannot be drawn is no reason to stop
}

func (p *playBar) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// showStudy is what people read in the terminal.
func (s *settings) showStudy(study *simulator.Study, f *simulateFlags) {
	for _, t := range study.Tables() {
		fmt.Fprintf(s.io.out, "\n%s\n", t.Title)
		s.table(t.Rows)
	}
	s.showTurns(study)
	if len(study.Bars) > 0 {
		fmt.Fprintln(s.io.out, "\nBars")
		rows := [][]string{{"", "WHAT", "WANT", "GOT"}}
		for _, b := range study.Bars {
			mark := "held"
			if !b.Held {
				mark = "MISSED"
			}
			rows = append(rows, []string{mark, b.Name, b.Want, clip(b.Got, 100)})
		}
		s.table(rows)
	}
	for _, x := range study.Failing {
		fmt.Fprintf(s.io.out, "\nbroke a promise: %s\n  %s\n", x.What, x.Replay)
	}
	fmt.Fprintf(s.io.out, "\nseeds %d to %d", f.seed, f.seed+uint64(f.seeds)-1)
	if f.out != "" {
		fmt.Fprintf(s.io.out, "; the report with plots is %s", f.out)
	}
	fmt.Fprintln(s.io.out)
}

// showTurns tells the turns of circuits, where they were asked for.
func (s *settings) showTurns(study *simulator.Study) {
	for i := range study.Results {
		r := &study.Results[i]
		if len(r.Turns) == 0 {
			continue
		}
		fmt.Fprintf(s.io.out, "\n%s at %v/s, %s: turns of circuits\n", r.Scenario, r.Rate, r.Player)
		rows := [][]string{{"AT", "REGION", "PROVIDER", "TURN", "WHY"}}
		for _, t := range r.Turns {
			rows = append(rows, []string{t.At, t.Region, t.Provider, t.From + " → " + t.To, t.Why})
		}
		s.table(rows)
	}
}

// clip keeps a line's beginning.
func clip(line string, n int) string {
	if r := []rune(line); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return line
}
