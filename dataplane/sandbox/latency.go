package sandbox

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Latency is what an undisturbed provider takes: log-normal around its median.
type Latency struct {
	Median time.Duration // 0 means 12 ms; negative means none at all, for tests
	Spread float64       // sigma of the logarithm; 0 means 0.5
}

const (
	usualMedian = 12 * time.Millisecond
	usualSpread = 0.5
	longTail    = 20  // no draw is over so many medians
	beforeWork  = 0.6 // this share of the time goes by before the execution, the rest after it
)

// pace draws latencies.
type pace struct {
	median time.Duration
	spread float64

	mu   sync.Mutex
	draw *rand.Rand
}

func newPace(l Latency, seed uint64) *pace {
	p := &pace{median: l.Median, spread: l.Spread, draw: rand.New(rand.NewPCG(seed, 0x1a7e))}
	if l.Median == 0 {
		p.median = usualMedian
	}
	if l.Spread == 0 {
		p.spread = usualSpread
	}
	return p
}

// next is how long one request takes under f, before its execution and after it.
func (p *pace) next(f Fault) (before, after time.Duration) {
	total := p.undisturbed()
	if f.Kind == Slow {
		if f.Factor > 0 {
			total = time.Duration(float64(total) * f.Factor)
		}
		total += f.Delay
	}
	before = time.Duration(float64(total) * beforeWork)
	return before, total - before
}

func (p *pace) undisturbed() time.Duration {
	if p.median < 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	times := min(math.Exp(p.spread*p.draw.NormFloat64()), longTail)
	return time.Duration(float64(p.median) * times)
}
