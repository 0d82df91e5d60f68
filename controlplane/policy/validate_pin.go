package policy

import (
	"fmt"
	"slices"
	"strings"
)

// offline checks what goes on without a quorum, and where.
func (c *checker) offline(path string, s *ServiceSpec) {
	pins := 0
	for i := range s.Operations {
		if s.Operations[i].Pin == (OfflinePin{}) {
			continue
		}
		pins++
		c.pin(join(path+".operations", clip(s.Operations[i].Name)), s, &s.Operations[i])
	}
	switch s.NoQuorum {
	case "", RefuseEffects:
	case OfflineAtPin:
		if pins == 0 {
			c.problem(path+".without_quorum", "give an operation its offline_pin: {provider: main}, or write refuse", "no operation of the service has an offline_pin")
		}
	default:
		c.problem(path+".without_quorum", "write refuse or offline_pin, or leave it out", "%q is no way that is built", clip(string(s.NoQuorum)))
	}
}

// unpinned refuses pins in a contract: which provider is one is a service's business.
func (c *checker) unpinned(path string, ops []OperationSpec) {
	for i := range ops {
		if ops[i].Pin != (OfflinePin{}) {
			c.problem(join(path, clip(ops[i].Name))+".offline_pin", "write it in the service's operations", "names a provider, which a contract knows nothing of")
		}
	}
}

// pin checks that two regions which do not hear of each other send one operation's first attempt to the same place, as the same request, under
// the same key, and that the provider makes one of the two.
func (c *checker) pin(path string, s *ServiceSpec, o *OperationSpec) {
	switch {
	case o.Read:
		c.problem(path+".offline_pin", "leave it out", "is for effects: a read is answered without a quorum anyway")
	case !o.Key.Required:
		c.problem(path+".offline_pin", "write key: required, or leave it out", "needs the caller's own key: two regions could derive two")
	case len(o.Follows) > 0:
		c.problem(path+".offline_pin", "leave it out", "is not for a call that follows an object: it goes to the object's owner")
	case o.Leave.Duplicates:
		c.problem(path+".offline_pin", "leave one of them out", "does nothing beside duplicates: accept")
	default:
		c.pinned(path, s, o)
	}
}

func (c *checker) pinned(path string, s *ServiceSpec, o *OperationSpec) {
	path += ".offline_pin"
	p := c.Provider(o.Pin.Provider)
	if p == nil {
		c.problem(path+".provider", didYouMean(o.Pin.Provider, c.providerNames()), "there is no provider %q", clip(o.Pin.Provider))
		return
	}
	contract, chain, err := c.catalog.resolve(p.Contract)
	if err != nil {
		return // it is told where it is named
	}
	class, _ := ClassOf(o, &contract)
	switch {
	case class != Guarded:
		c.problem(path+".provider", "choose one whose contract enforces keys", "%s is class %s for %s: what two regions send would execute twice", p.Name, class, o.Name)
	case contract.Keys.Replay == Stored2xx || contract.Keys.Replay == StoredNone:
		c.problem(path+".provider", "choose one whose contract says replay: all", "%s does not tell a decline again under its key: whether another region's send is declined could never be known", p.Name)
	case !slices.Contains(chain, s.Speaks):
		c.problem(path+".provider", "choose one whose contract is "+s.Speaks, "%s is not sent the application's own key: its API is another", p.Name)
	}
	c.onePlace(path, s, p, o.Pin, &contract)
}

// onePlace checks that a pin is one account at one endpoint, in every region.
func (c *checker) onePlace(path string, s *ServiceSpec, p *ProviderSpec, pin OfflinePin, contract *Contract) {
	var endpoints []string
	for _, r := range c.Regions {
		if !slices.Contains(s.ProvidersIn(r.Name), p.Name) {
			c.problem(path+".provider", "give it a place in every region; a share of 0 is enough", "%s is no provider of the service in %s, and every region sends there", p.Name, clip(r.Name))
			return
		}
		if p.CredentialIn(r.Name) == CredentialCaller {
			c.problem(path+".provider", "give the provider a credential of its own: env:NAME or file:PATH", "%s passes on whichever credential the caller shows: that is not one account", p.Name)
			return
		}
		if n := len(p.EndpointsIn(r.Name)); n > 1 {
			c.problem(path+".provider", "give it one endpoint, or choose another provider", "%s has %d endpoints in %s, and a pin is one place", p.Name, n, clip(r.Name))
			return
		}
		at := strings.TrimRight(p.EndpointIn(r.Name), "/")
		if at == "" {
			at = strings.TrimRight(contract.Endpoint, "/")
		}
		if !slices.Contains(endpoints, at) {
			endpoints = append(endpoints, at)
		}
	}
	switch {
	case len(endpoints) > 1:
		c.problem(path+".provider", "give it one endpoint, or choose another provider", "%s has another endpoint in each region: %s", p.Name, clip(fmt.Sprint(strings.Join(endpoints, ", "))))
	case pin.Endpoint != "" && !slices.Contains(endpoints, strings.TrimRight(pin.Endpoint, "/")):
		c.problem(path+".endpoint", "write the provider's endpoint, or leave it out", "is not where %s is asked", p.Name)
	}
	if pin.Account != "" && pin.Account != p.AccountName() {
		c.problem(path+".account", "write "+p.AccountName()+", or leave it out", "is not the account of %s", p.Name)
	}
}
