package health

import (
	"math"
	"time"
)

// How slow is slow.
const (
	Brisk      = 50 * time.Millisecond  // nothing below is called slow: nobody notices, and a busy machine is not the provider's fault
	LeastLimit = 100 * time.Millisecond // no open call is too old before
	MostLimit  = 30 * time.Second
	StartLimit = 10 * time.Second // while too little is known to say
)

const (
	fastStep   = int64(30*time.Second) / steps // half-life 30 s
	baseStep   = int64(6*time.Hour) / steps    // half-life 6 h
	prior      = 40                            // calls as usual that the success rate begins with
	settled    = 500                           // calls before a rise is told from not knowing
	leastKnown = .0475                         // no more failures than that are taken for usual before
	patience   = int64(time.Hour)              // an alarm that nobody cleared, and that is not raised again, is forgotten
	rearm      = int64(30 * time.Second)       // a verdict arms once in this time
	leak       = 64                            // one call in so many is learnt while something is wrong: nothing is frozen for ever
)

// Measure is what an agent knows of one provider's calls of one class: how often they succeed, how long they take, and whether that has
// changed. It is a value without pointers; the zero value knows nothing and works.
type Measure struct {
	fast, base rate // of the last minute; of the last hours: what is usual
	slowing    [slowTests]cusum
	sketch     sketch // of answers, as is usual
	mean       float64
	open       openCalls
	row        uint8 // of weights: p0
	skipped    uint8
	wary       bool // a slowness test is half way to an alarm
	cleared    int64
	taken      Increment
	tallied    Increment // of taken: what its nats hold
	said       alarm
}

// openCalls is what is known of calls that are open for too long.
type openCalls struct {
	counted  uint32 // since the slowness tests were 0
	answered uint32 // calls that were answered since the first of those
}

// Observe takes one call that ended, for the tests of its kind and for those that all kinds share. An OK or Slow one was answered, be it with
// a decline; Limited accuses nobody; None says nothing.
func (m *Measure) Observe(b *Bank, s Sample, now time.Time) Alarm { return m.Note(b, &s, now) }

// Note is Observe where a copy of the sample would count.
func (m *Measure) Note(b *Bank, s *Sample, now time.Time) Alarm {
	if s.Class != OK && s.Class != Slow && s.Class != Failure {
		return NoAlarm
	}
	t, latency := now.UnixNano(), int64(max(s.Latency, 0))
	failed, said := s.Class == Failure, NoAlarm
	m.fast.fade(t, fastStep)
	m.fast.count(failed)
	m.learn(failed, b.wary, latency, t)
	if m.cleared == 0 || t-latency >= m.cleared || wentBack(m.cleared, t) { // what began before the circuit closed is no evidence after it
		slow := !failed && !s.Overdue && (s.Class == Slow || m.late(latency-int64(s.Ours)))
		said = m.test(b, failed, slow, s.Overdue, t)
	}
	if !failed {
		m.follow(float64(latency))
	}
	return said
}

// learn takes the call into what is usual, unless something is wrong now: an outage is not to become the usual.
func (m *Measure) learn(failed, wary bool, latency, now int64) {
	changed := m.base.fade(now, baseStep)
	if wary || m.wary {
		if m.skipped = (m.skipped + 1) % leak; m.skipped != 0 {
			return
		}
	}
	m.base.count(failed)
	if failed || changed || m.base.calls < settled {
		m.expect()
	}
	if !failed {
		m.sketch.take(latency, now)
	}
}

// expect sets p0. Who fails from the first call on does not make that the usual before there are enough calls to tell.
func (m *Measure) expect() {
	p := m.base.atMost()
	if m.base.calls < settled {
		p = min(p, leastKnown)
	}
	if row := rowOf(p, m.row); row != m.row {
		m.tally()
		m.row = row
	}
}

// atMost is the share of failures with two standard errors on top: who is not known well is not accused by what is not known.
func (r *rate) atMost() float64 {
	return (r.failed + 1 + float64(2*math.Sqrt(r.failed+.25))) / (r.calls + prior)
}

// usualFailures is the share of failures that is usual, a little where nothing is known.
func (m *Measure) usualFailures() float64 {
	return (m.base.failed + .2) / (m.base.calls + prior)
}

// test lets the tests take the call.
func (m *Measure) test(b *Bank, failed, slow, counted bool, now int64) Alarm {
	m.taken.Calls++
	if !failed && m.open.counted > 0 {
		m.open.answered++
	}
	if !failed && !slow && !counted && !m.wary && !b.wary { // most calls: no statistic rises, so none can come to its alarm
		m.ease()
		b.ease(m.row)
		return NoAlarm
	}
	if failed {
		m.taken.Failed++
	}
	said, half := b.take(failed, m.base.calls >= settled, m.row, now), false
	if !failed {
		m.testLatency(slow, counted)
		if said == NoAlarm {
			said = m.slowAlarm(now)
		}
	}
	for i := range m.slowing {
		half = half || 2*m.slowing[i].s >= slowly[i].h
	}
	m.wary = half || m.said.kind != NoAlarm && elapsed(m.said.at, now) < uint64(patience)
	return said
}

// ease lets the tests of this kind alone take a good call.
func (m *Measure) ease() {
	for i := range m.slowing {
		m.slowing[i].ease(slowly[i].down)
	}
	m.settleOpen()
}

// testLatency takes an answer. One that was counted while it was open is not counted again.
func (m *Measure) testLatency(slow, counted bool) {
	if slow {
		m.taken.Slow++
	}
	for i := range m.slowing {
		if !counted {
			m.slowing[i].weigh(slow, &slowly[i])
		}
	}
	m.settleOpen()
}

// settleOpen forgets what was open for too long when answers have outweighed it.
func (m *Measure) settleOpen() {
	if m.open.counted > 0 && m.slowing[0].s <= 0 && m.slowing[1].s <= 0 {
		m.open.counted, m.open.answered = 0, 0
	}
}

// slowAlarm looks whether a slowness test is at its alarm. Where nothing was answered since calls stayed open, it hangs.
func (m *Measure) slowAlarm(now int64) Alarm {
	for i := range m.slowing {
		c := &m.slowing[i]
		if c.s < slowly[i].h {
			continue
		}
		said := Slowing
		if m.open.counted > 0 && m.open.answered == 0 {
			said = Hanging
		}
		m.say(said, c, now)
		m.slowing = [slowTests]cusum{}
		m.open.counted, m.open.answered = 0, 0
		return said
	}
	return NoAlarm
}

// say keeps the numbers of an alarm. The tests begin anew after it: a provider that nobody takes away is accused again, not once for all.
func (m *Measure) say(kind Alarm, c *cusum, now int64) Alarm {
	m.said = alarm{kind: kind, calls: c.calls, bad: c.x, overdue: m.open.counted, at: now}
	return kind
}

// Overdue takes n more calls that are open for longer than Limit: each counts as slow, once.
func (m *Measure) Overdue(n int, now time.Time) Alarm {
	n = min(max(n, 0), 1000)
	for range n {
		m.open.counted++
		m.taken.Slow++
		for i := range m.slowing {
			m.slowing[i].weigh(true, &overdue[i])
		}
		if said := m.slowAlarm(now.UnixNano()); said != NoAlarm {
			m.wary = true
			return said
		}
	}
	return NoAlarm
}

// late tells whether an answer took longer than is usual.
func (m *Measure) late(latency int64) bool {
	return m.sketch.total >= known && latency > m.sketch.over
}

// Slow tells whether an answer that took so long is slow for this provider.
func (m *Measure) Slow(latency time.Duration) bool { return m.late(int64(latency)) }

func (m *Measure) limit() int64 {
	if m.sketch.total < 16 {
		return int64(StartLimit)
	}
	return m.sketch.limit
}

// Limit is the age at which an open call counts as slow: the usual p99.9, and more while little is known.
func (m *Measure) Limit() time.Duration { return time.Duration(m.limit()) }

// Bits is what a call in flight of that age tells of a silence, see Silence: at most MostBits, the fewer the less is known.
func (m *Measure) Bits(age time.Duration) int { return m.sketch.bits(int64(age)) }

// Usually is the age that half of the answers stay below for sure; 0: not known.
func (m *Measure) Usually() time.Duration {
	if m.sketch.total < known {
		return 0
	}
	return time.Duration(m.sketch.halves[0])
}

// follow keeps the mean of about the last ten answers.
func (m *Measure) follow(latency float64) {
	if m.mean == 0 {
		m.mean = latency
		return
	}
	m.mean = float64((latency-m.mean)*.1) + m.mean
}

// Latency is how long an answer takes now: the mean of about the last ten.
func (m *Measure) Latency() time.Duration { return time.Duration(m.mean) }

// Quantile is the time that a share q of the answers usually stays below; 0: none is known.
func (m *Measure) Quantile(q float64) time.Duration { return time.Duration(m.sketch.quantile(q)) }

// Success is the share of calls that succeed, and what it is at least, with 95 % confidence.
func (m *Measure) Success(now time.Time) (mean, lower float64) {
	r := m.fast.faded(now.UnixNano(), fastStep)
	n := r.calls + prior
	failed := (r.failed + float64(prior*m.usualFailures())) / n
	mean = 1 - failed
	error := math.Sqrt(failed * mean / (n + 1))
	return mean, max(mean-float64(1.645*error), 0)
}

// Usual is what Success and Latency say where nothing is wrong: what is to be expected of a provider that was out and may be well again.
func (m *Measure) Usual() (mean, lower float64, latency time.Duration) {
	failed := m.usualFailures()
	mean = 1 - failed
	error := math.Sqrt(failed * mean / (prior + 1))
	if latency = m.Quantile(.5); latency == 0 {
		latency = m.Latency()
	}
	return mean, max(mean-float64(1.645*error), 0), latency
}

// Clear puts the tests to 0, when a circuit lets calls pass again. What is usual stays known, and is what is expected: the calls of the trouble,
// probes that failed most of all, say nothing of what comes after it. No single answer does that.
func (m *Measure) Clear(now time.Time) {
	_, _, usual := m.Usual()
	m.fast, m.mean = rate{}, float64(usual)
	m.slowing, m.open, m.said, m.wary = [slowTests]cusum{}, openCalls{}, alarm{}, false
	m.cleared = now.UnixNano()
}

// tally brings what was taken up to date. It is in nats of the row: before another row counts, and before anybody reads it.
func (m *Measure) tally() {
	t := &m.taken
	for i := range t.Nats {
		w := &weights[m.row][i]
		t.Nats[i] += float64(float64(t.Failed-m.tallied.Failed)*w.up) + float64(float64(t.Calls-m.tallied.Calls-(t.Failed-m.tallied.Failed))*w.down)
	}
	m.tallied = *t
}

// Take gives what the failure tests took since the last Take.
func (m *Measure) Take() Increment {
	m.tally()
	t := m.taken
	m.taken, m.tallied = Increment{}, Increment{}
	return t
}
