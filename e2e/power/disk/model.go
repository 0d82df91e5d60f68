package main

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// object is a file or a directory: as its users see it, and as it would be after a power cut.
type object struct {
	id      uint64
	dir     bool
	mode    uint32
	changed time.Time

	seen, hard []byte // a file's bytes: with what was written, and as far as it was synced
	edits      []edit // of a file since its last sync

	names, hardNames map[string]*object // a directory's entries
	moves            []move             // of a directory since its last sync
}

// edit is a write, or, where bytes is nil, the cut or growth of a file to a length.
type edit struct {
	at    int64
	bytes []byte
}

// move is one change of a directory: names that came (or, with nil, went) together.
type move map[string]*object

func newObject(id uint64, dir bool, mode uint32) *object {
	o := &object{id: id, dir: dir, mode: mode, changed: time.Now()}
	if dir {
		o.names, o.hardNames = map[string]*object{}, map[string]*object{}
	}
	return o
}

// edit changes a file; the disk has not heard of it yet.
func (o *object) edit(e edit) {
	o.seen = e.on(o.seen)
	o.edits = append(o.edits, e)
	o.changed = time.Now()
}

func (e edit) on(b []byte) []byte {
	if e.bytes == nil {
		if e.at <= int64(len(b)) {
			return b[:e.at:e.at]
		}
		return append(b, make([]byte, e.at-int64(len(b)))...)
	}
	if end := e.at + int64(len(e.bytes)); end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[e.at:], e.bytes)
	return b
}

// move changes a directory; the disk has not heard of it yet.
func (o *object) move(m move) {
	m.on(o.names)
	o.moves = append(o.moves, m)
	o.changed = time.Now()
}

func (m move) on(names map[string]*object) {
	for name, to := range m {
		if to == nil {
			delete(names, name)
		} else {
			names[name] = to
		}
	}
}

// sync makes durable what was done to this file, or to this directory's entries: no more than POSIX promises. A file's name is its
// directory's business.
func (o *object) sync() {
	for _, e := range o.edits {
		o.hard = e.on(o.hard)
	}
	for _, m := range o.moves {
		m.on(o.hardNames)
	}
	o.edits, o.moves = nil, nil
}

// survivor makes what a power cut leaves of an object: what was synced, and of the rest what chance keeps.
func (o *object) survivor(rng *rand.Rand) {
	if o.dir {
		keep := keeper(rng, len(o.moves))
		for _, m := range o.moves {
			if keep() {
				m.on(o.hardNames)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(o.hardNames)) { // in an order, so that a seed is one cut
			o.hardNames[name].survivor(rng)
		}
		return
	}
	var pieces []edit
	for _, e := range o.edits {
		pieces = append(pieces, e.pieces()...)
	}
	keep := keeper(rng, len(pieces))
	for _, e := range pieces {
		if keep() {
			o.hard = e.on(o.hard)
		}
	}
	o.edits = nil
}

// pieces cuts a write at the borders of sectors.
func (e edit) pieces() (out []edit) {
	if e.bytes == nil {
		return []edit{e}
	}
	for at, rest := e.at, e.bytes; len(rest) > 0; {
		n := min(sector-int(at%sector), len(rest))
		out = append(out, edit{at, rest[:n]})
		at, rest = at+int64(n), rest[n:]
	}
	return out
}

// keeper tells of each of n changes in turn whether it survives: none does, or all, or the first few, or some by chance.
func keeper(rng *rand.Rand, n int) func() bool {
	i, first, share := 0, 0, rng.Float64()
	switch rng.IntN(5) {
	case 0:
		share = -1
	case 1:
		share = 2
	case 2:
		first = rng.IntN(n + 1)
		return func() bool { i++; return i <= first }
	default:
	}
	return func() bool { return rng.Float64() < share }
}

// load takes a directory in, as one that is on the disk.
func load(dir string, id func() uint64) (*object, error) {
	o := newObject(id(), true, 0o700)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		child := newObject(id(), false, 0o600)
		if e.IsDir() {
			child, err = load(name, id)
		} else {
			child.hard, err = os.ReadFile(name)
			child.seen = slices.Clone(child.hard)
		}
		if err != nil {
			return nil, err
		}
		o.names[e.Name()], o.hardNames[e.Name()] = child, child
	}
	return o, nil
}

// save writes what survived to a directory.
func (o *object) save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, child := range o.hardNames {
		to := filepath.Join(dir, name)
		var err error
		if child.dir {
			err = child.save(to)
		} else {
			err = os.WriteFile(to, child.hard, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
