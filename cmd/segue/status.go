package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// statusView is how everything stands: what the Overview page shows.
type statusView struct {
	Headline  headline       `json:"headline"`
	At        time.Time      `json:"at"` // the leader's clock, when the figures were put together
	AgeMS     int64          `json:"age_ms"`
	Leader    string         `json:"leader"`
	Term      uint64         `json:"term"`
	Revision  uint64         `json:"revision"`
	In        int            `json:"in"` // regions in which the revision is in force
	Of        int            `json:"of"`
	Lagging   string         `json:"lagging,omitempty"`
	Alarm     string         `json:"alarm,omitempty"`
	Providers []providerCell `json:"providers"`
	Agents    []agentSeen    `json:"agents"`
	Orders    []policy.Order `json:"orders"`
}

// headline is the one sentence, and what explains it.
type headline struct {
	Level string `json:"level"` // ok | warn | bad | "": nothing is known
	Text  string `json:"text"`
	More  string `json:"more,omitempty"`
	// Faults says whose fault what is, as the leader judged it.
	Faults []string `json:"faults,omitempty"`
}

// providerCell is one provider of one service in one region; -1 stands where nothing was measured.
type providerCell struct {
	Region    string  `json:"region"`
	Service   string  `json:"service"`
	Provider  string  `json:"provider"`
	PerSecond float64 `json:"per_second"`
	Success   float64 `json:"success_percent"`
	P99       float64 `json:"p99_ms"`
	Share     float64 `json:"share_percent"`
	Weight    float64 `json:"weight_percent"`
	Breaker   string  `json:"breaker"`
	Stands    string  `json:"stands"` // the same in words, with what led to it
}

type agentSeen struct {
	ID       string `json:"id"`
	Region   string `json:"region"`
	Revision uint64 `json:"revision"`
	AgeMS    int64  `json:"age_ms"`
	Heard    bool   `json:"heard"`
}

func newStatus(s *settings) *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "status", Short: "How everything stands, in one sentence and one table", Args: cobra.NoArgs,
		Long: `Prints what the Overview page shows: one sentence, each provider in each region with its traffic
and its circuit, the agents, and the policy in force. Exit code 69 while no control node leads.

With -w again each second, until it is interrupted; -o json then gives one document a line.`,
		Example: "  segue status\n  segue status -w\n  segue status -w -o json | jq .headline.text",
		RunE: func(c *cobra.Command, _ []string) error {
			if watch {
				return s.watchStatus(c.Context())
			}
			v, err := s.status(c.Context())
			if err != nil {
				return err
			}
			if err := s.print(v, func() { s.tellStatus(s.io.out, v) }); err != nil {
				return err
			}
			if v.Leader == "" {
				return &state.Error{Code: state.NoLeader, Message: "no control node leads: nothing can be changed now; agents go on with what they have"}
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "again each second")
	return c
}

// status asks for the Overview page as JSON.
func (s *settings) status(ctx context.Context) (statusView, error) {
	var got struct {
		Headline headline
		World    health.World
		Policy   uint64
		Leader   string
		Term     uint64
		Orders   []policy.Order
		Status   struct {
			In, Of         int
			Lagging, Alarm string
			AgeMS          int64
		}
	}
	if err := s.request(ctx, call{method: http.MethodGet, path: "/", page: true}, &got); err != nil {
		return statusView{}, explain(err)
	}
	v := statusView{
		Headline: got.Headline, At: got.World.At, AgeMS: got.Status.AgeMS, Leader: got.Leader, Term: got.Term, Revision: got.Policy,
		In: got.Status.In, Of: got.Status.Of, Lagging: got.Status.Lagging, Alarm: got.Status.Alarm,
		Providers: []providerCell{}, Agents: []agentSeen{}, Orders: append([]policy.Order{}, got.Orders...),
	}
	for _, fault := range got.World.Verdicts {
		v.Headline.Faults = append(v.Headline.Faults, fault.Sentence())
	}
	for _, c := range onlyWeights(got.World.Cells) {
		v.Providers = append(v.Providers, providerCell{
			Region: c.Region, Service: c.Service, Provider: c.Provider, PerSecond: c.Rate, Success: c.Success, P99: c.P99, Share: c.Share,
			Weight: c.Weight, Breaker: c.Breaker, Stands: breakerText(c),
		})
	}
	for _, a := range got.World.Agents {
		v.Agents = append(v.Agents, agentSeen{a.ID, a.Region, a.Revision, a.AgeMS, a.Heard})
	}
	return v, nil
}

// onlyWeights takes away the weights of services that do not go by weights: there each provider would have 0 %, as if it were a fallback.
func onlyWeights(cells []health.Cell) []health.Cell {
	cells = slices.Clone(cells)
	for i := range cells {
		if !weighted(cells, cells[i].Region, cells[i].Service) {
			cells[i].Weight = health.None64
		}
	}
	return cells
}

// weighted tells whether any provider of a service has a weight in a region.
func weighted(cells []health.Cell, region, service string) bool {
	return slices.ContainsFunc(cells, func(c health.Cell) bool { return c.Region == region && c.Service == service && c.Weight > 0 })
}

func (s *settings) tellStatus(w io.Writer, v statusView) {
	fmt.Fprintln(w, s.coloured(v.Headline.Level, v.Headline.Text))
	if v.Headline.More != "" {
		fmt.Fprintln(w, v.Headline.More)
	}
	for _, fault := range v.Headline.Faults {
		fmt.Fprintln(w, s.coloured("warn", fault))
	}
	if v.Alarm != "" {
		fmt.Fprintln(w, s.coloured("bad", v.Alarm))
	}
	fmt.Fprintln(w)
	rows := [][]string{{"REGION", "SERVICE", "PROVIDER", "CALLS/S", "SUCCESS", "P99", "SHARE", "WEIGHT", "BREAKER"}}
	for _, c := range v.Providers {
		rows = append(rows, []string{
			c.Region, c.Service, c.Provider, fmt.Sprintf("%.1f", c.PerSecond), percentText(c.Success), millis(c.P99), percentText(c.Share), percentText(c.Weight), c.Stands,
		})
	}
	tableTo(w, rows)
	fmt.Fprintln(w)
	rows = [][]string{{"AGENT", "REGION", "POLICY", "HEARD"}}
	for _, a := range v.Agents {
		heard := fmt.Sprintf("%.1f s ago", float64(a.AgeMS)/1000)
		if !a.Heard {
			heard = "not for " + (time.Duration(a.AgeMS) * time.Millisecond).Round(time.Second).String()
		}
		rows = append(rows, []string{a.ID, a.Region, fmt.Sprint(a.Revision), heard})
	}
	tableTo(w, rows)
	lagging := ""
	if v.Lagging != "" {
		lagging = " (" + v.Lagging + ")"
	}
	fmt.Fprintf(w, "\npolicy %d in %d of %d regions%s · leader %s, term %d · figures %.1f s old\n", v.Revision, v.In, v.Of, lagging, orNothing(v.Leader), v.Term, float64(v.AgeMS)/1000)
}

// watchStatus prints again each second. The first answer must come; later ones that do not are told and waited for.
func (s *settings) watchStatus(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for first := true; ; first = false {
		v, err := s.status(ctx)
		switch {
		case ctx.Err() != nil: // interrupted: that is how it ends
			return nil
		case err != nil && first:
			return err
		case err != nil:
			fmt.Fprintln(s.io.err, "segue:", err)
		default:
			if err := s.printAgain(v, func(w io.Writer) { s.tellStatus(w, v) }); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// printAgain prints one of many: a JSON document on a line, a YAML document, or the table, which a terminal shows in the place of the last.
func (s *settings) printAgain(v any, table func(w io.Writer)) error {
	switch s.output {
	case "json":
		return json.NewEncoder(s.io.out).Encode(v)
	case "yaml":
		if _, err := fmt.Fprintln(s.io.out, "---"); err != nil {
			return err
		}
		return s.printYAML(v)
	}
	if terminal(s.io.out) {
		fmt.Fprint(s.io.out, "\x1b[H\x1b[2J")
	}
	table(s.io.out)
	_, err := fmt.Fprintln(s.io.out)
	return err
}

// coloured marks what needs a person, where a terminal shows it and NO_COLOR does not forbid it.
func (s *settings) coloured(level, text string) string {
	code := map[string]string{"warn": "33", "bad": "31"}[level]
	if code == "" || os.Getenv("NO_COLOR") != "" || !terminal(s.io.out) {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// terminal tells whether people read the stream as it comes.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return !errors.Is(err, os.ErrClosed) && err == nil && info.Mode()&os.ModeCharDevice != 0
}
