package simulator

import (
	"fmt"
	"slices"
)

// Case is one story at one rate, with so many seeds.
type Case struct {
	Scenario string
	Rate     float64
	Seeds    int
}

// Job is one run.
type Job struct {
	Scenario string
	Rate     float64
	Seed     uint64
	Player   string
}

// Rates are those of the full study, calls per second and region.
func Rates() []float64 { return []float64{.5, 5, 50, 1000} }

// Full is the study that is committed with the documentation: every story at every rate. Seeds are runs at 50 a second; slower ones
// have as many, faster ones fewer.
func Full(seeds int) []Case {
	var cases []Case
	for _, s := range Scenarios() {
		for _, rate := range Rates() {
			n := seeds
			if rate > 100 {
				n = max(1, seeds/5)
			}
			cases = append(cases, Case{s.Name, rate, n})
		}
	}
	return append(cases, Case{"outage", 2, max(200, seeds)})
}

// Small is what every test run plays: the stories that bars speak of, with few seeds.
func Small() []Case {
	var cases []Case
	for _, s := range Scenarios() {
		cases = append(cases, Case{s.Name, 50, 1})
	}
	for i := range cases {
		switch cases[i].Scenario {
		case "brownout-30", "grey", "black-hole":
			cases[i].Seeds = 3
		default:
		}
	}
	return append(cases, Case{"outage", 2, 5})
}

// Jobs are the runs of the cases, in the order in which their tallies are merged. Seeds count up from first.
func Jobs(cases []Case, players []string, first uint64) []Job {
	var jobs []Job
	for _, c := range cases {
		for _, p := range players {
			for i := range c.Seeds {
				jobs = append(jobs, Job{c.Scenario, c.Rate, first + uint64(i), p})
			}
		}
	}
	return jobs
}

// Play runs one job.
func Play(j Job, streams Streams) (*Tally, error) {
	s, ok := Find(j.Scenario)
	if !ok {
		return nil, fmt.Errorf("simulator: there is no scenario %q", j.Scenario)
	}
	return Run(Config{Scenario: s, Rate: j.Rate, Seed: j.Seed, Streams: streams}, j.Player)
}

// Replay is the command that plays a job again.
func (j Job) Replay() string {
	return fmt.Sprintf("segue simulate --scenario %s --rate %v --seed %d --seeds 1 --players %s", j.Scenario, j.Rate, j.Seed, j.Player)
}

// Study is what came of all jobs.
type Study struct {
	First   uint64    `json:"first_seed"`
	Results []Result  `json:"results"`
	Bars    []Bar     `json:"bars"`
	Failing []Failing `json:"failing"` // runs that broke a rule that holds for each run

	groups []*Group
}

// Group is one story at one rate: a merged tally for each player.
type Group struct {
	Scenario Scenario
	Rate     float64
	Tallies  []*Tally // in the players' order
}

// Failing is a run that broke a rule, and how to see it again.
type Failing struct {
	What   string `json:"what"`
	Replay string `json:"replay"`
}

// NewStudy puts the tallies of jobs together, in the order of the jobs: whoever played them in which order makes no difference.
func NewStudy(first uint64, jobs []Job, tallies []*Tally) *Study {
	s := &Study{First: first}
	for i, t := range tallies {
		if t == nil {
			continue
		}
		s.check(jobs[i], t)
		g := s.group(jobs[i])
		if k := slices.IndexFunc(g.Tallies, func(o *Tally) bool { return o.Player == t.Player }); k >= 0 {
			g.Tallies[k].Merge(t)
		} else {
			g.Tallies = append(g.Tallies, t)
		}
	}
	for _, g := range s.groups {
		for _, t := range g.Tallies {
			s.Results = append(s.Results, t.Result(g.Tally(Oracle)))
		}
	}
	s.Bars = s.bars()
	return s
}

func (s *Study) group(j Job) *Group {
	for _, g := range s.groups {
		if g.Scenario.Name == j.Scenario && g.Rate == j.Rate {
			return g
		}
	}
	scene, _ := Find(j.Scenario)
	g := &Group{Scenario: scene, Rate: j.Rate}
	s.groups = append(s.groups, g)
	return g
}

// Tally is a player's, or nil.
func (g *Group) Tally(player string) *Tally {
	for _, t := range g.Tallies {
		if t.Player == player {
			return t
		}
	}
	return nil
}

// find is a player's result, or nil.
func (s *Study) find(scenario string, rate float64, player string) *Result {
	for i := range s.Results {
		if r := &s.Results[i]; r.Scenario == scenario && r.Rate == rate && r.Player == player {
			return r
		}
	}
	return nil
}

// Quiet leaves the turns of circuits out.
func (s *Study) Quiet() {
	for i := range s.Results {
		s.Results[i].Turns = nil
	}
}

// ours tells Segue's players from the others.
func ours(player string) bool { return strategies()[player] != "" }

// mostFailing bounds the list: one seed is enough to begin with.
const mostFailing = 20

// check holds one run of Segue's against what must hold in each.
func (s *Study) check(j Job, t *Tally) {
	broke := func(what string) {
		if len(s.Failing) < mostFailing {
			s.Failing = append(s.Failing, Failing{what, j.Replay()})
		}
	}
	if !ours(j.Player) {
		return
	}
	if t.Duplicates > 0 {
		broke(fmt.Sprintf("%d executions beside the first", t.Duplicates))
	}
	if j.Scenario == "declines" && t.Gates > 0 {
		broke(fmt.Sprintf("%d gates shut because issuers declined", t.Gates))
	}
}
