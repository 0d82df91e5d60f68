package session

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a session's fields. A writer keeps the first ones. Apply takes four times as much, so that what two regions wrote while they
// were cut off from each other can always be put together.
const (
	MaxFields   = 64       // of one session
	MaxItems    = 64       // different items of a set, in the session's life
	MaxRuns     = 64       // runs that count in one counter
	MaxTokens   = 32       // providers of which a field has a token
	MaxValue    = 16 << 10 // bytes of a value, sealed
	MaxContents = 48 << 10 // bytes of all the fields of a session
	slack       = 4
)

var (
	// ErrTooMany refuses a change that would take a field or a session over its bounds.
	ErrTooMany  = errors.New("session: too many")
	errNameless = errors.New("session: a field has a service and a name")
)

// Field is one field of a session, and the change of one: what a change says is the same as a field that says nothing else. Two are put
// together part by part, and it does not matter in which order or how often. Which parts count is for the policy to say: the value (of
// two the later one), the items (an item is there while somebody added it of whom nobody who removed it knew), the totals (their sum).
type Field struct {
	Service, Name string
	Value         []byte // sealed; nil with a Stamp: it was removed
	Stamp         Stamp  // of the value; zero: none was ever written
	Items         []Item
	Totals        []Total
	Tokens        []Token
}

// Item is one item of a set.
type Item struct {
	Digest  string // names it; the value is sealed, and sealed anew each time
	Value   []byte
	Adds    []Stamp // the latest of each run
	Removes []Stamp // up to which each run's adds were seen by somebody who removed it
}

// There tells whether the item is in the set.
func (i *Item) There() bool {
	return slices.ContainsFunc(i.Adds, func(a Stamp) bool { return !slices.ContainsFunc(i.Removes, a.coveredBy) })
}

func (s Stamp) coveredBy(r Stamp) bool { return r.By == s.By && r.Clock >= s.Clock }

// latest is the stamp of the newest add; its value is the one that is kept.
func (i *Item) latest() (last Stamp) {
	for _, a := range i.Adds {
		if a.Compare(last) > 0 {
			last = a
		}
	}
	return last
}

// Total is what one run has counted, in all.
type Total struct {
	Stamp Stamp
	Sum   int64
}

// Token is what a field's value is called at one provider: it was brought there, or the application said so.
type Token struct {
	Provider string
	Value    []byte // sealed; nil: it is gone
	Stamp    Stamp  // of the token
	Of       Stamp  // of the value that it stands for; zero: whatever the value is
}

// For returns the token of a provider that stands for the present value.
func (f *Field) For(provider string) (Token, bool) {
	for _, t := range f.Tokens {
		if t.Provider == provider && t.Value != nil && (t.Of.Zero() || t.Of == f.Stamp) {
			return t, true
		}
	}
	return Token{}, false
}

// Sum is what a counter stands at.
func (f *Field) Sum() int64 {
	sum := int64(0)
	for _, t := range f.Totals {
		sum += t.Sum
	}
	return sum
}

// Counted is what a run has counted so far.
func (f *Field) Counted(run string) int64 {
	for _, t := range f.Totals {
		if t.Stamp.By == run {
			return t.Sum
		}
	}
	return 0
}

// Set tells whether the field says anything now: it has a value, an item, a token, or somebody counted.
func (f *Field) Set() bool {
	return f.Value != nil || len(f.Totals) > 0 || slices.ContainsFunc(f.Items, func(i Item) bool { return i.There() }) ||
		slices.ContainsFunc(f.Tokens, func(t Token) bool { return t.Value != nil })
}

// Last is the newest stamp in the field.
func (f *Field) Last() (last Stamp) {
	f.stamps(func(s Stamp) {
		if s.Compare(last) > 0 {
			last = s
		}
	})
	return last
}

func (f *Field) stamps(visit func(Stamp)) {
	visit(f.Stamp)
	for i := range f.Items {
		for _, list := range [...][]Stamp{f.Items[i].Adds, f.Items[i].Removes} {
			for _, s := range list {
				visit(s)
			}
		}
	}
	for _, t := range f.Totals {
		visit(t.Stamp)
	}
	for _, t := range f.Tokens {
		visit(t.Stamp)
	}
}

// compare orders fields by their names.
func (f *Field) compare(o *Field) int {
	return cmp.Or(strings.Compare(f.Service, o.Service), strings.Compare(f.Name, o.Name))
}

// join puts what o says into f, which shares no list with anybody.
func (f *Field) join(o *Field) {
	if later(o.Stamp, o.Value, f.Stamp, f.Value) {
		f.Stamp, f.Value = o.Stamp, o.Value
	}
	for i := range o.Items {
		f.joinItem(&o.Items[i])
	}
	for _, t := range o.Totals {
		f.joinTotal(t)
	}
	for _, t := range o.Tokens {
		f.joinToken(t)
	}
}

// later tells whether the first of two stamped values wins. Two values under one stamp are no work of ours, but they must not depend on
// who came first either.
func later(a Stamp, av []byte, b Stamp, bv []byte) bool {
	if c := a.Compare(b); c != 0 {
		return c > 0
	}
	if (av == nil) != (bv == nil) {
		return bv == nil
	}
	return bytes.Compare(av, bv) > 0
}

func (f *Field) joinItem(o *Item) {
	i, there := slices.BinarySearchFunc(f.Items, o.Digest, func(i Item, d string) int { return strings.Compare(i.Digest, d) })
	if !there {
		f.Items = slices.Insert(f.Items, i, Item{Digest: o.Digest})
	}
	mine := &f.Items[i]
	if later(o.latest(), o.Value, mine.latest(), mine.Value) {
		mine.Value = o.Value
	}
	mine.Adds, mine.Removes = joinStamps(mine.Adds, o.Adds), joinStamps(mine.Removes, o.Removes)
}

// joinStamps keeps the latest stamp of each run, sorted by run.
func joinStamps(mine, other []Stamp) []Stamp {
	for _, s := range other {
		i, there := slices.BinarySearchFunc(mine, s.By, func(m Stamp, by string) int { return strings.Compare(m.By, by) })
		switch {
		case !there:
			mine = slices.Insert(mine, i, s)
		case mine[i].Clock < s.Clock:
			mine[i] = s
		}
	}
	return mine
}

func (f *Field) joinTotal(o Total) {
	i, there := slices.BinarySearchFunc(f.Totals, o.Stamp.By, func(t Total, by string) int { return strings.Compare(t.Stamp.By, by) })
	if !there {
		f.Totals = slices.Insert(f.Totals, i, o)
		return
	}
	if mine := &f.Totals[i]; o.Stamp.Clock > mine.Stamp.Clock || o.Stamp.Clock == mine.Stamp.Clock && o.Sum > mine.Sum {
		*mine = o
	}
}

func (f *Field) joinToken(o Token) {
	i, there := slices.BinarySearchFunc(f.Tokens, o.Provider, func(t Token, p string) int { return strings.Compare(t.Provider, p) })
	if !there {
		f.Tokens = slices.Insert(f.Tokens, i, o)
		return
	}
	mine := &f.Tokens[i]
	switch c := o.Stamp.Compare(mine.Stamp); {
	case c > 0, c == 0 && o.Of.Compare(mine.Of) > 0, c == 0 && o.Of == mine.Of && later(o.Stamp, o.Value, mine.Stamp, mine.Value):
		*mine = o
	}
}

// clone shares no list with f; sealed values are never written to and stay shared.
func (f *Field) clone() Field {
	c := *f
	c.Items = slices.Clone(f.Items)
	for i := range c.Items {
		c.Items[i].Adds, c.Items[i].Removes = slices.Clone(c.Items[i].Adds), slices.Clone(c.Items[i].Removes)
	}
	c.Totals, c.Tokens = slices.Clone(f.Totals), slices.Clone(f.Tokens)
	return c
}

// check refuses a field that is over times the bounds.
func (f *Field) check(times int) error {
	over := func(what string, n, most int) error {
		if n > times*most {
			return fmt.Errorf("%w %s in %s: %d, and %d is the most", ErrTooMany, what, f.Name, n, times*most)
		}
		return nil
	}
	err := errors.Join(over("items", len(f.Items), MaxItems), over("runs that count", len(f.Totals), MaxRuns), over("tokens", len(f.Tokens), MaxTokens))
	for i := range f.Items {
		err = errors.Join(err, over("runs that changed an item", max(len(f.Items[i].Adds), len(f.Items[i].Removes)), MaxRuns))
	}
	return err
}
