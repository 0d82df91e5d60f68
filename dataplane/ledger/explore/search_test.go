package explore

import (
	"fmt"
	"hash/maphash"
	"strings"

	"segue/dataplane/ledger"
)

// bound is how many states a run may keep; one that should complete and reaches it fails.
const bound = 80_000_000

// search is a breadth-first search over every state that can be reached.
type search struct {
	x      explorer
	seed   maphash.Seed
	states []state
	table  []uint32 // open addressing: 1 + the index of a state
	from   []uint32
	how    []uint16
	labels []string
	known  map[string]uint16
	next   []uint32 // successors, one state's after another's
	starts []uint64
	at     uint32
	fault  string
}

func newSearch(c class) *search {
	q := &search{x: explorer{class: c}, seed: maphash.MakeSeed(), known: map[string]uint16{}, table: make([]uint32, 1<<16)}
	q.x.emit = q.add
	return q
}

// run explores and returns what is wrong, or "".
func (q *search) run() string {
	q.insert(state{ag: [2]agent{{up: true}, {up: true}}}, "start")
	for q.at = 0; int(q.at) < len(q.states); q.at++ {
		q.starts = append(q.starts, uint64(len(q.next)))
		s := q.states[q.at]
		for i := range s.ag {
			q.x.agent(&s, i)
		}
		q.x.world(&s)
		if q.x.fault != "" {
			return q.story(q.at, q.x.fault)
		}
		if q.fault != "" {
			return q.fault
		}
		if len(q.states) > bound {
			return fmt.Sprintf("%s: %d states, and there are more: the run is not complete", q.x.name, len(q.states))
		}
	}
	q.starts = append(q.starts, uint64(len(q.next)))
	return q.reach()
}

func (q *search) add(label string, s state) {
	q.next = append(q.next, q.insert(s, label))
}

// insert returns the state's index.
func (q *search) insert(s state, label string) uint32 {
	if w := s.swapped(); w.first(&s) {
		s = w
	}
	if 2*len(q.states) >= len(q.table) {
		q.grow()
	}
	mask := uint64(len(q.table) - 1)
	for h := maphash.Comparable(q.seed, s) & mask; ; h = (h + 1) & mask {
		switch k := q.table[h]; {
		case k == 0:
			q.states = append(q.states, s)
			q.table[h] = uint32(len(q.states))
			q.from = append(q.from, q.at)
			q.how = append(q.how, q.label(label))
			k = uint32(len(q.states) - 1)
			if broken := q.x.holds(&s); broken != "" && q.fault == "" {
				q.fault = q.story(k, broken)
			}
			return k
		case q.states[k-1] == s:
			return k - 1
		}
	}
}

func (q *search) grow() {
	q.table = make([]uint32, 4*len(q.table))
	mask := uint64(len(q.table) - 1)
	for i := range q.states {
		h := maphash.Comparable(q.seed, q.states[i]) & mask
		for q.table[h] != 0 {
			h = (h + 1) & mask
		}
		q.table[h] = uint32(i + 1)
	}
}

func (q *search) label(s string) uint16 {
	n, ok := q.known[s]
	if !ok {
		n = uint16(len(q.labels))
		q.known[s] = n
		q.labels = append(q.labels, s)
	}
	return n
}

// holds checks the invariants that one state can show.
func (x *explorer) holds(s *state) string {
	alive, way := 0, 0
	for sl := range slots {
		alive += int(s.obj[sl].live)
		way += int(s.pre[sl] + s.post[sl])
	}
	for i := range s.ag {
		if s.ag[i].phase == sent {
			way++
		}
	}
	for _, told := range s.told {
		switch {
		case told == toldSucceeded && alive != 1:
			return fmt.Sprintf("I2: told succeeded, and %d are live", alive)
		case (told == toldDeclined || told == toldNotSent) && alive != 0:
			return fmt.Sprintf("I2: told declined or not_sent, and %d are live", alive)
		}
	}
	switch {
	case alive > 1:
		return fmt.Sprintf("I1: %d executions are live", alive)
	case x.once && alive+way > 1:
		return fmt.Sprintf("I4: %d executions and creates under way", alive+way)
	}
	return ""
}

// reach checks that from every state an end can be reached, and from every state with a hint the outcome.
func (q *search) reach() string {
	if k := q.stuck(func(s *state) bool { return s.row.n > 0 && (!s.row.pending() || s.row.state == uint8(ledger.Held)) }, func(*state) bool { return true }); k >= 0 {
		return q.story(uint32(k), "I3: no final state and no HELD can be reached from here")
	}
	if k := q.stuck(func(s *state) bool { return s.row.final() }, func(s *state) bool { return s.ag[0].hint+s.ag[1].hint > 0 }); k >= 0 {
		return q.story(uint32(k), "I3b: an outcome is on disk and can never be final")
	}
	return ""
}

// stuck is a state that must reach a good one and cannot, or -1.
func (q *search) stuck(good, must func(*state) bool) int {
	ok := make([]bool, len(q.states))
	for i := range q.states {
		ok[i] = good(&q.states[i])
	}
	for changed := true; changed; {
		changed = false
		for i := len(q.states) - 1; i >= 0; i-- {
			for k := q.starts[i]; !ok[i] && k < q.starts[i+1]; k++ {
				if ok[q.next[k]] {
					ok[i], changed = true, true
				}
			}
		}
	}
	for i := range q.states {
		if !ok[i] && must(&q.states[i]) {
			return i
		}
	}
	return -1
}

// story tells how a state is reached.
func (q *search) story(k uint32, broken string) string {
	var path []string
	for i := k; ; i = q.from[i] {
		path = append(path, fmt.Sprintf("%s\n  %s", q.labels[q.how[i]], q.states[i].String()))
		if i == 0 {
			break
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, after %d moves\n", q.x.name, broken, len(path)-1)
	for i := len(path) - 1; i >= 0; i-- {
		b.WriteString(path[i] + "\n")
	}
	return b.String()
}
