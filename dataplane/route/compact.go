package route

import (
	"encoding/binary"
	"errors"
	"time"

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
	b = appendFacts(b, &d.Facts, d.At)
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
)

func appendFacts(b []byte, f *policy.Facts, at time.Time) []byte {
	flags := byte(0)
	if f.Read {
		flags |= factRead
	}
	if !f.Deadline.IsZero() {
		flags |= factDeadline
	}
	b = append(b, flags, byte(f.Pinned), byte(f.Owner))
	b = binary.LittleEndian.AppendUint64(b, f.Draw)
	b = binary.AppendUvarint(b, uint64(f.Tried))
	b = binary.AppendUvarint(b, uint64(f.Barred))
	b = binary.AppendUvarint(b, uint64(f.Unmapped))
	if flags&factDeadline != 0 {
		b = binary.AppendVarint(b, int64(f.Deadline.Sub(at)))
	}
	return b
}

func (r *compact) facts(f *policy.Facts, at time.Time) {
	flags := r.byte()
	*f = policy.Facts{Read: flags&factRead != 0, Pinned: int8(r.byte()), Owner: int8(r.byte()), Draw: r.fixed()}
	f.Tried, f.Barred, f.Unmapped = policy.Set(r.uvarint()), policy.Set(r.uvarint()), policy.Set(r.uvarint())
	if flags&factDeadline != 0 {
		f.Deadline = at.Add(time.Duration(r.varint()))
	}
}

// Bits of the first byte of what was seen.
const (
	seenPass = 1 << iota
	seenProbe
	seenWaits // a wait, a rate, a Retry-After or a drain follows
)

func appendSeen(b []byte, s *Seen) []byte {
	flags := byte(0)
	if s.Circuit.Pass {
		flags |= seenPass
	}
	if s.Circuit.Probe {
		flags |= seenProbe
	}
	if s.Circuit.Wait != 0 || s.Rate != 0 || s.Closed != 0 || s.Drained != 0 {
		flags |= seenWaits
	}
	b = append(b, flags, byte(s.State))
	b = binary.AppendVarint(b, int64(s.Failures))
	b = binary.AppendVarint(b, int64(s.InFlight))
	if flags&seenWaits != 0 {
		for _, d := range [...]time.Duration{s.Circuit.Wait, s.Rate, s.Closed, s.Drained} {
			b = binary.AppendVarint(b, int64(d))
		}
	}
	return b
}

func (r *compact) seen(s *Seen) {
	flags := r.byte()
	*s = Seen{State: breaker.State(r.byte()), Failures: int32(r.varint()), InFlight: int32(r.varint())}
	s.Circuit.Pass, s.Circuit.Probe = flags&seenPass != 0, flags&seenProbe != 0
	if flags&seenWaits != 0 {
		for _, d := range [...]*time.Duration{&s.Circuit.Wait, &s.Rate, &s.Closed, &s.Drained} {
			*d = time.Duration(r.varint())
		}
	}
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
