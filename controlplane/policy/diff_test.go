package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func texts(changes []Change) []string {
	var list []string
	for _, c := range changes {
		list = append(list, c.Text)
	}
	return list
}

func TestDiffSaysWhatChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *Policy)
		want   []string
	}{
		{"nothing", func(*Policy) {}, nil},
		{"a weight", func(p *Policy) {
			p.Services[0].Weights[1].Weights = []Weight{{"stripe", 20}, {"other", 70}, {"spare", 10}}
		},
			[]string{"payments / eu-west: stripe 40 → 20 %", "payments / eu-west: other 50 → 70 %"}},
		{"a provider leaves a region", func(p *Policy) { p.Services[0].Weights[0].Weights = []Weight{{"stripe", 70}, {"other", 30}} },
			[]string{"payments / us-east: spare 0 % → none"}},
		{"the default's weights", func(p *Policy) {
			p.Services[0].Weights[2].Weights = []Weight{{"stripe", 100}, {"other", 0}, {"spare", 0}}
		},
			[]string{"payments / ap-south: stripe 33.34 → 100 %", "payments / ap-south: other 33.33 → 0 %", "payments / ap-south: spare 33.33 → 0 %"}},
		{"an order", func(p *Policy) { p.Services[1].Priority[0].Providers = []string{"123", "acme"} },
			[]string{"sms / us-east: order acme, 123 → 123, acme", "sms / eu-west: order acme, 123 → 123, acme"}},
		{"attempts", func(p *Policy) { p.Services[0].Attempts.Max = 3 }, []string{"payments: attempts.max 2 → 3"}},
		{"a default written out", func(p *Policy) { p.Services[1].Breaker = Breaker{Failures: 5, Successes: 5} }, nil},
		{"breaker", func(p *Policy) { p.Services[1].Breaker.Reset = time.Minute }, []string{"sms: breaker.reset 5s doubling to 20s → 1m"}},
		{"listen", func(p *Policy) { p.Services[0].Listen = Listen{Port: 9} }, []string{"payments: listen payments.segue.internal:7101 → 9"}},
		{"operation", func(p *Policy) { p.Services[0].Operations[1].Follows = nil },
			[]string{"payments: operation refund (2. POST /v1/refunds, effect, key required, follows body.charge) → (2. POST /v1/refunds, effect, key required)"}},
		{"endpoint", func(p *Policy) { p.Providers[1].Endpoint[0].Value = "https://new.example" },
			[]string{"other endpoint in eu-west https://eu.example.com/api → https://new.example"}},
		{"credential", func(p *Policy) { p.Providers[0].Credential[0].Value = "env:K" }, []string{
			"stripe credential in us-east caller → env:K", "stripe credential in eu-west caller → env:K", "stripe credential in ap-south caller → env:K"}},
		{"limit", func(p *Policy) { p.Providers[0].Limits.Rate = 0 }, []string{"stripe limits.rate 100/s → none"}},
		{"account by default", func(p *Policy) { p.Providers[0].Account = "stripe" }, nil},
		{"check", func(p *Policy) { p.Providers[0].Checks = Checks{} }, []string{"stripe checks.active GET /v1/balance every 10s → none"}},
		{"contract", func(p *Policy) { p.Contracts[1].Keys.Life = time.Hour }, []string{"acme/v1.2 keys.life 30m → 1h"}},
		{"keys enforced", func(p *Policy) { p.Contracts[0].Keys = Keys{Enforced: true} }, []string{"unkeyed/v1 keys.enforced false → true"}},
		{"standby", func(p *Policy) { p.Regions[0].Standby = p.Regions[0].Standby[:1] }, []string{"standby of us-east eu-west, ap-south → eu-west"}},
		{"a provider more", func(p *Policy) { p.Providers = append(p.Providers, ProviderSpec{Name: "new", Contract: "stripe/v1"}) }, []string{"provider new is new"}},
		{"a new name that another begins with", func(p *Policy) {
			p.Providers = append(p.Providers, ProviderSpec{Name: "str"})
			p.Providers[0].Account = "a2"
		}, []string{"stripe account stripe → a2", "provider str is new"}},
		{"a service less", func(p *Policy) { p.Services = append(p.Services[:1], p.Services[2:]...) }, []string{"service sms is gone"}},
		{"a strategy", func(p *Policy) { s := &p.Services[3]; s.Strategy, s.Balance = Adaptive, Balance{Preset: "cost"} },
			[]string{"mail: strategy nearest → adaptive", "mail: balance none → cost"}},
		{"balance by default", func(p *Policy) { s := &p.Services[2]; s.Balance = Balance{} },
			[]string{"chat: balance cost 60, reliability 20.5, latency 19.5 → balanced"}},
		{"what steers", func(p *Policy) {
			s := &p.Services[2]
			s.HighValue, s.Shift, s.Budget, s.Attempts.Budget = ValuePlan{}, Shift{Back: time.Minute}, SpendPlan{Price{5 * million, "EUR"}, time.Hour, ""}, RetryBudget{Ratio: 1}
			s.Breaker = Breaker{Percent: 40}
		}, []string{"chat: high_value above 12.5 EUR prefer reliability → none", "chat: shift.away 10s → none", "chat: shift.back 1m30s → 1m",
			"chat: budget 200.5 USD/day, then cheapest → 5 EUR/hour, then refuse", "chat: attempts.budget 0.2 of the calls, at least 3/s → 1 of the calls, at least 0/s",
			"chat: breaker.percent 50 % of at least 30 calls in 20s → 40 % of at least 20 calls in 30s"}},
		{"a cost", func(p *Policy) {
			p.Providers[5].Cost = []RegionCost{{Region: "eu-west", CostSpec: CostSpec{TariffSpec: TariffSpec{Fixed: Price{1, "EUR"}, Percent: 2.9}}}}
		},
			[]string{"here cost in us-east 2.5 USD per million tokens in + 10 USD per million tokens out → none",
				"here cost in eu-west 2.5 USD per million tokens in + 10 USD per million tokens out → 0.000001 EUR + 2.9 %",
				"here cost in ap-south 2.5 USD per million tokens in + 10 USD per million tokens out → none"}},
		{"a rule", func(p *Policy) { p.Services[2].Rules[1].Only, p.Services[2].Rules[1].Needs = []string{"here"}, nil },
			[]string{"chat: rule long answers: only who has long-context when body.max_tokens is above 4000 or header.X-Long is yes → long answers: only here when body.max_tokens is above 4000 or header.X-Long is yes"}},
		{"a rule less", func(p *Policy) { p.Services[2].Rules = p.Services[2].Rules[:2] },
			[]string{"chat: rule never there at night: never there when weekday is 0 and (it is a read if value is above 100 EUR, else card.kind is told) → none"}},
		{"features, near, exchange", func(p *Policy) {
			p.Providers[5].Features, p.Providers[7].Near, p.Exchange.Rates = []string{"tools"}, nil, []ExchangeRate{{"USD", 0.5}}
		}, []string{"here features long-context, tools → tools", "near near eu-west, ap-south → none", "rate of USD 0.92 → 0.5 EUR", "rate of GBP 1.17 EUR → none"}},
		{"a contract less", func(p *Policy) { p.Contracts = p.Contracts[1:] }, []string{"contract unkeyed/v1 is gone"}},
		{"another order of the document", func(p *Policy) { slices.Reverse(p.Providers); slices.Reverse(p.Services); slices.Reverse(p.Contracts) }, nil},
	} {
		old, new := good(t, "three-regions"), good(t, "three-regions")
		c.change(new)
		if got := texts(Diff(old, new)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
		if there, back := Diff(old, new), Diff(new, old); len(there) != len(back) {
			t.Errorf("%s: %d changes there, %d back", c.name, len(there), len(back))
		}
	}
}

func TestDiffNamesThePlace(t *testing.T) {
	old, new := good(t, "three-regions"), good(t, "three-regions")
	new.Services[0].Weights[1].Weights[0].Percent = 20
	want := Change{Path: "services.payments.weights.eu-west.stripe", Region: "eu-west", Service: "payments", Provider: "stripe",
		Old: "40", New: "20", Text: "payments / eu-west: stripe 40 → 20 %"}
	if got := Diff(old, new); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v", got)
	}
}

func TestDiffFromNothing(t *testing.T) {
	got := texts(Diff(&Policy{}, good(t, "smallest")))
	want := []string{"region local is new", "service payments is new", "provider main is new", "provider backup is new"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

// How a policy is written does not matter: flat weights and the same weights by region are one policy.
func TestDiffIsByMeaning(t *testing.T) {
	flat := good(t, "flat")
	written := good(t, "flat")
	w := written.Services[0].Weights[0].Weights
	written.Services[0].Weights = []RegionWeights{{"b", w}, {"a", []Weight{w[1], w[0]}}}
	if got := Diff(flat, written); len(got) != 0 {
		t.Errorf("%q", texts(got))
	}
}

// Where a diff says nothing, no agent decides otherwise: an operator who reads the diff has read everything.
func TestDiffLeavesNothingOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies(t)
		q := redraw(t, p)
		if problems := Validate(q); problems != nil {
			t.Skip("not a policy")
		}
		if len(Diff(p, q)) != len(Diff(q, p)) {
			t.Fatalf("there %q, back %q", texts(Diff(p, q)), texts(Diff(q, p)))
		}
		if len(Diff(p, q)) > 0 {
			return
		}
		for _, r := range p.Regions.Names() {
			if was, is := meaning(t, p, r), meaning(t, q, r); !reflect.DeepEqual(was, is) {
				t.Fatalf("no difference told, but %s decides otherwise:\n%s\n%s", r, Marshal(p), Marshal(q))
			}
		}
	})
}

// redraw copies a policy and changes one thing about it, or nothing.
func redraw(t *rapid.T, p *Policy) *Policy {
	q := *p
	q.Services, q.Providers, q.Contracts = slices.Clone(p.Services), slices.Clone(p.Providers), slices.Clone(p.Contracts)
	s := &q.Services[rapid.IntRange(0, len(q.Services)-1).Draw(t, "service")]
	provider := &q.Providers[rapid.IntRange(0, len(q.Providers)-1).Draw(t, "provider")]
	switch rapid.IntRange(0, 12).Draw(t, "what") {
	case 0:
		s.Operations = operationLists(t)
	case 1:
		names := s.allProviders()
		s.Weights, s.Priority, s.Providers, s.Balance = nil, nil, nil, Balance{}
		steer(t, &q, s, names)
	case 2:
		s.Attempts, s.Breaker = Attempts{Max: DefaultMax}, Breaker{Failures: DefaultFailures, Successes: 4}
	case 3:
		provider.Endpoint = byRegion(t, &q, "endpoint", "https://x.example", "https://y.example")
	case 4:
		provider.Credential = byRegion(t, &q, "credential", "caller", "env:A_1")
	case 5:
		provider.Account, provider.Limits, provider.Checks = provider.AccountName(), Limits{InFlight: rapid.IntRange(0, 2).Draw(t, "n")}, Checks{}
	case 6:
		if len(q.Contracts) > 0 {
			q.Contracts[0] = contracts(t, q.Contracts[0].Name)
		}
	case 7:
		q.Regions = slices.Clone(q.Regions)
		q.Regions[0].Standby = nil
	case 8:
		s.Rules = nil
		plans(t, &q, s)
	case 9:
		provider.Cost = nil
		asks(t, &q, provider)
	case 10:
		q.Exchange = exchanges(t)
	}
	return &q
}

// meaning is what an agent decides by, without the order in which weights are written: that decides nothing.
func meaning(t *rapid.T, p *Policy, region string) *Snapshot {
	s, err := Compile(p, region, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, svc := range s.Services {
		if svc.Strategy == Weighted {
			names := make([]string, len(svc.Candidates))
			for i, c := range svc.Candidates {
				names[i] = c.Provider
			}
			slices.SortFunc(svc.Candidates, func(a, b *Candidate) int { return strings.Compare(a.Provider, b.Provider) })
			for i := range svc.Rules {
				var only Set
				for k, c := range svc.Candidates {
					if svc.Rules[i].Only.Has(slices.Index(names, c.Provider)) {
						only = only.With(k)
					}
				}
				svc.Rules[i].Only = only
			}
		}
	}
	answered(s)
	withoutPrograms(s)
	return s
}
