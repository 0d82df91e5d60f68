package standing

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sys/unix"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/route"
)

// everything is a service of four candidates with all that the choice can do: worth, fees, rules, high value, budgets, limits.
func everything() *policy.Service {
	svc := payments("stripe", "adyen", "checkout", "braintree")
	svc.Strategy = policy.Adaptive
	svc.Objective = policy.Objective{Margin: .05, Failure: 2 * policy.Unit, Second: policy.Unit / 100, Stay: policy.Unit / 50}
	svc.HighValue = policy.HighValue{Above: 500 * policy.Unit, Prefer: policy.PreferReliability}
	svc.Spend = policy.Spend{Limit: policy.MaxMoney, Per: 24 * time.Hour, Then: policy.SpendRefuse}
	svc.Attempts.Budget = policy.RetryBudget{Ratio: .2, Floor: 3}
	svc.Breaker.Percent, svc.Breaker.Window, svc.Breaker.Calls = 50, 30*time.Second, 20
	svc.Shift = policy.Shift{Back: 5 * time.Second, Away: 10 * time.Second}
	for i := range 2 {
		text := uint16(i + 1)
		svc.Rules = append(svc.Rules, policy.Rule{
			Name: fmt.Sprint("rule ", i), Only: 0b0111, When: func(f *policy.Facts) bool { return f.Operands[0].Text == text && f.Minute > 60 },
		})
	}
	for i, c := range svc.Candidates {
		c.Limits = policy.Limits{InFlight: 200, Rate: 1e6}
		c.Cost = policy.Fee{Known: true, Tariff: policy.Tariff{Fixed: policy.Money(100_000 + 50*i), Billion: 15_000_000}}
	}
	return svc
}

// call is one call from the choice to its end.
func call(b *Board, d *route.Decision, svc *policy.Service, f *policy.Facts, now time.Time) bool {
	p, ok := b.Choose(d, svc, f, now)
	if !ok {
		return false
	}
	b.Done(p, health.Sample{Class: health.OK, Latency: 80 * time.Millisecond}, health.Succeeded, now)
	return true
}

// round is how many calls are made ready at a time: their making is not measured.
const round = 1000

// load is what the calls of a measurement come upon: sessions of their own and new ones, ten thousand a second, others in flight whose ages
// are watched.
type load struct {
	b       *Board
	svc     *policy.Service
	d       route.Decision
	now     time.Time
	facts   [64]policy.Facts
	times   [round]time.Time
	waiting []route.Permit
}

func newLoad() *load {
	l := &load{svc: everything(), now: time.Now()}
	l.b = boardOf(l.svc)
	for k := range l.facts {
		f := newCall()
		f.Client, f.Value, f.Minute, f.Deadline = -1, 600*policy.Unit, 100, l.now.Add(365*24*time.Hour)
		f.Operands[0] = policy.Operand{Kind: policy.IsText, Text: 1}
		f.Pinned = int8(k&3) - 1 // every fourth session is new
		l.facts[k] = *f
	}
	return l
}

// ready prepares a tenth of a second: the twelve others in flight end and begin anew.
func (l *load) ready() {
	for _, p := range l.waiting {
		l.b.Done(p, health.Sample{Class: health.OK, Latency: 80 * time.Millisecond}, health.Succeeded, l.now)
	}
	l.waiting = l.waiting[:0]
	for k := range l.facts {
		l.facts[k].Draw = l.facts[k].Draw*6364136223846793005 + 1442695040888963407 + uint64(k)
	}
	for k := range 12 {
		if p, ok := l.b.Choose(&l.d, l.svc, &l.facts[k], l.now); ok {
			l.b.Sent(&p, l.now)
			l.waiting = append(l.waiting, p)
		}
	}
	for k := range l.times {
		l.now = l.now.Add(100 * time.Microsecond)
		l.times[k] = l.now
	}
}

// call makes call n of the round.
func (l *load) call(n int) bool { return call(l.b, &l.d, l.svc, &l.facts[n%len(l.facts)], l.times[n]) }

// TestAChoiceAllocatesNothing: lock, Decide, reserve and finish among four candidates, everything on.
func TestAChoiceAllocatesNothing(t *testing.T) {
	l := newLoad()
	n := testing.AllocsPerRun(3, func() {
		l.ready()
		for k := range round {
			if !l.call(k) {
				t.Fatalf("nobody was eligible: %v", l.d.Explain(l.svc))
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkDecision is what the choice costs from the lock to the end of the call, everything on: worth in money with fees, values and high
// value, rules, sessions of their own, limits in flight and by rate, budgets of money and retries, detectors, ramps both ways, and the ages
// of calls that are open meanwhile.
func BenchmarkDecision(b *testing.B) {
	l := newLoad()
	perCall(b, l.ready, func(n int) {
		if !l.call(n) {
			b.Fatal(l.d.Explain(l.svc))
		}
	})
}

// BenchmarkGobreaker is what a circuit breaker alone costs, where it is all that one has: one call through sony/gobreaker.
func BenchmarkGobreaker(b *testing.B) {
	cb := gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{Name: "stripe"})
	perCall(b, func() {}, func(int) {
		done, err := cb.Allow()
		if err != nil {
			b.Fatal(err)
		}
		done(nil)
	})
}

// BenchmarkCELGo is what two rules cost where cel-go itself runs them; ours are among what BenchmarkDecision does.
func BenchmarkCELGo(b *testing.B) {
	env, err := cel.NewEnv(cel.Variable("region", cel.StringType), cel.Variable("minute", cel.IntType))
	if err != nil {
		b.Fatal(err)
	}
	var rules []cel.Program
	for _, text := range []string{`region == "EU" && minute > 60`, `region == "US" && minute > 60`} {
		tree, issues := env.Compile(text)
		if issues.Err() != nil {
			b.Fatal(issues.Err())
		}
		p, err := env.Program(tree, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			b.Fatal(err)
		}
		rules = append(rules, p)
	}
	facts := map[string]any{"region": "EU", "minute": 100}
	perCall(b, func() {}, func(int) {
		for _, p := range rules {
			if _, _, err := p.Eval(facts); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// perCall tells beside the time also the CPU per call, of the best of many rounds: what else the machine does makes calls dearer, never
// cheaper. What a round is made ready by does not count.
func perCall(b *testing.B, ready func(), do func(n int)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	n, least, from := round, time.Duration(math.MaxInt64), time.Duration(0)
	for b.Loop() {
		if n == round {
			if from > 0 {
				least = min(least, threadTime(b)-from)
			}
			ready()
			n, from = 0, threadTime(b)
		}
		do(n)
		n++
	}
	if least < math.MaxInt64 {
		b.ReportMetric(float64(least)/round, "cpu-ns/op")
	}
}

// threadTime is the CPU time that this thread took.
func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
