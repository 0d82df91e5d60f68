package health

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
)

// scene is three regions with an agent each, or more, that report once a second on two providers of payments.
type scene struct {
	t       testing.TB
	w       *Window
	now     time.Time
	seq     uint64
	regions []string
	agents  int                                              // in each region
	rate    uint32                                           // calls a second of each agent at each provider
	fails   func(region, provider string, second int) uint32 // of them
	open    func(region, provider string) bool
	second  int
	lie     func(r *Report) // what one agent says instead
	rows    func(r *Report) // what is put into every report
	got     []string        // each change of the verdicts, in words
}

func newScene(t testing.TB, regions ...string) *scene {
	return &scene{
		t: t, w: NewWindow(), now: t0, regions: regions, agents: 1, rate: 2,
		fails: func(string, string, int) uint32 { return 0 }, open: func(string, string) bool { return false },
	}
}

var three = []string{"eu-west", "us-east", "us-west"}

// run lets n seconds pass, judging four times in each.
func (s *scene) run(n int) []Verdict {
	s.t.Helper()
	var verdicts []Verdict
	for range n {
		s.seq++
		for i, region := range s.regions {
			at := s.now.Add(time.Duration(i) * 300 * time.Millisecond)
			for a := range s.agents {
				s.report(fmt.Sprint(region, "-", a), region, at)
			}
			verdicts = s.judge(at.Add(50 * time.Millisecond))
		}
		s.now = s.now.Add(time.Second)
		s.second++
	}
	return verdicts
}

func (s *scene) report(agent, region string, at time.Time) {
	r := Report{Agent: agent, Region: region, Run: "r1", Seq: s.seq, At: at}
	for _, provider := range []string{"backup", "main"} {
		row := Row{Service: "payments", Provider: provider, Condition: Condition{Breaker: "closed"}}
		row.Calls, row.Failed = s.rate, min(s.fails(region, provider, s.second), s.rate)
		if s.open(region, provider) {
			row.Breaker, row.Calls, row.Failed = "open", 0, 0
		}
		row.Succeeded = row.Calls - row.Failed
		r.Rows = append(r.Rows, row)
	}
	if s.rows != nil {
		s.rows(&r)
	}
	if s.lie != nil && agent == s.regions[0]+"-0" {
		s.lie(&r)
	}
	if err := s.w.Put(r, at); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) judge(at time.Time) []Verdict {
	before := len(s.w.court.held)
	verdicts := s.w.Judge(at)
	for _, v := range verdicts {
		if err := v.Check(); err != nil {
			s.t.Fatal(err)
		}
	}
	if text := about(verdicts); len(s.got) == 0 && text != "" || len(s.got) > 0 && s.got[len(s.got)-1] != text {
		s.got = append(s.got, text)
	}
	if len(verdicts) > MaxVerdicts || before > MaxVerdicts {
		s.t.Fatalf("%d verdicts", len(verdicts))
	}
	return verdicts
}

// about is what verdicts are about, in one line.
func about(verdicts []Verdict) string {
	var all []string
	for _, v := range verdicts {
		all = append(all, v.Named())
	}
	return strings.Join(all, ", ")
}

// down makes a provider fail every call in some regions, from the scene's second on.
func (s *scene) down(provider string, regions ...string) {
	was, from := s.fails, s.second
	s.fails = func(region, p string, second int) uint32 {
		if second >= from && p == provider && slices.Contains(regions, region) {
			return math.MaxUint32
		}
		return was(region, p, second)
	}
}

func TestWhoseFaultItIs(t *testing.T) {
	cases := []struct {
		name    string
		regions []string
		down    map[string][]string // provider → regions from which it fails
		within  int                 // seconds
		want    string
		why     string
	}{
		{"nothing", three, nil, 60, "", ""},
		{"a provider, everywhere", three, map[string][]string{"main": three}, 3, "provider main", "provider main: alarmed in 3 of 3 regions"},
		{"a provider, in two of three", three, map[string][]string{"main": three[:2]}, 4, "provider main", "provider main: alarmed in 2 of 3 regions"},
		{"a provider, in two of five: a path each", []string{"a", "b", "c", "d", "e"}, map[string][]string{"main": {"a", "b"}}, 10, "a to main, b to main", ""},
		{"a provider, in three of five", []string{"a", "b", "c", "d", "e"}, map[string][]string{"main": {"a", "b", "c"}}, 5, "provider main", ""},
		{"one region's path to one provider", three, map[string][]string{"main": three[:1]}, 8, "eu-west to main", "eu-west to main: fails from eu-west alone; 2 other regions and 1 other provider there are well"},
		{"one region's own egress", three, map[string][]string{"main": three[:1], "backup": three[:1]}, 8, "eu-west", "eu-west's own egress: 2 of its 2 providers fail, and not elsewhere"},
		{"two regions' own egress", three, map[string][]string{"main": three[:2], "backup": three[:2]}, 8, "eu-west, us-east", ""},
		{"everything everywhere", three, map[string][]string{"main": three, "backup": three}, 8, "everything everywhere", "everything everywhere: ours; gates frozen"},
		{"a region's egress, and a provider", three, map[string][]string{"main": three, "backup": three[:1]}, 8, "eu-west, provider main", ""},
		{"one region alone has nobody to compare with", three[:1], map[string][]string{"main": three, "backup": three}, 30, "", ""},
		{"one of two regions", three[:2], map[string][]string{"main": three[:1]}, 8, "eu-west to main", ""},
		{"both of two regions", three[:2], map[string][]string{"main": three[:2]}, 4, "provider main", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t, tc.regions...)
			s.run(40)
			for provider, regions := range tc.down {
				s.down(provider, regions...)
			}
			got := s.run(tc.within)
			if about(got) != tc.want {
				t.Fatalf("got %q, want %q; on the way %q", about(got), tc.want, s.got)
			}
			if len(got) > 0 && tc.why != "" && got[0].Sentence() != tc.why {
				t.Errorf("it says %q, not %q", got[0].Sentence(), tc.why)
			}
			if still := about(s.run(20)); still != tc.want {
				t.Errorf("20 s later: %q", still)
			}
		})
	}
}

// TestAVerdictBeginsAndEnds: it holds while circuits are open, is renewed, ends ten seconds after the trouble, and both are told once.
func TestAVerdictBeginsAndEnds(t *testing.T) {
	s := newScene(t, three...)
	s.run(40)
	s.down("main", three...)
	first := s.run(3)
	if len(first) != 1 || !first[0].Eject {
		t.Fatalf("%+v", first)
	}
	s.open = func(_, provider string) bool { return provider == "main" } // every agent left it
	later := s.run(90)
	if len(later) != 1 || !later[0].Since.Equal(first[0].Since) || !later[0].Until.After(s.now) {
		t.Fatalf("after 90 s of open circuits: %+v", later)
	}
	s.fails = func(string, string, int) uint32 { return 0 }
	s.open = func(string, string) bool { return false }
	if left := s.run(30); len(left) != 0 {
		t.Fatalf("it is well again for 30 s: %+v", left)
	}
	if got := strings.Join(s.got, " | "); got != "provider main | " {
		t.Errorf("on the way: %q", got)
	}
	var texts []string
	for _, e := range s.w.World(s.now).Events {
		texts = append(texts, e.Level+" "+e.Text)
	}
	if len(texts) != 2 || texts[1] != "bad provider main: alarmed in 2 of 3 regions" && texts[1] != "bad provider main: failing in 2 of 3 regions" || !strings.HasPrefix(texts[0], "ok provider main: over, after ") {
		t.Errorf("events: %q", texts)
	}
}

// TestANewLeaderConcludesNothing for one span; what the leader before said holds on until it ends.
func TestANewLeaderConcludesNothing(t *testing.T) {
	s := newScene(t, three...)
	s.down("main", three...)
	if got := s.run(29); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	if got := about(s.run(4)); got != "provider main" {
		t.Errorf("after the span: %q", got)
	}

	s = newScene(t, three...)
	old := Verdict{Kind: RegionFault, Region: "us-east", Since: t0.Add(-time.Minute), Until: t0.Add(20 * time.Second), Why: "us-east's own egress"}
	kept := Verdict{Kind: ProviderFault, Service: "payments", Provider: "main", Since: t0.Add(-time.Minute), Until: t0.Add(50 * time.Second), Why: "alarmed"}
	s.w.Adopt([]Verdict{old, kept, {Kind: "moon"}, {Kind: OursFault, Since: t0.Add(-2 * time.Minute), Until: t0.Add(-time.Minute)}}, t0)
	s.down("main", three...)
	if got := about(s.run(15)); got != "us-east, provider main" {
		t.Errorf("adopted: %q", got)
	}
	got := s.run(30)
	if about(got) != "provider main" || !got[0].Since.Equal(kept.Since) || !got[0].Until.After(kept.Until) {
		t.Errorf("judged anew: %+v", got)
	}
	if n := len(s.w.World(s.now).Events); n != 0 {
		t.Errorf("%d events of what was told by the leader before", n)
	}
}

// TestOneEjectionAtATime: two providers of two services fail at once; agents are told to leave the second half a minute after the first.
func TestOneEjectionAtATime(t *testing.T) {
	s := newScene(t, three...)
	s.run(40)
	was := s.w
	second := func(n int) {
		for range n {
			s.seq++
			for _, region := range s.regions {
				r := Report{Agent: region + "-0", Region: region, Run: "r1", Seq: s.seq, At: s.now}
				for _, p := range []struct {
					service, provider string
					failed            uint32
				}{{"payments", "main", 2}, {"payments", "backup", 0}, {"sms", "one", 2}, {"sms", "two", 0}, {"chat", "x", 0}, {"chat", "y", 0}} {
					row := Row{Service: p.service, Provider: p.provider, Condition: Condition{Breaker: "closed"}}
					row.Calls, row.Failed = 2, p.failed
					r.Rows = append(r.Rows, row)
				}
				put(t, was, r, s.now)
			}
			s.judge(s.now)
			s.now = s.now.Add(time.Second)
		}
	}
	ejected := func() (n int) {
		for _, v := range was.Judge(s.now) {
			if v.Eject {
				n++
			}
		}
		return n
	}
	second(10)
	if n := len(was.Judge(s.now)); n != 2 || ejected() != 1 {
		t.Fatalf("%d verdicts, %d may be left; on the way %q", n, ejected(), s.got)
	}
	second(30)
	if ejected() != 2 {
		t.Errorf("half a minute later %d may be left", ejected())
	}
}

// TestNothingIsLeftWithoutASpare: the last provider, and one whose share the others cannot carry, are blamed and not left sooner.
func TestNothingIsLeftWithoutASpare(t *testing.T) {
	cases := []struct {
		name   string
		limits policy.Limits // of backup
		open   bool          // backup's circuit
		rate   uint32
		want   bool
	}{
		{"no limit", policy.Limits{}, false, 2, true},
		{"a rate that carries both", policy.Limits{Rate: 5}, false, 2, true},
		{"a rate that does not", policy.Limits{Rate: 3}, false, 2, false},
		{"in flight, at half a second each, that carries both", policy.Limits{InFlight: 4}, false, 2, true},
		{"in flight that does not", policy.Limits{InFlight: 1}, false, 2, false},
		{"the other is open: main is the last", policy.Limits{}, true, 2, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t, three...)
			s.rate = tc.rate
			s.w.Learn(&policy.Policy{Providers: []policy.ProviderSpec{{Name: "main"}, {Name: "backup", Limits: tc.limits}}})
			s.run(40)
			s.down("main", three...)
			if tc.open {
				s.open = func(_, provider string) bool { return provider == "backup" }
			}
			s.run(2)
			if got := s.w.spare(Verdict{Kind: ProviderFault, Service: "payments", Provider: "main"}, s.w.voices(s.now), s.now); got != tc.want {
				t.Errorf("may be left: %t", got)
			}
		})
	}
}

// TestWhatOneRegionSeesFirst is not blamed on it: the others see the same two seconds later.
func TestWhatOneRegionSeesFirst(t *testing.T) {
	for _, tc := range []struct {
		down []string
		want string
	}{{[]string{"main"}, "provider main"}, {[]string{"main", "backup"}, "everything everywhere"}} {
		s := newScene(t, three...)
		s.run(40)
		for _, p := range tc.down {
			s.down(p, three[0])
		}
		s.run(2)
		for _, p := range tc.down {
			s.down(p, three[1:]...)
		}
		if got := about(s.run(10)); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.down, got, tc.want)
		}
		for _, on := range s.got {
			if strings.Contains(on, "eu-west") {
				t.Errorf("%v: on the way %q", tc.down, s.got)
			}
		}
	}
}
