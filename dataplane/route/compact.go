package route

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// errCompact refuses what Append did not write.
var errCompact = errors.New("route: a compact decision does not read")

// Append writes the decision for a log that keeps the service beside it: facts, what was seen, winner and reason, some 20 bytes and
// another 10 for each candidate. What Seen and Facts hold is all here: TestCompactHoldsEverything goes through their fields.
func (d *Decision) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(d.At.UnixNano()))
	b = append(b, byte(d.N), byte(d.Winner), byte(d.Reason))
	b = appendPast(appendFacts(b, &d.Facts, d.At), &d.Past)
	for i := range d.N {
		b = appendSeen(b, &d.Seen[i])
	}
	return b
}

// Restore reads what Append wrote and returns what follows it. The scores are left as they are: who wants them decides again.
func (d *Decision) Restore(b []byte, svc *policy.Service) ([]byte, error) {
	r := compact{b: b}
	at := time.Unix(0, int64(r.fixed())).UTC()
	n := min(int(r.byte()), policy.MaxCandidates)
	d.N, d.Winner, d.Reason, d.At = int8(n), int8(r.byte()), Reason(r.byte()), at
	r.facts(&d.Facts, at)
	r.past(&d.Past)
	for i := range n {
		r.seen(&d.Seen[i])
		if i < len(svc.Candidates) {
			d.Seen[i].salt = salt(svc.Candidates[i].Provider)
		}
	}
	if r.bad || n != len(svc.Candidates) || int(d.Winner) >= n {
		return nil, errCompact
	}
	return r.b, nil
}

// Bits of the first byte of facts.
const (
	factRead = 1 << iota
	factDeadline
	factWorth // a value, its currency and the use follow
	factOperands
)

func bit(is bool, b byte) byte {
	if is {
		return b
	}
	return 0
}

func appendFacts(b []byte, f *policy.Facts, at time.Time) []byte {
	flags := bit(f.Read, factRead)
	if !f.Deadline.IsZero() {
		flags |= factDeadline
	}
	if f.Value != 0 || f.Currency != 0 || f.Use != (policy.Use{}) {
		flags |= factWorth
	}
	if f.Operands != ([policy.MaxOperands]policy.Operand{}) {
		flags |= factOperands
	}
	b = append(b, flags, byte(f.Pinned), byte(f.Owner), byte(f.Client))
	b = binary.AppendVarint(b, int64(f.Op))
	b = binary.AppendVarint(b, int64(f.Minute))
	b = binary.LittleEndian.AppendUint64(b, f.Draw)
	b = binary.AppendUvarint(b, uint64(f.Tried))
	b = binary.AppendUvarint(b, uint64(f.Barred))
	b = binary.AppendUvarint(b, uint64(f.Unmapped))
	if flags&factDeadline != 0 {
		b = binary.AppendVarint(b, int64(f.Deadline.Sub(at)))
	}
	if flags&factWorth != 0 {
		b = binary.AppendUvarint(b, uint64(f.Currency))
		for _, n := range [...]int64{int64(f.Value), int64(f.Use.In), int64(f.Use.Out), int64(f.Use.Segments)} {
			b = binary.AppendVarint(b, n)
		}
	}
	if flags&factOperands != 0 {
		b = appendOperands(b, &f.Operands)
	}
	return b
}

// appendOperands writes those that are there, each after its place.
func appendOperands(b []byte, list *[policy.MaxOperands]policy.Operand) []byte {
	for i := range list {
		if o := &list[i]; *o != (policy.Operand{}) {
			b = append(b, byte(i+1), byte(o.Kind))
			b = binary.AppendUvarint(b, uint64(o.Text))
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(o.Number))
		}
	}
	return append(b, 0)
}

func (r *compact) operands(list *[policy.MaxOperands]policy.Operand) {
	for at := r.byte(); at != 0 && !r.bad; at = r.byte() {
		if int(at) > len(list) {
			r.bad = true
			return
		}
		list[at-1] = policy.Operand{Kind: policy.OperandKind(r.byte()), Text: uint16(r.uvarint()), Number: math.Float64frombits(r.fixed())}
	}
}

func (r *compact) facts(f *policy.Facts, at time.Time) {
	flags := r.byte()
	*f = policy.Facts{Read: flags&factRead != 0, Pinned: int8(r.byte()), Owner: int8(r.byte()), Client: int8(r.byte())}
	f.Op, f.Minute, f.Draw = int16(r.varint()), int16(r.varint()), r.fixed()
	f.Tried, f.Barred, f.Unmapped = policy.Set(r.uvarint()), policy.Set(r.uvarint()), policy.Set(r.uvarint())
	if flags&factDeadline != 0 {
		f.Deadline = at.Add(time.Duration(r.varint()))
	}
	if flags&factWorth != 0 {
		f.Currency, f.Value = policy.Currency(r.uvarint()), policy.Money(r.varint())
		f.Use = policy.Use{In: int32(r.varint()), Out: int32(r.varint()), Segments: int32(r.varint())}
	}
	if flags&factOperands != 0 {
		r.operands(&f.Operands)
	}
}

func appendPast(b []byte, p *Past) []byte {
	b = append(b, bit(p.NoRetry, 1)|bit(p.Spent, 2)|bit(p.Above != 0, 4)|bit(p.Resets != 0, 8))
	if p.Resets != 0 {
		b = binary.AppendVarint(b, int64(p.Resets))
	}
	if p.Above != 0 {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(p.Above))
	}
	return b
}

func (r *compact) past(p *Past) {
	flags := r.byte()
	*p = Past{NoRetry: flags&1 != 0, Spent: flags&2 != 0}
	if flags&8 != 0 {
		p.Resets = time.Duration(r.varint())
	}
	if flags&4 != 0 {
		p.Above = math.Float64frombits(r.fixed())
	}
}

// Bits of the first byte of what was seen.
const (
	seenPass = 1 << iota
	seenProbe
	seenWaits // a wait, a rate, a Retry-After or a drain follows
	seenAway
	seenShare
	seenCause
	seenPartly
	seenFees
)

// seenGood stands beside the state: good answers in a row follow at the end.
const seenGood = 0x80

func appendSeen(b []byte, s *Seen) []byte {
	flags := bit(s.Circuit.Pass, seenPass) | bit(s.Circuit.Probe, seenProbe) | bit(s.Away, seenAway) |
		bit(s.Circuit.Wait != 0 || s.Rate != 0 || s.Closed != 0 || s.Drained != 0, seenWaits) |
		bit(s.Circuit.Share != 1, seenShare) | bit(s.Cause != Cause{}, seenCause) | bit(s.Partly, seenPartly) | bit(s.Fees != Learned{}, seenFees)
	b = append(b, flags, byte(s.State)|bit(s.Circuit.Good != 0, seenGood), byte(s.Rule))
	for _, n := range [...]int64{int64(s.Failures), int64(s.InFlight), int64(s.Normal), int64(s.Latency), int64(s.Cost)} {
		b = binary.AppendVarint(b, n)
	}
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(s.Mean))
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(s.Lower))
	if flags&seenWaits != 0 {
		for _, d := range [...]time.Duration{s.Circuit.Wait, s.Rate, s.Closed, s.Drained} {
			b = binary.AppendVarint(b, int64(d))
		}
	}
	if flags&seenShare != 0 {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.Circuit.Share))
	}
	if flags&seenCause != 0 {
		b = appendCause(b, &s.Cause)
	}
	if flags&seenFees != 0 {
		b = binary.AppendUvarint(binary.LittleEndian.AppendUint32(b, math.Float32bits(s.Fees.Ratio)), uint64(s.Fees.Answers))
	}
	if s.Circuit.Good != 0 {
		b = binary.AppendUvarint(b, uint64(uint32(s.Circuit.Good)))
	}
	return b
}

func appendCause(b []byte, c *Cause) []byte {
	e := &c.Evidence
	b = append(b, byte(c.Alarm), byte(e.Alarm), bit(c.Unsent, 1))
	for _, n := range [...]int64{
		int64(c.Late), int64(c.Limit), int64(e.Failed), int64(e.Calls), int64(e.Slow), int64(e.Answers), int64(e.Overdue), int64(e.Usual),
		int64(c.Quiet.For), int64(c.Quiet.Answered), int64(c.Quiet.Due),
	} {
		b = binary.AppendVarint(b, n)
	}
	at := int64(0)
	if !e.At.IsZero() {
		at = e.At.UnixNano()
	}
	b = binary.AppendVarint(b, at)
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(e.Baseline))
}

func (r *compact) seen(s *Seen) {
	flags, state := r.byte(), r.byte()
	*s = Seen{
		State: breaker.State(state &^ seenGood), Rule: int8(r.byte()), Failures: int32(r.varint()), InFlight: int32(r.varint()), Normal: int32(r.varint()),
		Showed: Showed{Latency: time.Duration(r.varint())}, Cost: policy.Money(r.varint()),
		Leaving: Leaving{Away: flags&seenAway != 0, Partly: flags&seenPartly != 0},
	}
	s.Mean, s.Lower = r.float(), r.float()
	s.Circuit.Pass, s.Circuit.Probe, s.Circuit.Share = flags&seenPass != 0, flags&seenProbe != 0, 1
	if flags&seenWaits != 0 {
		for _, d := range [...]*time.Duration{&s.Circuit.Wait, &s.Rate, &s.Closed, &s.Drained} {
			*d = time.Duration(r.varint())
		}
	}
	if flags&seenShare != 0 {
		s.Circuit.Share = math.Float64frombits(r.fixed())
	}
	if flags&seenCause != 0 {
		r.cause(&s.Cause)
	}
	if flags&seenFees != 0 {
		s.Fees = Learned{Ratio: r.float(), Answers: uint32(r.uvarint())}
	}
	if state&seenGood != 0 {
		s.Circuit.Good = int32(r.uvarint())
	}
}

func (r *compact) cause(c *Cause) {
	e := &c.Evidence
	c.Alarm, e.Alarm, c.Unsent = health.Alarm(r.byte()), health.Alarm(r.byte()), r.byte() != 0
	c.Late, c.Limit = int32(r.varint()), time.Duration(r.varint())
	for _, n := range [...]*uint32{&e.Failed, &e.Calls, &e.Slow, &e.Answers, &e.Overdue} {
		*n = uint32(r.varint())
	}
	e.Usual = time.Duration(r.varint())
	c.Quiet = health.Quiet{For: time.Duration(r.varint()), Answered: uint32(r.varint()), Due: uint32(r.varint())}
	if at := r.varint(); at != 0 {
		e.At = time.Unix(0, at).UTC()
	}
	e.Baseline = math.Float64frombits(r.fixed())
}

func (r *compact) float() float32 {
	if b := r.take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

// compact reads what Append wrote; bad once it ends too early.
type compact struct {
	b   []byte
	bad bool
}

func (r *compact) take(n int) []byte {
	if r.bad || n <= 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *compact) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *compact) fixed() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *compact) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.take(n)
	return v
}

func (r *compact) varint() int64 {
	v, n := binary.Varint(r.b)
	r.take(n)
	return v
}
