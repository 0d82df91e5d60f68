package simulator

import (
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

// call is one wish of a caller, under one key, until nothing about it is open.
type call struct {
	id       int32
	region   int8
	read     bool
	answered bool
	coming   bool    // the caller will come back
	value    float64 // in money
	fate     uint64  // what the world will do to its sends
	draw     uint64
	arrived  int64 // this time: a caller who comes back arrives again
	deadline int64
	back     uint8 // how often the caller came back

	sending
	executed [MaxProviders]execution
	fees     float64 // of its executions
	driven
}

// sending is the send that is under way, and those before.
type sending struct {
	at     int8 // the provider
	first  int8 // of this time's first send; -1: none
	tries  uint16
	asked  uint16
	times  uint8 // providers that were tried this time
	sentAt int64
	shown  shown
	tried  policy.Set
}

// driven is what Segue keeps of a call.
type driven struct {
	permit route.Permit
	tx     *ledger.Transaction
	e      ledger.Evidence
	step   ledger.Step
	then   pause
	wakeAt int64 // 0: nothing is waited for
	found  found // by the question that is under way
	begun  int64 // of that
	before int   // attempts of earlier times
	sends  int   // of the current attempt before this time
	asks   uint8 // questions of this drive
	pauses uint8 // before this re-send
	news   bool  // the row says more than what was written of it
	heldAt int64 // since when its outcome is unknown to the caller; 0: it is not
}

// pause is what a call waits for.
type pause uint8

const (
	toLook   pause = iota // a lookup's answer
	toCancel              // a cancel's
	toAsk                 // the spacing of questions
	toRedrive
	toCheck // the background's next look
	toTime  // the ledger's own wait
)

// pending tells whether something about it may still change.
func (c *call) pending() bool { return c.heldAt != 0 }

// write writes the row: there is no store, so that it always succeeds.
func (c *call) write(s *sim) { c.tx.Updated, c.news = at(s.now), false }

// twice is how many executions there are beside the first.
func (c *call) twice() int {
	n := 0
	for p := range c.executed {
		n += int(c.executed[p].count)
	}
	return max(0, n-1)
}

// Limits of a call, as the policy of the simulator has them. Rivals have the same.
const (
	perTry   = 4 * time.Second
	deadline = 10 * time.Second
	maxTries = 2
)
