package health

import "time"

// Alarm is what the detectors conclude.
type Alarm uint8

// The alarms.
const (
	NoAlarm Alarm = iota
	Failing       // it fails more often than is usual for it
	Slowing       // it answers, and more slowly than is usual for it
	Hanging       // calls stay open and none is answered: treat it as failing
)

// String is the word that people read.
func (a Alarm) String() string {
	switch a {
	case NoAlarm:
		return ""
	case Failing:
		return "failing"
	case Slowing:
		return "slow"
	case Hanging:
		return "hanging"
	default:
		return "unknown"
	}
}

// Evidence is the numbers behind an alarm, or how it looks now.
type Evidence struct {
	Alarm    Alarm
	Failed   uint32        // of the last Calls
	Calls    uint32        // since the evidence began
	Slow     uint32        // of the last Answers, calls that are open for too long among them
	Answers  uint32        // since that evidence began
	Overdue  uint32        // of Slow: counted while they were open
	Baseline float64       // the share of failures that is usual for it
	Usual    time.Duration // what is called slow is over this
	At       time.Time     // of the alarm; zero: there is none, these are the numbers of now
}

// Tests is how many failure tests run beside each other.
const Tests = 3

// Increment is what the failure tests took since it was asked last, for the pooled test of all agents: the sum of each test's increments,
// in nats, and the counts behind them.
type Increment struct {
	Nats   [Tests]float64 `json:",omitzero"`
	Calls  uint32         `json:",omitzero"`
	Failed uint32         `json:",omitzero"`
	Slow   uint32         `json:",omitzero"`
}

// Measure is what an agent knows of one provider's calls of one class: how often they succeed, how long they take, and whether that has
// changed. It is a value without pointers; the zero value knows nothing and works.
type Measure struct {
	tests [Tests]cusum
	slow  cusum
	taken Increment
	calls uint32
	fails uint32
	mean  float64 // latency, nanoseconds
	said  Evidence
}

type cusum struct {
	s    float64
	n, k uint32
}

func (c *cusum) add(x bool, up, down, h float64) bool {
	c.n++
	if x {
		c.k++
		c.s += up
	} else if c.s -= down; c.s <= 0 {
		*c = cusum{}
	}
	return c.s >= h
}

const threshold = 13.815510557964274 // ln 10⁶

var increments = [Tests][2]float64{{1.0986, .0101}, {2.3026, .0463}, {4.7875, .9113}}

// Observe takes one call that ended.
func (m *Measure) Observe(s Sample, now time.Time) Alarm {
	if s.Class != OK && s.Class != Slow && s.Class != Failure {
		return NoAlarm
	}
	failed, alarm := s.Class == Failure, NoAlarm
	m.calls++
	m.taken.Calls++
	if failed {
		m.fails++
		m.taken.Failed++
	} else if x := float64(s.Latency); m.mean == 0 {
		m.mean = x
	} else {
		m.mean = float64((x-m.mean)*.1) + m.mean
	}
	for i := range m.tests {
		up, down := increments[i][0], increments[i][1]
		if m.tests[i].add(failed, up, down, threshold) {
			alarm = Failing
			m.said = Evidence{Alarm: Failing, Failed: m.tests[i].k, Calls: m.tests[i].n, Baseline: .005, At: now}
			m.tests[i] = cusum{}
		}
	}
	return alarm
}

// Overdue takes n more calls that are open for longer than Limit: each counts as slow, once.
func (m *Measure) Overdue(n int, now time.Time) Alarm {
	for range min(max(n, 0), 100) {
		if m.slow.add(true, 4.7875, .9113, threshold) {
			m.said = Evidence{Alarm: Hanging, Slow: m.slow.k, Answers: m.slow.n, Overdue: m.slow.k, At: now}
			m.slow = cusum{}
			return Hanging
		}
	}
	return NoAlarm
}

// Limit is the age at which an open call counts as slow.
func (m *Measure) Limit() time.Duration { return 3 * time.Second }

// Arm raises the failure tests to half of what an alarm takes.
func (m *Measure) Arm(time.Time) {
	for i := range m.tests {
		m.tests[i].s = max(m.tests[i].s, threshold/2)
	}
}

// Clear puts the tests to 0. What is usual stays known.
func (m *Measure) Clear(time.Time) { m.tests, m.slow, m.said = [Tests]cusum{}, cusum{}, Evidence{} }

// Success is the share of calls that succeed, and what it is at least, with 95 % confidence.
func (m *Measure) Success(time.Time) (mean, lower float64) {
	mean = 1 - (float64(m.fails)+.25)/(float64(m.calls)+50)
	return mean, mean
}

// Latency is how long an answer takes now: the mean of about the last ten.
func (m *Measure) Latency() time.Duration { return time.Duration(m.mean) }

// Quantile is the time that a share q of the answers usually takes at most; 0: not known.
func (m *Measure) Quantile(q float64) time.Duration { return time.Duration(m.mean) }

// Slow tells whether an answer that took so long is slow for this provider.
func (m *Measure) Slow(latency time.Duration) bool { return false }

// Evidence is the numbers of the last alarm since Clear, or how it looks now.
func (m *Measure) Evidence() Evidence { return m.said }

// Take gives what the failure tests took since the last Take.
func (m *Measure) Take() Increment {
	t := m.taken
	m.taken = Increment{}
	return t
}
