package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/policy"
)

func newDrill(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "drill", Short: "Break something on purpose, for a while",
		Long: `A drill is a planned fault with an end. Agents inject it into their calls to a provider:

  refuse       as if the connection were refused: nothing is sent
  status       answered with --status, nothing is sent
  hang         nothing is sent, no answer until the time-out
  lost-reply   sent and executed, the answer is dropped
  slow         the answer comes --delay later

With --sandbox (segue dev only) the fault is real, at the simulated providers and at the
processes themselves; segue drill list --sandbox names what there is.`,
	}
	group.AddCommand(newDrillRun(s), newDrillList(s), newDrillStop(s))
	return group
}

// drillFlags are what a drill can be told.
type drillFlags struct {
	Provider string
	Regions  []string
	For      time.Duration
	Share    float64
	Status   int
	Delay    time.Duration
	sandbox  bool
}

func newDrillRun(s *settings) *cobra.Command {
	f := drillFlags{}
	c := &cobra.Command{
		Use: "run FAULT", Short: "Start a drill", Args: cobra.ExactArgs(1),
		Example: `  segue drill run lost-reply --provider main --for 1m
  segue drill run status --status 503 --provider main --region eu-west --share 0.3 --for 30s
  segue drill run kill-provider --provider main --for 30s --sandbox
  segue drill run kill-leader --sandbox`,
		RunE: func(c *cobra.Command, args []string) error {
			body, err := json.Marshal(f.body(args[0]))
			if err != nil {
				return err
			}
			path := "/drills"
			if f.sandbox {
				path = "/sandbox/faults"
			}
			var done ordered
			if err := s.request(c.Context(), call{method: http.MethodPost, path: path, body: body, kind: "application/json", reason: s.because("drill by command")}, &done); err != nil {
				return explain(err)
			}
			return s.print(done, func() {
				fmt.Fprintf(s.io.out, "drill %s runs until %s; segue drill stop %s%s ends it early\n", done.Order, done.Ends.Local().Format(time.TimeOnly), done.Order, sandboxFlag(f.sandbox))
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.Provider, "provider", "", "the provider that it hits")
	flags.StringSliceVar(&f.Regions, "region", nil, "regions whose agents inject it (default: all)")
	flags.DurationVar(&f.For, "for", 30*time.Second, "how long")
	flags.Float64Var(&f.Share, "share", 1, "share of calls that it hits, over 0 and up to 1")
	flags.IntVar(&f.Status, "status", 503, "status of the fault status")
	flags.DurationVar(&f.Delay, "delay", 2*time.Second, "delay of the fault slow")
	flags.BoolVar(&f.sandbox, "sandbox", false, "a real fault at the simulated providers or processes (segue dev only)")
	return c
}

// ordered is the API's answer to an order.
type ordered struct {
	Order string    `json:"order"`
	Ends  time.Time `json:"ends"`
}

func sandboxFlag(on bool) string {
	if on {
		return " --sandbox"
	}
	return ""
}

// body is the request as the API takes it.
func (f drillFlags) body(fault string) map[string]any {
	return map[string]any{
		"fault": fault, "provider": f.Provider, "regions": f.Regions, "for": f.For.String(),
		"share": f.Share, "status": f.Status, "delay": f.Delay.String(),
	}
}

func newDrillList(s *settings) *cobra.Command {
	var sandbox bool
	c := &cobra.Command{
		Use: "list", Short: "Drills that run", Args: cobra.NoArgs, Example: "  segue drill list",
		RunE: func(c *cobra.Command, _ []string) error {
			if sandbox {
				return s.listFaults(c)
			}
			var orders []policy.Order
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/drills"}, &orders); err != nil {
				return err
			}
			return s.print(orders, func() {
				rows := [][]string{{"ID", "FAULT", "PROVIDER", "REGIONS", "SHARE", "ENDS"}}
				for _, o := range orders {
					rows = append(rows, []string{o.ID, string(o.Fault.Kind), o.Provider, regionsOrAll(o.Regions), fmt.Sprintf("%g", o.Fault.Share), o.Ends().Local().Format(time.TimeOnly)})
				}
				s.table(rows)
			})
		},
	}
	c.Flags().BoolVar(&sandbox, "sandbox", false, "real faults (segue dev only)")
	return c
}

func regionsOrAll(regions []string) string {
	if len(regions) == 0 {
		return "all"
	}
	return fmt.Sprint(regions)
}

func (s *settings) listFaults(c *cobra.Command) error {
	var faults []struct {
		ID, Name, Provider string
		Ends               time.Time
	}
	if err := s.request(c.Context(), call{method: http.MethodGet, path: "/sandbox/faults"}, &faults); err != nil {
		return err
	}
	return s.print(faults, func() {
		rows := [][]string{{"ID", "FAULT", "PROVIDER", "ENDS"}}
		for _, f := range faults {
			rows = append(rows, []string{f.ID, f.Name, f.Provider, f.Ends.Local().Format(time.TimeOnly)})
		}
		s.table(rows)
	})
}

func newDrillStop(s *settings) *cobra.Command {
	var sandbox bool
	c := &cobra.Command{
		Use: "stop ID", Short: "End a drill early", Args: cobra.ExactArgs(1), Example: "  segue drill stop ord_7f3a",
		RunE: func(c *cobra.Command, args []string) error {
			path := "/drills/"
			if sandbox {
				path = "/sandbox/faults/"
			}
			if err := s.request(c.Context(), call{method: http.MethodDelete, path: path + url.PathEscape(args[0]), reason: s.because("stopped by command")}, nil); err != nil {
				return explain(err)
			}
			return s.print(map[string]string{"ended": args[0]}, func() { fmt.Fprintf(s.io.out, "drill %s has ended\n", args[0]) })
		},
	}
	c.Flags().BoolVar(&sandbox, "sandbox", false, "a real fault (segue dev only)")
	return c
}
