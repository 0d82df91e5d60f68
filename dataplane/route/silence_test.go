package route

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
)

// queue is the calls of one provider by their ends.
type queue []underWay

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].ends.Before(q[j].ends) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(underWay)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// quietly lets so many calls come at a rate to a provider with which nothing is wrong, and counts the alarms: of silence, and others. Its latency
// goes up and down by a quarter over the day.
func quietly(r *rand.Rand, n int, rate, sigma float64, median time.Duration) (silent, others int) {
	row := NewStanding("stripe")
	row.Circuit.Configure(breaker.Settings{Failures: 5, Successes: 5, Lease: 5 * time.Second})
	now, q := t0.Add(time.Duration(r.Int64N(int64(24*time.Hour)))), queue{}
	tick := now
	look := func() {
		if row.Circuit.State() == breaker.Closed {
			return
		}
		if c := row.Cause(); c.Quiet.For > 0 {
			silent++
		} else {
			others++
		}
		row.Circuit = breaker.Circuit{}
		row.Circuit.Configure(breaker.Settings{Failures: 5, Successes: 5, Lease: 5 * time.Second})
		for k := range row.Measures {
			row.Measures[k].Clear(now)
		}
		row.Silence.Hush(row.since(now))
	}
	for range n {
		now = now.Add(time.Duration(r.ExpFloat64() / rate * float64(time.Second)))
		for {
			at, ends := now, false
			if len(q) > 0 && q[0].ends.Before(at) {
				at, ends = q[0].ends, true
			}
			if !tick.After(at) {
				if row.InFlight == 0 && tick.Add(time.Second).Before(at) {
					tick = at.Add(-100 * time.Millisecond) // nothing happens before
				}
				row.Tick(tick)
				tick = tick.Add(50 * time.Millisecond)
				look()
				continue
			}
			if !ends {
				break
			}
			c := heap.Pop(&q).(underWay)
			c.p.End(health.Sample{Class: health.OK, Latency: c.ends.Sub(c.sent)}, c.ends, 0)
			row.Watch(c.ends)
			look()
		}
		day := 1 + .25*math.Sin(2*math.Pi*float64(now.Unix()%86400)/86400)
		c := underWay{p: Permit{row: row, kind: effects, at: now}, sent: now, ends: now.Add(time.Duration(float64(median) * day * math.Exp(sigma*r.NormFloat64())))}
		row.InFlight++
		c.p.Sent(now)
		heap.Push(&q, c)
	}
	return silent, others
}

// TestNobodyIsSilentByChance: what is well is not called silent, from the first call on: at most one alarm in 30 million calls.
func TestNobodyIsSilentByChance(t *testing.T) {
	n, total, alarms, others := 20_000, 0, 0, 0
	if os.Getenv("SEGUE_DETECT") != "" {
		n = 4_000_000
	}
	for k, rate := range []float64{.5, 5, 50, 200, 1000} {
		for j, sigma := range []float64{.2, .5, 1} {
			for i, median := range []time.Duration{12 * time.Millisecond, 80 * time.Millisecond, 400 * time.Millisecond} {
				seed := uint64(100*k + 10*j + i)
				silent, other := quietly(rand.New(rand.NewPCG(seed, 5)), n, rate, sigma, median)
				total, alarms, others = total+n, alarms+silent, others+other
				if silent > 0 || other > 0 {
					t.Logf("seed %d, %v calls/s, sigma %v, median %v: %d silent, %d others", seed, rate, sigma, median, silent, other)
				}
			}
		}
	}
	t.Logf("%d alarms of silence in %d calls, and %d others", alarms, total, others)
	if alarms > total/30_000_000 || others > total/6_000_000 {
		t.Errorf("more than one in 30 million are silent, or one in 6 million slow or failing")
	}
}

func TestSilenceInWords(t *testing.T) {
	for _, c := range []struct {
		cause Cause
		want  string
	}{
		{Cause{Alarm: health.Hanging, Late: 12, Quiet: health.Quiet{For: 140 * time.Millisecond, Due: 9}}, "12 calls in flight and no answer for 140 ms, where 9 were due"},
		{Cause{Alarm: health.Hanging, Late: 20, Quiet: health.Quiet{For: 150 * time.Millisecond, Answered: 1, Due: 19}}, "20 calls in flight and 1 answer in 150 ms, where 19 were due"},
		{Cause{Alarm: health.Slowing, Late: 12, Quiet: health.Quiet{For: 140 * time.Millisecond, Due: 9}}, "slow: it had 12 calls in flight and no answer for 140 ms, where 9 were due"},
	} {
		if got := c.cause.Text(0); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
