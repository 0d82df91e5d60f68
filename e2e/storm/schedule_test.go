package storm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// deed is what is done to somebody.
type deed string

const (
	kill         deed = "kill"          // an agent: kill -9, now
	killAt       deed = "kill at"       // an agent: kill -9 at a named point
	freeze       deed = "freeze"        // SIGSTOP, and SIGCONT after For
	freezeAt     deed = "freeze at"     // an agent: SIGSTOP at a named point
	end          deed = "end"           // an agent: SIGTERM
	killLeader   deed = "kill leader"   // the leading control node, down for For
	killMajority deed = "kill majority" // two of three control nodes
	freezeMajor  deed = "freeze majority"
	fault        deed = "fault" // a provider fails in one of the honest ways
	die          deed = "die"   // a provider's process ends, and comes back after For
	killReplica  deed = "kill replica"
	frozeReplica deed = "freeze replica"
	killQuorum   deed = "kill quorum" // two of three replicas
	frozeQuorum  deed = "freeze quorum"
)

// act is one line of a schedule.
type act struct {
	At    time.Duration // since the storm began; later where the one before it is not over
	Who   string
	What  deed
	For   time.Duration
	Point string
	Visit int // which visit of the point
	Fault sandbox.Fault
}

func (a act) String() string {
	text := fmt.Sprintf("%8.2fs %-10s %s", a.At.Seconds(), a.Who, a.What)
	if a.Point != "" {
		text += fmt.Sprintf(" %s, visit %d", a.Point, a.Visit)
	}
	if a.What == fault {
		text += fmt.Sprintf(" %s executed=%t code=%d share=%.2f", a.Fault.Kind, a.Fault.Executed, a.Fault.Code, a.Fault.Share)
	}
	return fmt.Sprintf("%s for %v", text, a.For)
}

// scope is what a schedule is made for.
type scope struct {
	length    time.Duration
	agents    []string
	providers []string
	points    []string
	pause     time.Duration // the longest usual SIGSTOP
	long      int           // SIGSTOPs of a minute, at most
	gap       time.Duration // between two acts on one agent, in the mean
	cluster   bool          // the store is a cluster, of three replicas
}

// Whom acts are done to, beside agents and providers.
const (
	control = "control"
	cluster = "cluster"
)

// schedule is made of a seed and nothing else: the same seed is the same schedule.
func schedule(seed uint64, s scope) []act {
	var acts []act
	for i, name := range s.agents {
		r := rand.New(rand.NewPCG(seed, 100+uint64(i)))
		acts = append(acts, walk(r, s.length, s.gap, func() act { return s.onAgent(r, name) })...)
	}
	for i, name := range s.providers {
		r := rand.New(rand.NewPCG(seed, 200+uint64(i)))
		acts = append(acts, walk(r, s.length, 2*time.Second, func() act { return onProvider(r, name) })...)
	}
	r := rand.New(rand.NewPCG(seed, 300))
	acts = append(acts, walk(r, s.length, 8*time.Second, func() act { return onControl(r) })...)
	if s.cluster {
		r := rand.New(rand.NewPCG(seed, 350))
		acts = append(acts, walk(r, s.length, 15*time.Second, func() act { return onCluster(r) })...)
	}
	acts = append(acts, s.longFreezes(rand.New(rand.NewPCG(seed, 400)))...)
	slices.SortStableFunc(acts, func(a, b act) int { return int(a.At - b.At) })
	return acts
}

// walk draws acts one after the other, with pauses between them.
func walk(r *rand.Rand, length, gap time.Duration, draw func() act) []act {
	var acts []act
	for at := time.Duration(r.ExpFloat64() * float64(gap)); at < length; {
		a := draw()
		a.At = at
		acts = append(acts, a)
		at += a.For + time.Duration((0.2+0.8*r.ExpFloat64())*float64(gap))
	}
	return acts
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(r.Float64()*float64(most-least))).Round(time.Millisecond)
}

func (s scope) onAgent(r *rand.Rand, name string) act {
	a := act{Who: name, For: between(r, 0, 800*time.Millisecond)}
	named := len(s.points) > 0
	switch n := r.IntN(100); {
	case n < 5:
		a.What = end
	case n < 20:
		a.What, a.For = freeze, between(r, 200*time.Millisecond, s.pause)
	case n < 35 && named:
		a.What, a.For, a.Point, a.Visit = freezeAt, between(r, time.Second, s.pause), s.points[r.IntN(len(s.points))], 1+r.IntN(4)
	case n < 85 && named:
		a.What, a.Point, a.Visit = killAt, s.points[r.IntN(len(s.points))], 1+r.IntN(4)
	default:
		a.What = kill
	}
	return a
}

// longFreezes are SIGSTOPs of a minute, spread over the storm.
func (s scope) longFreezes(r *rand.Rand) []act {
	var acts []act
	for i := range s.long {
		part := s.length / time.Duration(s.long)
		acts = append(acts, act{At: part*time.Duration(i) + between(r, 0, part/2), Who: s.agents[r.IntN(len(s.agents))], What: freeze, For: time.Minute})
	}
	return acts
}

func onProvider(r *rand.Rand, name string) act {
	a := act{Who: name, What: fault, For: between(r, 200*time.Millisecond, 2500*time.Millisecond)}
	f := sandbox.Fault{Share: 0.2 + 0.8*r.Float64(), Executed: r.IntN(2) == 0}
	switch r.IntN(12) {
	case 0, 1:
		f.Kind, f.Executed, f.End = sandbox.Lose, false, []sandbox.Ending{sandbox.Close, sandbox.Abort}[r.IntN(2)]
	case 2, 3:
		f.Kind = sandbox.Hang
	case 4, 5:
		f.Kind = sandbox.Reset
	case 6:
		f.Kind, f.Code = sandbox.Status, []int{500, 502, 503, 504}[r.IntN(4)]
	case 7:
		f = sandbox.Fault{Kind: sandbox.Refuse}
	case 8:
		f.Kind, f.Executed = []sandbox.Kind{sandbox.CutBody, sandbox.CutHeaders}[r.IntN(2)], false
	case 9:
		f.Kind, f.Executed, f.Delay = sandbox.Slow, false, between(r, 100*time.Millisecond, 1500*time.Millisecond)
	case 10:
		return act{Who: name, What: die, For: a.For}
	default:
		return act{Who: name, What: freeze, For: a.For}
	}
	a.Fault = f
	return a
}

func onControl(r *rand.Rand) act {
	what := []deed{killLeader, killLeader, freezeMajor, killMajority}[r.IntN(4)]
	return act{Who: control, What: what, For: between(r, 500*time.Millisecond, 4*time.Second)}
}

func onCluster(r *rand.Rand) act {
	what := []deed{killReplica, killReplica, frozeReplica, frozeReplica, frozeReplica, killQuorum, frozeQuorum, frozeQuorum}[r.IntN(8)]
	return act{Who: cluster, What: what, For: between(r, time.Second, 8*time.Second), Visit: 1 + r.IntN(3)}
}

// digest names a schedule in a line.
func digest(acts []act) string {
	count := map[deed]int{}
	for _, a := range acts {
		count[a.What]++
	}
	var parts []string
	for _, d := range []deed{kill, killAt, freeze, freezeAt, end, killLeader, killMajority, freezeMajor, fault, die, killReplica, frozeReplica, killQuorum, frozeQuorum} {
		if count[d] > 0 {
			parts = append(parts, fmt.Sprintf("%d × %s", count[d], d))
		}
	}
	return strings.Join(parts, ", ")
}

func TestScheduleIsItsSeed(t *testing.T) {
	s := scope{length: time.Minute, agents: []string{"a1", "a2"}, providers: []string{"main"}, points: []string{"claim.before", "answer.begun"},
		pause: 3 * time.Second, long: 1, gap: 2 * time.Second, cluster: true}
	one, again, other := schedule(7, s), schedule(7, s), schedule(8, s)
	if !slices.Equal(one, again) {
		t.Error("one seed made two schedules")
	}
	if slices.Equal(one, other) {
		t.Error("two seeds made one schedule")
	}
	for _, a := range one {
		if a.What == fault && a.Fault.Kind == "" || a.Who == "" || a.At > s.length || a.Visit < 1 && a.Point != "" {
			t.Errorf("%v", a)
		}
	}
	if len(one) < 30 {
		t.Errorf("%d acts in a minute: %s", len(one), digest(one))
	}
}
