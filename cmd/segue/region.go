package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"segue/controlplane/health"
)

// regionRow is a region as the API shows it.
type regionRow struct {
	Name     string             `json:"name"`
	Standby  []string           `json:"standby"`
	Revision uint64             `json:"revision"`
	InForce  bool               `json:"in_force"`
	Why      string             `json:"why,omitempty"`
	Agents   []health.AgentSeen `json:"agents"`
}

func newRegion(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "region", Short: "See where agents run, and by which policy",
		Long: "A region is a place where agents run. Its standby regions are where its callers go when it is lost.",
	}
	group.AddCommand(&cobra.Command{
		Use: "list", Short: "Every region, its agents and the policy in force there", Args: cobra.NoArgs, Example: "  segue region list",
		RunE: func(c *cobra.Command, _ []string) error {
			var list []regionRow
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/regions"}, &list); err != nil {
				return explain(err)
			}
			return s.print(list, func() { s.tellRegions(list) })
		},
	})
	return group
}

func (s *settings) tellRegions(list []regionRow) {
	rows := [][]string{{"REGION", "STANDBY", "POLICY", "AGENTS", "SERVES"}}
	for i := range list {
		r := &list[i]
		heard := 0
		var serves []string
		for _, a := range r.Agents {
			if a.Heard {
				heard++
				serves = append(serves, addresses(a.Addr))
			}
		}
		force := fmt.Sprintf("%d in force", r.Revision)
		if !r.InForce {
			force = fmt.Sprintf("%d is not in force: %s", r.Revision, r.Why)
		}
		rows = append(rows, []string{r.Name, orNothing(strings.Join(r.Standby, ", ")), force, fmt.Sprintf("%d of %d heard", heard, len(r.Agents)), orNothing(strings.Join(serves, "; "))})
	}
	s.table(rows)
}

func addresses(of map[string]string) string {
	var parts []string
	for _, service := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, service+" on "+of[service])
	}
	return strings.Join(parts, ", ")
}

func orNothing(text string) string {
	if text == "" {
		return nothing
	}
	return text
}
