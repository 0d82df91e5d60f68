package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// rowVersion is the form in which rows are written. A reader refuses newer ones: it would drop what it does not know at the next write.
// Older ones are read for ever.
const rowVersion = 4 // 1 had neither Course nor Fence, 2 no Value, 3 no ids of the provider's own

// MaxRow bounds an encoded row: the largest answer that is kept, its headers and sixteen attempts fit in well.
const MaxRow = 1 << 20

var (
	// ErrCorrupt says that bytes are no row.
	ErrCorrupt = errors.New("ledger: the row is corrupt")
	// ErrNewer says that a newer program wrote the row.
	ErrNewer = errors.New("ledger: the row was written by a newer version of Segue")
	// ErrTooLarge refuses to write a row that is over MaxRow.
	ErrTooLarge = fmt.Errorf("ledger: a row has at most %d bytes", MaxRow)
)

// Encode writes a transaction as a row.
func Encode(t *Transaction) ([]byte, error) {
	if len(t.Attempts) > MaxAttempts {
		return nil, ErrTooMany
	}
	size := 512
	if t.Answer != nil {
		size += len(t.Answer.Sealed)
	}
	w := writer{b: make([]byte, 0, size)}
	w.byte(rowVersion)
	w.texts(t.ID, t.Key.App, t.Key.Service, t.Key.Key, t.Operation)
	w.b = append(w.b, t.Fingerprint[:]...)
	w.byte(t.FingerprintV)
	w.byte(byte(t.State))
	w.number(t.Version)
	w.b = append(w.b, t.Token[:]...)
	w.count(t.Epoch)
	w.texts(t.Run, t.Region, t.Session)
	w.course(&t.Course)
	w.count(len(t.Attempts))
	for i := range t.Attempts {
		w.attempt(&t.Attempts[i])
	}
	w.answer(t.Answer)
	w.time(t.Created)
	w.time(t.Updated)
	if len(w.b) > MaxRow {
		return nil, fmt.Errorf("%w: %s has %d", ErrTooLarge, t.ID, len(w.b))
	}
	return w.b, nil
}

// Decode reads a row. It never panics, and shares no memory with b.
func Decode(b []byte) (*Transaction, error) {
	r, err := open(b)
	if err != nil {
		return nil, err
	}
	t := &Transaction{}
	r.texts(&t.ID, &t.Key.App, &t.Key.Service, &t.Key.Key, &t.Operation)
	copy(t.Fingerprint[:], r.take(len(t.Fingerprint)))
	t.FingerprintV = r.byte()
	t.State = State(r.within(byte(Intent), byte(lastState)))
	t.Version = r.number()
	copy(t.Token[:], r.take(len(t.Token)))
	t.Epoch = r.count()
	r.texts(&t.Run, &t.Region, &t.Session)
	r.course(&t.Course)
	n := r.count()
	if n > MaxAttempts {
		r.fail()
	}
	for i := 0; i < n && !r.failed; i++ {
		t.Attempts = append(t.Attempts, r.attempt())
	}
	t.Answer = r.answer()
	t.Created, t.Updated = r.time(), r.time()
	if err := r.end(); err != nil {
		return nil, err
	}
	return t, nil
}

// EncodeObject writes who owns an object.
func EncodeObject(o Object) ([]byte, error) {
	w := writer{b: make([]byte, 0, 128)}
	w.byte(rowVersion)
	w.texts(o.App, o.Service, o.ID, o.Provider, o.Account, o.Transaction, o.Theirs)
	if len(w.b) > MaxRow {
		return nil, ErrTooLarge
	}
	return w.b, nil
}

// DecodeObject reads who owns an object. It never panics.
func DecodeObject(b []byte) (Object, error) {
	r, err := open(b)
	if err != nil {
		return Object{}, err
	}
	var o Object
	r.texts(&o.App, &o.Service, &o.ID, &o.Provider, &o.Account, &o.Transaction)
	r.theirs(&o.Theirs)
	if err := r.end(); err != nil {
		return Object{}, err
	}
	return o, nil
}

// writer appends to b. Texts and lists have their length before them; numbers are varints.
type writer struct{ b []byte }

func (w *writer) byte(v byte)     { w.b = append(w.b, v) }
func (w *writer) number(v uint64) { w.b = binary.AppendUvarint(w.b, v) }

// count writes what is never negative; a negative one, which nobody should hand in, reads as corrupt and is not silently changed.
func (w *writer) count(v int) { w.number(uint64(v)) }

func (w *writer) flag(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

func (w *writer) texts(texts ...string) {
	for _, s := range texts {
		w.count(len(s))
		w.b = append(w.b, s...)
	}
}

func (w *writer) time(t time.Time) {
	w.b = binary.AppendVarint(w.b, t.Unix())
	w.count(t.Nanosecond())
}

func (w *writer) duration(d time.Duration) { w.b = binary.AppendVarint(w.b, int64(d)) }

func (w *writer) attempt(a *Attempt) {
	w.texts(a.ID, a.Provider, a.Account, a.Endpoint, a.ProviderKey, a.Reference)
	w.b = append(w.b, a.Contract[:]...)
	w.time(a.IntentAt)
	w.duration(a.SendBy)
	w.byte(byte(a.Outcome))
	w.count(a.Sends)
	w.texts(a.Error)
	w.count(a.Status)
	w.duration(a.Elapsed)
	w.fence(&a.Fence)
}

func (w *writer) course(c *Course) {
	w.flag(c.Told)
	w.flag(c.Kept)
	w.maybe(c.ExecuteBy)
	w.count(c.Adopted)
	w.texts(c.Compensates)
	w.number(uint64(c.Value.Minor))
	w.texts(c.Value.Currency)
}

func (w *writer) fence(f *Fence) {
	w.byte(byte(f.How))
	w.flag(f.Cancel)
	w.flag(f.Late)
	w.maybe(f.Quiet)
	w.maybe(f.Absent)
}

// maybe writes a time that may not be set.
func (w *writer) maybe(t time.Time) {
	w.flag(!t.IsZero())
	if !t.IsZero() {
		w.time(t)
	}
}

func (w *writer) answer(a *StoredAnswer) {
	w.flag(a != nil)
	if a == nil {
		return
	}
	w.count(a.Status)
	w.count(len(a.Header))
	for _, f := range a.Header {
		w.texts(f.Name, f.Value)
	}
	w.count(len(a.Sealed))
	w.b = append(w.b, a.Sealed...)
	w.texts(a.KeyID)
	w.b = append(w.b, a.Hash[:]...)
	w.flag(a.Kept)
	w.texts(a.ObjectID, a.Theirs)
}

func (r *reader) attempt() Attempt {
	var a Attempt
	r.texts(&a.ID, &a.Provider, &a.Account, &a.Endpoint, &a.ProviderKey, &a.Reference)
	copy(a.Contract[:], r.take(len(a.Contract)))
	a.IntentAt = r.time()
	a.SendBy = r.duration()
	a.Outcome = Outcome(r.within(byte(Open), byte(Unknown)))
	a.Sends = r.count()
	r.texts(&a.Error)
	a.Status = r.count()
	a.Elapsed = r.duration()
	a.Fence = r.fence()
	return a
}

func (r *reader) course(c *Course) {
	if r.version < 2 {
		return
	}
	c.Told, c.Kept, c.ExecuteBy, c.Adopted = r.flag(), r.flag(), r.maybe(), r.count()
	r.texts(&c.Compensates)
	if r.version < 3 {
		return
	}
	if minor := r.number(); minor > policy.MaxMinor {
		r.fail()
	} else {
		c.Value.Minor = int64(minor)
	}
	r.texts(&c.Value.Currency)
}

func (r *reader) fence() Fence {
	if r.version < 2 {
		return Fence{}
	}
	return Fence{How: Closed(r.within(0, byte(ByPolicy))), Cancel: r.flag(), Late: r.flag(), Quiet: r.maybe(), Absent: r.maybe()}
}

// maybe reads a time that may not be set.
func (r *reader) maybe() time.Time {
	if !r.flag() {
		return time.Time{}
	}
	return r.time()
}

func (r *reader) answer() *StoredAnswer {
	if !r.flag() {
		return nil
	}
	a := &StoredAnswer{Status: r.count()}
	n := r.count()
	for i := 0; i < n && !r.failed; i++ {
		var f message.Field
		r.texts(&f.Name, &f.Value)
		a.Header = append(a.Header, f)
	}
	a.Sealed = append([]byte(nil), r.take(r.count())...)
	r.texts(&a.KeyID)
	copy(a.Hash[:], r.take(len(a.Hash)))
	a.Kept = r.flag()
	r.texts(&a.ObjectID)
	r.theirs(&a.Theirs)
	return a
}

// theirs reads an object's id as its provider knows it, which older rows did not tell apart.
func (r *reader) theirs(id *string) {
	if r.version > 3 {
		r.texts(id)
	}
}
