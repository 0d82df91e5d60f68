package state

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"unicode/utf8"

	"segue/controlplane/policy"
)

// Bounds of a command's own texts: they are kept 10,000 times.
const (
	maxWord   = 200
	maxReason = 1000
)

// Apply returns the State after c, which stands at index in the log (others may stand there too), and what c led to. It changes nothing in s: a refused, repeated
// or skipped command leaves everything as it is but the memory of request ids. Every node applies every command and must come to the
// same value, byte for byte.
func (s *State) Apply(c Command, index uint64) (*State, Result) {
	c.At = c.At.Round(0).UTC()
	if c.skipped() {
		return s, s.outcome(nil)
	}
	if err := c.check(); err != nil {
		return s, s.outcome(err)
	}
	if c.SetVerdicts != nil {
		return s.change(c, index)
	}
	digest := c.digest()
	if seen, ok := s.seen.find(c.Request, c.At); ok {
		if seen.Digest != digest {
			return s, s.outcome(refuse(Invalid, "request id %q was used for another change", c.Request))
		}
		return s, seen.Result
	}
	next, result := s.change(c, index)
	next.seen = s.seen.add(Seen{Request: c.Request, Digest: digest, At: c.At, Result: result})
	return next, result
}

// change runs the command on a draft. The draft replaces s only when the command did something.
func (s *State) change(c Command, index uint64) (*State, Result) {
	draft := *s
	draft.Index = max(index, s.Index+1) // each change has its own, also where several stand in one entry
	draft.Orders, draft.Verdicts = s.InForce(c.At), s.verdictsAt(c.At)
	done, err := draft.run(c)
	if err == nil && c.Match != 0 && c.Match != s.Current().Number {
		err = s.elsewhere(c.Match)
	}
	if err != nil || done.text == "" {
		same := *s
		return &same, same.outcome(err)
	}
	if c.SetVerdicts == nil {
		draft.record(c, c.told(), done.text)
	}
	result := draft.outcome(nil)
	result.Order = done.order
	return &draft, result
}

// done is what a command did: a sentence for the audit, empty if there was nothing to do, and the id of its order.
type done struct{ text, order string }

// run changes the draft. It may set fields and must not write through them: they are shared with the State before.
func (s *State) run(c Command) (done, *Error) {
	if s.Incarnation == "" && c.Init == nil {
		return done{}, refuse(Unsupported, "the cluster is not bootstrapped yet")
	}
	switch {
	case c.Init != nil:
		return s.begin(c.Init)
	case c.ApplyPolicy != nil:
		return s.applyPolicy(c, c.ApplyPolicy)
	case c.SetWeights != nil:
		return s.setWeights(c, c.SetWeights)
	case c.GiveOrder != nil:
		return s.giveOrder(c, c.GiveOrder.Order)
	case c.EndOrder != nil:
		return s.endOrders(c.EndOrder)
	case c.Announce != nil:
		return s.announce(c.Announce.Node)
	case c.Membership != nil:
		return s.membership(c.Membership)
	case c.SetVerdicts != nil:
		return s.setVerdicts(c, c.SetVerdicts)
	case c.BeginShift != nil:
		return s.beginShift(c, c.BeginShift)
	case c.MoveShift != nil:
		return s.moveShift(c, c.MoveShift)
	default:
		return done{}, refuse(Unsupported, "the command is unknown here")
	}
}

func (s *State) begin(i *Init) (done, *Error) {
	if s.Incarnation != "" {
		return done{}, nil
	}
	if err := checkText("incarnation", i.Incarnation, maxWord); err != nil {
		return done{}, err
	}
	s.Incarnation = i.Incarnation
	return done{text: "began incarnation " + i.Incarnation}, nil
}

func (s *State) outcome(err *Error) Result {
	return Result{Index: s.Index, Revision: s.Current().Number, Err: err}
}

// Kind names the change; empty unless exactly one is set.
func (c *Command) Kind() string {
	if name, _, n := c.kinds(); n == 1 {
		return name
	}
	return ""
}

// told is what the audit calls the change.
func (c *Command) told() string {
	if m := c.MoveShift; m != nil {
		return c.Kind() + " " + string(m.Act)
	}
	return c.Kind()
}

// skipped tells a command that this node does not know and may pass over.
func (c *Command) skipped() bool {
	_, _, n := c.kinds()
	return c.Ignorable && n == 0
}

// check finds what is missing or too long in what every command carries.
func (c *Command) check() *Error {
	for _, f := range []struct {
		name, text string
		max        int
	}{{"request", c.Request, maxWord}, {"actor", c.Actor, maxWord}, {"reason", c.Reason, maxReason}} {
		if err := checkText(f.name, f.text, f.max); err != nil {
			return err
		}
	}
	switch y := c.At.Year(); {
	case c.At.IsZero():
		return refuse(Invalid, "at is missing: the time comes from who proposes")
	case y < 1970 || y > 9999:
		return refuse(Invalid, "at is in the year %d", y)
	}
	if _, _, n := c.kinds(); n != 1 {
		return refuse(Invalid, "a command is one change, this one has %d", n)
	}
	if err := c.checkOrigin(); err != nil {
		return err
	}
	switch {
	case c.SetWeights != nil:
		return checkWeights(c.SetWeights.Weights)
	case c.BeginShift != nil:
		return c.BeginShift.check()
	case c.MoveShift != nil:
		return c.MoveShift.check()
	default:
		return nil
	}
}

func checkText(name, text string, limit int) *Error {
	switch {
	case text == "":
		return refuse(Invalid, "%s is missing", name)
	case len(text) > limit:
		return refuse(Invalid, "%s has %d bytes, at most %d are kept", name, len(text), limit)
	case !utf8.ValidString(text):
		return refuse(Invalid, "%s is not UTF-8", name)
	}
	return nil
}

// checkWeights refuses what JSON cannot carry: the log would hold something else than what was applied.
func checkWeights(weights []policy.Weight) *Error {
	if len(weights) > policy.MaxCandidates {
		return refuse(Invalid, "%d weights: a service has at most %d providers", len(weights), policy.MaxCandidates)
	}
	for _, w := range weights {
		if math.IsNaN(w.Percent) || math.IsInf(w.Percent, 0) {
			return refuse(Invalid, "weight of %s is not a number", w.Provider)
		}
	}
	return nil
}

// digest tells one change from another. The time, and what is set here (an order's id and texts), do not count: a retry carries its own
// clock.
func (c *Command) digest() string {
	buf := make([]byte, 0, 256)
	buf = appendTexts(buf, c.Actor, c.Kind())
	switch {
	case c.Init != nil:
		buf = appendTexts(buf, c.Init.Incarnation)
	case c.ApplyPolicy != nil:
		buf = binary.BigEndian.AppendUint64(buf, c.ApplyPolicy.Base)
		buf = append(buf, c.ApplyPolicy.Source...)
		if c.ApplyPolicy.Replace {
			buf = append(buf, 0) // no document ends so: YAML has no zero byte
		}
		if c.ApplyPolicy.Origin != "" {
			buf = appendTexts(append(buf, 0, 1), string(c.ApplyPolicy.Origin))
		}
		if c.ApplyPolicy.Back != 0 {
			buf = binary.BigEndian.AppendUint64(append(buf, 0, 2), c.ApplyPolicy.Back)
		}
	case c.SetWeights != nil:
		w := c.SetWeights
		buf = appendTexts(binary.BigEndian.AppendUint64(buf, w.Base), w.Service, w.Region)
		buf = appendWeights(buf, w.Weights)
	case c.GiveOrder != nil:
		buf = appendOrder(buf, &c.GiveOrder.Order)
	case c.EndOrder != nil:
		buf = appendTexts(buf, c.EndOrder.ID)
		if c.EndOrder.DrainsOf != "" {
			buf = appendTexts(buf, c.EndOrder.DrainsOf)
		}
		if c.EndOrder.Throttles {
			buf = append(buf, 1)
		}
	case c.Announce != nil:
		buf = appendTexts(buf, c.Announce.Node.ID, c.Announce.Node.API)
	case c.Membership != nil:
		m := c.Membership
		buf = appendTexts(buf, string(m.Kind), m.Node, m.Raft, fmt.Sprint(m.Force))
	case c.Restore != nil:
		buf = appendTexts(buf, c.Restore.Sum) // a repeat brings another incarnation
	case c.BeginShift != nil:
		buf = appendShift(buf, c.BeginShift)
	case c.MoveShift != nil:
		m := c.MoveShift
		buf = appendTexts(buf, m.ID, string(m.Act), m.Why)
		buf = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(buf, m.Index), math.Float64bits(m.Loser))
	}
	if c.Match != 0 {
		buf = binary.BigEndian.AppendUint64(append(buf, 0), c.Match)
	}
	h := sha256.Sum256(buf)
	return hex.EncodeToString(h[:8])
}

func appendOrder(buf []byte, o *policy.Order) []byte {
	buf = appendTexts(buf, string(o.Kind), o.Provider, string(o.Fault.Kind))
	for _, n := range [...]uint64{
		uint64(o.For), math.Float64bits(o.Fault.Share), uint64(o.Fault.Status), uint64(o.Fault.Delay), uint64(len(o.Regions)),
	} {
		buf = binary.BigEndian.AppendUint64(buf, n)
	}
	buf = appendTexts(buf, o.Regions...)
	if h := o.Hints; h != nil {
		buf = appendTexts(buf, fmt.Sprint(h.Held, h.Old, h.Pause))
		for _, n := range [...]uint64{h.From, h.To, math.Float64bits(h.Rate)} {
			buf = binary.BigEndian.AppendUint64(buf, n)
		}
	}
	if a := o.About; a != nil {
		buf = appendTexts(buf, a.Transaction, a.Outcome, a.Evidence)
	}
	if a := o.Open; a != nil {
		buf = appendTexts(appendTexts(buf, a.Service, a.Provider, a.State), a.Transactions...)
		buf = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(buf, uint64(a.OlderThan)), uint64(a.Limit))
	}
	return buf
}

func appendWeights(buf []byte, weights []policy.Weight) []byte {
	for _, x := range weights {
		buf = binary.BigEndian.AppendUint64(appendTexts(buf, x.Provider), math.Float64bits(x.Percent))
	}
	return buf
}

func appendShift(buf []byte, b *BeginShift) []byte {
	buf = appendTexts(buf, b.Service, b.From, b.To, fmt.Sprint(b.Stay))
	buf = appendTexts(binary.BigEndian.AppendUint64(buf, uint64(len(b.Regions))), b.Regions...)
	for _, n := range [...]uint64{b.Base, uint64(b.Every), math.Float64bits(b.Amount), math.Float64bits(b.Margin), uint64(len(b.Steps))} {
		buf = binary.BigEndian.AppendUint64(buf, n)
	}
	for _, step := range b.Steps {
		buf = binary.BigEndian.AppendUint64(buf, math.Float64bits(step))
	}
	return appendWeights(buf, b.Weights)
}

// appendTexts writes each text behind its length, so that no text can pass for the end of one and the begin of the next.
func appendTexts(buf []byte, texts ...string) []byte {
	for _, t := range texts {
		buf = append(binary.BigEndian.AppendUint64(buf, uint64(len(t))), t...)
	}
	return buf
}

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
