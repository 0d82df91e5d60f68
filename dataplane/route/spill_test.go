package route

import (
	"container/heap"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// a story is calls in virtual time: they take as long as the provider takes, and fail as it fails.
type story struct {
	*world
	r       *rand.Rand
	fails   func(provider int, t time.Duration) float64
	open    flights
	most    [2]int32 // in flight
	sent    [2]int
	spilled int
	refused []policy.Money
	shed    int
	words   string // of the last refusal, and of the last spill
}

type inFlight struct {
	at     time.Time
	permit Permit
	sample health.Sample
}

type flights []inFlight

func (f flights) Len() int           { return len(f) }
func (f flights) Less(i, j int) bool { return f[i].at.Before(f[j].at) }
func (f flights) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)        { *f = append(*f, x.(inFlight)) }
func (f *flights) Pop() any {
	last := len(*f) - 1
	x := (*f)[last]
	*f = (*f)[:last]
	return x
}

// newStory has the calls at main, and a fallback that takes 30 at once.
func newStory(t *testing.T, seed uint64, away time.Duration) *story {
	s := &story{world: newWorld(policy.Priority, 0, 0), r: seeded(t, seed)}
	s.st.Past = NewCalls()
	s.svc.Candidates[1].Limits.InFlight = 30
	s.svc.Breaker = policy.Breaker{Failures: 5, Successes: 5}
	s.svc.Shift.Away = away
	s.svc.Attempts.PerTry = 10 * time.Second
	for _, row := range s.st.Rows {
		row.Circuit.Configure(Settings(s.svc, row.Provider))
	}
	s.fails = func(int, time.Duration) float64 { return .002 }
	return s
}

// play makes calls at an even rate; what went where before from is not counted.
func (s *story) play(t *testing.T, rate int, from, to time.Duration) {
	t.Helper()
	begin, step := s.now, time.Second/time.Duration(rate)
	tick := begin
	for at := time.Duration(0); at < to; at += step {
		s.now = begin.Add(at)
		for len(s.open) > 0 && !s.open[0].at.After(s.now) {
			e := heap.Pop(&s.open).(inFlight)
			e.permit.End(e.sample, e.at, e.permit.Draw())
		}
		for ; !tick.After(s.now); tick = tick.Add(50 * time.Millisecond) {
			for _, row := range s.st.Rows {
				row.Tick(tick)
			}
		}
		s.call(t, at, at >= from)
	}
}

func (s *story) call(t *testing.T, at time.Duration, counts bool) {
	t.Helper()
	s.f = policy.Facts{Draw: s.r.Uint64(), Pinned: -1, Owner: -1, Client: -1, Value: policy.Money(1+s.r.IntN(100)) * euro}
	for _, row := range s.st.Rows {
		row.Watch(s.now)
	}
	d := s.decide()
	if again, err := Replay(d.Record(s.svc)); err != nil || again.Winner != d.Winner || again.Reason != d.Reason || again.Scores != d.Scores {
		t.Fatalf("%v replays to %d by %v, and was %d by %v: %v", at, again.Winner, again.Reason, d.Winner, d.Reason, err)
	}
	p := s.st.Begin(d, s.svc, s.now)
	p.Sent(s.now)
	if d.Winner < 0 {
		s.refuse(d, counts)
		return
	}
	w := int(d.Winner)
	s.most[w] = max(s.most[w], s.st.Rows[w].InFlight)
	if counts {
		s.sent[w]++
	}
	if d.Reason == BySpill {
		s.words = d.Why(s.svc)
		if s.spilled++; !d.Seen[w].Partly {
			t.Fatal("a call spilled to a provider where nothing succeeds")
		}
	}
	x := health.Sample{Class: health.OK, Latency: time.Duration(400+s.r.IntN(200)) * time.Millisecond}
	if s.r.Float64() < s.fails(w, at) {
		x.Class = health.Failure
	}
	heap.Push(&s.open, inFlight{s.now.Add(x.Latency), p, x})
}

func (s *story) refuse(d *Decision, counts bool) {
	s.words = d.Why(s.svc)
	if counts {
		s.refused = append(s.refused, s.f.Value/euro)
	}
	if d.Scores[1].Gate == Shed {
		s.shed++
	}
}

func after(begin time.Duration, share float64) func(int, time.Duration) float64 {
	return func(p int, t time.Duration) float64 {
		if p == 0 && t >= begin {
			return share
		}
		return .002
	}
}

// TestWhatNobodyElseCanTake: 100 calls a second need 50 places, and the fallback has 30. It is never over that; in a brown-out the rest stays
// where most of it succeeds, and next to nothing is refused.
func TestWhatNobodyElseCanTake(t *testing.T) {
	for seed := range uint64(4) {
		s := newStory(t, 40+seed, 5*time.Second)
		s.fails = after(20*time.Second, .3)
		s.play(t, 100, 25*time.Second, 80*time.Second)
		all := s.sent[0] + s.sent[1] + len(s.refused)
		t.Logf("seed %d: main %d (%d spilled), backup %d, refused %d, at most %d in flight at the backup", seed, s.sent[0], s.spilled, s.sent[1], len(s.refused), s.most[1])
		if s.most[1] != 30 {
			t.Errorf("the backup had %d in flight, and can take 30", s.most[1])
		}
		if s.sent[1] < all*50/100 || s.sent[0] < all*25/100 {
			t.Errorf("of %d calls the backup got %d, main %d: the backup takes three of five", all, s.sent[1], s.sent[0])
		}
		if len(s.refused) > all*4/100 {
			t.Errorf("%d of %d calls were refused, and somebody could take them", len(s.refused), all)
		}
		if !strings.Contains(s.words, "part of what goes there succeeds") && !strings.Contains(s.words, "first in the order") {
			t.Errorf("told as %q", s.words)
		}
	}
}

// TestWhatRefusesAllGetsNothing: then what is worth least is refused, and told so.
func TestWhatRefusesAllGetsNothing(t *testing.T) {
	for _, away := range []time.Duration{0, 5 * time.Second} {
		for seed := range uint64(3) {
			s := newStory(t, 50+seed, away)
			s.fails = after(20*time.Second, 1)
			s.play(t, 100, 25*time.Second, 60*time.Second)
			t.Logf("away %v, seed %d: main %d (%d spilled), backup %d, refused %d (%d by value)", away, seed, s.sent[0], s.spilled, s.sent[1], len(s.refused), s.shed)
			if s.most[1] > 30 {
				t.Errorf("the backup had %d in flight, and can take 30", s.most[1])
			}
			if s.sent[0] > 20 || s.spilled > hopeless {
				t.Errorf("main got %d calls, %d of them because nobody else could take them", s.sent[0], s.spilled)
			}
			low, high := 0, 0
			for _, v := range s.refused {
				if v <= 50 {
					low++
				} else {
					high++
				}
			}
			if low < 3*high || s.shed < len(s.refused)/2 {
				t.Errorf("refused: %d of the lower half, %d of the upper, %d by their value", low, high, s.shed)
			}
			if !strings.Contains(s.words, "what is free of its 30 in flight is kept") && !strings.Contains(s.words, "30 in flight of 30") {
				t.Errorf("refused with %q", s.words)
			}
		}
	}
}

// TestTheShareMovesAsOthersHaveRoom: with room for all it moves at once; where it is not known, with time; where there is none, not at all.
func TestTheShareMovesAsOthersHaveRoom(t *testing.T) {
	for _, tc := range []struct {
		name         string
		limit        int
		inFlight, of int32 // at the fallback, and on an ordinary day
		share        float64
		says, and    string
	}{
		{"a limit with room", 500, 40, 0, 0, "being left, slow: 9 of the last 12 over 300 ms, its usual p95: others have room for its calls", ""},
		{"a limit that is reached", 30, 30, 0, 1, "adyen: at capacity, 30 in flight of 30", "nobody else can take it; part of what goes there succeeds"},
		{"no limit, and it carries less than on an ordinary day", 0, 4, 10, 0, "others have room for its calls", ""},
		{"no limit, and it carries more", 0, 12, 10, 0.5, "of its share goes there still", ""},
	} {
		w := newWorld(policy.Priority, 0, 0)
		r, row, back := seeded(t, 61), w.st.Rows[0], w.st.Rows[1]
		w.svc.Shift.Away, w.svc.Breaker = 20*time.Second, policy.Breaker{Failures: 5, Successes: 5}
		w.svc.Candidates[1].Limits.InFlight, back.InFlight, back.normal, row.normal = tc.limit, tc.inFlight, float64(tc.of), 50
		row.Circuit.Configure(Settings(w.svc, row.Provider))
		row.alarmed(Cause{Alarm: health.Slowing, Evidence: health.Evidence{Slow: 9, Answers: 12, Usual: 300 * time.Millisecond}}, w.now, 1)
		w.now = w.now.Add(10 * time.Second)
		const n = 1000
		stayed, lines := 0, ""
		for range n {
			w.f.Draw = r.Uint64()
			d := w.decide()
			if d.Winner == 0 {
				stayed++
			}
			lines += d.Why(w.svc) + "\n"
		}
		within3Sigma(t, 0, stayed, n, tc.share)
		if !strings.Contains(lines, tc.says) || !strings.Contains(lines, tc.and) {
			t.Errorf("%s: told as %s", tc.name, lines[:min(len(lines), 400)])
		}
	}
}

// TestPartly: what a provider showed since its trouble began, and when nothing spills to it.
func TestPartly(t *testing.T) {
	for _, tc := range []struct {
		name          string
		failed, calls uint32
		then          string // + a call that succeeded, - one that failed
		want          bool
	}{
		{"all failed", 4, 4, "", false},
		{"a third failed", 6, 19, "", true},
		{"many calls", 300, 1000, "", true},
		{"nearly all failed", 9, 10, "", false},
		{"nothing is known", 0, 0, "", false},
		{"all failed, then two succeeded", 4, 4, "++", true},
		{"a third failed, then eight in a row", 6, 19, "--------", false},
		{"and one succeeded again", 6, 19, "--------+", true},
		{"it ends slowly", 6, 19, strings.Repeat("-------+", 20), false},
		{"absurd", 9, 3, "", false},
	} {
		var x trial
		x.begin(tc.failed, tc.calls)
		for _, c := range tc.then {
			x.note(c == '+')
		}
		if got := x.partly(); got != tc.want {
			t.Errorf("%s: %v, want %v (%+v)", tc.name, got, tc.want, x)
		}
	}
	w := newWorld(policy.Priority, 0, 0)
	row := w.st.Rows[0]
	row.Circuit.Configure(breaker.Settings{Failures: 5, Successes: 5}) // it is left at once
	row.alarmed(Cause{Alarm: health.Failing, Evidence: health.Evidence{Failed: 6, Calls: 19}}, w.now, 1)
	if row.Circuit.State() != breaker.Open || row.Partly() {
		t.Error("without shift.away, what fails in part is left at once, and nothing spills")
	}
}
