package state

import "sync/atomic"

// room counts the unused places behind a list that several States share. Each place is taken once: by the first State that appends
// there. Another State that appends to the same list copies it, so no value ever changes under its readers. Without this, each change
// would copy 10,000 audit entries.
type room struct{ free atomic.Int64 }

// rooms are those of a State's lists.
type rooms struct{ audit, revisions *room }

// grow returns list with v at its end. list itself stays as it is.
func grow[T any](list []T, r *room, v T) ([]T, *room) { return growBy(list, r, v, len(list)+16) }

// growBy is grow for a list that gets spare places when it is full.
func growBy[T any](list []T, r *room, v T, spare int) ([]T, *room) {
	if free := cap(list) - len(list); r != nil && free > 0 && r.free.CompareAndSwap(int64(free), int64(free)-1) {
		list = list[:len(list)+1]
		list[len(list)-1] = v
		return list, r
	}
	wider := make([]T, len(list)+1, len(list)+1+spare)
	copy(wider, list)
	wider[len(list)] = v
	r = &room{}
	r.free.Store(int64(cap(wider) - len(wider)))
	return wider, r
}
