package policy

import (
	"fmt"
	"strings"
)

// percentBillion is one percent in billionths.
const percentBillion = billion / 100

// fee compiles what a provider asks here.
func (b *builder) fee(p *ProviderSpec) Fee {
	c, said := p.CostIn(b.region)
	if !said {
		return Fee{}
	}
	f := Fee{Known: true, Tariff: b.tariff(&c.TariffSpec)}
	for i := range c.Tiers {
		f.Steps = append(f.Steps, Step{b.exchange.price(c.Tiers[i].Above), b.tariff(&c.Tiers[i].TariffSpec)})
	}
	for i := range c.Currencies {
		f.Of = append(f.Of, Priced{CurrencyOf(c.Currencies[i].Currency), b.tariff(&c.Currencies[i].TariffSpec)})
	}
	return f
}

func (b *builder) tariff(t *TariffSpec) Tariff {
	return Tariff{
		Fixed: b.exchange.price(t.Fixed), Billion: int64(float64(t.Percent*percentBillion) + 0.5),
		In: b.exchange.price(t.In), Out: b.exchange.price(t.Out), Segment: b.exchange.price(t.Segment),
	}
}

func tierPath(path string, i int) string { return fmt.Sprintf("%s.tiers[%d]", path, i) }

// text says a price list in a few words: 0.25 EUR + 1.5 %.
func (t *TariffSpec) text() string {
	var parts []string
	for _, one := range [...]struct {
		price Price
		unit  string
	}{{t.Fixed, ""}, {t.In, " per million tokens in"}, {t.Out, " per million tokens out"}, {t.Segment, " per segment"}} {
		if one.price != (Price{}) {
			parts = append(parts, one.price.String()+one.unit)
		}
		if one.unit == "" && t.Percent != 0 {
			parts = append(parts, percent(t.Percent)+" %")
		}
	}
	return strings.Join(parts, " + ")
}

// Text says what a call costs in one line.
func (c *CostSpec) Text() string {
	parts := []string{c.TariffSpec.text()}
	if parts[0] == "" {
		parts = nil
	}
	for i := range c.Tiers {
		parts = append(parts, "above "+c.Tiers[i].Above.String()+" "+c.Tiers[i].text())
	}
	for i := range c.Currencies {
		parts = append(parts, "in "+c.Currencies[i].Currency+" "+c.Currencies[i].text())
	}
	return strings.Join(parts, "; ")
}
