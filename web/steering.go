package web

import (
	"fmt"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/web/view"
)

// steeringOf says in words how a service's provider is chosen.
func steeringOf(doc *policy.Policy, svc *policy.ServiceSpec) *view.Steering {
	s := &view.Steering{Strategy: strategySentence(svc.Strategy)}
	for _, t := range doc.Told(svc) {
		switch name, text := t[0], t[1]; name {
		case "rule":
			s.Rules = append(s.Rules, text)
		default:
			s.Objectives = append(s.Objectives, view.Pair{Name: plainName(name), Value: text})
		}
	}
	if a := attemptsText(svc.Attempts); a != "" {
		s.Objectives = append(s.Objectives, view.Pair{Name: "attempts", Value: a})
	}
	for _, name := range providersOf(svc, doc.Regions.Names()) {
		if p := doc.Provider(name); p != nil {
			o := offerOf(doc, p)
			s.Providers = append(s.Providers, o)
			s.HasFeatures, s.HasNear = s.HasFeatures || o.Features != "", s.HasNear || o.Near != ""
		}
	}
	return s
}

func strategySentence(s policy.Strategy) string {
	switch s {
	case policy.Weighted:
		return "New sessions are drawn by the shares, among the providers that pass the gates; a session stays where it is."
	case policy.Priority:
		return "The first of the order that passes the gates gets every new session; a session stays where it is."
	case policy.Nearest:
		return "Each call goes to whoever is nearest to its user’s region, among the providers that pass the gates."
	case policy.Adaptive:
		return "Each call goes to whoever is worth most for it, among the providers that pass the gates: what it earns when it succeeds, less the fee, less what a failure and the wait cost."
	default:
		return "This program does not know the strategy."
	}
}

// plainName is a field of the document as a page calls it.
func plainName(field string) string {
	switch field {
	case "high_value":
		return "calls of high value"
	case "shift.away":
		return "shifts away over"
	case "shift.back":
		return "shifts back over"
	case "budget":
		return "spend, each agent"
	case "attempts.budget":
		return "retries"
	case "breaker.percent":
		return "opens too at"
	default:
		return field
	}
}

func attemptsText(a policy.Attempts) string {
	var parts []string
	if a.Max > 0 {
		parts = append(parts, "at most "+plural(a.Max, "provider"))
	}
	for _, d := range [...]struct {
		name string
		span time.Duration
	}{{"each for at most", a.PerTry}, {"the whole call within", a.Deadline}} {
		if d.span > 0 {
			parts = append(parts, d.name+" "+hour(d.span)) // as the document writes it
		}
	}
	return strings.Join(parts, ", ")
}

// offerOf is a provider's limits, and what it asks and can.
func offerOf(doc *policy.Policy, p *policy.ProviderSpec) view.Offer {
	o := view.Offer{Provider: p.Name, Limits: limitsText(p.Limits), Cost: "not said", Features: strings.Join(p.Features, ", "), Near: strings.Join(p.Near, ", ")}
	for i := range p.Cost {
		c := &p.Cost[i]
		text := c.Text()
		if c.Region != "" {
			text = c.Region + ": " + text
		}
		if i == 0 {
			o.Cost = text
		} else {
			o.Cost += "; " + text
		}
	}
	return o
}

func limitsText(l policy.Limits) string {
	var parts []string
	if l.InFlight > 0 {
		parts = append(parts, fmt.Sprintf("%d in flight", l.InFlight))
	}
	if l.Rate > 0 {
		parts = append(parts, plain(l.Rate)+"/s")
	}
	if len(parts) == 0 {
		return "no limit"
	}
	return strings.Join(parts, ", ")
}
