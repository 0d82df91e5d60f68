package policy

import (
	"errors"
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

// TestOrdersAboutOpenTransactions: what an order to look for many outcomes must say, each mistake with its field.
func TestOrdersAboutOpenTransactions(t *testing.T) {
	p := &Policy{Services: []ServiceSpec{{Name: "payments"}}, Providers: []ProviderSpec{{Name: "main"}}}
	for name, c := range map[string]struct {
		change func(*Order)
		field  string
	}{
		"all":                  {func(*Order) {}, ""},
		"some":                 {func(o *Order) { *o.Open = Open{"payments", "main", "cancelling", []string{"tx_1"}, time.Hour, 1} }, ""},
		"no service":           {func(o *Order) { o.Open.Service = "payment" }, "service"},
		"no provider":          {func(o *Order) { o.Open.Provider = "mian" }, "provider"},
		"a state that is none": {func(o *Order) { o.Open.State = "succeeded" }, "state"},
		"no transaction":       {func(o *Order) { o.Open.Transactions = []string{"ch_1"} }, "transactions"},
		"too many named":       {func(o *Order) { o.Open.Transactions = make([]string, maxOpenNamed+1) }, "transactions"},
		"before it began":      {func(o *Order) { o.Open.OlderThan = -1 }, "older_than"},
		"no limit":             {func(o *Order) { o.Open.Limit = 0 }, "limit"},
		"too many":             {func(o *Order) { o.Open.Limit = MaxOpen + 1 }, "limit"},
		"too long":             {func(o *Order) { o.For = time.Hour }, "for"},
		"a provider beside it": {func(o *Order) { o.Provider = "main" }, "open"},
		"nothing it is about":  {func(o *Order) { o.Open = nil }, "open"},
		"a drain of it":        {func(o *Order) { o.Kind, o.Provider = Drain, "main" }, "open"},
	} {
		o := Order{Kind: VerifyAll, Open: &Open{Limit: 500}, For: time.Minute}
		c.change(&o)
		err := o.Check(p)
		var problems Problems
		if c.field == "" && err != nil || c.field != "" && (!errors.As(err, &problems) || problems[0].Path != c.field || problems[0].Fix == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text := (&Open{"payments", "main", "held", nil, time.Hour, 5}).Text(); text != "open transactions of payments at main that are held older than 1h, at most 5 of each agent" {
		t.Errorf("in words: %s", text)
	}
}
