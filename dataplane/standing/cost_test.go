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

func costFacts() *policy.Facts {
	f := newCall()
	f.Client, f.Value, f.Minute, f.Deadline = -1, 600*policy.Unit, 100, time.Now().Add(365*24*time.Hour)
	f.Operands[0] = policy.Operand{Kind: policy.IsText, Text: 1}
	return f
}

// TestAChoiceAllocatesNothing: lock, Decide, reserve and finish among four candidates, everything on.
func TestAChoiceAllocatesNothing(t *testing.T) {
	svc, f, d := everything(), costFacts(), &route.Decision{}
	b := boardOf(svc)
	now := time.Now()
	n := testing.AllocsPerRun(2000, func() {
		now = now.Add(time.Millisecond)
		f.Draw = f.Draw*6364136223846793005 + 1442695040888963407
		if !call(b, d, svc, f, now) {
			t.Fatalf("nobody was eligible: %v", d.Explain(svc))
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkDecision is what the choice costs from the lock to the end of the call.
func BenchmarkDecision(b *testing.B) {
	svc, f, d := everything(), costFacts(), &route.Decision{}
	board := boardOf(svc)
	now := time.Now()
	perCall(b, func() {
		now = now.Add(time.Millisecond)
		f.Draw = f.Draw*6364136223846793005 + 1442695040888963407
		if !call(board, d, svc, f, now) {
			b.Fatal(d.Explain(svc))
		}
	})
}

// BenchmarkGobreaker is what a circuit breaker alone costs, where it is all that one has: one call through sony/gobreaker.
func BenchmarkGobreaker(b *testing.B) {
	cb := gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{Name: "stripe"})
	perCall(b, func() {
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
	perCall(b, func() {
		for _, p := range rules {
			if _, _, err := p.Eval(facts); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// perCall tells beside the time also the CPU per call, of the best of many rounds of 2,000: what else the machine does makes calls dearer,
// never cheaper.
func perCall(b *testing.B, do func()) {
	const round = 2000
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	n, least, from := 0, time.Duration(math.MaxInt64), threadTime(b)
	for b.Loop() {
		do()
		if n++; n%round == 0 {
			at := threadTime(b)
			least, from = min(least, at-from), at
		}
	}
	if n >= round {
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
