package query

import (
	"time"

	"segue/controlplane/policy"
)

// Verified is what an order to look for many outcomes comes to at one agent, or would come to.
type Verified struct {
	Known bool // the order has come to this agent; true of what an order would do
	Done  bool // all that it asks for here was done
	Found int  // open transactions of this agent that are meant; more than the rows where a limit left some out
	Rows  []VerifiedOne
}

// What came of one of them.
const (
	VerifyWaits  = "waiting"   // its turn has not come
	VerifyClosed = "closed"    // its outcome is known now
	VerifyOpen   = "open"      // its provider was asked, and its outcome is not known all the same
	VerifyLeft   = "not-asked" // its provider was not asked; Why says what keeps that back
)

// VerifiedOne is one transaction of them.
type VerifiedOne struct {
	Transaction, Service, Operation, Provider string
	State                                     string
	Created                                   time.Time
	Value                                     policy.Value
	Result                                    string // waiting | closed | open | not-asked
	Why                                       string `json:",omitempty"`
}
