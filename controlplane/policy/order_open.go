package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// VerifyAll has agents look for the outcomes of all their transactions that Open names: what Verify does to one, one after the other.
const VerifyAll OrderKind = "verify-all"

// Open names transactions whose outcome is not known. What is empty leaves nothing out.
type Open struct {
	Service      string        `json:",omitempty"`
	Provider     string        `json:",omitempty"` // of the last attempt
	State        string        `json:",omitempty"` // held | cancelling
	Transactions []string      `json:",omitempty"` // these only
	OlderThan    time.Duration `json:",omitempty"` // begun so long before the order, or longer
	Limit        int           // at most so many of each agent, the oldest first
}

// Bounds of one order.
const (
	MaxOpen      = 500
	maxOpenNamed = 100
	maxOpenAge   = 365 * 24 * time.Hour
)

// OpenStates are those of a transaction whose outcome is not known.
func OpenStates() []string { return []string{"held", "cancelling"} }

func (o *Order) checkOpen(p *Policy) error {
	if o.Provider != "" || o.Fault != (Fault{}) || len(o.Regions) > 0 {
		return orderError("open", "an order about open transactions is about no fault or region, and names a provider in open", "leave them out")
	}
	if o.For > maxAbout {
		return orderError("for", fmt.Sprintf("%s is longer than %s", span(o.For), span(maxAbout)), "write at most "+span(maxAbout))
	}
	return o.Open.Check(p)
}

// Check tells what is wrong with a choice of open transactions under a policy.
func (a *Open) Check(p *Policy) error {
	if a.Service != "" && p.Service(a.Service) == nil {
		var names []string
		for i := range p.Services {
			names = append(names, p.Services[i].Name)
		}
		return orderError("service", fmt.Sprintf("there is no service %q", clip(a.Service)), didYouMean(a.Service, names))
	}
	if a.Provider != "" && p.Provider(a.Provider) == nil {
		var names []string
		for i := range p.Providers {
			names = append(names, p.Providers[i].Name)
		}
		return orderError("provider", fmt.Sprintf("there is no provider %q", clip(a.Provider)), didYouMean(a.Provider, names))
	}
	switch {
	case a.State != "" && !slices.Contains(OpenStates(), a.State):
		return orderError("state", fmt.Sprintf("%q is no state of a transaction whose outcome is unknown", clip(a.State)), didYouMean(a.State, OpenStates()))
	case a.OlderThan < 0 || a.OlderThan > maxOpenAge:
		return orderError("older_than", fmt.Sprintf("%s is not between 0 and a year", span(a.OlderThan)), "write a length of time, like 10m")
	case a.Limit < 1 || a.Limit > MaxOpen:
		return orderError("limit", fmt.Sprintf("%d is not between 1 and %d", a.Limit, MaxOpen), "ask for the oldest, and again for the rest")
	case len(a.Transactions) > maxOpenNamed:
		return orderError("transactions", fmt.Sprintf("%d are more than %d", len(a.Transactions), maxOpenNamed), "name fewer, or say which are meant by service and provider")
	}
	for _, id := range a.Transactions {
		if !strings.HasPrefix(id, "tx_") || len(id) > 64 {
			return orderError("transactions", fmt.Sprintf("%q is no transaction's id", clip(id)), "write its id, like tx_01J9W2K7QH")
		}
	}
	return nil
}

// Text says in words which transactions are meant.
func (a *Open) Text() string {
	text := "open transactions"
	if n := len(a.Transactions); n > 0 {
		text = fmt.Sprintf("%d named transactions", n)
	}
	if a.Service != "" {
		text += " of " + a.Service
	}
	if a.Provider != "" {
		text += " at " + a.Provider
	}
	if a.State != "" {
		text += " that are " + a.State
	}
	if a.OlderThan > 0 {
		text += " older than " + span(a.OlderThan)
	}
	return fmt.Sprintf("%s, at most %d of each agent", text, a.Limit)
}
