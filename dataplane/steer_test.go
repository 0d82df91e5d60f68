package dataplane

import (
	"fmt"
	"strings"
	"testing"

	"segue/dataplane/sandbox"
)

// steering is payments by worth, with fees and a rule.
const steering = `    strategy: adaptive
    providers: [main, backup]
    balance: cost
`

func steered(rest string) any {
	return edited(func(doc string) string {
		doc = strings.Replace(doc, "    strategy: priority\n    priority: {default: [main, backup]}\n", steering+rest, 1)
		return doc
	})
}

// TestFactsReachTheChoice: what the request says is what the choice goes by.
func TestFactsReachTheChoice(t *testing.T) {
	w := newWorld(t)
	fmt.Println(w.doc("main, backup"))
	_ = sandbox.Fault{}
	_ = steered
}
