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

	keys       = kind{enforced: true}
	keysTraced = kind{enforced: true, means: traced}
	keysFenced = kind{enforced: true, means: fenced}
	forgetting = kind{enforced: true, means: ledger.Means{Forgets: true}}
	lookups    = kind{means: traced}
	fences     = kind{means: fenced}

	classN      = class{name: "N", kinds: both(kind{}), attempts: 2, sends: 1, retries: true, once: true}
	classT      = class{name: "T", kinds: both(lookups), leave: moves, attempts: 2, sends: 1, retries: true}
	keysWindow  = class{name: "keys + window", kinds: both(keysTraced), leave: moves, attempts: 2, sends: 2}
	threeN      = class{name: "N, three attempts", kinds: both(kind{}), attempts: 3, sends: 1, retries: true, once: true}
	threeT      = class{name: "T, three attempts", kinds: both(lookups), leave: moves, attempts: 3, sends: 1}
	threeKeys   = class{name: "keys + window, three attempts", kinds: both(keysTraced), leave: moves, attempts: 3, sends: 2}
	oneG        = class{name: "G without a retry", kinds: both(keys), attempts: 2, sends: 2}
	oneF        = class{name: "F without a retry", kinds: both(fences), attempts: 2, sends: 1}
	oneGCancel  = class{name: "G with a cancel, without a retry", kinds: both(keysFenced), attempts: 2, sends: 2}
	forgetful   = class{name: "G that forgets declines and keeps bodies, without a retry", kinds: both(forgetting), attempts: 2, sends: 2, kept: true}
	longG       = class{name: "G", kinds: both(keys), attempts: 2, sends: 2, retries: true}
	longF       = class{name: "F", kinds: both(fences), attempts: 2, sends: 1, retries: true}
	nonBlocking = class{name: "F without blocking", kinds: both(kind{means: unfenced}), leave: moves, attempts: 2, sends: 1, retries: true}
)

func both(k kind) [2]kind { return [2]kind{k, k} }

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
