package proxy

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

// Bounds of the past. A decision takes some 70 bytes: a service's hour at its fullest is about 20 MiB, at any rate of calls.
const (
	pastSpan   = query.MaxReplay
	pastLength = time.Minute // of a segment
	pastKept   = 4096        // decisions of one segment: beyond it, every second one is dropped, then every second of those …
	pastMost   = 240         // segments of one service: each change of the policy begins one
)

// past is the decisions of the last hour, of reads too, for replays. It is in memory: it begins with the agent.
type past struct {
	mu       sync.Mutex
	services map[string]*history
}

// history is one service's past.
type history struct {
	mu       sync.Mutex
	regions  []string   // of the policy in force
	segments []*segment // oldest first; only the last one grows
}

// segment is a minute of decisions by one policy.
type segment struct {
	from    time.Time
	svc     *policy.Service
	regions []string
	seen    uint64 // decisions that were made
	kept    int
	every   uint   // a power of two: one of so many is kept
	buf     []byte // length and compact form, one after the other
	ends    []attempted
}

// attempted is what one candidate's attempts showed.
type attempted struct {
	attempts, answered uint64
	elapsed            time.Duration
}

// swap gives each service of the policy its history; what is gone from the policy is forgotten.
func (p *past) swap(v *view) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := make(map[string]*history, len(v.services))
	for name, svc := range v.services {
		if svc.past = p.services[name]; svc.past == nil {
			svc.past = &history{}
		}
		svc.past.mu.Lock()
		svc.past.regions = v.snap.Regions
		svc.past.mu.Unlock()
		next[name] = svc.past
	}
	p.services = next
}

// decided takes a decision down.
func (h *history) decided(svc *policy.Service, d *route.Decision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.at(svc, d.At)
	s.seen++
	if (s.seen-1)%uint64(s.every) != 0 {
		return
	}
	at := len(s.buf)
	s.buf = append(s.buf, 0, 0)
	s.buf = d.Append(s.buf)
	binary.LittleEndian.PutUint16(s.buf[at:], uint16(len(s.buf)-at-2))
	if s.kept++; s.kept == pastKept {
		s.thin()
	}
}

// ended takes down how an attempt ended: whether its provider answered it, one way or the other.
func (h *history) ended(svc *policy.Service, provider string, o ledger.Outcome, elapsed time.Duration, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.at(svc, now)
	for i, c := range svc.Candidates {
		if c.Provider != provider {
			continue
		}
		e := &s.ends[i]
		e.attempts++
		e.elapsed += elapsed
		if o == ledger.Succeeded || o == ledger.Declined {
			e.answered++
		}
	}
}

// at is the segment that now belongs to.
func (h *history) at(svc *policy.Service, now time.Time) *segment {
	if n := len(h.segments); n > 0 {
		if s := h.segments[n-1]; s.svc == svc && now.Sub(s.from) < pastLength {
			return s
		}
	}
	s := &segment{from: now, svc: svc, regions: h.regions, every: 1, ends: make([]attempted, len(svc.Candidates))}
	old := 0
	for old < len(h.segments) && (now.Sub(h.segments[old].from) > pastSpan+pastLength || len(h.segments)-old >= pastMost) {
		old++
	}
	h.segments = append(slices.Delete(h.segments, 0, old), s)
	return s
}

// thin drops every second decision.
func (s *segment) thin() {
	to, n := 0, 0
	for rest := s.buf; len(rest) > 2; n++ {
		size := 2 + int(binary.LittleEndian.Uint16(rest))
		if n%2 == 0 {
			to += copy(s.buf[to:], rest[:size])
		}
		rest = rest[size:]
	}
	s.buf, s.kept, s.every = s.buf[:to], (n+1)/2, s.every*2
}

// next takes the first decision of b.
func next(b []byte) (one, rest []byte) {
	size := 2 + int(binary.LittleEndian.Uint16(b))
	return b[2:size], b[size:]
}

// since copies what was decided since then; nothing of it changes any more.
func (h *history) since(from time.Time) []segment {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []segment
	for _, s := range h.segments {
		if s.from.Add(pastLength).Before(from) {
			continue
		}
		c := *s
		c.buf, c.ends = slices.Clone(s.buf), slices.Clone(s.ends)
		out = append(out, c)
	}
	return out
}
