package proxy

import (
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/breaker"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

// story is a service of three providers and what its calls meet.
type story struct {
	svc  *service
	at   time.Time
	took []time.Duration
}

func newStory() *story {
	f := &failovers{}
	return &story{at: time.Unix(1_790_000_000, 0), svc: &service{failovers: f, Service: &policy.Service{
		Name: "payments", Candidates: []*policy.Candidate{{Provider: "main"}, {Provider: "backup"}, {Provider: "third"}},
	}}}
}

// sees is a choice that finds the circuits so.
func (s *story) sees(states ...breaker.State) {
	d := &route.Decision{N: int8(len(states))}
	for i, is := range states {
		d.Seen[i].State = is
	}
	s.svc.failovers.chosen(s.svc, d)
}

// attempt is one that took so long.
func (s *story) attempt(provider string, o ledger.Outcome, took time.Duration) {
	s.at = s.at.Add(took)
	s.svc.failovers.ended(provider, o, 0, s.at.Add(-took))
}

// served is a call that ends now, 10 ms after the one before.
func (s *story) served(well bool, by string) {
	s.at = s.at.Add(10 * time.Millisecond)
	s.took = append(s.took, s.svc.failovers.call(well, by, s.at)...)
}

// TestHowLongAFailoverTook: from the sending of the first attempt that failed to the first call that others served at once.
func TestHowLongAFailoverTook(t *testing.T) {
	s := newStory()
	for range 3 {
		s.sees(breaker.Closed, breaker.Closed)
		s.attempt("main", ledger.NotSent, 100*time.Millisecond)
		s.served(false, "backup")
	}
	for range 20 {
		s.sees(breaker.Open, breaker.Closed)
		s.served(true, "backup")
	}
	if len(s.took) != 1 || s.took[0] != 340*time.Millisecond {
		t.Fatalf("it took %v", s.took)
	}
	s.sees(breaker.HalfOpen, breaker.Closed)
	s.attempt("main", ledger.NotSent, time.Second) // a probe that failed: the same trouble
	for range 9 {
		s.served(true, "backup")
	}
	s.sees(breaker.Closed, breaker.Closed)
	if len(s.took) != 1 || s.svc.failovers.busy.Load() {
		t.Fatalf("a second time: %v, and busy %v", s.took, s.svc.failovers.busy.Load())
	}
	s.attempt("main", ledger.Unknown, time.Second) // a new one
	s.sees(breaker.Open, breaker.Closed)
	for range wellAgain {
		s.served(true, "backup")
	}
	if len(s.took) != 2 || s.took[1] != 1010*time.Millisecond {
		t.Fatalf("the next one: %v", s.took)
	}
}

// A hang is left before the first call that meets it has ended: then the figure comes with that call, and counts from when it was sent.
func TestAHangIsCountedFromItsBegin(t *testing.T) {
	s := newStory()
	sent := s.at
	s.at = s.at.Add(300 * time.Millisecond)
	s.sees(breaker.Open, breaker.Closed)
	for range wellAgain {
		s.served(true, "backup")
	}
	if len(s.took) != 0 {
		t.Fatalf("of a failure that nobody has seen: %v", s.took)
	}
	s.at = sent.Add(4 * time.Second)
	s.svc.failovers.ended("main", ledger.Unknown, 0, sent)
	s.served(false, "backup") // the call that hung
	s.served(true, "backup")
	if len(s.took) != 1 || s.took[0] != 310*time.Millisecond {
		t.Fatalf("it took %v", s.took)
	}
}

// What is no failover has no figure, and what interrupts one begins the count of good calls anew.
func TestWhatIsNoFailover(t *testing.T) {
	s := newStory()
	s.attempt("main", ledger.NotSent, time.Second)
	s.svc.failovers.ended("main", ledger.NotSent, 429, s.at) // a limit accuses nobody
	for range forgotten {
		s.attempt("main", ledger.Succeeded, time.Millisecond)
	}
	if s.svc.failovers.busy.Load() {
		t.Error("one failure is remembered after 20 successes")
	}
	s.svc.failovers.ended("main", ledger.NotSent, 429, s.at)
	s.attempt("main", ledger.Declined, time.Millisecond)
	if s.svc.failovers.busy.Load() {
		t.Error("a limit or a decline is remembered as a failure")
	}
	s.attempt("main", ledger.NotSent, 0)
	s.sees(breaker.Open, breaker.Closed)
	for range wellAgain - 1 {
		s.served(true, "backup")
	}
	s.served(false, "")
	s.served(true, "main") // its probe
	if len(s.took) != 0 {
		t.Fatalf("four good calls: %v", s.took)
	}
	for range wellAgain {
		s.served(true, "backup")
	}
	if len(s.took) != 1 || s.took[0] != 70*time.Millisecond {
		t.Fatalf("it took %v", s.took)
	}
	s.attempt("third", ledger.NotSent, 0)
	s.svc.Candidates = s.svc.Candidates[:2]
	if s.svc.failovers.keep(s.svc); s.svc.failovers.by["third"] != nil || s.svc.failovers.by["main"] == nil {
		t.Error("a provider that the policy does not have is kept, or one that it has is not")
	}
}

// Who takes a call in another's place: the one who would have been chosen is kept away by its circuit.
func TestInAnothersPlace(t *testing.T) {
	d := route.Decision{N: 2, Winner: 1, Reason: route.ByPriority}
	d.Scores[0], d.Scores[1] = route.Score{Gate: route.CircuitOpen, Rank: 2}, route.Score{Gate: route.Passed, Rank: 1}
	for name, c := range map[string]struct {
		change func(*route.Decision)
		want   bool
	}{
		"the first is out":           {func(*route.Decision) {}, true},
		"it is half-open":            {func(d *route.Decision) { d.Scores[0].Gate = route.CircuitProbing }, true},
		"the first is drained":       {func(d *route.Decision) { d.Scores[0].Gate = route.Drained }, false},
		"the draw says so anyway":    {func(d *route.Decision) { d.Scores[1].Rank = 3 }, false},
		"a fallback has no rank":     {func(d *route.Decision) { d.Scores[1].Rank, d.Reason = 3, route.ByFallback }, true},
		"the session is there":       {func(d *route.Decision) { d.Reason = route.ByPin }, false},
		"the session moved there":    {func(d *route.Decision) { d.Reason, d.Moved = route.ByPin, true }, true},
		"the object is there":        {func(d *route.Decision) { d.Reason = route.ByOwner }, false},
		"nobody takes it":            {func(d *route.Decision) { d.Winner = -1 }, false},
		"the first is only too busy": {func(d *route.Decision) { d.Scores[0].Gate = route.AtCapacity }, false},
	} {
		is := d
		c.change(&is)
		if instead(&is) != c.want {
			t.Errorf("%s: %v", name, !c.want)
		}
	}
}
