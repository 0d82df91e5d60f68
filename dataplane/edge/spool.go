package edge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"segue/dataplane/message"
)

// Why a body was not taken. Whatever else is returned came from its reader.
var (
	errTooLarge   = errors.New("edge: the body is larger than is taken")
	errMemoryFull = errors.New("edge: the memory for bodies is full")
	errDiskFull   = errors.New("edge: the disk for bodies is full")
)

// spoolName begins the names of spool files, for as long as they have one.
const spoolName = "body-"

// inMemory is the most of a body that is held in memory. One whose fields are asked for may be larger.
const (
	inMemory     = message.InMemory
	maxInspected = 1 << 20
)

// spool keeps bodies until their calls are over: small ones in memory, larger ones in files. Both are bounded over all calls. A file has
// no name from the moment in which it is made, so that it is gone with the process, and what is in it can be read by nobody else:
// its key is in memory only.
type spool struct {
	dir    string // "": the system's
	memory budget
	disk   budget
	pieces sync.Pool
}

// budget is an amount that calls share.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// openSpool removes what a crash left between the making of a file and the loss of its name.
func openSpool(dir string, memory, disk int64) (*spool, error) {
	s := &spool{dir: dir, memory: budget{limit: memory}, disk: budget{limit: disk}}
	s.pieces.New = func() any { return new([inMemory]byte) }
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("edge: spool: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, spoolName+"*"))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		return nil, fmt.Errorf("edge: spool: %w", err)
	}
	return s, nil
}

// held is a body, and what of the spool it holds.
type held struct {
	body  []byte
	large *large
	ram   int64
	disk  int64
}

// release gives everything back. Somebody who still reads the body finds it closed.
func (s *spool) release(h *held) {
	if h.ram > 0 {
		s.memory.give(h.ram)
	}
	if h.large != nil {
		_ = h.large.file.Close() // it has no name: nothing of it is kept
	}
	if h.disk > 0 {
		s.disk.give(h.disk)
	}
	*h = held{}
}

// intake is a body on its way in.
type intake struct {
	from   io.Reader
	length int64 // -1: not said
	limit  int64
	small  bool                // into memory, whatever its size
	pace   interface{ came() } // told each piece of a large body that came
}

// take reads a body. What it holds must be released, after an error too.
func (s *spool) take(in intake, h *held) error {
	switch {
	case in.length > in.limit:
		return errTooLarge
	case in.length >= 0 && in.length <= inMemory:
		return s.known(in, h)
	case in.small:
		return s.whole(in, h)
	}
	if !s.memory.take(inMemory) { // the piece counts while it is in use
		return errMemoryFull
	}
	defer s.memory.give(inMemory)
	piece, _ := s.pieces.Get().(*[inMemory]byte)
	defer s.pieces.Put(piece)
	n, err := fill(in.from, piece[:])
	switch {
	case err == io.EOF && int64(n) > in.limit:
		return errTooLarge
	case err == io.EOF:
		return s.keep(piece[:n], h)
	case err != nil:
		return err
	}
	return s.file(in, piece, h)
}

// known reads a small body of known length into memory of its own.
func (s *spool) known(in intake, h *held) error {
	if !s.memory.take(in.length) {
		return errMemoryFull
	}
	h.ram = in.length
	h.body = make([]byte, in.length)
	_, err := io.ReadFull(in.from, h.body)
	return err
}

// keep copies a small body into memory of its own.
func (s *spool) keep(body []byte, h *held) error {
	if !s.memory.take(int64(len(body))) {
		return errMemoryFull
	}
	h.ram, h.body = int64(len(body)), append([]byte(nil), body...)
	return nil
}

// whole reads a body into memory though it is not small.
func (s *spool) whole(in intake, h *held) error {
	limit := min(in.limit, maxInspected)
	if in.length > limit {
		return errTooLarge
	}
	want := in.length
	if want < 0 {
		want = limit
	}
	if !s.memory.take(2 * want) { // it grows by copying
		return errMemoryFull
	}
	h.ram = 2 * want
	var err error
	if h.body, err = io.ReadAll(io.LimitReader(in.from, limit+1)); err != nil {
		return err
	}
	if int64(len(h.body)) > limit {
		return errTooLarge
	}
	return nil
}

// file reads the rest of a body, of which the first piece is here, into a file.
func (s *spool) file(in intake, piece *[inMemory]byte, h *held) error {
	if in.length > 0 && !s.reserve(in.length, h) {
		return errDiskFull
	}
	l, err := s.create()
	if err != nil {
		return fmt.Errorf("%w: %w", errDiskFull, err)
	}
	h.large = l
	cover, err := l.cover()
	if err != nil {
		return fmt.Errorf("%w: %w", errDiskFull, err)
	}
	sum := sha256.New()
	for n := len(piece); ; {
		l.size += int64(n)
		if l.size > in.limit {
			return errTooLarge
		}
		if in.length < 0 && !s.reserve(int64(n), h) {
			return errDiskFull
		}
		sum.Write(piece[:n])
		cover.XORKeyStream(piece[:n], piece[:n])
		if _, werr := l.file.Write(piece[:n]); werr != nil {
			return fmt.Errorf("%w: %w", errDiskFull, werr)
		}
		switch {
		case err == io.EOF:
			l.sum = [32]byte(sum.Sum(nil))
			return nil
		case err != nil:
			return err
		}
		in.pace.came()
		n, err = fill(in.from, piece[:])
	}
}

func (s *spool) reserve(n int64, h *held) bool {
	if !s.disk.take(n) {
		return false
	}
	h.disk += n
	return true
}

func (s *spool) create() (*large, error) {
	f, err := os.CreateTemp(s.dir, spoolName)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l := &large{file: f}
	_, _ = rand.Read(l.key[:]) // it never fails: the program ends where the system has no randomness
	return l, nil
}

// fill reads until p is full or the reader says why not. (io.ReadFull calls an end after some bytes by the name of a cut.)
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// large is a body in a file without a name.
type large struct {
	file *os.File
	size int64
	sum  [32]byte
	key  [16]byte
}

// cover is the key stream of the file: the key is used for this file alone, so that it may begin at zero.
func (l *large) cover() (cipher.Stream, error) {
	block, err := aes.NewCipher(l.key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewCTR(block, make([]byte, aes.BlockSize)), nil
}

// Size is the body's length.
func (l *large) Size() int64 { return l.size }

// Sum is the body's SHA-256.
func (l *large) Sum() [32]byte { return l.sum }

// Open reads the body from its first byte.
func (l *large) Open() (io.Reader, error) {
	cover, err := l.cover()
	if err != nil {
		return nil, fmt.Errorf("edge: spool: %w", err)
	}
	return &cipher.StreamReader{S: cover, R: io.NewSectionReader(l.file, 0, l.size)}, nil
}
