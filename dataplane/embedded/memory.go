package embedded

import (
	"hash/maphash"
	"sync"
)

// memory keeps rows that were read or written lately, so that a session under way costs no look into the files. What it says is what the
// files say: this process is their only writer, every write goes through set or drop once it is on the disk, and what a read brings is
// kept only if nothing was written to its part meanwhile. Each part has two generations of bounded size: the older one is dropped whole.
type memory[K comparable, V any] struct {
	seed  maphash.Seed
	parts [memoryParts]part[K, V]
}

type part[K comparable, V any] struct {
	mu         sync.Mutex
	writes     uint64
	young, old map[K]V
}

const (
	memoryParts = 16  // cores that read at the same time hardly meet
	memoryRows  = 256 // per part and generation: 8,192 rows in all, a few MB
)

func newMemory[K comparable, V any]() *memory[K, V] { return &memory[K, V]{seed: maphash.MakeSeed()} }

func (m *memory[K, V]) part(k K) *part[K, V] {
	return &m.parts[maphash.Comparable(m.seed, k)%memoryParts]
}

// find returns what is remembered. writes goes back to learn with what the files say.
func (m *memory[K, V]) find(k K) (v V, writes uint64, ok bool) {
	p := m.part(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok = p.young[k]; ok {
		return v, p.writes, true
	}
	if v, ok = p.old[k]; ok {
		p.keep(k, v)
	}
	return v, p.writes, ok
}

// learn keeps what a read of the files brought, unless something was written since its find.
func (m *memory[K, V]) learn(k K, v V, writes uint64) {
	p := m.part(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writes == writes {
		p.keep(k, v)
	}
}

// set keeps what is on the disk now.
func (m *memory[K, V]) set(k K, v V) {
	p := m.part(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	delete(p.old, k)
	p.keep(k, v)
}

// drop forgets a row.
func (m *memory[K, V]) drop(k K) {
	p := m.part(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	delete(p.young, k)
	delete(p.old, k)
}

func (p *part[K, V]) keep(k K, v V) {
	if p.young == nil || len(p.young) >= memoryRows {
		p.old, p.young = p.young, make(map[K]V)
	}
	p.young[k] = v
}
