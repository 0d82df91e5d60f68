package simulator

import (
	"fmt"
	"slices"
	"strings"
)

// The players that are no rivals.
const (
	Segue         = "segue"
	SeguePriority = "segue-priority"
	SegueWeighted = "segue-weighted"
	Oracle        = "oracle"
)

// Players are all of them, in the order of the report.
func Players() []string {
	names := []string{Segue, SeguePriority, SegueWeighted}
	for _, r := range Rivals() {
		names = append(names, r.Name)
	}
	return append(names, Oracle)
}

// strategies are Segue's players, by the steering that the policy document asks for.
func strategies() map[string]string {
	return map[string]string{Segue: byBalance, SeguePriority: byPriority, SegueWeighted: byWeights}
}

// newPlayer makes the player of that name.
func newPlayer(name string, s *sim) (player, error) {
	if strategy, ok := strategies()[name]; ok || name == Oracle {
		if name == Oracle {
			strategy = byPriority
		}
		svcs, err := services(strategy, s.Rate, &s.Scenario)
		if err != nil {
			return nil, err
		}
		if name == Oracle {
			return newDriver(&oracle{svcs}, svcs[0]), nil
		}
		return newDriver(newAgents(svcs), svcs[0]), nil
	}
	all := Rivals()
	i := slices.IndexFunc(all, func(r Rival) bool { return r.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("simulator: there is no player %q; there are %s", name, strings.Join(Players(), ", "))
	}
	r := &rivals{}
	for region := range s.Scenario.Regions {
		r.regions[region] = all[i].make(len(s.world.places), s.Streams.Policy)
	}
	return r, nil
}
