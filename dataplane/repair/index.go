package repair

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// stage is where a hint of the index stands.
type stage uint8

const (
	pending  stage = iota + 1 // waits for the store
	stuck                     // the store refused it for good, or it disagrees with what the store has: a person must look
	replayed                  // applied; the background sync has not looked yet
)

// entry is a hint that is still wanted, and where its payload is.
type entry struct {
	Hint
	seg   *segment
	at    int64
	size  int
	stage stage
	why   string // of a stuck one
	gone  bool   // forgotten; order may still name it
}

// place is what a hint is about.
type place struct {
	kind Kind
	key  [32]byte
}

func (e *entry) place() place { return place{e.Kind, e.Key} }

// index is what the log knows without reading: all hints that are still wanted, by event and by key.
type index struct {
	byID    map[ID]*entry
	byKey   map[place][]*entry // in order of Seq
	order   []*entry           // those that are not in the store, in order of Seq, and some that have left
	count   [replayed + 1]int
	size    int64 // of the payloads of pending and stuck ones
	lastSeq uint64

	waitingNow atomic.Int64 // count[pending], for who has no lock
}

func newIndex() *index { return &index{byID: map[ID]*entry{}, byKey: map[place][]*entry{}} }

// load takes a frame's records in. A hint that stands twice was moved to a newer segment.
func (x *index) load(s *segment, body []byte, at int64) error {
	return decode(body, func(r record) error {
		switch {
		case r.hint == nil:
			x.end(r.ended, r.result)
		case x.byID[r.hint.ID] != nil && x.byID[r.hint.ID].Seq < r.hint.Seq: // it was forgotten, and came again
			x.drop(x.byID[r.hint.ID])
			x.add(&entry{Hint: *r.hint, seg: s, at: at + int64(r.payload), size: r.size, stage: pending})
		case x.byID[r.hint.ID] != nil:
			x.move(x.byID[r.hint.ID], s, at+int64(r.payload))
		default:
			x.add(&entry{Hint: *r.hint, seg: s, at: at + int64(r.payload), size: r.size, stage: pending})
		}
		return nil
	})
}

// settle brings the keys' hints in order after a load.
func (x *index) settle() {
	for _, list := range x.byKey {
		slices.SortFunc(list, bySeq)
	}
	slices.SortFunc(x.order, bySeq)
}

func bySeq(a, b *entry) int { return cmp.Compare(a.Seq, b.Seq) }

func (x *index) add(e *entry) {
	x.byID[e.ID] = e
	x.order = append(x.order, e)
	x.byKey[e.place()] = append(x.byKey[e.place()], e)
	x.counted(e.stage, 1)
	x.size += int64(e.size)
	e.seg.live += int64(e.size)
	x.lastSeq = max(x.lastSeq, e.Seq)
}

func (x *index) move(e *entry, s *segment, at int64) {
	e.seg.live -= int64(e.size)
	e.seg, e.at = s, at
	s.live += int64(e.size)
}

// set moves a hint to a stage.
func (x *index) set(e *entry, to stage, why string) {
	if e.stage == replayed && to != replayed {
		x.size += int64(e.size)
		x.order = slices.DeleteFunc(x.order, func(o *entry) bool { return o == e }) // it may have left the queue, or not yet
		at, _ := slices.BinarySearchFunc(x.order, e, bySeq)
		x.order = slices.Insert(x.order, at, e)
	} else if e.stage != replayed && to == replayed {
		x.size -= int64(e.size)
	}
	x.counted(e.stage, -1)
	x.counted(to, 1)
	e.stage, e.why = to, why
}

func (x *index) counted(s stage, n int) {
	x.count[s] += n
	if s == pending {
		x.waitingNow.Store(int64(x.count[pending]))
	}
}

// end notes how a hint ended. Applied ones stay until somebody saw them in the store.
func (x *index) end(id ID, r Result) {
	e := x.byID[id]
	switch {
	case e == nil:
	case r == Applied:
		x.set(e, replayed, "")
	default:
		x.drop(e)
	}
}

// drop forgets a hint.
func (x *index) drop(e *entry) {
	x.set(e, replayed, "")
	x.counted(replayed, -1)
	e.gone = true
	delete(x.byID, e.ID)
	list := slices.DeleteFunc(x.byKey[e.place()], func(o *entry) bool { return o == e })
	if x.byKey[e.place()] = list; len(list) == 0 {
		delete(x.byKey, e.place())
	}
	e.seg.live -= int64(e.size)
}

// waits tells whether a key has hints that wait for the store.
func (x *index) waits(p place) bool {
	return slices.ContainsFunc(x.byKey[p], func(e *entry) bool { return e.stage == pending })
}

// of returns copies of a key's hints in the given stages.
func (x *index) of(p place, stages ...stage) []entry {
	var out []entry
	for _, e := range x.byKey[p] {
		if slices.Contains(stages, e.stage) {
			out = append(out, *e)
		}
	}
	return out
}

// waiting returns copies of at most limit hints that are not in the store and pass, oldest first.
func (x *index) waiting(limit int, pass func(*entry) bool) []entry {
	if len(x.order) > 64+2*(x.count[pending]+x.count[stuck]) {
		x.order = slices.DeleteFunc(x.order, func(e *entry) bool { return e.gone || e.stage == replayed })
	}
	var out []entry
	for _, e := range x.order {
		if len(out) == limit {
			break
		}
		if !e.gone && e.stage != replayed && pass(e) {
			out = append(out, *e)
		}
	}
	return out
}

// all returns copies of the hints of any stage that pass, oldest first.
func (x *index) all(pass func(*entry) bool) []entry {
	var out []entry
	for _, e := range x.byID {
		if pass(e) {
			out = append(out, *e)
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return bySeq(&a, &b) })
	return out
}

// oldest is when the oldest hint at one of the stages was taken.
func (x *index) oldest(stages ...stage) time.Time {
	for len(x.order) > 0 && (x.order[0].gone || x.order[0].stage == replayed) {
		x.order = x.order[1:]
	}
	for _, e := range x.order {
		if !e.gone && slices.Contains(stages, e.stage) {
			return e.At
		}
	}
	return time.Time{}
}
