package explore

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
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

	classN      = class{name: "N", states: 36_219, kinds: both(kind{}), attempts: 2, sends: 1, retries: true, once: true}
	classT      = class{name: "T", states: 1_477_552, kinds: both(lookups), leave: moves, attempts: 2, sends: 1, retries: true}
	keysWindow  = class{name: "keys + window", states: 701_098, kinds: both(keysTraced), leave: moves, attempts: 2, sends: 2}
	threeN      = class{name: "N, three attempts", states: 70_705, kinds: both(kind{}), attempts: 3, sends: 1, retries: true, once: true}
	threeT      = class{name: "T, three attempts", states: 246_671, kinds: both(lookups), leave: moves, attempts: 3, sends: 1}
	threeKeys   = class{name: "keys + window, three attempts", states: 1_637_284, kinds: both(keysTraced), leave: moves, attempts: 3, sends: 2}
	oneG        = class{name: "G without a retry", states: 55_102, kinds: both(keys), attempts: 2, sends: 2}
	oneF        = class{name: "F without a retry", states: 608_990, kinds: both(fences), attempts: 2, sends: 1}
	oneGCancel  = class{name: "G with a cancel, without a retry", states: 6_303_687, kinds: both(keysFenced), attempts: 2, sends: 2}
	forgetful   = class{name: "G that forgets declines and keeps bodies, without a retry", states: 182_004, kinds: both(forgetting), attempts: 2, sends: 2, kept: true}
	longG       = class{name: "G", states: 2_646_530, kinds: both(keys), attempts: 2, sends: 2, retries: true}
	longF       = class{name: "F", states: 6_576_590, kinds: both(fences), attempts: 2, sends: 1, retries: true}
	nonBlocking = class{name: "F without blocking", states: 1_477_552, kinds: both(kind{means: unfenced}), leave: moves, attempts: 2, sends: 1, retries: true}
)

func both(k kind) [2]kind { return [2]kind{k, k} }

// outcome is what a complete run went through.
type outcome struct {
	class
	states, moves int
	took          time.Duration
}

func explore(t *testing.T, c class) (e outcome) {
	t.Helper()
	begun := time.Now()
	q := newSearch(c)
	if wrong := q.run(); wrong != "" {
		t.Fatal(wrong)
	}
	e = outcome{c, q.states.n, q.next.n, time.Since(begun)}
	t.Logf("%s: complete, %d states, %d moves, %v", c.name, e.states, e.moves, e.took.Round(time.Millisecond))
	if c.states != e.states {
		t.Errorf("%s: %d states, and there were %d: say in this file why there are more or fewer now", c.name, e.states, c.states)
	}
	return e
}

// TestExplore goes through every state of the smaller worlds.
func TestExplore(t *testing.T) {
	few := []class{classN, oneG, threeN}
	most := []class{oneGCancel, oneF, forgetful, classT, keysWindow, threeT, threeKeys}
	if testing.Short() {
		most = nil
	}
	for _, c := range append(few, most...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			explore(t, c)
		})
	}
}

// TestExploreLong goes through the larger worlds, and all others, and writes what it went through: `make explore`.
func TestExploreLong(t *testing.T) {
	if os.Getenv("SEGUE_EXPLORE") == "" {
		t.Skip("takes minutes and gigabytes: make explore")
	}
	var all []outcome
	for _, c := range []class{classN, classT, keysWindow, threeN, threeT, threeKeys, oneG, oneF, oneGCancel, forgetful, nonBlocking, longG, longF} {
		t.Run(c.name, func(t *testing.T) { all = append(all, explore(t, c)) })
		debug.FreeOSMemory()
	}
	if len(all) == 13 && !t.Failed() {
		record(t, all)
	}
}

// record writes testdata/explored.md.
func record(t *testing.T, all []outcome) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# What `make explore` went through\n\nEvery state of each world, by the shipped rules; no broken promise. Written by the run itself.\n\n")
	fmt.Fprintf(&b, "Commit %s. At most %.1f GB.\n\n| world | states | moves | seconds |\n|---|---|---|---|\n", commit(t), float64(peak(t))/(1<<30))
	for _, e := range all {
		fmt.Fprintf(&b, "| %s | %d | %d | %.0f |\n", e.name, e.states, e.moves, e.took.Seconds())
	}
	keep(t, "explored.md", b.String())
}

// keep writes a file of testdata.
func keep(t *testing.T, name, text string) {
	t.Helper()
	err := os.MkdirAll("testdata", 0o750)
	if err == nil {
		err = os.WriteFile(filepath.Join("testdata", name), []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// commit is the commit of the sources, with a mark where they differ from it.
func commit(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// peak is the most memory that this process had, in bytes.
func peak(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}
