package explore

import (
	"fmt"
	"hash/maphash"
	"strings"

	"segue/dataplane/ledger"
)

// bound is how many states a run may keep; one that should complete and reaches it fails.
const bound = 80_000_000

// pile grows without moving what it has: a slice that is copied to grow needs three times the room.
type pile[T any] struct {
	parts [][]T
	n     int
}

const part = 1 << 16

func (p *pile[T]) push(v T) {
	if p.n%part == 0 {
		p.parts = append(p.parts, make([]T, 0, part))
	}
	last := &p.parts[len(p.parts)-1]
	*last = append(*last, v)
	p.n++
}

func (p *pile[T]) at(i int) *T { return &p.parts[i/part][i%part] }

// search is a breadth-first search over every state that can be reached.
type search struct {
	x      explorer
	seed   maphash.Seed
	states pile[state]
	table  []uint32 // open addressing: 1 + the index of a state
	from   pile[uint32]
	how    pile[uint16]
	labels []string
	known  map[string]uint16
	next   pile[uint32] // successors, one state's after another's
	starts pile[uint64]
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
	for q.at = 0; int(q.at) < q.states.n; q.at++ {
		q.starts.push(uint64(q.next.n))
		s := *q.states.at(int(q.at))
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
		if q.states.n > bound {
			return fmt.Sprintf("%s: %d states, and there are more: the run is not complete", q.x.name, q.states.n)
		}
	}
	q.starts.push(uint64(q.next.n))
	return q.reach()
}

func (q *search) add(label string, s state) {
	q.next.push(q.insert(s, label))
}

// insert returns the state's index.
func (q *search) insert(s state, label string) uint32 {
	if w := s.swapped(); w.first(&s) {
		s = w
	}
	if 2*q.states.n >= len(q.table) {
		q.grow()
	}
	mask := uint64(len(q.table) - 1)
	for h := maphash.Comparable(q.seed, s) & mask; ; h = (h + 1) & mask {
		switch k := q.table[h]; {
		case k == 0:
			q.states.push(s)
			q.table[h] = uint32(q.states.n)
			q.from.push(q.at)
			q.how.push(q.label(label))
			k = uint32(q.states.n - 1)
			if broken := q.x.holds(&s); broken != "" && q.fault == "" {
				q.fault = q.story(k, broken)
			}
			return k
		case *q.states.at(int(k - 1)) == s:
			return k - 1
		}
	}
}

func (q *search) grow() {
	q.table = make([]uint32, 4*len(q.table))
	mask := uint64(len(q.table) - 1)
	for i := range q.states.n {
		h := maphash.Comparable(q.seed, *q.states.at(i)) & mask
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
	if k := q.stuck(func(s *state) bool {
		return s.row.state != 0 && (!s.row.pending() || s.row.state == uint8(ledger.Held))
	}, func(*state) bool { return true }); k >= 0 {
		return q.story(uint32(k), "I3: no final state and no HELD can be reached from here")
	}
	if k := q.stuck(func(s *state) bool { return s.row.final() }, func(s *state) bool { return s.ag[0].hint+s.ag[1].hint > 0 }); k >= 0 {
		return q.story(uint32(k), "I3b: an outcome is on disk and can never be final")
	}
	return ""
}

// stuck is a state that must reach a good one and cannot, or -1.
func (q *search) stuck(good, must func(*state) bool) int {
	ok := make([]bool, q.states.n)
	for i := range ok {
		ok[i] = good(q.states.at(i))
	}
	for changed := true; changed; {
		changed = false
		for i := len(ok) - 1; i >= 0; i-- {
			for k, end := int(*q.starts.at(i)), int(*q.starts.at(i + 1)); !ok[i] && k < end; k++ {
				if ok[*q.next.at(k)] {
					ok[i], changed = true, true
				}
			}
		}
	}
	for i := range ok {
		if !ok[i] && must(q.states.at(i)) {
			return i
		}
	}
	return -1
}

// story tells how a state is reached.
func (q *search) story(k uint32, broken string) string {
	var path []string
	for i := k; ; i = *q.from.at(int(i)) {
		path = append(path, fmt.Sprintf("%s\n  %s", q.labels[*q.how.at(int(i))], q.states.at(int(i)).String()))
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
