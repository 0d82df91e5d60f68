package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/state"
)

func newShift(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "shift", Short: "Move weights in steps, with a stop",
		Long: `A shift moves a service's weights in one region, or in all, in steps. The control plane's leader takes
them, whether or not anybody watches; each is a revision of the policy. Before each step it looks at
what agents report. Where a provider that gains is in trouble (its circuit opens, a verdict is against
it, or it succeeds clearly less often than who loses) the weights from before come back at once, or
with --on-trouble stay the shift stops where it is. While a region's agents are silent it is held.
Whoever changes the same weights by hand stops it.

ID may be left out where one shift is under way.`,
	}
	group.AddCommand(newShiftBegin(s), newShiftList(s), newShiftShow(s),
		newShiftAct(s, state.ShiftStop, "Stop a shift where it is", ""),
		newShiftAct(s, state.ShiftGo, "Let a shift that was stopped go on", "The next step comes a whole --every later."),
		newShiftAct(s, state.ShiftBack, "Bring the weights from before back, at once", "This undoes a finished shift too, while nobody has changed its weights."),
		newShiftAct(s, state.ShiftFinish, "Go all of the way at once", "Nothing is watched any more then."),
	)
	return group
}

// shifted is one shift as the API tells it.
type shifted struct {
	ID      string    `json:"id"`
	Service string    `json:"service"`
	Region  string    `json:"region"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	Began   time.Time `json:"began"`
	shiftCourse
	shiftPace
	Success []shiftSide `json:"success"`
}

// shiftCourse is how far it is.
type shiftCourse struct {
	Phase   state.Phase        `json:"phase"`
	Why     string             `json:"why,omitempty"`
	Taken   int                `json:"taken"`
	Changed time.Time          `json:"changed"`
	Next    time.Time          `json:"next,omitzero"`
	Start   map[string]float64 `json:"start"`
	Target  map[string]float64 `json:"target"`
	Set     map[string]float64 `json:"set"`
}

// shiftPace is how it goes.
type shiftPace struct {
	Steps     []float64 `json:"steps"`
	Every     string    `json:"every"`
	OnTrouble string    `json:"on_trouble"`
	Margin    float64   `json:"margin"`
}

// shiftSide is how one provider of it does now.
type shiftSide struct {
	Provider string  `json:"provider"`
	Gains    bool    `json:"gains"`
	Calls    uint64  `json:"calls"`
	Success  float64 `json:"success"`
	Breaker  string  `json:"breaker"`
}

type shiftList struct {
	Shifts []shifted `json:"shifts"`
}

// shiftFlags are what a shift can be told.
type shiftFlags struct {
	from, to, every, onTrouble, base string
	by, margin                       float64
	steps                            []float64
	wait                             bool
}

func newShiftBegin(s *settings) *cobra.Command {
	f := shiftFlags{}
	c := &cobra.Command{
		Use: "begin SERVICE REGION|all [PROVIDER=PERCENT ...]", Short: "Begin to move weights in steps", Args: cobra.MinimumNArgs(2),
		Long: `Name the weights at the end, as for segue weight set; or say with --from, --to and --by how many
percentage points move. All of the way must be permitted now.`,
		Example: `  segue shift begin payments eu-west main=20 backup=80 --reason fees --wait
  segue shift begin payments all --from main --to backup --by 20 --reason "main is slow"
  segue shift begin payments eu-west main=0 backup=100 --steps 10,50,100 --every 30s --on-trouble stay`,
		RunE: func(c *cobra.Command, args []string) error {
			body, err := f.body(args[1:])
			if err != nil {
				return err
			}
			if err := checkBase(f.base); err != nil {
				return err
			}
			var begun shiftList
			if err := s.request(c.Context(), call{
				method: http.MethodPost, path: "/services/" + url.PathEscape(args[0]) + "/shifts", body: body,
				kind: "application/json", match: f.base, reason: s.because("shift by command"),
			}, &begun); err != nil {
				return explain(err)
			}
			if !f.wait {
				return s.print(begun, func() { s.tellBegun(begun.Shifts) })
			}
			return s.awaitShifts(c, begun.Shifts)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.from, "from", "", "the provider that loses, in the place of weights")
	flags.StringVar(&f.to, "to", "", "the provider that gains")
	flags.Float64Var(&f.by, "by", 0, "percentage points that move (default: all that --from has)")
	flags.Float64SliceVar(&f.steps, "steps", state.ShiftSteps(), "percent of the way, rising to 100")
	flags.StringVar(&f.every, "every", state.ShiftEvery.String(), "at least this long after each step before the next one, 10s to 24h")
	flags.StringVar(&f.onTrouble, "on-trouble", "back", "back: the weights from before, at once; stay: stop where it is")
	flags.Float64Var(&f.margin, "margin", state.ShiftMargin, "percentage points by which who gains may succeed less often than who loses")
	flags.BoolVar(&f.wait, "wait", false, "show each step until the shift is over; exit 1 if it did not finish")
	flags.StringVar(&f.base, "base", "", "refuse if another revision is in force")
	return c
}

// body is the request as the API takes it.
func (f *shiftFlags) body(args []string) ([]byte, error) {
	plan := map[string]any{"steps": f.steps, "every": f.every, "on_trouble": f.onTrouble, "margin": f.margin}
	if args[0] != "all" {
		plan["regions"] = []string{args[0]}
	}
	if f.from != "" || f.to != "" || f.by != 0 {
		plan["from"], plan["to"], plan["by"] = f.from, f.to, f.by
	}
	switch named := len(args) > 1; {
	case named == (plan["from"] != nil):
		return nil, usageError{errors.New("name the weights at the end (main=20 backup=80), or --from and --to")}
	case named:
		weights, err := weightsBody(args[1:])
		if err != nil {
			return nil, err
		}
		plan["weights"] = json.RawMessage(weights)
	}
	body, err := json.Marshal(plan)
	if err != nil { // JSON has no NaN
		return nil, usageError{fmt.Errorf("--steps, --by and --margin: want numbers: %w", err)}
	}
	return body, nil
}

func (s *settings) tellBegun(list []shifted) {
	for _, f := range list {
		fmt.Fprintf(s.io.out, "shift %s of %s in %s: %s, at %v %% of the way, a step every %s\n", f.ID, f.Service, f.Region, f.words(), f.Steps, f.Every)
	}
	if len(list) == 1 {
		fmt.Fprintf(s.io.out, "segue shift show|stop|back|finish %s\n", list[0].ID)
	}
}

// words is what moves.
func (f *shifted) words() string {
	var parts []string
	for _, side := range f.Success {
		parts = append(parts, fmt.Sprintf("%s %g → %g %%", side.Provider, f.Start[side.Provider], f.Target[side.Provider]))
	}
	return strings.Join(parts, ", ")
}

// progress is how far it is, on one line.
func (f *shifted) progress(now time.Time) string {
	text := fmt.Sprintf("step %d of %d", f.Taken, len(f.Steps))
	for _, side := range f.Success {
		text += fmt.Sprintf(" · %s %g %%", side.Provider, f.Set[side.Provider])
		if side.Success >= 0 {
			text += fmt.Sprintf(", succeeds in %.1f %% of %d calls", side.Success, side.Calls)
		}
	}
	switch {
	case f.Phase == state.Shifting && f.Taken == len(f.Steps):
		text += " · done in " + until(f.Next, now)
	case f.Phase == state.Shifting && f.Taken > 0:
		text += " · next step in " + until(f.Next, now)
	case f.Why != "":
		text += " · " + string(f.Phase) + ": " + f.Why
	case f.Phase != state.Shifting:
		text += " · " + string(f.Phase)
	}
	return text
}

func until(at, now time.Time) string { return max(at.Sub(now), 0).Round(time.Second).String() }

func newShiftList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Shifts under way, and the last that ended", Args: cobra.NoArgs, Example: "  segue shift list",
		RunE: func(c *cobra.Command, _ []string) error {
			var all shiftList
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/shifts"}, &all); err != nil {
				return err
			}
			return s.print(all, func() {
				if len(all.Shifts) == 0 {
					fmt.Fprintln(s.io.out, "no shift was begun; segue shift begin --help says how")
					return
				}
				rows := [][]string{{"ID", "SERVICE", "REGION", "PHASE", "STEP", "WHAT", "BEGAN", "BY"}}
				for _, f := range all.Shifts {
					rows = append(rows, []string{f.ID, f.Service, f.Region, string(f.Phase), fmt.Sprintf("%d of %d", f.Taken, len(f.Steps)), f.words(), f.Began.Local().Format(time.DateTime), f.By})
				}
				s.table(rows)
			})
		},
	}
}

func newShiftShow(s *settings) *cobra.Command {
	var wait bool
	c := &cobra.Command{
		Use: "show [ID]", Short: "One shift: its steps, its next one, and how both sides do", Args: cobra.MaximumNArgs(1), Example: "  segue shift show\n  segue shift show sh_7f3a21b04c --wait",
		RunE: func(c *cobra.Command, args []string) error {
			f, err := s.oneShift(c, args)
			if err != nil {
				return err
			}
			if wait {
				return s.awaitShifts(c, []shifted{f})
			}
			return s.print(f, func() { s.tellShift(&f) })
		},
	}
	c.Flags().BoolVar(&wait, "wait", false, "show each step until the shift is over; exit 1 if it did not finish")
	return c
}

func (s *settings) tellShift(f *shifted) {
	fmt.Fprintf(s.io.out, "shift %s of %s in %s: %s\n%s\n", f.ID, f.Service, f.Region, f.words(), f.progress(time.Now()))
	fmt.Fprintf(s.io.out, "by %s, %s: %s\nsteps at %v %% of the way, one every %s; on trouble %s\n", f.By, f.Began.Local().Format(time.DateTime), f.Reason, f.Steps, f.Every, f.OnTrouble)
}

// oneShift is the shift that is named, or the one under way.
func (s *settings) oneShift(c *cobra.Command, args []string) (f shifted, err error) {
	if len(args) == 1 {
		err = s.request(c.Context(), call{method: http.MethodGet, path: "/shifts/" + url.PathEscape(args[0])}, &f)
		return f, err
	}
	var all shiftList
	if err := s.request(c.Context(), call{method: http.MethodGet, path: "/shifts"}, &all); err != nil {
		return f, err
	}
	var ids []string
	for _, one := range all.Shifts {
		if one.Phase.UnderWay() {
			f, ids = one, append(ids, one.ID)
		}
	}
	switch len(ids) {
	case 0:
		return f, errors.New("no shift is under way; segue shift list shows the last that ended")
	case 1:
		return f, nil
	default:
		return f, usageError{fmt.Errorf("%d shifts are under way: name one of %s", len(ids), strings.Join(ids, ", "))}
	}
}

func newShiftAct(s *settings, act state.Act, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: string(act) + " [ID]", Short: short, Long: long, Args: cobra.MaximumNArgs(1),
		Example: fmt.Sprintf("  segue shift %s\n  segue shift %s sh_7f3a21b04c --reason \"as agreed\"", act, act),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				one, err := s.oneShift(c, nil)
				if err != nil {
					return err
				}
				args = []string{one.ID}
			}
			var f shifted
			if err := s.request(c.Context(), call{method: http.MethodPost, path: "/shifts/" + url.PathEscape(args[0]) + "/" + string(act), reason: s.because(string(act) + " by command")}, &f); err != nil {
				return explain(err)
			}
			return s.print(f, func() { s.tellShift(&f) })
		},
	}
}

// The times of --wait.
const (
	shiftLook    = 500 * time.Millisecond
	shiftSilence = time.Minute // an election passes in less; then nobody answers
)

// awaitShifts shows what happens to shifts until all of them are over.
func (s *settings) awaitShifts(c *cobra.Command, list []shifted) error {
	tick := time.NewTicker(shiftLook)
	defer tick.Stop()
	said, heard := make([]string, len(list)), time.Now()
	for {
		open := 0
		for i := range list {
			var next shifted
			err := s.request(c.Context(), call{method: http.MethodGet, path: "/shifts/" + url.PathEscape(list[i].ID)}, &next)
			switch {
			case c.Context().Err() != nil:
				return fmt.Errorf("no longer watched, and it goes on: segue shift stop %s", list[i].ID)
			case err == nil:
				list[i], heard = next, time.Now()
			case !passes(err) || time.Since(heard) > shiftSilence:
				return err
			}
			if mark := fmt.Sprint(list[i].Taken, list[i].Phase); mark != said[i] {
				said[i] = mark
				fmt.Fprintf(s.io.err, "%s %s %s: %s\n", time.Now().Format(time.TimeOnly), list[i].Service, list[i].Region, list[i].progress(time.Now()))
			}
			if list[i].Phase.UnderWay() {
				open++
			}
		}
		if open == 0 {
			return s.tellEnd(list)
		}
		select {
		case <-tick.C:
		case <-c.Context().Done():
			return fmt.Errorf("no longer watched, and it goes on: segue shift stop %s", list[0].ID)
		}
	}
}

// passes tells what an election brings along.
func passes(err error) bool {
	var refused *state.Error
	return errors.As(err, &refused) && (refused.Code == state.NoLeader || refused.Code == state.Unknown)
}

func (s *settings) tellEnd(list []shifted) error {
	if err := s.print(shiftList{list}, func() {}); err != nil {
		return err
	}
	for _, f := range list {
		if f.Phase != state.Finished {
			return fmt.Errorf("shift %s of %s in %s did not finish, it is %s: %s", f.ID, f.Service, f.Region, f.Phase, f.Why)
		}
	}
	return nil
}
