package policy

import (
	"strings"
	"testing"
	"time"
)

// TestOrdersAboutTransactions: what an order to verify or resolve must say, each mistake with its field.
func TestOrdersAboutTransactions(t *testing.T) {
	good := func() Order {
		return Order{Kind: Resolve, About: &About{"tx_1", "not_sent", "their log"}, For: time.Minute, Reason: "asked"}
	}
	for name, c := range map[string]struct {
		change func(*Order)
		field  string
	}{
		"fine":                        {func(*Order) {}, ""},
		"verify":                      {func(o *Order) { o.Kind, o.About = Verify, &About{Transaction: "tx_1"} }, ""},
		"verify with an outcome":      {func(o *Order) { o.Kind = Verify }, "about"},
		"no evidence":                 {func(o *Order) { o.About.Evidence = " \n" }, "about.evidence"},
		"too much evidence":           {func(o *Order) { o.About.Evidence = strings.Repeat("x", maxEvidence+1) }, "about.evidence"},
		"no reason":                   {func(o *Order) { o.Reason = " " }, "reason"},
		"a guess":                     {func(o *Order) { o.About.Outcome = "unknown" }, "about.outcome"},
		"no transaction":              {func(o *Order) { o.About.Transaction = "ch_1" }, "about.transaction"},
		"a provider":                  {func(o *Order) { o.Provider = "main" }, "about"},
		"too long":                    {func(o *Order) { o.For = time.Hour }, "for"},
		"nothing it is about":         {func(o *Order) { o.About = nil }, "about"},
		"a drain about a transaction": {func(o *Order) { o.Kind = Drain }, "about"},
	} {
		o := good()
		c.change(&o)
		err := o.Check(&Policy{})
		if c.field == "" && err != nil || c.field != "" && (err == nil || !strings.HasPrefix(err.Error(), c.field)) {
			t.Errorf("%s: %v, want %q", name, err, c.field)
		}
	}
}
