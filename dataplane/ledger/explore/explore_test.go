package explore

import (
	"os"
	"testing"
	"time"

	"segue/dataplane/ledger"
)

// The kinds of provider that are explored. Where retries is set the client asks again, at either agent, whenever he likes.
var (
	traced   = ledger.Means{Lookup: true, Settle: window}
	fenced   = ledger.Means{Lookup: true, Cancel: true, Blocks: true}
	unfenced = ledger.Means{Lookup: true, Cancel: true, Settle: window} // a cancel that blocks nothing
	moves    = ledger.Leave{Traced: true}

	classN      = class{name: "N", attempts: 2, sends: 1, retries: true, once: true, bound: 500_000}
	classT      = class{name: "T", means: traced, leave: moves, attempts: 2, sends: 1, retries: true, bound: 10_000_000}
	keysWindow  = class{name: "keys + window", enforced: true, means: traced, leave: moves, attempts: 2, sends: 2, bound: 10_000_000}
	threeN      = class{name: "N, three attempts", attempts: 3, sends: 1, retries: true, once: true, bound: 10_000_000}
	threeT      = class{name: "T, three attempts", means: traced, leave: moves, attempts: 3, sends: 1, bound: 10_000_000}
	threeKeys   = class{name: "keys + window, three attempts", enforced: true, means: traced, leave: moves, attempts: 3, sends: 2, bound: 10_000_000}
	oneG        = class{name: "G without a retry", enforced: true, attempts: 2, sends: 2, bound: 10_000_000}
	oneF        = class{name: "F without a retry", means: fenced, attempts: 2, sends: 1, bound: 10_000_000}
	oneGCancel  = class{name: "G with a cancel, without a retry", enforced: true, means: fenced, attempts: 2, sends: 2, bound: 60_000_000}
	forgetful   = class{name: "G that forgets declines and keeps bodies, without a retry", enforced: true, means: ledger.Means{Forgets: true}, attempts: 2, sends: 2, kept: true, bound: 10_000_000}
	longG       = class{name: "G", enforced: true, attempts: 2, sends: 2, retries: true, bound: 60_000_000}
	longF       = class{name: "F", means: fenced, attempts: 2, sends: 1, retries: true, bound: 60_000_000}
	nonBlocking = class{name: "F without blocking", means: unfenced, leave: moves, attempts: 2, sends: 1, retries: true, bound: 60_000_000}
)

func explore(t *testing.T, c class) {
	t.Run(c.name, func(t *testing.T) {
		begun := time.Now()
		q := newSearch(c)
		if wrong := q.run(); wrong != "" {
			t.Fatal(wrong)
		}
		t.Logf("%s: complete, %d states, %d moves, %v", c.name, len(q.states), len(q.next), time.Since(begun).Round(time.Millisecond))
	})
}

// TestExplore goes through every state of the smaller worlds.
func TestExplore(t *testing.T) {
	for _, c := range []class{classN, oneG, oneF, forgetful} {
		explore(t, c)
	}
	if testing.Short() {
		return
	}
	for _, c := range []class{keysWindow, threeN, threeT} {
		explore(t, c)
	}
}

// TestExploreLong goes through the larger worlds: `make explore`.
func TestExploreLong(t *testing.T) {
	if os.Getenv("SEGUE_EXPLORE") == "" {
		t.Skip("takes minutes and gigabytes: make explore")
	}
	for _, c := range []class{oneGCancel, classT, threeKeys, longG, longF, nonBlocking} {
		explore(t, c)
	}
}
