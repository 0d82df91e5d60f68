package policy

import "go.yaml.in/yaml/v3"

func writePlan(w writer, p *Plan) {
	writeOrder(w, "providers", p.Providers)
	switch b := p.Balance; {
	case b.Preset != "":
		w.text("balance", b.Preset)
	case b != (Balance{}):
		m := w.below("balance", yaml.FlowStyle)
		m.number("cost", b.Cost)
		m.number("reliability", b.Reliability)
		m.number("latency", b.Latency)
	}
	if h := p.HighValue; h != (ValuePlan{}) {
		m := w.below("high_value", yaml.FlowStyle)
		m.text("above", h.Above.String())
		m.text("prefer", string(h.Prefer))
	}
	if s := p.Shift; s != (Shift{}) {
		m := w.below("shift", yaml.FlowStyle)
		m.span("away", s.Away)
		m.span("back", s.Back)
	}
	if s := p.Budget; s != (SpendPlan{}) {
		m := w.below("budget", yaml.FlowStyle)
		m.text("spend", s.text())
		m.text("then", string(s.Then))
	}
	writeRules(w, p.Rules)
}

func writeRules(w writer, rules []RuleSpec) {
	if len(rules) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for i := range rules {
		m := mapping()
		m.node.Style = yaml.FlowStyle
		m.text("name", rules[i].Name)
		m.text("when", rules[i].When)
		m.texts("only", rules[i].Only)
		m.texts("never", rules[i].Never)
		m.texts("needs", rules[i].Needs)
		list.Content = append(list.Content, m.node)
	}
	w.add("rules", list)
}

// number leaves out what is 0.
func (w writer) number(key string, f float64) {
	if f != 0 {
		w.add(key, numberNode(f))
	}
}

func writeRetryBudget(w writer, b RetryBudget) {
	if b == (RetryBudget{}) {
		return
	}
	m := w.below("budget", yaml.FlowStyle)
	m.number("ratio", b.Ratio)
	if b.Floor != 0 {
		m.text("floor", percent(b.Floor)+"/s")
	}
}

func writeCosts(w writer, costs []RegionCost) {
	if len(costs) == 1 && costs[0].Region == "" {
		writeCost(w.below("cost", yaml.FlowStyle), &costs[0].CostSpec)
		return
	}
	if len(costs) > 0 {
		m := w.below("cost", 0)
		for i := range costs {
			writeCost(m.below(regionKey(costs[i].Region), yaml.FlowStyle), &costs[i].CostSpec)
		}
	}
}

func writeCost(w writer, c *CostSpec) {
	writeTariff(w, &c.TariffSpec)
	if len(c.Tiers) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range c.Tiers {
			m := mapping()
			m.text("above", c.Tiers[i].Above.String())
			writeTariff(m, &c.Tiers[i].TariffSpec)
			list.Content = append(list.Content, m.node)
		}
		w.add("tiers", list)
	}
	if len(c.Currencies) > 0 {
		m := w.below("currencies", 0)
		for i := range c.Currencies {
			writeTariff(m.below(c.Currencies[i].Currency, 0), &c.Currencies[i].TariffSpec)
		}
	}
}

func writeTariff(w writer, t *TariffSpec) {
	w.text("fixed", t.Fixed.String())
	w.number("percent", t.Percent)
	if t.In != (Price{}) || t.Out != (Price{}) {
		m := w.below("tokens", yaml.FlowStyle)
		m.text("in", t.In.String())
		m.text("out", t.Out.String())
	}
	w.text("segment", t.Segment.String())
}

func writeExchange(w writer, e ExchangeSpec) {
	if e.Base == "" {
		return
	}
	m := w.below("exchange", yaml.FlowStyle)
	m.text("base", e.Base)
	if len(e.Rates) > 0 {
		rates := m.below("rates", yaml.FlowStyle)
		for _, r := range e.Rates {
			rates.add(r.Currency, numberNode(r.Rate))
		}
	}
}
