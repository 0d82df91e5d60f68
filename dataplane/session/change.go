package session

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrFloor refuses a change that would take a counter below its floor.
var ErrFloor = errors.New("session: the counter would fall below its floor")

// ErrOverflow refuses a change that a counter cannot hold.
var ErrOverflow = errors.New("session: the counter would leave the range of whole numbers")

// maxSum bounds what one run may have counted, so that no sum of a counter overflows.
const maxSum = 1 << 53

// Writer makes changes of a session: it knows who writes, and what the session was when it was read.
type Writer struct {
	Run     string
	Session *Session // nil: it does not exist yet
	Now     time.Time
}

func (w *Writer) stamp() Stamp { return Stamp{Tick(w.Session.Last(), w.Now), w.Run} }

func (w *Writer) event(f Field) Event { return Event{At: w.Now, Field: f} }

// Write sets a field's value, which is sealed; nil removes it. A token that was made for the value before counts no more.
func (w *Writer) Write(service, name string, value []byte) Event {
	return w.event(Field{Service: service, Name: name, Value: value, Stamp: w.stamp()})
}

// Token notes what the field is called at a provider; nil: not known there any more. of is the value that it stands for; zero: whatever
// the value is.
func (w *Writer) Token(service, name, provider string, value []byte, of Stamp) Event {
	return w.event(Field{Service: service, Name: name, Tokens: []Token{{Provider: provider, Value: value, Stamp: w.stamp(), Of: of}}})
}

// Forget removes what providers gave for a field.
func (w *Writer) Forget(service, name string) Event {
	f := Field{Service: service, Name: name}
	if old := w.Session.Field(service, name); old != nil {
		for _, t := range old.Tokens {
			f.joinToken(Token{Provider: t.Provider, Stamp: w.stamp()})
		}
	}
	return w.event(f)
}

// Fetch writes what a provider has of a field, and what it is called there; nil, where it has no name there.
func (w *Writer) Fetch(service, name, provider string, value, theirs []byte) Event {
	stamp := Stamp{Tick(w.Session.Last(), w.Now), Fetched(w.Run, provider)}
	f := Field{Service: service, Name: name, Value: value, Stamp: stamp}
	if theirs != nil {
		f.Tokens = []Token{{Provider: provider, Value: theirs, Stamp: stamp, Of: stamp}}
	}
	return w.event(f)
}

// Confirm notes that a provider has of a field what it says.
func (w *Writer) Confirm(service, name, provider string, theirs []byte, of Stamp) Event {
	return w.event(Field{Service: service, Name: name, Tokens: []Token{{
		Provider: provider, Value: theirs, Stamp: Stamp{Tick(w.Session.Last(), w.Now), Confirmed(w.Run, provider)}, Of: of,
	}}})
}

// Touch notes that an operation changed a field at a provider, and what it is called there.
func (w *Writer) Touch(service, name, provider string, theirs []byte, of Stamp) Event {
	return w.event(Field{Service: service, Name: name, Tokens: []Token{{
		Provider: provider, Value: theirs, Stamp: Stamp{Tick(w.Session.Last(), w.Now), Fetched(w.Run, provider)}, Of: of,
	}}})
}

// Named is an item by its digest, with its sealed value.
type Named struct {
	Digest string
	Value  []byte
}

// Items adds items to a set and removes others: what is removed is what this session shows, so that an add elsewhere, of which nobody
// knew here, stays.
func (w *Writer) Items(service, name string, add []Named, remove []string) Event {
	stamp := w.stamp()
	f := Field{Service: service, Name: name}
	for _, a := range add {
		f.joinItem(&Item{Digest: a.Digest, Value: a.Value, Adds: []Stamp{stamp}})
	}
	if old := w.Session.Field(service, name); old != nil {
		for i := range old.Items {
			if it := &old.Items[i]; slices.Contains(remove, it.Digest) && it.There() {
				f.joinItem(&Item{Digest: it.Digest, Removes: slices.Clone(it.Adds)})
			}
		}
	}
	return w.event(f)
}

// Count adds to a counter. floor nil: there is none.
func (w *Writer) Count(service, name string, by int64, floor *int64) (Event, error) {
	old := w.Session.Field(service, name)
	if old == nil {
		old = &Field{}
	}
	if by > maxSum || by < -maxSum {
		return Event{}, fmt.Errorf("%w: %d", ErrOverflow, by)
	}
	sum, mine := old.Sum()+by, old.Counted(w.Run)+by
	switch {
	case floor != nil && by < 0 && sum < *floor:
		return Event{}, fmt.Errorf("%w of %d: it stands at %d", ErrFloor, *floor, sum-by)
	case sum > maxSum || sum < -maxSum || mine > maxSum || mine < -maxSum:
		return Event{}, fmt.Errorf("%w: it stands at %d", ErrOverflow, sum-by)
	}
	return w.event(Field{Service: service, Name: name, Totals: []Total{{Stamp: w.stamp(), Sum: mine}}}), nil
}

// Difference is what a session's stored state and its history do not agree on.
type Difference struct {
	What            string // "pin of payments", "field payments/card", "last swap"
	Stored, History string
}

// Rebuild makes a session of its history alone.
func Rebuild(k Key, history []Event) (*Session, error) {
	if len(history) == 0 {
		return nil, nil
	}
	return Apply(nil, k, history...)
}

// Differs lists where a stored session and the one that its history makes differ. Either may be nil.
func (s *Session) Differs(rebuilt *Session) []Difference {
	var found []Difference
	differ := func(what, stored, history string) {
		if stored != history {
			found = append(found, Difference{what, stored, history})
		}
	}
	a, b := orEmpty(s), orEmpty(rebuilt)
	for _, service := range services(a, b) {
		differ("pin of "+service, a.Pinned(service), b.Pinned(service))
	}
	differ("last swap", fmt.Sprint(a.Guard), fmt.Sprint(b.Guard))
	for _, f := range names(a, b) {
		differ("field "+f.Service+"/"+f.Name, a.Field(f.Service, f.Name).print(), b.Field(f.Service, f.Name).print())
	}
	return found
}

func orEmpty(s *Session) *Session {
	if s == nil {
		return &Session{}
	}
	return s
}

func services(sessions ...*Session) (list []string) {
	for _, s := range sessions {
		for _, p := range s.Pins {
			list = append(list, p.Service)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func names(sessions ...*Session) (list []Field) {
	for _, s := range sessions {
		for _, f := range s.Fields {
			list = append(list, Field{Service: f.Service, Name: f.Name})
		}
	}
	slices.SortFunc(list, func(a, b Field) int { return a.compare(&b) })
	return slices.CompactFunc(list, func(a, b Field) bool { return a.compare(&b) == 0 })
}

// Version names what a field says now; "": it is not there. What it is called at providers is no part of that.
func (f *Field) Version() string {
	if f == nil {
		return ""
	}
	e := Event{Field: *f}
	e.Field.Tokens = nil
	return fmt.Sprintf("%x", e.Digest()[:8])
}

// print tells a field apart from another without showing what is in it.
func (f *Field) print() string {
	if f == nil {
		return "not there"
	}
	e := Event{Field: *f}
	return fmt.Sprintf("%x", e.Digest()[:8])
}

// Guarded marks events as those of a swap.
func Guarded(number uint64, events []Event) []Event {
	marked := slices.Clone(events)
	for i := range marked {
		marked[i].Guard = number
	}
	return marked
}

// Beginning is the history of a session of which none was kept: an event for each pin, and for its first moment.
func Beginning(s *Session) []Event {
	var events []Event
	for i, p := range s.Pins {
		if i == 0 && s.Created.Before(p.At) {
			events = append(events, Event{At: s.Created, Pin: Pin{Service: p.Service, Provider: p.Provider}})
		}
		events = append(events, Event{At: p.At, Pin: Pin{Service: p.Service, Provider: p.Provider}})
	}
	return events
}
