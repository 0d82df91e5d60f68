package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
)

// The times of a probe. The order lives a little longer than anybody waits: an agent that attaches later has nobody to tell.
const (
	probeFor    = time.Minute
	probeWithin = 9 * time.Second  // of which a check that hangs takes five
	runWithin   = 25 * time.Second // for a synthetic, whose steps may take ten each
	probeEvery  = 150 * time.Millisecond
)

// probed is the answer to a probe: what the active checks of a provider showed, agent by agent.
type probed struct {
	Provider string       `json:"provider"`
	Order    string       `json:"order"`
	Results  []probeCheck `json:"results"`
	Silent   []string     `json:"silent"` // regions and agents that told nothing, and why
}

type probeCheck struct {
	Region    string    `json:"region"`
	Agent     string    `json:"agent"`
	Service   string    `json:"service"`
	Kind      string    `json:"kind"`   // active | synthetic
	Name      string    `json:"name"`   // of the check: GET /v1/balance, tcp, tls, or a synthetic's
	Result    string    `json:"result"` // good | warn | bad | busy | cut
	Why       string    `json:"why,omitempty"`
	At        time.Time `json:"at"`
	ElapsedMS float64   `json:"elapsed_ms"`
}

// probe runs a provider's active checks now, or its synthetics, in all regions or some, and answers when every agent has told.
func (w *Web) probe(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var body struct {
		Regions   []string `json:"regions"`
		Synthetic bool     `json:"synthetic"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	done, err := w.probeNow(c.Request().Context(), a, c.Param("provider"), body.Regions, body.Synthetic)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, done)
}

// probeNow gives the order and collects what it led to.
func (w *Web) probeNow(ctx context.Context, a author, provider string, in []string, synthetic bool) (probed, error) {
	given, err := w.order(ctx, a, policy.Order{Kind: policy.Probe, Provider: provider, Regions: in, Synthetic: synthetic, For: probeFor})
	if err != nil {
		return probed{}, err
	}
	within := probeWithin
	if synthetic {
		within = runWithin
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	doc := w.fresh(ctx).State.Current().Policy
	if len(in) == 0 {
		in = doc.Regions.Names()
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	done := probed{Provider: provider, Order: given.Order}
	for {
		answers, err := w.cfg.Control.Ask(ctx, query.Question{Kind: query.Probe, Order: given.Order})
		if err == nil {
			var waiting bool
			if done.Results, done.Silent, waiting = gather(answers, in); !waiting {
				return done, nil
			}
		} else if done.Results == nil && ctx.Err() == nil {
			return done, fmt.Errorf("web: asking agents: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return done, nil
		}
	}
}

// gather puts the agents' answers together, by region. waiting: somebody that can be heard has not told all.
func gather(answers []Answer, in []string) (results []probeCheck, silent []string, waiting bool) {
	results, silent = []probeCheck{}, []string{}
	for _, region := range in {
		agents := 0
		for _, a := range answers {
			if a.Region != region {
				continue
			}
			agents++
			var told query.Probed
			why := a.read(&told)
			switch {
			case why != "":
			case !told.Known:
				why = "the order has not come to it"
				waiting = true
			case !told.Done:
				why = "its check has not ended"
				waiting = true
			case len(told.Results) == 0:
				why = "it runs no active check of this provider: no service of its region uses it"
			}
			if why != "" {
				silent = append(silent, a.Agent+": "+why)
			}
			for _, r := range told.Results {
				results = append(results, probeCheck{
					Region: region, Agent: a.Agent, Service: r.Service, Kind: r.Kind, Name: r.Name, Result: r.Word, Why: r.Why, At: r.At, ElapsedMS: float64(r.Elapsed.Microseconds()) / 1000,
				})
			}
		}
		if agents == 0 {
			silent = append(silent, region+": no agent is attached")
		}
	}
	slices.SortStableFunc(results, func(a, b probeCheck) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Agent, b.Agent))
	})
	return results, silent, waiting
}
