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

// memory holds what was seen, in the order of the log. It is immutable: add returns the next. The newest few are looked through one by one;
// the others are found through runs, sorted lists whose sizes grow with their age: runs of equal size are merged, so that an id is moved
// some 12 times in its life and never all of them at once.
type memory struct {
	list  []Seen
	room  *room
	first uint64 // sequence number of list[0]
	bytes int
	runs  *run // the newest
}

// run is a sorted list of marks, and the run before it.
type run struct {
	marks []mark
	older *run
	end   uint64 // the sequence number after its newest mark
}

const unsorted = 16 // of the newest, at most

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
	for i := len(m.list) - 1; i >= m.sorted(); i-- {
		if m.list[i].Request == request {
			return m.list[i], m.list[i].At.Add(seenFor).After(now)
		}
	}
	hash := hashOf(request)
	for run := m.runs; run != nil; run = run.older {
		at := sort.Search(len(run.marks), func(j int) bool { return run.marks[j].hash >= hash })
		for ; at < len(run.marks) && run.marks[at].hash == hash; at++ {
			if run.marks[at].seq < m.first {
				continue
			}
			if seen := m.list[run.marks[at].seq-m.first]; seen.Request == request {
				return seen, seen.At.Add(seenFor).After(now)
			}
		}
	}
	return Seen{}, false
}

// sorted is how many of the list the runs have.
func (m memory) sorted() int {
	if m.runs == nil || m.runs.end < m.first {
		return 0
	}
	return int(m.runs.end - m.first)
}

// add remembers v and forgets what is older than 24 h or beyond the bounds, oldest first.
func (m memory) add(v Seen) memory {
	m.list, m.room = grow(m.list, m.room, v)
	m.bytes += v.size()
	m = m.forget(v.At)
	if done := m.sorted(); len(m.list)-done >= unsorted {
		m.runs = m.sort(done)
		for n := m.runs; n.older != nil && len(n.older.marks) <= len(n.marks); n = m.runs {
			m.runs = &run{marks: merge(n.older.marks, n.marks, m.first), older: n.older.older, end: n.end}
		}
	}
	return m
}

// sort makes a run of what follows the first done of the list.
func (m memory) sort(done int) *run {
	marks := make([]mark, 0, len(m.list)-done)
	for i, v := range m.list[done:] {
		marks = append(marks, mark{hashOf(v.Request), m.first + uint64(done+i)})
	}
	slices.SortFunc(marks, func(a, b mark) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(b.seq, a.seq)) })
	return &run{marks: marks, older: m.runs, end: m.first + uint64(len(m.list))}
}

// remember builds a memory of exactly list. It forgets nothing: a restored node must know what the others know.
func remember(list []Seen) memory {
	m := memory{list: list}
	for _, v := range list {
		m.bytes += v.size()
	}
	if len(list) > 0 {
		m.runs = m.sort(0)
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
