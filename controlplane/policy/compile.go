package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Compile makes the form that an agent in region decides by. The policy may be whole or that region's cut.
func Compile(p *Policy, region string, revision uint64) (*Snapshot, error) {
	c := check(p)
	if err := c.problems.sorted().Err(); err != nil {
		return nil, fmt.Errorf("policy: compile for region %s: %w", region, err)
	}
	here, ok := p.Regions.Find(region)
	if !ok {
		return nil, fmt.Errorf("policy: compile: there is no region %q; known: %s", region, strings.Join(p.Regions.Names(), ", "))
	}
	b := builder{catalog: c.catalog, policy: p, region: region, exchange: p.exchange(), trees: &c.trees, contracts: map[string]*compiledContract{}}
	s := &Snapshot{Region: region, Regions: p.Regions.Names(), Standby: here.Standby, Revision: revision}
	for i := range p.Services {
		svc, err := b.service(&p.Services[i])
		if err != nil {
			return nil, fmt.Errorf("policy: compile service %s for region %s: %w", p.Services[i].Name, region, err)
		}
		svc.Place = len(s.Services)
		s.Services = append(s.Services, svc)
	}
	return s, nil
}

// builder compiles one policy for one region. Candidates with the same contract share it.
type builder struct {
	catalog   catalog
	policy    *Policy
	region    string
	exchange  *Exchange
	trees     *ruleTrees
	contracts map[string]*compiledContract
}

type compiledContract struct {
	Contract
	digest   [32]byte
	chain    []string
	compiled map[string]*programs // of mappings
	places
}

func (b *builder) contract(name string) (*compiledContract, error) {
	if c, ok := b.contracts[name]; ok {
		return c, nil
	}
	resolved, chain, err := b.catalog.resolve(name)
	if err != nil {
		return nil, err
	}
	c := &compiledContract{Contract: resolved, digest: resolved.Digest(), chain: chain}
	if resolved.Credential.Path != "" {
		users, err := parseSlotPath(resolved.Credential.Path)
		if err != nil {
			return nil, fmt.Errorf("contract %s: credential path: %w", name, err)
		}
		c.users = &users
	}
	if err := c.makePassages(); err != nil {
		return nil, fmt.Errorf("contract %s: %w", name, err)
	}
	b.contracts[name] = c
	return c, nil
}

func (b *builder) service(s *ServiceSpec) (*Service, error) {
	spoken, err := b.contract(s.Speaks)
	if err != nil {
		return nil, err
	}
	svc := &Service{
		Name: s.Name, Listen: s.Listen, Speaks: &spoken.Contract, Strategy: s.Strategy,
		Attempts: s.Attempts.filled(), Breaker: s.Breaker.filled(), Session: b.policy.sessionIn(b.catalog, s, b.region), Offline: s.NoQuorum == OfflineAtPin,
	}
	if svc.Operations, err = operations(s, spoken); err != nil {
		return nil, err
	}
	weights := s.WeightsIn(b.region)
	for i, name := range s.ProvidersIn(b.region) {
		c, err := b.candidate(b.policy.Provider(name), s.Speaks)
		if err == nil && !c.SpeaksNative {
			err = b.mapAll(c, i, b.contracts[c.Contract.Name], svc)
		}
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", name, err)
		}
		if s.Strategy == Weighted {
			c.Weight = weights[i].Percent
		}
		c.Offer = Offer{Cost: b.fee(b.policy.Provider(name)), Features: b.policy.Provider(name).Features}
		c.Tells = c.Contract.Tells(&c.Cost)
		svc.Candidates = append(svc.Candidates, c)
		for _, o := range svc.Operations {
			if o.Pin.Provider == name {
				o.PinAt = int8(i + 1)
			}
		}
	}
	b.steer(s, svc)
	return svc, b.rule(s, svc)
}

func operations(s *ServiceSpec, spoken *compiledContract) ([]*Operation, error) {
	specs := s.Operations
	if len(specs) == 0 {
		specs = spoken.Operations
	}
	ops := make([]*Operation, len(specs))
	for i, spec := range specs {
		p, err := parsePattern(spec.Match)
		if err != nil {
			return nil, fmt.Errorf("operation %s: %w", spec.Name, err)
		}
		ops[i] = &Operation{OperationSpec: spec, Index: i, pattern: p}
	}
	return ops, nil
}

func (b *builder) candidate(p *ProviderSpec, speaks string) (*Candidate, error) {
	contract, err := b.contract(p.Contract)
	if err != nil {
		return nil, err
	}
	credential, ok := parseCredential(p.CredentialIn(b.region))
	if !ok {
		return nil, fmt.Errorf("no credential in region %s", b.region)
	}
	endpoints := bare(p.EndpointsIn(b.region))
	if len(endpoints) == 0 {
		endpoints = bare([]string{contract.Endpoint})
	}
	c := &Candidate{
		Provider: p.Name, Contract: &contract.Contract, Digest: contract.digest, Account: p.AccountName(),
		Endpoint: endpoints[0], Further: endpoints[1:], Credential: credential, Limits: p.Limits,
		places: contract.places,
	}
	if c.Hooks, c.Hooked = parseCredential(p.HookSecretIn(b.region)); !c.Hooked {
		c.Hooks = Credential{}
	}
	c.Checks, c.Synthetics = slices.Clone(p.Checks.Active), planned(p, &contract.Contract)
	for _, name := range contract.chain {
		c.SpeaksNative = c.SpeaksNative || name == speaks
	}
	return c, nil
}

// filled puts the defaults where nothing was said.
func (a Attempts) filled() Attempts {
	full := Attempts{Max: DefaultMax, PerTry: DefaultPerTry, Deadline: DefaultDeadline}
	set(&full.Max, a.Max)
	set(&full.PerTry, a.PerTry)
	set(&full.Deadline, a.Deadline)
	full.Budget = a.Budget.filled()
	return full
}

// filled puts the defaults where nothing was said at all: of a budget that names one of its parts the other is nothing.
func (b RetryBudget) filled() RetryBudget {
	if b == (RetryBudget{}) {
		return RetryBudget{Ratio: DefaultRatio, Floor: DefaultFloor}
	}
	return b
}

// filled puts the defaults where nothing was said. A Reset of 0 is the breaker's own: 5 s, doubling.
func (b Breaker) filled() Breaker {
	full := Breaker{Failures: DefaultFailures, Successes: DefaultSuccesses}
	set(&full.Failures, b.Failures)
	set(&full.Successes, b.Successes)
	set(&full.Reset, b.Reset)
	if b.Percent != 0 {
		full.Percent, full.Window, full.Calls = b.Percent, DefaultWindow, DefaultCalls
		set(&full.Window, b.Window)
		set(&full.Calls, b.Calls)
	}
	return full
}

// Cut keeps what an agent in region needs and nothing of what others do: another region's endpoints and credentials stay out of
// its sight. What remains is written for every region ("").  The topology stays whole: callers are told where else to go.
func Cut(p *Policy, region string) *Policy {
	cut := &Policy{Regions: p.Regions, Exchange: p.wholeExchange()}
	used := map[string]bool{}
	all := newCatalog(p.Contracts)
	for _, s := range p.Services {
		for _, name := range s.ProvidersIn(region) {
			used[name] = true
		}
		s.Session = p.sessionIn(all, &s, region)
		if weights := s.WeightsIn(region); len(weights) > 0 {
			s.Weights = []RegionWeights{{Weights: weights}}
		}
		if order := s.PriorityIn(region); len(order) > 0 {
			s.Priority = []RegionPriority{{Providers: order}}
		}
		if list := s.ListedIn(region); len(list) > 0 {
			s.Providers = []RegionPriority{{Providers: list}}
		}
		s.Rules = p.rulesIn(&s, region)
		cut.Services = append(cut.Services, s)
	}
	for _, provider := range p.Providers {
		if used[provider.Name] {
			provider.Endpoint = cutValue(provider.Endpoint, region)
			provider.Credential = cutValue(provider.Credential, region)
			provider.HookSecret = cutValue(provider.HookSecret, region)
			if cost, said := provider.CostIn(region); said {
				provider.Cost = []RegionCost{{CostSpec: cost}}
			} else {
				provider.Cost = nil
			}
			cut.Providers = append(cut.Providers, provider)
		}
	}
	cut.Contracts = cutContracts(p, cut)
	return cut
}

func cutValue(values []RegionValue, region string) []RegionValue {
	if v := valueIn(values, region); v != "" {
		return []RegionValue{{Value: v}}
	}
	return nil
}

// cutContracts keeps the user's contracts that the cut names, with those that they start from.
func cutContracts(p, cut *Policy) []Contract {
	all, used := newCatalog(p.Contracts), map[string]bool{}
	var use func(name string)
	use = func(name string) {
		_, chain, _ := all.resolve(name)
		for _, n := range chain {
			if used[n] {
				continue
			}
			used[n] = true
			one, _ := all.find(n)
			for i := range one.Speaks { // what is mapped is checked against the API that is spoken
				use(one.Speaks[i].API)
			}
		}
	}
	for i := range cut.Services {
		use(cut.Services[i].Speaks)
	}
	for i := range cut.Providers {
		use(cut.Providers[i].Contract)
	}
	var kept []Contract
	for _, c := range p.Contracts {
		if used[c.Name] {
			kept = append(kept, c)
		}
	}
	return kept
}
