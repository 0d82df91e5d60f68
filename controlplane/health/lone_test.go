package health

import "time"

// lone is what is known of a provider that has one kind of calls.
type lone struct {
	Measure
	Bank
}

func (l *lone) Observe(s Sample, now time.Time) Alarm { return l.Measure.Observe(&l.Bank, s, now) }

func (l *lone) Evidence() Evidence { return l.Measure.Evidence(&l.Bank) }

func (l *lone) Arm(now time.Time) { l.Bank.Arm([]Measure{l.Measure}, now) }

func (l *lone) Clear(now time.Time) {
	l.Measure.Clear(now)
	l.Bank.Clear()
}

func (l *lone) Take() Increment {
	one := []Measure{l.Measure}
	sum := l.Bank.Take(one)
	l.Measure = one[0]
	return sum
}
