package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// figure is one line of the report.
type figure struct {
	what    string
	ratio   float64
	most    float64 // the bar; 0: there is none
	least   float64 // the bar; 0: there is none
	behind  string  // what the ratio is made of
	command string
}

func (f figure) held() bool {
	return (f.most == 0 || f.ratio <= f.most) && (f.least == 0 || f.ratio >= f.least)
}

func (f figure) bar() string {
	switch {
	case f.most > 0:
		return fmt.Sprintf("≤ %.4g", f.most)
	case f.least > 0:
		return fmt.Sprintf("≥ %.4g", f.least)
	default:
		return "–"
	}
}

func (f figure) verdict() string {
	switch {
	case f.most == 0 && f.least == 0:
		return "–"
	case f.held():
		return "held"
	default:
		return "**missed**"
	}
}

// part is one line of what go test -bench says of a package.
type part struct{ where, name, figures string }

// report is what one run found.
type report struct {
	machine string
	figures []figure
	facts   []string // a sentence each
	peers   []peerRow
	parts   []part
}

func (r *report) add(t *testing.T, f figure) {
	t.Helper()
	r.figures = append(r.figures, f)
	t.Logf("%s: %.3f, bar %s (%s): %s", f.what, f.ratio, f.bar(), f.verdict(), f.behind)
}

const introduction = `# Measured

Written by ` + "`make bench`" + `, in one run. Ratios come first: they compare with something that was measured in the same run, in turns, on the same machine, so
that they mean something elsewhere too. A ratio says what one side took as a share of the other; each is the median of its rounds.
`

const besidePeers = `
## Beside the peers

HAProxy (Debian's package) and net/http's ReverseProxy pass calls on and do nothing else; both would answer a lost reply with an error and let the caller
charge again. CPU is that of the proxy's process; latencies are what the way adds to the provider's own, which stands in italics. Callers ask again as
soon as they are answered, so from 32 connections on all parts share two busy processors, and a latency says how much CPU the whole way takes.

`

func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString(introduction + "\n" + r.machine + "\n\n")
	b.WriteString("| what | ratio | bar | | behind it | command |\n|---|---|---|---|---|---|\n")
	for _, f := range r.figures {
		fmt.Fprintf(&b, "| %s | %.2f | %s | %s | %s | `%s` |\n", f.what, f.ratio, f.bar(), f.verdict(), f.behind, f.command)
	}
	for _, f := range r.facts {
		b.WriteString("\n" + f + "\n")
	}
	if len(r.peers) > 0 {
		b.WriteString(besidePeers + peerTable(r.peers))
	}
	if len(r.parts) > 0 {
		b.WriteString("\n## What the parts cost\n\nBy Go's own benchmarks, `go test -run '^$' -bench . -benchtime 200ms` in each package.\n\n| package | benchmark | figures |\n|---|---|---|\n")
	}
	for _, p := range r.parts {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.where, p.name, p.figures)
	}
	return b.String()
}

// machine says where this was measured, as far as it bears on the figures.
func machine(t *testing.T) string {
	t.Helper()
	model, load := "unknown processor", "unknown"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Join(strings.Fields(string(b))[:2], " and ")
	}
	return fmt.Sprintf("%s, %s/%s, %d processors (%s), load over the last one and five minutes at the start: %s.",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), model, load)
}

// quantile is the smallest value that at least the share q of the values do not exceed. It sorts them.
func quantile[T int | float64 | time.Duration](values []T, q float64) T {
	slices.Sort(values)
	rank := int(q * float64(len(values)))
	if float64(rank) == q*float64(len(values)) && rank > 0 {
		rank--
	}
	return values[min(rank, len(values)-1)]
}

func median[T int | float64 | time.Duration](values []T) T {
	return quantile(slices.Clone(values), 0.5)
}

// spread writes the least and the most of some ratios.
func spread(values []float64) string {
	return fmt.Sprintf("%.2f to %.2f in %d rounds", slices.Min(values), slices.Max(values), len(values))
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		values []int
		q      float64
		want   int
	}{{[]int{7}, 0.5, 7}, {[]int{3, 1, 2}, 0.5, 2}, {[]int{4, 3, 2, 1}, 0.5, 2}, {[]int{4, 3, 2, 1}, 1, 4}, {[]int{1, 2, 3, 4}, 0, 1}, {[]int{1, 2, 3, 4, 5}, 0.99, 5}} {
		if got := quantile(slices.Clone(c.values), c.q); got != c.want {
			t.Errorf("quantile %v of %v is %d, want %d", c.q, c.values, got, c.want)
		}
	}
}

func TestABarIsHeldOrMissed(t *testing.T) {
	for _, c := range []struct {
		f    figure
		want string
	}{
		{figure{ratio: 1.3, most: 1.3}, "held"}, {figure{ratio: 1.31, most: 1.3}, "**missed**"},
		{figure{ratio: 0.8, least: 0.8}, "held"}, {figure{ratio: 0.79, least: 0.8}, "**missed**"}, {figure{ratio: 9}, "–"},
	} {
		if got := c.f.verdict(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.f, got, c.want)
		}
	}
	r := report{machine: "here", figures: []figure{{what: "reads", ratio: 1.234, most: 1.3, behind: "x", command: "make bench"}}}
	if text := r.markdown(); !strings.Contains(text, "| reads | 1.23 | ≤ 1.3 | held | x | `make bench` |") {
		t.Error(text)
	}
}
