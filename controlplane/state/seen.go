package state

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sort"
	"time"
)

// Seen is what a request id led to, so that a repeat within 24 h gets the same answer and changes nothing.
type Seen struct {
	Request string
	Digest  string // of the change: the same id with another change is refused
	At      time.Time
	Result  Result
}

// memory holds what was seen, in the order of the log. It is immutable: add returns the next. Lookups go through runs, sorted lists
// whose sizes fall; runs of equal size are merged, so that an id is moved some 16 times in its life and never all of them at once.
type memory struct {
	list  []Seen
	room  *room
	first uint64 // sequence number of list[0]
	bytes int
	runs  [][]mark
}

// mark points from a request id to its place in the list. It has no pointer and is compared in one step: there are 100,000 of them, which
// the garbage collector need not look at.
type mark struct{ hash, seq uint64 }

var (
	hashSeed = maphash.MakeSeed()
	hashBits = ^uint64(0) // a test takes few, so that many ids share a hash
)

// hashOf differs from process to process: it says where to look, never what was seen.
func hashOf(request string) uint64 { return maphash.String(hashSeed, request) & hashBits }

// find returns what request led to, if that was less than 24 h from now.
func (m memory) find(request string, now time.Time) (Seen, bool) {
	hash := hashOf(request)
	for i := len(m.runs) - 1; i >= 0; i-- {
		run := m.runs[i]
		for at := sort.Search(len(run), func(j int) bool { return run[j].hash >= hash }); at < len(run) && run[at].hash == hash; at++ {
			if run[at].seq < m.first {
				continue
			}
			if seen := m.list[run[at].seq-m.first]; seen.Request == request {
				return seen, seen.At.Add(seenFor).After(now)
			}
		}
	}
	return Seen{}, false
}

// add remembers v and forgets what is older than 24 h or beyond the bounds, oldest first.
func (m memory) add(v Seen) memory {
	m.list, m.room = grow(m.list, m.room, v)
	m.bytes += v.size()
	m = m.forget(v.At)
	runs := append(m.runs[:len(m.runs):len(m.runs)], []mark{{hashOf(v.Request), m.first + uint64(len(m.list)) - 1}})
	for n := len(runs); n > 1 && len(runs[n-2]) <= len(runs[n-1]); n = len(runs) {
		runs = append(runs[:n-2], merge(runs[n-2], runs[n-1], m.first))
	}
	m.runs = runs
	return m
}

// remember builds a memory of exactly list. It forgets nothing: a restored node must know what the others know.
func remember(list []Seen) memory {
	m := memory{list: list}
	var run []mark
	for i, v := range list {
		m.bytes += v.size()
		run = append(run, mark{hashOf(v.Request), uint64(i)})
	}
	slices.SortFunc(run, func(a, b mark) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(b.seq, a.seq)) })
	if len(run) > 0 {
		m.runs = [][]mark{run}
	}
	return m
}

func (m memory) forget(now time.Time) memory {
	drop := 0
	for drop < len(m.list)-1 {
		old := m.list[drop]
		if len(m.list)-drop <= MaxSeen && m.bytes <= MaxSeenBytes && old.At.Add(seenFor).After(now) {
			break
		}
		m.bytes -= old.size()
		drop++
	}
	m.list, m.first = m.list[drop:], m.first+uint64(drop)
	return m
}

// merge joins two runs. Of one hash's marks the newer come first, and all stay: they may be of two ids. Marks before first point to nothing
// and go.
func merge(older, newer []mark, first uint64) []mark {
	out := make([]mark, 0, len(older)+len(newer))
	for len(older) > 0 || len(newer) > 0 {
		var next mark
		if len(newer) == 0 || len(older) > 0 && older[0].hash < newer[0].hash {
			next, older = older[0], older[1:]
		} else {
			next, newer = newer[0], newer[1:]
		}
		if next.seq >= first {
			out = append(out, next)
		}
	}
	return out
}

// size estimates what v holds in memory. Refusals can be long: they are what MaxSeenBytes is for.
func (v Seen) size() int {
	n := 200 + len(v.Request)
	if e := v.Result.Err; e != nil {
		n += len(e.Message) + 300*len(e.Problems)
		if e.Base != nil {
			n += textSize(e.Base.Theirs) + textSize(e.Base.Yours) + clashSize(e.Base.Fields)
		}
	}
	return n
}

func textSize(lines []string) int {
	n := 0
	for _, l := range lines {
		n += 16 + len(l)
	}
	return n
}
