package health

import (
	"math"
	"time"
)

// Bank is the failure tests of one provider, over all kinds of its calls: who fails, fails whoever asks. A call weighs against what is usual
// for its own kind, as a share of what an alarm takes there, so that a kind which usually fails more does not blur the others: by chance alone
// the mixture comes to its alarm no sooner than the kind that would come to it first (TestKindsTogether). It is a value without pointers; the
// zero value has seen nothing and works.
type Bank struct {
	tests  [Tests]cusum // 1 is an alarm
	inARow uint32       // calls that failed since one did not
	wary   bool         // a test is half way to its alarm
	armed  int64
	said   alarm
}

// take lets the tests take a call of a kind that is usually as in that row. A rise of what is not known yet is none: then only the last counts.
func (b *Bank) take(failed, known bool, row uint8, now int64) Alarm {
	b.inARow++
	if !failed {
		b.inARow = 0
	}
	first, said := 0, NoAlarm
	if !known {
		first = Tests - 1
	}
	half := false
	for i := first; i < Tests; i++ {
		c := &b.tests[i]
		c.weigh(failed, &shares[row][i])
		if c.s >= 1 && said == NoAlarm {
			said = Failing
			b.said = alarm{kind: Failing, calls: c.calls, bad: c.x, at: now}
		}
	}
	if said != NoAlarm { // a provider that nobody takes away is accused again, not once for all
		b.tests = [Tests]cusum{}
	}
	for i := range b.tests {
		half = half || b.tests[i].s >= .5
	}
	b.wary = half || b.said.kind != NoAlarm && elapsed(b.said.at, now) < uint64(patience)
	return said
}

// ease lets the tests take a good call.
func (b *Bank) ease(row uint8) {
	b.inARow = 0
	for i := range b.tests {
		b.tests[i].ease(shares[row][i].down)
	}
}

// Arm raises the tests by half of what an alarm takes: somebody else saw the provider fail. It does so once in a while only, or a verdict that
// is told again and again would raise the alarm by itself.
func (b *Bank) Arm(of []Measure, now time.Time) {
	t := now.UnixNano()
	if b.armed != 0 && b.armed <= t && elapsed(b.armed, t) < uint64(rearm) {
		return
	}
	b.armed = t
	most := &of[0] // what is asked most
	for i := range of {
		if of[i].base.calls > most.base.calls {
			most = &of[i]
		}
	}
	for i := range b.tests {
		w, s, rise := &weights[most.row][i], &b.tests[i].s, .5
		if i == Tests-1 { // where nearly all fails, the next call or two tell: if they fail too. One that succeeds takes that back
			up := shares[most.row][i].up
			rise = max(rise, 1+1e-9-float64(math.Ceil(.25/up)*up))
		}
		*s = min(*s+rise, max(*s, 1-1/w.h)) // on top of what was seen here; one more failure is always needed
	}
}

// Clear puts the tests to 0, when a circuit lets calls pass again. No single answer does that. The measures are to be cleared too.
func (b *Bank) Clear() { *b = Bank{} }

// InARow is how many calls failed since one did not.
func (b *Bank) InARow() int { return int(b.inARow) }

// Take gives what the tests took since the last Take, of all kinds of calls.
func (b *Bank) Take(of []Measure) (sum Increment) {
	for i := range of {
		sum.Add(of[i].Take())
	}
	sum.InARow = b.inARow
	return sum
}
