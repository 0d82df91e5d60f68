package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
)

func newProvider(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "provider", Short: "See how providers stand; drain, resume and probe them",
		Long: `A provider is an external system that offers a service. Agents watch it by the calls that
they send and, where the policy says so, by checks and synthetic transactions of their own.`,
	}
	group.AddCommand(newProviderList(s), newProviderShow(s), newProviderDrain(s), newProviderResume(s), newProviderProbe(s))
	return group
}

// providerRow is a provider as the API shows it.
type providerRow struct {
	Name     string           `json:"name"`
	Contract string           `json:"contract"`
	Account  string           `json:"account"`
	Limits   policy.Limits    `json:"limits"`
	Cells    []health.Cell    `json:"cells"`
	Orders   []policy.Order   `json:"orders"`
	Promises []policy.Promise `json:"promises"`
}

func newProviderList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Every provider, and how it stands", Args: cobra.NoArgs, Example: "  segue provider list",
		RunE: func(c *cobra.Command, _ []string) error {
			var list []providerRow
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/providers"}, &list); err != nil {
				return explain(err)
			}
			return s.print(list, func() { s.tellProviders(list) })
		},
	}
}

func (s *settings) tellProviders(list []providerRow) {
	rows := [][]string{{"PROVIDER", "CONTRACT", "CALLS/S", "STANDS", "CHECKS", "SYNTHETICS"}}
	for i := range list {
		p := &list[i]
		var rate float64
		for _, cell := range p.Cells {
			rate += cell.Rate
		}
		rows = append(rows, []string{
			p.Name, p.Contract, fmt.Sprintf("%.1f", rate), byRegion(p.Cells, standWord), byRegion(p.Cells, checkWord), byRegion(p.Cells, syntheticWord),
		})
	}
	s.table(rows)
}

// byRegion says a word once where it is the same in every region, and else with the regions where it holds.
func byRegion(cells []health.Cell, word func(health.Cell) string) string {
	var words []string
	where := map[string][]string{}
	for _, cell := range cells {
		w := word(cell)
		if where[w] == nil {
			words = append(words, w)
		}
		if !slices.Contains(where[w], cell.Region) {
			where[w] = append(where[w], cell.Region)
		}
	}
	switch len(words) {
	case 0:
		return "no agent is heard"
	case 1:
		return words[0]
	}
	for i, w := range words {
		words[i] = w + " in " + strings.Join(where[w], ", ")
	}
	return strings.Join(words, "; ")
}

// standWord is how a provider stands in one region.
func standWord(c health.Cell) string {
	switch {
	case !c.Drained.IsZero():
		return "drained until " + clock(c.Drained)
	case c.Breaker == "":
		return "no agent is heard"
	default:
		return c.Breaker
	}
}

func checkWord(c health.Cell) string { return lanesWord(c, health.Active) }

func syntheticWord(c health.Cell) string { return lanesWord(c, health.Synthetic) }

// lanesWord is what one kind of checks comes to.
func lanesWord(c health.Cell, kind string) string {
	worst, found := health.Summary(c.Lanes, kind)
	switch {
	case !found:
		return "none"
	case worst.Level == "":
		return "not run yet"
	default:
		return worst.Level
	}
}

func newProviderShow(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "show PROVIDER", Short: "One provider, region by region", Args: cobra.ExactArgs(1), Example: "  segue provider show main",
		RunE: func(c *cobra.Command, args []string) error {
			var p providerRow
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/providers/" + url.PathEscape(args[0])}, &p); err != nil {
				return s.unknownName(c.Context(), err, args[0], s.providerNames)
			}
			var all []providerRow // whether a service goes by weights shows in all its providers only
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/providers"}, &all); err != nil {
				return explain(err)
			}
			p.unweigh(all)
			var untold error
			if err := s.print(p, func() {
				s.tellProvider(&p)
				untold = s.tellCosts(c.Context(), p.Name)
			}); err != nil {
				return err
			}
			return untold
		},
	}
}

// unweigh takes away the weights of services that do not go by weights.
func (p *providerRow) unweigh(all []providerRow) {
	var cells []health.Cell
	for i := range all {
		cells = append(cells, all[i].Cells...)
	}
	for i := range p.Cells {
		if c := &p.Cells[i]; !weighted(cells, c.Region, c.Service) {
			c.Weight = health.None64
		}
	}
}

func (s *settings) tellProvider(p *providerRow) {
	fmt.Fprintf(s.io.out, "%s · contract %s · account %s%s\n", p.Name, p.Contract, p.Account, limitsText(p.Limits))
	rows := [][]string{{"REGION", "SERVICE", "CALLS/S", "SUCCESS", "P50", "P99", "SHARE", "WEIGHT", "IN FLIGHT", "BREAKER"}}
	for _, c := range p.Cells {
		rows = append(rows, []string{
			c.Region, c.Service, fmt.Sprintf("%.1f", c.Rate), percentText(c.Success), millis(c.P50), millis(c.P99),
			percentText(c.Share), percentText(c.Weight), fmt.Sprint(c.InFlight), breakerText(c),
		})
	}
	s.table(rows)
	for _, c := range p.Cells {
		for _, text := range c.Passed {
			fmt.Fprintf(s.io.out, "%s: %s\n", c.Region, text)
		}
	}
	s.tellLanes(p.Cells)
	s.tellPromises(p.Promises)
	for i := range p.Orders {
		o := &p.Orders[i]
		fmt.Fprintf(s.io.out, "%s %s in %s until %s, by %s: %s\n", o.Kind, o.ID, regionsOrAll(o.Regions), clock(o.Ends()), o.Actor, o.Reason)
	}
}

func limitsText(l policy.Limits) string {
	text := ""
	if l.InFlight > 0 {
		text += fmt.Sprintf(" · at most %d in flight", l.InFlight)
	}
	if l.Rate > 0 {
		text += fmt.Sprintf(" · at most %g/s", l.Rate)
	}
	return text
}

func newProviderDrain(s *settings) *cobra.Command {
	var regions []string
	var length time.Duration
	c := &cobra.Command{
		Use: "drain PROVIDER", Short: "Keep new calls away from a provider, for a while", Args: cobra.ExactArgs(1),
		Long: `Keeps calls away from a provider, but those about objects that it owns. Every drain ends by
itself; a drain that would leave a service without a provider is refused.`,
		Example: "  segue provider drain main --for 30m --reason maintenance\n  segue provider drain main --region eu-west --for 2h",
		RunE: func(c *cobra.Command, args []string) error {
			body, err := json.Marshal(map[string]any{"for": length.String(), "regions": regions})
			if err != nil {
				return err
			}
			var done ordered
			if err := s.request(c.Context(), call{method: http.MethodPost, path: "/providers/" + url.PathEscape(args[0]) + "/drain", body: body, kind: "application/json", reason: s.because("drained by command")}, &done); err != nil {
				return explain(err)
			}
			return s.print(done, func() {
				fmt.Fprintf(s.io.out, "%s is drained for %v; segue provider resume %s ends it early\n", args[0], length, args[0])
			})
		},
	}
	c.Flags().DurationVar(&length, "for", 30*time.Minute, "how long")
	s.regionsFlag(c, &regions)
	return c
}

func newProviderResume(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "resume PROVIDER", Short: "End a drain", Args: cobra.ExactArgs(1), Example: "  segue provider resume main",
		RunE: func(c *cobra.Command, args []string) error {
			var done struct {
				Ended []string `json:"ended"`
			}
			if err := s.request(c.Context(), call{method: http.MethodPost, path: "/providers/" + url.PathEscape(args[0]) + "/resume", reason: s.because("resumed by command")}, &done); err != nil {
				return s.unknownName(c.Context(), err, args[0], s.providerNames)
			}
			return s.print(done, func() { s.tellResumed(args[0], len(done.Ended)) })
		},
	}
}

func (s *settings) tellResumed(provider string, ended int) {
	if ended == 0 {
		fmt.Fprintf(s.io.out, "%s was not drained\n", provider)
		return
	}
	fmt.Fprintf(s.io.out, "%s takes calls again\n", provider)
}

// probed is what the active checks of a provider showed, agent by agent.
type probed struct {
	Provider string       `json:"provider"`
	Order    string       `json:"order"`
	Results  []probeCheck `json:"results"`
	Silent   []string     `json:"silent"`
}

type probeCheck struct {
	Region    string    `json:"region"`
	Agent     string    `json:"agent"`
	Service   string    `json:"service"`
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	Result    string    `json:"result"`
	Why       string    `json:"why,omitempty"`
	At        time.Time `json:"at"`
	ElapsedMS float64   `json:"elapsed_ms"`
}

func newProviderProbe(s *settings) *cobra.Command {
	var regions []string
	var synthetic bool
	c := &cobra.Command{
		Use: "probe PROVIDER", Short: "Run a provider's checks now, in every region", Args: cobra.ExactArgs(1),
		Long: `Has every agent run the provider's active checks (checks: {active: …} in the policy) once, now,
and waits for what they saw; with --synthetic its synthetics instead (checks: {synthetic: …}).
A good check closes no circuit: calls do. Exit code 1 if a check is bad, 75 if an agent did
not tell.`,
		Example: "  segue provider probe main\n  segue provider probe main --synthetic\n  segue provider probe main --region eu-west -o json",
		RunE: func(c *cobra.Command, args []string) error {
			body, err := json.Marshal(map[string]any{"regions": regions, "synthetic": synthetic})
			if err != nil {
				return err
			}
			var done probed
			if err := s.request(c.Context(), call{method: http.MethodPost, path: "/providers/" + url.PathEscape(args[0]) + "/probe", body: body, kind: "application/json", reason: s.because("probed by command")}, &done); err != nil {
				return explain(err)
			}
			if err := s.print(done, func() { s.tellProbed(done) }); err != nil {
				return err
			}
			return done.verdict()
		},
	}
	c.Flags().BoolVar(&synthetic, "synthetic", false, "run its synthetics instead of its active checks")
	s.regionsFlag(c, &regions)
	return c
}

func (s *settings) tellProbed(p probed) {
	rows := [][]string{{"REGION", "AGENT", "SERVICE", "CHECK", "RESULT", "TOOK", "AT", "WHY"}}
	for _, r := range p.Results {
		rows = append(rows, []string{r.Region, r.Agent, r.Service, r.Name, r.Result, millis(r.ElapsedMS), clock(r.At), r.Why})
	}
	s.table(rows)
	for _, text := range p.Silent {
		fmt.Fprintln(s.io.out, text)
	}
}

// verdict is the exit code in words.
func (p probed) verdict() error {
	bad := 0
	for _, r := range p.Results {
		if r.Result == "bad" {
			bad++
		}
	}
	switch {
	case bad > 0:
		return fmt.Errorf("%s: %d of %d checks are bad", p.Provider, bad, len(p.Results))
	case len(p.Results) == 0 || len(p.Silent) > 0:
		return &state.Error{Code: state.Unknown, Message: fmt.Sprintf("%s: not every agent told: %s", p.Provider, strings.Join(p.Silent, "; "))}
	}
	return nil
}

func (s *settings) regionsFlag(c *cobra.Command, regions *[]string) {
	c.Flags().StringSliceVar(regions, "region", nil, "regions, comma-separated (default: all)")
}
