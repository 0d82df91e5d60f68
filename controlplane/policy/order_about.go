package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The orders about one transaction whose outcome is not known. They name no provider.
const (
	Verify  OrderKind = "verify"  // its driver looks for its outcome now
	Resolve OrderKind = "resolve" // a person showed its outcome, with evidence
)

// About is the transaction that an order is about, and what a person says of it.
type About struct {
	Transaction string
	Outcome     string `json:",omitempty"` // resolve: succeeded | declined | not_sent
	Evidence    string `json:",omitempty"` // resolve: what shows it
}

const (
	maxEvidence = 8 << 10
	maxAbout    = 10 * time.Minute // such an order is for agents that are attached now, or soon
)

// ResolveOutcomes are what a person may say of a transaction.
func ResolveOutcomes() []string { return []string{"succeeded", "declined", "not_sent"} }

func (o *Order) aboutOne() bool { return o.Kind == Verify || o.Kind == Resolve }

func (o *Order) checkAbout() error {
	a := o.About
	switch {
	case o.Provider != "" || o.Fault != (Fault{}) || o.Hints != nil || len(o.Regions) > 0:
		return orderError("about", "an order about a transaction is about no provider, fault, hint or region", "leave them out")
	case !strings.HasPrefix(a.Transaction, "tx_") || len(a.Transaction) > 64:
		return orderError("about.transaction", fmt.Sprintf("%q is no transaction's id", clip(a.Transaction)), "write its id, like tx_01J9W2K7QH")
	case o.For > maxAbout:
		return orderError("for", fmt.Sprintf("%s is longer than %s", span(o.For), span(maxAbout)), "write at most "+span(maxAbout))
	case o.Kind == Verify && (a.Outcome != "" || a.Evidence != ""):
		return orderError("about", "a verification says no outcome", "leave outcome and evidence out, or give a resolve")
	case o.Kind == Verify:
		return nil
	case !slices.Contains(ResolveOutcomes(), a.Outcome):
		return orderError("about.outcome", fmt.Sprintf("%q is no outcome that a person can show", clip(a.Outcome)), didYouMean(a.Outcome, ResolveOutcomes()))
	case strings.TrimSpace(a.Evidence) == "":
		return orderError("about.evidence", "is missing: nothing is resolved on a guess", "say what shows the outcome: the provider's log, a statement, a ticket")
	case len(a.Evidence) > maxEvidence:
		return orderError("about.evidence", fmt.Sprintf("has %d bytes, more than %d", len(a.Evidence), maxEvidence), "name where the rest lies")
	case strings.TrimSpace(o.Reason) == "":
		return orderError("reason", "is missing", "say why a person decides")
	}
	return nil
}
