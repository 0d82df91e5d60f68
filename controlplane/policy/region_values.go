package policy

// Service returns the service called name, or nil.
func (p *Policy) Service(name string) *ServiceSpec {
	for i := range p.Services {
		if p.Services[i].Name == name {
			return &p.Services[i]
		}
	}
	return nil
}

// Provider returns the provider called name, or nil.
func (p *Policy) Provider(name string) *ProviderSpec {
	for i := range p.Providers {
		if p.Providers[i].Name == name {
			return &p.Providers[i]
		}
	}
	return nil
}

// WeightsIn returns the weights that hold in a region, nil where there are none.
func (s *ServiceSpec) WeightsIn(region string) []Weight {
	w, _ := inRegion(s.Weights, region, func(w RegionWeights) string { return w.Region })
	return w.Weights
}

// PriorityIn returns the order that holds in a region, nil where there is none.
func (s *ServiceSpec) PriorityIn(region string) []string {
	p, _ := inRegion(s.Priority, region, func(p RegionPriority) string { return p.Region })
	return p.Providers
}

// ProvidersIn returns the providers that serve a service in a region, the preferred first where there is an order.
func (s *ServiceSpec) ProvidersIn(region string) []string {
	switch {
	case s.Strategy == Priority:
		return s.PriorityIn(region)
	case s.Strategy.listed():
		return s.ListedIn(region)
	}
	var names []string
	for _, w := range s.WeightsIn(region) {
		names = append(names, w.Provider)
	}
	return names
}

// CredentialIn returns the provider's credential in a region as it is written, "" where it has none.
func (p *ProviderSpec) CredentialIn(region string) string { return valueIn(p.Credential, region) }

// HookSecretIn returns where the secret of the provider's webhooks is in a region, "" where it has none.
func (p *ProviderSpec) HookSecretIn(region string) string { return valueIn(p.HookSecret, region) }

// AccountName names the key domain: calls under one account at one provider share its keys.
func (p *ProviderSpec) AccountName() string {
	if p.Account == "" {
		return p.Name
	}
	return p.Account
}

func valueIn(values []RegionValue, region string) string {
	v, _ := inRegion(values, region, func(v RegionValue) string { return v.Region })
	return v.Value
}

// inRegion finds the entry of a region, or the default's.
func inRegion[T any](entries []T, region string, of func(T) string) (found T, ok bool) {
	for _, e := range entries {
		if name := of(e); name == region {
			return e, true
		} else if name == "" {
			found, ok = e, true
		}
	}
	return found, ok
}
