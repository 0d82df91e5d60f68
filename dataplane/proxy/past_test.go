package proxy

import (
	"context"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

// busyHour makes an hour of decisions, so many a minute, at a service of two providers in order.
func busyHour(perMinute int) (*Proxy, *policy.Snapshot, time.Time) {
	svc := &policy.Service{Name: "payments", Strategy: policy.Priority, Candidates: []*policy.Candidate{
		{Provider: "main"}, {Provider: "backup", Limits: policy.Limits{InFlight: 10, Rate: 1000}},
	}}
	snap := &policy.Snapshot{Services: []*policy.Service{svc}}
	p := &Proxy{}
	v := &view{snap: snap, services: map[string]*service{"payments": {Service: svc}}}
	p.past.swap(v)
	h := v.services["payments"].past
	st := &route.Standings{Rows: []*route.Standing{route.NewStanding("main"), route.NewStanding("backup")}}
	from := time.Unix(1_790_000_000, 0)
	var d route.Decision
	for i := range 60 * perMinute {
		at := from.Add(time.Duration(i) * time.Minute / time.Duration(perMinute))
		route.Decide(&d, svc, st, &policy.Facts{Draw: uint64(i), Pinned: -1, Owner: -1, Client: -1}, at)
		h.decided(svc, &d)
		if i%100 == 0 {
			h.ended(svc, "main", ledger.Succeeded, time.Second, at)
			h.ended(svc, "backup", ledger.Succeeded, 50*time.Millisecond, at)
		}
	}
	return p, snap, from
}

// However many calls there are, the past holds an hour of them in bounded memory, and what is kept stands for all.
func TestPastIsBounded(t *testing.T) {
	const perMinute = 20_000
	p, snap, from := busyHour(perMinute)
	h := p.past.services["payments"]
	bytes, kept := 0, 0
	for _, s := range h.segments {
		bytes, kept = bytes+cap(s.buf), kept+s.kept
		if s.kept >= pastKept {
			t.Fatalf("a segment keeps %d", s.kept)
		}
	}
	t.Logf("%d of %d decisions in %d KiB", kept, 60*perMinute, bytes>>10)
	if bytes > 32<<20 {
		t.Errorf("%d bytes", bytes)
	}
	is := &policy.Snapshot{Services: []*policy.Service{{Name: "payments", Strategy: policy.Priority,
		Candidates: []*policy.Candidate{snap.Services[0].Candidates[1], snap.Services[0].Candidates[0]}}}}
	r := p.Replay(t.Context(), is, from)
	if all := uint64(60 * perMinute); r.Stand < all*99/100 || r.Stand > all*101/100 || r.Moves != r.Stand || r.Decisions != uint64(kept) {
		t.Errorf("%d decisions stand for %d of %d, %d move", r.Decisions, r.Stand, all, r.Moves)
	}
	b := r.Services[0].Providers[0] // 333 a second for 50 ms each are 17 at once
	if b.Provider != "backup" || b.Rate < 320 || b.Rate > 350 || b.InFlight < 16 || b.InFlight > 18 || b.Load() < 1.6 || b.Load() > 1.8 {
		t.Errorf("%+v, load %.2f", b, b.Load())
	}
	short := p.Replay(t.Context(), snap, from.Add(50*time.Minute))
	if tenth := uint64(10 * perMinute); short.Stand < tenth*98/100 || short.Stand > tenth*102/100 || short.Moves != 0 {
		t.Errorf("the last ten minutes stand for %d, %d move", short.Stand, short.Moves)
	}
}

func TestReplayEndsWithItsTime(t *testing.T) {
	p, snap, from := busyHour(100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := p.Replay(ctx, snap, from); !r.Cut || r.Decisions != 0 {
		t.Errorf("%+v", r)
	}
}

// What is older than an hour is let go, and so is a service that left the policy.
func TestPastForgets(t *testing.T) {
	p, snap, from := busyHour(10)
	h := p.past.services["payments"]
	svc := snap.Services[0]
	var d route.Decision
	route.Decide(&d, svc, &route.Standings{Rows: []*route.Standing{route.NewStanding("main"), route.NewStanding("backup")}}, &policy.Facts{Pinned: -1, Owner: -1}, from.Add(3*time.Hour))
	h.decided(svc, &d)
	if len(h.segments) != 1 {
		t.Errorf("%d segments after three hours", len(h.segments))
	}
	p.past.swap(&view{snap: &policy.Snapshot{}})
	if r := p.Replay(t.Context(), snap, from); len(r.Services) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestPastChangesSegmentWithThePolicy(t *testing.T) {
	h := &history{}
	at := time.Unix(1_790_000_000, 0)
	for i := range 2 * pastMost {
		svc := &policy.Service{Candidates: []*policy.Candidate{{Provider: "main"}}}
		h.ended(svc, "main", ledger.Succeeded, time.Second, at.Add(time.Duration(i)))
	}
	if len(h.segments) != pastMost {
		t.Errorf("%d segments", len(h.segments))
	}
}

func BenchmarkPast(b *testing.B) {
	p, snap, from := busyHour(10)
	h, svc := p.past.services["payments"], snap.Services[0]
	var d route.Decision
	st := &route.Standings{Rows: []*route.Standing{route.NewStanding("main"), route.NewStanding("backup")}}
	route.Decide(&d, svc, st, &policy.Facts{Pinned: -1, Owner: -1}, from.Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		h.decided(svc, &d)
	}
}
