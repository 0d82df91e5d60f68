package health

import (
	"math"
	"math/bits"
	"time"
)

const (
	octaves    = 20 // from 65.5 µs to 68.7 s
	perEight   = 8  // buckets to an octave: an eighth wide at most
	lowest     = 16 // 2^16 ns
	full       = 8192
	enough     = full / 2
	quickly    = 512 // the first ones are all taken
	fewAnswers = 128 // so few are not halved for their age
	watched    = 8   // p99.9 is known when answers were watched for so many times as long
	known      = 50  // answers before anything is called slow
	hour       = int64(time.Hour)
	minute     = int64(time.Minute)
)

// sketch counts answers by their latency, in buckets of a fixed number. Once it knows enough it takes one answer in 0.9 s, and each hour it
// forgets half: its memory is an hour or two at any rate of calls, so that it follows the day and does not follow an outage. The first to be
// answered are the quick ones: a sketch that were full of the first seconds would never have met an answer that takes longer.
type sketch struct {
	counts [octaves * perEight]uint16
	total  uint32
	next   int64 // no answer before this one is taken
	since  int64 // the first
	halved int64
	over   int64           // what takes longer is slow
	limit  int64           // an open call that is older is slow
	halves [MostBits]int64 // the ages at which a call in flight tells a bit more
}

func bucketOf(ns int64) int {
	if ns < 1<<lowest {
		return 0
	}
	e := bits.Len64(uint64(ns)) - 1
	return min((e-lowest)*perEight+int(ns>>(e-3))&7, octaves*perEight-1)
}

// ceiling is the first latency above bucket i.
func ceiling(i int) int64 { return int64(perEight+i%perEight+1) << (lowest + i/perEight - 3) }

// take counts one answer if it is time for one.
func (s *sketch) take(ns, now int64) {
	gap := s.gap()
	if now < s.next && elapsed(now, s.next) <= uint64(gap) {
		return
	}
	if s.since == 0 || wentBack(s.since, now) {
		s.since = now
	}
	s.next = now + gap
	s.counts[bucketOf(ns)]++
	s.total++
	if s.total < 64 || s.total%64 == 0 {
		s.derive(now)
	}
	s.age(now)
}

// gap is how long no other answer is taken after one.
func (s *sketch) gap() int64 {
	switch {
	case s.total < quickly:
		return 0
	case s.total < enough:
		return minute / enough
	default:
		return hour / enough
	}
}

func (s *sketch) age(now int64) {
	switch {
	case s.halved == 0 || wentBack(s.halved, now):
		s.halved = now
	case s.total >= full || now >= s.halved && elapsed(s.halved, now) >= uint64(hour) && s.total > fewAnswers:
		s.halve(now)
		s.halved = now
	}
}

// halve forgets half of each bucket. What is left over of a half goes on to the next bucket: the total stays exact, and the rare slow
// answers at the end do not all vanish.
func (s *sketch) halve(now int64) {
	var odd uint16
	s.total = 0
	for i, c := range s.counts {
		c += odd
		odd = c & 1
		s.counts[i] = c / 2
		s.total += uint32(c / 2)
	}
	s.derive(now)
}

// derive sets what is slow. With few answers their quantiles are guesses, and the bounds are wider: n answers widen by 32/n and 64/n.
func (s *sketch) derive(now int64) {
	n := float64(s.total)
	slow, late := s.quantile(.95), s.quantile(.999)
	s.over = max(int64(float64(slow)*1.2*(1+32/n)), int64(Brisk))
	s.limit = min(max(int64(float64(late)*(1+64/n)), int64(LeastLimit)), int64(MostLimit))
	span := elapsed(s.since, max(now, s.since)) / watched
	if span < uint64(slow) { // who was watched for a second has met no answer of two
		s.over = max(s.over, int64(StartLimit))
	}
	if span < uint64(late) {
		s.limit = max(s.limit, int64(StartLimit))
	}
	s.grade()
}

// quantile is the latency that a share q stayed below, straight within its bucket.
func (s *sketch) quantile(q float64) int64 {
	if s.total == 0 {
		return 0
	}
	if !(q > 0) { // NaN too
		q = 0
	}
	want, below := float64(min(q, 1)*float64(s.total)), 0.0
	for i, c := range s.counts {
		if c == 0 {
			continue
		}
		if below+float64(c) >= want {
			low := int64(0)
			if i > 0 {
				low = ceiling(i - 1)
			}
			part := max(want-below, 0) / float64(c)
			return low + int64(part*float64(ceiling(i)-low))
		}
		below += float64(c)
	}
	return ceiling(len(s.counts) - 1)
}

// grade sets the ages at which a call in flight has told 1, 2, 3 … bits: no more than 1/2, 1/4, 1/8 … of the answers take longer, by two standard
// errors, and a fifth is put on top, for the day. What is not known well enough to say stays out of reach.
func (s *sketch) grade() {
	above, last, k := 0.0, int64(math.MaxInt64), MostBits // above: the answers that took longer than last
	for i := len(s.counts) - 1; i >= 0; i-- {
		if s.counts[i] == 0 {
			continue
		}
		for most := above + 1 + float64(2*math.Sqrt(above+.25)); k > 0 && most*float64(int(1)<<k) > float64(s.total); k-- {
			s.halves[k-1] = last
		}
		last = ceiling(i) + ceiling(i)/5
		above += float64(s.counts[i])
	}
	for ; k > 0; k-- {
		s.halves[k-1] = last
	}
}

// bits is what a call of that age has told.
func (s *sketch) bits(age int64) (n int) {
	if s.total < known {
		return 0
	}
	for n < MostBits && age > s.halves[n] {
		n++
	}
	return n
}
