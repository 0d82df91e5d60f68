package bench

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// benchCommits runs the replica's own comparison with the bare library, beside whose settings it lives.
func benchCommits(t *testing.T, r *report) {
	const command = "go test -run '^$' -bench BenchmarkCommit -benchtime 40x ./controlplane/replica"
	lines := gobench(t, "BenchmarkCommit", "40x", "./controlplane/replica")
	if len(lines) != 6 {
		t.Fatalf("%d comparisons, want 1, 16 and 64 proposers of two kinds of change", len(lines))
	}
	for _, l := range lines {
		kind, proposers, ok := strings.Cut(strings.TrimPrefix(l.name, "Commit/"), "/proposers=")
		if !ok {
			t.Fatalf("unexpected benchmark %q", l.name)
		}
		what := map[string]string{"order": "an order is given", "weights": "a weight is moved"}[kind]
		r.add(t, figure{what: "commits/s beside bare raft + raft-boltdb with the same options and payload: " + what + ", proposers: " + proposers, ratio: l.metric["ratio"], least: 0.8,
			behind: fmt.Sprintf("%.0f/s, bare %.0f/s", l.metric["segue/s"], l.metric["bare/s"]), command: command})
	}
}

// benchDecision sets the whole decision beside what a breaker alone and two rules in cel-go alone take, in the same run.
func benchDecision(t *testing.T, r *report) {
	const most = 300 // ns
	cpu, figures := map[string]float64{}, map[string]string{}
	for _, l := range gobench(t, "Decision|Gobreaker|CELGo", "1s", "./dataplane/standing") {
		cpu[l.name], figures[l.name] = l.metric["cpu-ns/op"], l.figures
	}
	if cpu["Decision"] == 0 || cpu["Gobreaker"] == 0 || cpu["CELGo"] == 0 {
		t.Fatalf("not all of them ran long enough: %v", figures)
	}
	r.add(t, figure{what: "CPU of a decision, as a share of 300 ns: lock, choice, reservation and end of a call, four candidates, everything on", ratio: cpu["Decision"] / most, most: 1,
		behind:  fmt.Sprintf("%.0f ns, no allocation (`TestAChoiceAllocatesNothing`); one call through sony/gobreaker %.0f ns, two rules in cel-go %.0f ns", cpu["Decision"], cpu["Gobreaker"], cpu["CELGo"]),
		command: "go test -run '^$' -bench . ./dataplane/standing"})
}

// benchParts runs the benchmarks of the rooms on the way of a call.
func benchParts(t *testing.T, r *report) {
	for _, pkg := range []string{"controlplane/policy", "dataplane/breaker", "dataplane/route", "dataplane/standing", "dataplane/embedded"} {
		for _, l := range gobench(t, ".", "200ms", "./"+pkg) {
			r.parts = append(r.parts, part{pkg, l.name, l.figures})
		}
	}
}

// outcome is one line of go test -bench.
type outcome struct {
	name    string
	figures string
	metric  map[string]float64
}

// gobench runs benchmarks of one package.
func gobench(t *testing.T, pattern, benchtime, pkg string) []outcome {
	t.Helper()
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", pattern, "-benchtime", benchtime, "-timeout", "20m", pkg)
	cmd.Dir = root(t)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return outcomes(string(out))
}

var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\t(.*)$`)

func outcomes(text string) []outcome {
	var all []outcome
	for _, m := range benchLine.FindAllStringSubmatch(text, -1) {
		o := outcome{name: m[1], metric: map[string]float64{}}
		var figures []string
		for cell := range strings.SplitSeq(m[2], "\t") {
			figures = append(figures, strings.TrimSpace(cell))
			value, unit, _ := strings.Cut(strings.TrimSpace(cell), " ")
			if n, err := strconv.ParseFloat(value, 64); err == nil {
				o.metric[unit] = n
			}
		}
		o.figures = strings.Join(figures, ", ")
		all = append(all, o)
	}
	return all
}

func TestOutcomesOfBenchmarks(t *testing.T) {
	got := outcomes("goos: linux\nBenchmarkCommit/order/proposers=16-2 \t      40\t  52000000 ns/op\t      1234 bare/s\t         0.93 ratio\t      1147 segue/s\nBenchmarkX-2   \t 100\t 5.5 ns/op\nPASS\n")
	if len(got) != 2 || got[0].name != "Commit/order/proposers=16" || got[0].metric["ratio"] != 0.93 || got[0].metric["segue/s"] != 1147 || got[1].figures != "5.5 ns/op" {
		t.Errorf("%+v", got)
	}
}
