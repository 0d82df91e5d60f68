package sandbox

import (
	"math"
	"sync"
	"time"
)

// Tally counts calls.
type Tally struct {
	Calls       uint64
	OK          uint64          // answered as a provider answers: succeeded, declined, invalid
	Failed      map[Told]uint64 // refused, unknown, transport
	Reads       uint64
	FailedReads uint64
	P50, P99    time.Duration
}

// Stats are the shopper's counters since its start.
type Stats struct {
	Tally
	Regions  map[string]Tally
	Sessions uint64
	Skipped  uint64 // sessions not begun because too many were open
	Orders   map[Told]uint64
	Texts    map[Told]uint64 // messages
	Chats    map[Told]uint64 // questions that were answered whole
}

// histogram counts latencies in buckets that grow by a fifth: enough to tell 10 ms from 12, in less than 1 KiB.
type histogram [96]uint64

const (
	growth = 1.2
	finest = 100 * time.Microsecond // the first bucket's upper end
)

func (h *histogram) add(d time.Duration) {
	i := 0
	if d > finest {
		i = int(math.Ceil(math.Log(float64(d)/float64(finest)) / math.Log(growth)))
	}
	h[min(i, len(h)-1)]++
}

// quantile is the upper end of the bucket in which it falls.
func (h *histogram) quantile(q float64) time.Duration {
	var all, seen uint64
	for _, n := range h {
		all += n
	}
	for i, n := range h {
		seen += n
		if n > 0 && float64(seen) >= q*float64(all) {
			return time.Duration(float64(finest) * math.Pow(growth, float64(i)))
		}
	}
	return 0
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o {
		h[i] += n
	}
}

// regional counts the calls of one region.
type regional struct {
	Tally
	latency histogram
}

func newRegional() *regional { return &regional{Tally: Tally{Failed: map[Told]uint64{}}} }

func (r *regional) tally() Tally {
	t := r.Tally
	t.Failed = map[Told]uint64{}
	for k, n := range r.Failed {
		t.Failed[k] = n
	}
	t.P50, t.P99 = r.latency.quantile(0.5), r.latency.quantile(0.99)
	return t
}

func (r *regional) merge(o *regional) {
	r.Calls += o.Calls
	r.OK += o.OK
	r.Reads += o.Reads
	r.FailedReads += o.FailedReads
	for k, n := range o.Failed {
		r.Failed[k] += n
	}
	r.latency.merge(&o.latency)
}

// counters are the shopper's.
type counters struct {
	mu                sync.Mutex
	regions           map[string]*regional
	sessions, skipped uint64
}

func newCounters(targets []Target) *counters {
	c := &counters{regions: map[string]*regional{}}
	for _, t := range targets {
		c.regions[t.Region] = newRegional()
	}
	return c
}

func (c *counters) session(skipped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if skipped {
		c.skipped++
		return
	}
	c.sessions++
}

// call counts one call. A read of what certainly exists fails with anything but the object.
func (c *counters) call(region string, read bool, told Told, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.regions[region]
	r.Calls++
	r.latency.add(took)
	if read {
		r.Reads++
		if told != Succeeded {
			r.FailedReads++
		}
	}
	switch told {
	case Refused, Unknown, Transport:
		r.Failed[told]++
	default:
		r.OK++
	}
}

func (c *counters) now() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{Regions: map[string]Tally{}, Sessions: c.sessions, Skipped: c.skipped}
	all := newRegional()
	for name, r := range c.regions {
		s.Regions[name] = r.tally()
		all.merge(r)
	}
	s.Tally = all.tally()
	return s
}
