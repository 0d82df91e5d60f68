package main

import (
	"context"
	"fmt"
	"net/http"
)

// costs is what calls cost, as the API says it; of the rows, what is shown.
type costs struct {
	Currency string  `json:"currency"`
	Minutes  float64 `json:"minutes"`
	Rows     []struct {
		Service  string   `json:"service"`
		Provider string   `json:"provider"`
		Region   string   `json:"region"`
		Priced   uint64   `json:"priced"`
		Cost     float64  `json:"cost"`
		Thousand *float64 `json:"per_thousand"`
	} `json:"rows"`
}

// tellCosts prints what a provider's calls cost, where the policy has a fee.
func (s *settings) tellCosts(ctx context.Context, provider string) error {
	var all costs
	if err := s.request(ctx, call{method: http.MethodGet, path: "/costs"}, &all); err != nil {
		return explain(err)
	}
	for _, r := range all.Rows {
		if r.Provider == provider && r.Thousand != nil {
			fmt.Fprintf(s.io.out, "costs %.2f %s per 1,000 in %s for %s: %.2f %s for %d calls in %.0f minutes\n",
				*r.Thousand, all.Currency, r.Region, r.Service, r.Cost, all.Currency, r.Priced, all.Minutes)
		}
	}
	return nil
}
