package health

import "time"

// The test of silence counts in bits, in whole numbers. A call that is open for longer than half of the usual answers take tells one bit,
// longer than three quarters two, and so on: each halves what is left of those that take longer.
const (
	MostBits = 8  // of one call, be it ever so late: no more than one in 256 is believed to be as late by chance
	answered = 4  // bits that an answer takes away: what is looked for is a provider that answers less than one call in 16
	loud     = 25 // bits, in calls that no answer outweighs: it is silent. 2²⁵ calls, see DESIGN.md
	halfLoud = 13
	mostLoud = 64 // more is not kept, so that 16 answers clear it always
)

// How long nothing has to be heard, at the least.
const (
	LeastSilence = 100 * time.Millisecond // pauses below are everybody's: collections, lost packets, a busy machine
	mostLull     = 300 * time.Millisecond // a silence that ended by itself teaches no more than that
	lullFor      = time.Hour              // and is remembered for so long
)

// Quiet is a silence in numbers.
type Quiet struct {
	For      time.Duration
	Answered uint32 // answers that came in it
	Due      uint32 // of the calls in flight, those that would be answered by now on an ordinary day
}

// Silence is the test of one provider that stops answering, over all calls in flight together. Each of them is a little late, and none says
// much; that they are all open, and that nothing comes, says it long before the first is too late. Times are the standing's own, in which this
// process never stood still. It is a value; the zero value has heard nothing and works.
type Silence struct {
	sum      int32  // bits
	came     uint32 // answers since it last kept pace
	answers  uint32 // since Listen
	since    time.Duration
	lull     time.Duration // a silence that ended by itself
	lulledAt time.Duration
}

// Answered counts an answer, be it a decline.
func (s *Silence) Answered() { s.answers++ }

// Heard is how many answers came since Listen was asked last.
func (s *Silence) Heard() uint32 { return s.answers }

// Listen takes the bits that the calls in flight grew by since it was asked last, and tells whether the provider is silent: not for longer
// than it usually takes to answer, and not for longer than it was silent lately and came back, but longer than chance explains.
func (s *Silence) Listen(bits int, usual, at time.Duration) bool {
	n := s.answers
	s.answers = 0
	s.sum = int32(min(max(int64(s.sum)+int64(bits)-answered*int64(n), 0), mostLoud))
	if s.sum == 0 || int64(n)*MostBits > int64(bits) { // as many are answered as wait: it may be slow, and is not silent
		s.came, s.since = 0, at
		return false
	}
	s.came += n
	return s.sum >= loud && at-s.since >= s.least(usual, at)
}

// least is how long it has to be silent.
func (s *Silence) least(usual, at time.Duration) time.Duration {
	least := max(LeastSilence, usual/2)
	if s.lull > 0 && at-s.lulledAt < lullFor {
		least = max(least, s.lull+s.lull/2)
	}
	return least
}

// Half tells whether bits more would make it half of an alarm: where that is so at several providers at once, it is not theirs.
func (s *Silence) Half(bits int) bool { return s.sum >= halfLoud || bits >= halfLoud-int(s.sum) }

// Excuse takes time out of the silence: nobody else was heard in it either, so that it may be ours.
func (s *Silence) Excuse(d time.Duration) { s.since += d }

// Hush begins anew: it was ours, or it was told.
func (s *Silence) Hush(at time.Duration) { s.sum, s.came, s.since = 0, 0, at }

// Came notes that all was answered after all, so long after the silence began. The next has to be half as long again.
func (s *Silence) Came(took, at time.Duration) {
	s.lull, s.lulledAt = min(max(took, 0), mostLull), at
}

// Quiet is the silence so far. What is due the calls in flight know.
func (s *Silence) Quiet(at time.Duration) Quiet {
	return Quiet{For: max(at-s.since, 0), Answered: s.came}
}
