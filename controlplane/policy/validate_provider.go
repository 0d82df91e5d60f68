package policy

import (
	"slices"
	"strings"
)

func (c *checker) providerNames() []string {
	names := make([]string, len(c.Providers))
	for i := range c.Providers {
		names[i] = c.Providers[i].Name
	}
	return names
}

func (c *checker) providers() {
	c.unique("providers", c.providerNames(), nameProblem)
	for i := range c.Providers {
		c.provider(&c.Providers[i])
	}
}

func (c *checker) provider(p *ProviderSpec) {
	path := join("providers", clip(p.Name))
	contract, _, err := c.catalog.resolve(p.Contract)
	switch {
	case p.Contract == "":
		c.lacks(path+".contract", "name one, like stripe/v1")
	case err != nil:
		c.problem(path+".contract", didYouMean(p.Contract, c.catalog.names()), "%v", err)
	default:
		c.reachable(path, p, contract.Endpoint)
	}
	c.regionValues(path+".endpoint", p.Endpoint, endpointsProblem)
	if len(p.Credential) == 0 {
		c.lacks(path+".credential", "write caller (the application's own key), env:NAME or file:PATH")
	}
	c.regionValues(path+".credential", p.Credential, credentialProblem)
	c.regionValues(path+".webhook_secret", p.HookSecret, hookSecretProblem)
	if len(p.HookSecret) > 0 && err == nil && !contract.Webhooks.say() {
		c.problem(path+".webhook_secret", "leave it out, or state webhooks in the contract", "does nothing: contract %s says nothing of webhooks", clip(p.Contract))
	}
	if strings.ContainsFunc(p.Account, func(r rune) bool { return r <= ' ' || r > '~' }) || len(p.Account) > maxName {
		c.problem(path+".account", "write its id at the provider", "is no account's name")
	}
	c.limits(path+".limits", p.Limits)
	c.offer(path, p)
	c.checksOf(path+".checks", p, &contract)
	if err == nil {
		c.synthetics(path+".synthetics", p.Synthetics, &contract)
		c.syntheticRuns(path+".checks", p, &contract)
	}
}

// reachable wants an endpoint and a credential in every region where the provider serves.
func (c *checker) reachable(path string, p *ProviderSpec, contracts string) {
	var unreachable, locked []string
	for _, r := range c.Regions {
		if !c.serves(p.Name, r.Name) {
			continue
		}
		if p.EndpointIn(r.Name) == "" && contracts == "" {
			unreachable = append(unreachable, clip(r.Name))
		}
		if len(p.Credential) > 0 && p.CredentialIn(r.Name) == "" {
			locked = append(locked, clip(r.Name))
		}
	}
	if len(unreachable) > 0 {
		c.missing[path+".endpoint"] = true
		c.problem(path+".endpoint", "write its base URL: contract "+p.Contract+" has none", "is missing for %s", strings.Join(unreachable, ", "))
	}
	if len(locked) > 0 {
		c.problem(path+".credential", "add them, or "+Default, "is missing for %s", strings.Join(locked, ", "))
	}
}

func (c *checker) serves(provider, region string) bool {
	return slices.ContainsFunc(c.Services, func(s ServiceSpec) bool {
		return slices.Contains(s.ProvidersIn(region), provider)
	})
}

func (c *checker) regionValues(path string, values []RegionValue, problem func(string) (what, fix string)) {
	var keys []string
	for _, v := range values {
		keys = append(keys, v.Region)
		if what, fix := problem(v.Value); what != "" {
			c.problem(regionPath(path, v.Region, len(values)), fix, "%s", what)
		}
	}
	c.regionKeys(path, keys)
}

// parseCredential splits caller, env:NAME and file:PATH.
func parseCredential(text string) (Credential, bool) {
	kind, ref, found := strings.Cut(text, ":")
	switch {
	case kind == CredentialCaller && !found:
	case kind == CredentialEnv && envName(ref):
	case kind == CredentialFile && ref != "" && !strings.ContainsFunc(ref, unprintable):
	default:
		return Credential{}, false
	}
	return Credential{Kind: kind, Ref: ref}, true
}

// envName tells whether s can name an environment variable.
func envName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// credentialProblem does not repeat the text: it could be the secret itself.
func credentialProblem(text string) (what, fix string) {
	if _, ok := parseCredential(text); ok {
		return "", ""
	}
	return "is neither caller, env:NAME nor file:PATH (credentials that Segue keeps itself are not built yet)",
		"name where the secret is; the secret itself never stands in a policy"
}

// hookSecretProblem is credentialProblem for a secret that no caller sends.
func hookSecretProblem(text string) (what, fix string) {
	if text == CredentialCaller {
		return "is not the caller's: it signs what the provider sends", "write env:NAME or file:PATH"
	}
	return credentialProblem(text)
}

func (c *checker) limits(path string, l Limits) {
	if l.InFlight < 0 || l.InFlight > maxInFlight {
		c.problem(path+".in_flight", "", "%d is not between 1 and %d", l.InFlight, maxInFlight)
	}
	if !(l.Rate >= 0 && l.Rate <= maxRate) {
		c.problem(path+".rate", "", "%v a second is not between 0 and %d", l.Rate, maxRate)
	}
}
