package route

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"segue/controlplane/policy"
)

// Why a recorded decision cannot be made again under another policy.
var (
	ErrRetry     = errors.New("a further attempt: whether the call would have needed one is not known")
	ErrGoneOwner = errors.New("the provider that owns its object is not in the policy any more")
	ErrUnread    = errors.New("its rules read what was not recorded")
	ErrUnpriced  = errors.New("what calls are worth, or ask for, was not recorded: the policy then named no such fees")
)

// Bridge leads from the policy that decisions were made by to another one. Places, operations, regions, operands and words are carried over
// by name.
type Bridge struct {
	was, is  *policy.Service
	to, from [policy.MaxCandidates]int8 // candidates: place then → now, and back; -1: none
	ops      []int16
	clients  []int8
	operands [policy.MaxOperands]int8 // operand now → then
	words    map[uint16]uint16
	named    bool // the new rules name a text that the old ones did not
	unread   bool
	unpriced bool
}

// Unpriced tells that what calls cost under the new policy is not known: the old one had no use for what they are worth, or ask for.
func (b *Bridge) Unpriced() bool { return b.unpriced }

// weighs tells whether the choice depends on what a call is worth, or costs.
func weighs(svc *policy.Service) bool {
	return svc.Strategy == policy.Adaptive || svc.HighValue.Above > 0 || len(svc.Rules) > 0
}

// NewBridge prepares for decisions of was. The regions are those of the two snapshots.
func NewBridge(was, is *policy.Service, regionsWas, regionsIs []string) *Bridge {
	b := &Bridge{was: was, is: is, words: map[uint16]uint16{}}
	for i := range b.to {
		b.to[i], b.from[i] = -1, -1
	}
	for i, c := range was.Candidates[:min(len(was.Candidates), policy.MaxCandidates)] {
		if to := place(is, c.Provider); to >= 0 {
			b.to[i], b.from[to] = to, int8(i)
		}
	}
	for _, o := range was.Operations {
		b.ops = append(b.ops, int16(slices.IndexFunc(is.Operations, func(n *policy.Operation) bool { return n.Name == o.Name })))
	}
	for _, r := range regionsWas {
		b.clients = append(b.clients, int8(slices.Index(regionsIs, r)))
	}
	b.unpriced = was.Exchange == nil && is.Exchange != nil || !was.Pays() && is.Pays()
	b.read()
	return b
}

// read finds the new rules' operands and words among the old ones.
func (b *Bridge) read() {
	for i, r := range b.is.Reads[:min(len(b.is.Reads), policy.MaxOperands)] {
		at := slices.IndexFunc(b.was.Reads, func(o policy.OperandAt) bool { return o.As == r.As && slices.Equal(o.From, r.From) })
		b.operands[i] = int8(at)
		b.unread = b.unread || at < 0
	}
	for text, n := range b.was.Words {
		b.words[n] = b.is.Intern(text)
	}
	for text := range b.is.Words {
		b.named = b.named || b.was.Intern(text) == 0
	}
}

// Again decides old's request under another policy, by the code that decides live calls: its facts and what was seen of the providers
// are carried over by name. Of a provider that was no candidate then nothing was seen: it stands as on its first day. What follows from
// an earlier choice (a further attempt, and in flight, rates and circuits, which the new shares would have moved) stays as recorded; but
// where pinned names a provider, the session is there by now.
func (d *Decision) Again(old *Decision, b *Bridge, pinned string) error {
	if int(old.N) != len(b.was.Candidates) || len(b.is.Candidates) > policy.MaxCandidates {
		return fmt.Errorf("route: a decision among %d providers does not belong to a service with %d", old.N, len(b.was.Candidates))
	}
	if old.Facts.Tried != 0 {
		return ErrRetry
	}
	f := old.Facts
	if err := b.carry(&f); err != nil {
		return err
	}
	if b.unpriced && weighs(b.is) {
		return ErrUnpriced
	}
	f.Minute = policy.MinuteOf(old.At)
	if pinned != "" {
		f.Pinned = place(b.is, pinned)
	}
	d.reset(len(b.is.Candidates), &f, old.At)
	for i, c := range b.is.Candidates {
		if from := b.from[i]; from >= 0 {
			d.Seen[i] = old.Seen[from]
			if l := &d.Seen[i].Fees; l.Ratio != 0 {
				*l = l.under(b.was.Price(int(from), &old.Facts), b.is.Price(i, &f))
			}
			continue
		}
		d.Seen[i] = fresh(c.Provider, kindOf(f.Read), old.At)
	}
	d.Past = old.Past
	d.price(b.is)
	d.choose(b.is)
	return nil
}

// carry writes facts in the places of the new policy.
func (b *Bridge) carry(f *policy.Facts) error {
	if f.Owner >= 0 {
		if f.Owner = at(b.to[:], int(f.Owner)); f.Owner < 0 {
			return ErrGoneOwner
		}
	}
	if f.Pinned = at(b.to[:], int(f.Pinned)); f.Pinned < 0 {
		f.Pinned = -1
	}
	f.Barred, f.Unmapped = b.moved(f.Barred), b.moved(f.Unmapped)
	f.Client, f.Op = at(b.clients, int(f.Client)), at(b.ops, int(f.Op))
	if b.unread {
		return ErrUnread
	}
	old := f.Operands
	f.Operands = [policy.MaxOperands]policy.Operand{}
	for i := range b.is.Reads {
		o := old[b.operands[i]]
		if o.Kind == policy.IsText {
			if o.Text == 0 && b.named { // it may be one of those that the new rules name
				return ErrUnread
			}
			o.Text = b.words[o.Text]
		}
		f.Operands[i] = o
	}
	return nil
}

func at[N int8 | int16](list []N, i int) N {
	if i < 0 || i >= len(list) {
		return -1
	}
	return list[i]
}

func (b *Bridge) moved(s policy.Set) policy.Set {
	var out policy.Set
	for i, at := range b.to {
		if at >= 0 && s.Has(i) {
			out = out.With(int(at))
		}
	}
	return out
}

// fresh is how a provider stands of which nothing is known.
func fresh(provider string, kind uint8, at time.Time) Seen {
	row := NewStanding(provider)
	var s Seen
	row.look(&s, &policy.Limits{}, &policy.Facts{Read: kind == reads}, at)
	return s
}

func place(svc *policy.Service, provider string) int8 {
	for i, c := range svc.Candidates {
		if c.Provider == provider {
			return int8(i)
		}
	}
	return -1
}
