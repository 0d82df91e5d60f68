package simulator

import (
	"bytes"
	"fmt"
	"strings"
)

// Table is a group's results, for people.
type Table struct {
	Title string
	Rows  [][]string // the first are the headings
}

// Tables are the results of all groups.
func (s *Study) Tables() []Table {
	var out []Table
	for _, g := range s.groups {
		t := Table{Title: g.title(), Rows: [][]string{headings()}}
		for _, tally := range g.Tallies {
			t.Rows = append(t.Rows, s.find(g.Scenario.Name, g.Rate, tally.Player).cells())
		}
		out = append(out, t)
	}
	return out
}

func (g *Group) title() string {
	runs := 0
	if len(g.Tallies) > 0 {
		runs = g.Tallies[0].Runs
	}
	plural := "runs"
	if runs == 1 {
		plural = "run"
	}
	return fmt.Sprintf("%s at %v/s, %d %s: %s", g.Scenario.Name, g.Rate, runs, plural, g.Scenario.What)
}

func headings() []string {
	return []string{"PLAYER", "SUCCESS %", "UNKNOWN %", "P50 ms", "P99 ms", "P99.9 ms", "FEES", "LOSS", "REGRET %", "BLIND", "TWICE", "RESOLVED s", "SENDS", "SEEN calls", "LEFT s", "BACK s", "FALSE/day"}
}

// legend says what the columns are.
const legend = "Fees and loss are in money for 1,000 wishes: loss is fees, %v for each call that ended without an outcome and %v for each execution beside the first. " +
	"Regret is the loss above the oracle's. Blind: effects that were sent elsewhere though nobody knew whether they were executed. Twice: executions beside the first. Resolved: the median time until an outcome that was not known came to light. " +
	"Sends: for each wish. Seen: calls that the provider had ended when the gate shut, in the median. Left, back: until it had less than half of its share, and 90 %% of it again. False: gates at providers that nothing ailed."

// Legend is what the columns are.
func Legend() string { return fmt.Sprintf(legend, FailureCost, DuplicateCost) }

func (r *Result) cells() []string {
	ms := func(x float64) string { return or(x, "%.0f") }
	return []string{
		r.Player, fmt.Sprintf("%.3f", r.Success), fmt.Sprintf("%.3f", r.Unknown), ms(r.P50), ms(r.P99), ms(r.P999),
		fmt.Sprintf("%.1f", r.Fees), fmt.Sprintf("%.1f", r.Loss), r.regret(), fmt.Sprint(r.Blind), fmt.Sprint(r.Duplicates), or(r.ResolveP50, "%.0f"),
		fmt.Sprintf("%.3f", r.Amplification), or(r.SeenCalls, "%.0f"), or(r.Left, "%.0f"), or(r.Back, "%.0f"), fmt.Sprintf("%.0f", r.FalseADay),
	}
}

// regret may be below 0, so that None is no mark of it where there was an oracle.
func (r *Result) regret() string {
	if r.Regret == None {
		return "–"
	}
	return fmt.Sprintf("%+.2f", r.Regret)
}

func or(x float64, format string) string {
	if x < 0 {
		return "–"
	}
	return fmt.Sprintf(format, x)
}

// Markdown is the study as a page of the documentation.
func (s *Study) Markdown() []byte {
	var b bytes.Buffer
	b.WriteString("# Simulated\n\nWritten by `make simulate`; [simulator.md](simulator.md) says what is modelled and how to read it, and [simulated.html](simulated.html) has the plots.\n")
	fmt.Fprintf(&b, "Seeds count up from %d. The same seed is the same run: `segue simulate --scenario S --rate R --seed K --seeds 1`.\n\n## Bars\n\n| | what | want | got |\n|---|---|---|---|\n", s.First)
	for _, x := range s.Bars {
		mark, why := "held", ""
		if !x.Held {
			mark = "**missed**"
			if x.Why != "" {
				why = ". *" + x.Why + "*"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s%s |\n", mark, x.Name, x.Want, x.Got, why)
	}
	for _, x := range s.Failing {
		fmt.Fprintf(&b, "\nBroke a promise: %s: `%s`\n", x.What, x.Replay)
	}
	fmt.Fprintf(&b, "\n## Every story\n\n%s\n", Legend())
	for _, t := range s.Tables() {
		fmt.Fprintf(&b, "\n### %s\n\n", t.Title)
		for i, row := range t.Rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				b.WriteString("|---" + strings.Repeat("|---:", len(row)-1) + "|\n")
			}
		}
	}
	return b.Bytes()
}
