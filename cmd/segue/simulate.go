package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"segue/dataplane/simulator"
)

// simulateFlags are what `segue simulate` is told.
type simulateFlags struct {
	scenarios, players, rates []string
	seeds                     int
	seed                      uint64
	full, turns               bool
	out, summary              string
}

// Bounds of a study: what is more was most likely mistyped.
const (
	mostSeeds = 10_000
	mostJobs  = 200_000
)

func newSimulate(s *settings) *cobra.Command {
	f := simulateFlags{}
	c := &cobra.Command{
		Use: "simulate", Short: "Play what can go wrong, in virtual time: Segue's decisions beside other ways to choose", Args: cobra.NoArgs,
		Long: `Plays stories (a brown-out, a black hole, a lost region …) in virtual time: providers
with fees, latencies, queues and keys, callers at random. Segue's own code decides, as
shipped, beside eight other ways to choose and an oracle that knows what ails every
provider. Nothing is sent anywhere; no control plane is needed.

The same seed is the same run, to the last byte. A run that breaks a promise is printed
with the command that plays it again, and the command fails.

What is modelled, and by whose description the others choose: docs/simulator.md`,
		Example: `  segue simulate
  segue simulate --scenario black-hole,grey --rate 50 --seeds 20 --out report.html
  segue simulate --scenario ambiguous --rate 5 --seed 7 --seeds 1 --players segue -o json
  segue simulate --scenario flapping --seed 3 --seeds 1 --players segue --turns
  segue simulate --full --seeds 20 --out docs/simulated.html --summary docs/simulated.md`,
		RunE: func(c *cobra.Command, _ []string) error { return s.simulate(c, &f) },
	}
	flags := c.Flags()
	flags.StringSliceVar(&f.scenarios, "scenario", nil, "stories to play, separated by commas; default: all of "+strings.Join(scenarioNames(), ", "))
	flags.StringSliceVar(&f.players, "players", nil, "who plays, separated by commas; default: all of "+strings.Join(simulator.Players(), ", "))
	flags.StringSliceVar(&f.rates, "rate", []string{"50"}, "calls per second and region, separated by commas")
	flags.IntVar(&f.seeds, "seeds", 3, "runs of each, with seeds counting up")
	flags.Uint64Var(&f.seed, "seed", 1, "the first seed")
	flags.BoolVar(&f.full, "full", false, "every story at every rate: the study of docs/simulated.md (minutes)")
	flags.BoolVar(&f.turns, "turns", false, "tell each turn of Segue's circuits in the first run, and why")
	flags.StringVar(&f.out, "out", "", "write a report with plots: one HTML file that needs nothing else")
	flags.StringVar(&f.summary, "summary", "", "write the tables as Markdown")
	return c
}

func scenarioNames() []string {
	var names []string
	for _, s := range simulator.Scenarios() {
		names = append(names, s.Name)
	}
	return names
}

func (s *settings) simulate(c *cobra.Command, f *simulateFlags) error {
	for _, one := range [...]struct {
		flag string
		list []string
	}{{"scenario", f.scenarios}, {"rate", f.rates}, {"players", f.players}} {
		if c.Flags().Changed(one.flag) && len(one.list) == 0 {
			return usageError{fmt.Errorf("--%s: name at least one, or leave it out for the default", one.flag)}
		}
	}
	cases, err := f.cases(c.Flags().Changed("scenario") || c.Flags().Changed("rate"))
	if err != nil {
		return err
	}
	players, err := known("--players", f.players, simulator.Players())
	if err != nil {
		return err
	}
	for _, file := range []string{f.out, f.summary} { // better now than after minutes
		if err := writable(file); err != nil {
			return err
		}
	}
	jobs := simulator.Jobs(cases, players, f.seed)
	if len(jobs) > mostJobs {
		return usageError{fmt.Errorf("%d runs: at most %d; play fewer stories, rates or seeds at a time", len(jobs), mostJobs)}
	}
	tallies, err := playAll(c.Context(), jobs, s.io.err)
	if errors.Is(err, context.Canceled) {
		return errors.New("simulate: stopped before its end, and nothing was written")
	}
	if err != nil {
		return err
	}
	study := simulator.NewStudy(f.seed, jobs, tallies)
	if !f.turns {
		study.Quiet()
	}
	if err := f.write(study); err != nil {
		return err
	}
	if err := s.print(study, func() { s.showStudy(study, f) }); err != nil {
		return err
	}
	if n := len(study.Failing); n > 0 {
		return fmt.Errorf("simulate: %d runs broke a promise; the first: %s: %s", n, study.Failing[0].What, study.Failing[0].Replay)
	}
	return nil
}

// cases are the stories, rates and seeds that were asked for.
func (f *simulateFlags) cases(narrowed bool) ([]simulator.Case, error) {
	if f.seeds < 1 || f.seeds > mostSeeds {
		return nil, usageError{fmt.Errorf("--seeds %d: want 1 to %d", f.seeds, mostSeeds)}
	}
	if f.seed > math.MaxUint64-mostSeeds {
		return nil, usageError{fmt.Errorf("--seed %d: want a smaller one, seeds count up from it", f.seed)}
	}
	if f.full {
		if narrowed {
			return nil, usageError{errors.New("--full plays every story at every rate: leave out --scenario and --rate")}
		}
		return simulator.Full(f.seeds), nil
	}
	names, err := known("--scenario", f.scenarios, scenarioNames())
	if err != nil {
		return nil, err
	}
	rates, err := f.parsedRates()
	if err != nil {
		return nil, err
	}
	var cases []simulator.Case
	for _, name := range names {
		for _, rate := range rates {
			cases = append(cases, simulator.Case{Scenario: name, Rate: rate, Seeds: f.seeds})
		}
	}
	return cases, nil
}

func (f *simulateFlags) parsedRates() ([]float64, error) {
	var rates []float64
	for _, text := range f.rates {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || !(rate >= simulator.MinRate && rate <= simulator.MaxRate) {
			return nil, usageError{fmt.Errorf("--rate %q: want calls per second from %v to %d, like 50", text, simulator.MinRate, simulator.MaxRate)}
		}
		if slices.Contains(rates, rate) {
			return nil, usageError{fmt.Errorf("--rate %q: is there twice", text)}
		}
		rates = append(rates, rate)
	}
	if len(rates) == 0 {
		return nil, usageError{errors.New("--rate: want at least one, like 50")}
	}
	return rates, nil
}

// known checks names; none are all.
func known(flag string, given, all []string) ([]string, error) {
	if len(given) == 0 {
		return all, nil
	}
	for i, name := range given {
		if !slices.Contains(all, name) {
			return nil, usageError{fmt.Errorf("%s %q: unknown%s; there are %s", flag, name, guess(name, all), strings.Join(all, ", "))}
		}
		if slices.Contains(given[:i], name) {
			return nil, usageError{fmt.Errorf("%s %q: is there twice", flag, name)}
		}
	}
	return given, nil
}

// writable tells beforehand whether a file can be written.
func writable(file string) error {
	if file == "" {
		return nil
	}
	if d, err := os.Stat(filepath.Dir(file)); err != nil || !d.IsDir() {
		return usageError{fmt.Errorf("%s: there is no directory %s", file, filepath.Dir(file))}
	}
	if d, err := os.Stat(file); err == nil && d.IsDir() {
		return usageError{fmt.Errorf("%s: is a directory; name a file in it", file)}
	}
	return nil
}

// write writes the report and the summary, where they were asked for.
func (f *simulateFlags) write(study *simulator.Study) error {
	if f.out != "" {
		page, err := study.HTML()
		if err != nil {
			return fmt.Errorf("simulate: %w", err)
		}
		if err := os.WriteFile(f.out, page, 0o644); err != nil {
			return fmt.Errorf("simulate: %w", err)
		}
	}
	if f.summary != "" {
		if err := os.WriteFile(f.summary, study.Markdown(), 0o644); err != nil {
			return fmt.Errorf("simulate: %w", err)
		}
	}
	return nil
}
