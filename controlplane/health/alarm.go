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
	Slow     uint32        // of the last Answers, calls that were open for too long among them
	Answers  uint32        // since that evidence began
	Overdue  uint32        // of Slow: counted while they were open
	Baseline float64       // the share of failures that is usual for it
	Usual    time.Duration // what takes longer is called slow; 0: not known yet
	At       time.Time     // of the alarm; zero: there is none, these are the numbers of now
}

// Tests is how many failure tests run beside each other.
const Tests = 3

// Increment is what the failure tests took since it was asked last, for the pooled test of all agents: the sum of what the calls added to
// each test, in nats, and the counts behind it. The tests are those of the same places: three times the usual, ten times, and 0.4.
type Increment struct {
	Nats   [Tests]float64 `json:",omitzero"`
	Calls  uint32         `json:",omitzero"`
	Failed uint32         `json:",omitzero"`
	Slow   uint32         `json:",omitzero"`
	InARow uint32         `json:",omitzero"` // calls that failed since one did not: how it stands now
}

// alarm is the last one, with the counts that raised it.
type alarm struct {
	kind       Alarm
	calls, bad uint32 // of the test that said it
	overdue    uint32
	at         int64
}

// Evidence is the numbers of the last alarm since Clear, or how it looks now.
func (m *Measure) Evidence(b *Bank) Evidence {
	said := &m.said
	if b.said.kind != NoAlarm && b.said.at >= said.at {
		said = &b.said
	}
	e := Evidence{Alarm: said.kind, Baseline: m.usualFailures()}
	if m.sketch.total >= known {
		e.Usual = time.Duration(m.sketch.over)
	}
	one := [...]float64{1, 1, 1}
	fails, slows := worst(b.tests[:], one[:]), worst(m.slowing[:], slowH[:])
	e.Calls, e.Failed, e.Answers, e.Slow, e.Overdue = fails.calls, fails.x, slows.calls, slows.x, m.open.counted
	switch said.kind {
	case NoAlarm:
		return e
	case Failing:
		e.Calls, e.Failed = said.calls, said.bad
	case Slowing, Hanging:
		e.Answers, e.Slow, e.Overdue = said.calls, said.bad, said.overdue
	}
	e.At = time.Unix(0, said.at).UTC()
	return e
}

// worst is the test that is nearest to its alarm, at h.
func worst(tests []cusum, h []float64) cusum {
	at := 0
	for i := range tests {
		if tests[i].s*h[at] > tests[at].s*h[i] {
			at = i
		}
	}
	return tests[at]
}
