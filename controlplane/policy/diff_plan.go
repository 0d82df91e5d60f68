package policy

import (
	"strings"
	"time"
)

// text is the balance as people read it.
func (b Balance) text() string {
	if b.Preset != "" {
		return b.Preset
	}
	var parts []string
	for _, one := range [...]struct {
		name string
		part float64
	}{{"cost", b.Cost}, {"reliability", b.Reliability}, {"latency", b.Latency}} {
		if one.part != 0 {
			parts = append(parts, one.name+" "+percent(one.part))
		}
	}
	return strings.Join(parts, ", ")
}

// planFacts are what a service is steered by, beside its strategy.
func planFacts(p *Policy, path string, s *ServiceSpec) []fact {
	balance := ""
	if s.Strategy == Adaptive {
		balance = s.Balance.filled().text()
	}
	above := ""
	if h := s.HighValue.filled(); h != (ValuePlan{}) {
		above = "above " + h.Above.String() + " prefer " + string(h.Prefer)
	}
	budget := s.Budget.text()
	if budget != "" {
		budget += ", then " + string(s.Budget.filled().Then)
	}
	var list []fact
	for _, f := range [][2]string{
		{"balance", balance},
		{"high_value", above},
		{"shift.away", spanText(s.Shift.Away)},
		{"shift.back", spanText(s.Shift.Back)},
		{"budget", budget},
		{"attempts.budget", s.Attempts.Budget.filled().text()},
		{"breaker.percent", s.Breaker.filled().text()},
	} {
		list = append(list, fact{path: join(path, f[0]), service: s.Name, label: f[0], value: f[1]})
	}
	for i := range s.Rules {
		list = append(list, fact{path: path + ".rules." + s.Rules[i].Name, service: s.Name, label: "rule", value: p.Sentence(s, &s.Rules[i])})
	}
	return list
}

func (b RetryBudget) text() string {
	if b == (RetryBudget{}) {
		return ""
	}
	return percent(b.Ratio) + " of the calls, at least " + percent(b.Floor) + "/s"
}

// text is the error rate that opens a breaker, "" where none does.
func (b Breaker) text() string {
	if b.Percent == 0 {
		return ""
	}
	return percent(b.Percent) + " % of at least " + percent(float64(b.Calls)) + " calls in " + span(b.Window)
}

// exchangeFacts are what currencies are worth.
func exchangeFacts(p *Policy) []fact {
	var list []fact
	if base := p.base(); base != "" { // also where no rate is given: agents account in it
		list = append(list, fact{path: "exchange.base", label: "base currency", value: base})
	}
	for _, r := range p.Exchange.Rates {
		list = append(list, fact{path: "exchange.rates." + r.Currency, label: "rate of " + r.Currency, value: percent(r.Rate), unit: " " + p.base()})
	}
	return list
}

// offerFacts are what a provider asks and can.
func offerFacts(p *Policy, path string, s *ProviderSpec) []fact {
	list := []fact{
		{path: path + ".features", provider: s.Name, label: s.Name + " features", value: strings.Join(s.Features, ", ")},
		{path: path + ".near", provider: s.Name, label: s.Name + " near", value: strings.Join(s.Near, ", ")},
	}
	for _, r := range p.Regions {
		value := ""
		if c, said := s.CostIn(r.Name); said {
			value = c.Text()
		}
		list = append(list, fact{path: path + ".cost." + r.Name, provider: s.Name, region: r.Name, label: s.Name + " cost", value: value})
	}
	return list
}

// The defaults of an error rate.
const (
	DefaultWindow = 30 * time.Second
	DefaultCalls  = 20
	maxWindow     = time.Hour
)
