package explore

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutant breaks one rule in the source. The test named by pattern must turn red with it, and is green without it.
type mutant struct {
	rule    string // of the ledger's rules
	name    string
	file    string // from the module's root
	old     string // stands there exactly once
	new     string
	dir     string // of the test
	pattern string
}

const (
	rules     = "dataplane/ledger/"
	driver    = "dataplane/settle/"
	embedded  = "dataplane/embedded/"
	cassandra = "dataplane/cassandra/" // its tests start a real one
	power     = "e2e/power/"
	explored  = "dataplane/ledger/explore/"
	stories   = "TestScenarios"
	inN       = "TestExplore$/^N$"
	inG       = "TestExplore$/^G_without_a_retry$"
	inF       = "TestExplore$/^F_without_a_retry$"
	inT       = "TestExplore$/^T,_three_attempts$"
	inKeys    = "TestExplore$/^keys_._window$"
	forgets   = "TestExplore$/^G_that_forgets"
)

var mutants = []mutant{
	{"1", "a first byte leaves under a lease that lapsed", rules + "early.go", " && !lapsed", "", explored, inT},
	{"1", "a first byte leaves behind its send_by", rules + "early.go", " && age <= sendBy", "", explored, inG},
	{"1", "the settle window runs from the INTENT", rules + "next.go", "	q := a.Quiet\n", "	q := a.IntentAt\n", explored, inT},
	{"1", "a takeover begins no window", rules + "advance.go", "t.Current().Quiet = now", "_ = now", rules, stories},
	{"1", "a re-drive begins no window", rules + "advance.go", "a.Quiet, a.Absent = now, time.Time{}", "a.Absent = time.Time{}", rules, stories},
	{"1", "a check that shows nothing begins the window anew", rules + "advance.go", "return *a != was", "return true || *a != was", driver, "TestALongWindowCloses"},
	{"2", "the epoch is in the key", rules + "identity.go", "	n := 0\n	for i := range t.Attempts {\n		a := &t.Attempts[i]\n		if a.Provider", "	n := t.Epoch\n	for i := range t.Attempts {\n		a := &t.Attempts[i]\n		if a.Provider", rules, "."},
	{"2", "n rises after a settle window", rules + "identity.go", " && a.How != ByWindow", "", rules, "TestReference"},
	{"3", "a re-drive under a new mapping", rules + "unknown.go", "	case c.Changed:\n", "	case false:\n", rules, stories},
	{"3", "background work sends after execute_by", rules + "unknown.go", "t.Kept && c.Now.Before(t.ExecuteBy)", "t.Kept", rules, stories},
	{"3", "a request that was rewritten for its provider is kept as it came", "dataplane/proxy/claim.go", "x.talk.state == nil && x.op.Leave.Keep", "x.op.Leave.Keep", "dataplane/", "TestARewrittenRequestIsNotKept"},
	{"4", "success is believed while a cancel may have left", rules + "next.go", "if !a.Cancel || e.Kind == FromOperator {", "{", explored, inF},
	{"4", "the column is forgotten", rules + "advance.go", "t.State, t.Current().Cancel = Cancelling, true", "t.State = Cancelling", explored, inF},
	{"4", "the cancel leaves before its CAS", explored + "decide_test.go", "	if stands {\n", "	if stands || true {\n", explored, inF},
	{"4", "404 on a cancel is a fence", rules + "next.go", "	case Absent:\n		if windowed(t, e, c) {", "	case Absent:\n		if e.Kind == FromCancel || windowed(t, e, c) {", rules, stories},
	{"4", "a cancel's own answer is a fence", rules + "next.go", "if e.Kind != FromCancel {", "{", rules, stories},
	{"4", "a lookup begun before the window had passed is proof", rules + "next.go", " && !e.Begun.Before(t.quiet().Add(c.Settle))", "", explored, inT},
	{"4", "one lookup is proof", rules + "next.go", ", c.Settle <= 0, a.Absent.IsZero():", ", c.Settle <= 0:", rules, stories},
	{"4", "a lookup beyond its horizon is proof", rules + "next.go", " && !beyond(a, e.Begun, c)", "", rules, stories},
	{"4", "a window is proof without the policy's leave", rules + "next.go", "!c.Traced && !c.Expires, ", "", rules, stories},
	{"5", "the not_sent of a re-drive ends the attempt", rules + "next.go", "	return !e.Redrive && a.Sends <= 1", "	return true", explored, inG},
	{"5", "one token for attempt and run: evidence of another attempt counts", rules + "next.go", "	case e.Attempt != t.Current().ID:\n", "	case false:\n", rules, stories},
	{"5", "anybody changes the way", rules + "unknown.go", "	if c.Run != t.Run {\n", "	if false {\n", rules, stories},
	{"5", "a plain final write", explored + "agent_test.go", "if a.fresh && !a.applied {", "if !a.applied {", explored, inF},
	{"7", "an answer before the final write once a lease lapsed", rules + "early.go", "return y.Lease && ", "return ", explored, inF},
	{"7", "a decline is answered early where it is not remembered", rules + "early.go", "!c.Enforced || c.Forgets", "!c.Enforced", explored, forgets},
	{"7", "a decline is proof though declines are forgotten", rules + "next.go", "!c.Forgets && ", "", explored, forgets},
	{"7", "an outcome that is not kept is answered early", rules + "early.go", "!y.Kept || ", "", rules, "TestMayAnswer"},
	{"7", "what cannot be learnt again is answered early", rules + "early.go", "if !c.Enforced && !c.Lookup {", "if false {", rules, "TestMayAnswer"},
	{"8", "a plant that opens the row", rules + "advance.go", "State: Refused, Created", "State: Intent, Created", rules, "TestPlant"},
	{"8", "a plant writes over a row", explored + "agent_test.go", "if a.fresh && !a.applied {", "if (a.fresh || a.op == opPlant) && !a.applied {", explored, inN},
	{"9", "what comes to light beside an outcome is ignored", rules + "next.go", "	case t.cameToLight(e):\n", "	case false:\n", rules, stories},
	{"9", "a new attempt beside one that came to light", rules + "advance.go", " || t.lateOne() >= 0 || t.Current().Late", "", rules, "TestLate"},
	{"9", "one that came to light is not the outcome", rules + "next.go", "	case t.lateOne() >= 0:\n		return Step{Kind: Finish", "	case false:\n		return Step{Kind: Finish", rules, stories},
	{"10", "a time-out is taken for not sent", rules + "next.go", "	default:\n		return Unknown\n	}\n}\n\n// once", "	default:\n		return NotSent\n	}\n}\n\n// once", explored, inN},
	{"10", "a takeover takes unknown for not sent", rules + "advance.go", "t.Current().Outcome = Unknown", "t.Current().Outcome = NotSent", explored, inN},
	{"10", "a final state without its proof", rules + "advance.go", "case s == Refuse && o == NotSent && late < 0:", "case s == Refuse:", rules, "."},
	{"11", "told twice, or without a word in the row", rules + "advance.go", "	t.Told = true\n", "", rules, stories},
	{"15", "a key is relied on past its life", rules + "next.go", "const keyLifePart = 9", "const keyLifePart = 11", explored, inG},
	{"15", "a clock that is off sends", rules + "unknown.go", "	case c.Skewed:\n", "	case false:\n", rules, stories},
	{"6", "a write of unknown end that is in the row is lost", "dataplane/settle/write.go", "case current.Token == t.Token:", "case false:", "dataplane/settle/", "."},
	{"1", "the driver does not ask for its lease", driver + "attempt.go", "!w.job.Offline && !w.leased(w.run, w.leaseTime(), now)", "false", driver, "TestFrozenRunWakes|TestNoLeaseNoSend"},
	{"4", "the driver lets the cancel leave before its CAS", driver + "ask.go", "	if !stands {\n", "	if false && !stands {\n", driver, "TestCancelIsWrittenBeforeItLeaves"},
	{"9", "a late execution is not taken back", driver + "late.go", "range t.Duplicates() {", "range t.Duplicates()[:0] {", driver, "TestLateExecutionIsCompensated"},
	{"5", "a plain final write: the store writes over any version", embedded + "transactions.go", "current == nil || current.Version != t.Version-1 ||", "current == nil ||", embedded, "TestLedger"},
	{"6", "an error of the cluster is taken as not applied", cassandra + "cas.go", "		if err == nil {\n", "		if err == nil || !hopeless(err) {\n			err = nil\n", cassandra, "TestLostAnswers"},
	{"6", "short final TTL", cassandra + "transactions.go", "s.names.advance, append([]any{seconds(s.opts.Keep)}", "s.names.advance, append([]any{seconds(s.opts.Keep / 10)}", cassandra, "TestFinalLife"},
	{"6", "nothing is synced", embedded + "options.go", "o.write = pebble.Sync", "o.write = pebble.NoSync", embedded, "TestPowerCut$|TestLinearizable$"},
	{"6", "nothing is synced, on a disk that forgets", embedded + "options.go", "o.write = pebble.Sync", "o.write = pebble.NoSync", power, "TestCuts"},
	{"8", "a fenced run may beat", rules + "runs.go", "old.Fenced.IsZero() && old.Beat <= r.Beat", "old.Beat <= r.Beat", embedded, "TestParts"},
	{"8", "a run that beat meanwhile is fenced", rules + "runs.go", "return old.Beat == seen.Beat, old.Beat == seen.Beat", "return true, true", embedded, "TestParts"},
	{"8", "a claim has no open entry", embedded + "transactions.go", "	case t.Pending():\n", "	case t.Pending() && old != nil:\n", embedded, "TestLedger"},
	{"9", "a late word of what a cancel voided is a late execution", rules + "late.go", "	case a.How == ByCancel && !t.news(e, i):\n", "	case false:\n", rules, stories},
	{"11", "two exchanges have one key", "dataplane/proxy/live.go", "taken {\n			return false", "taken {\n			return true", "dataplane/", "TestSecondCallWhileTheFirstIsLive"},
	{"12", "a follow-up call goes anywhere", "dataplane/proxy/restore.go", "x.facts.Owner < 0 {\n		return false, ownerGone(o)", "false {\n		return false, ownerGone(o)\n	}\n	if x.facts.Owner = -1; false {\n		return false, nil", "dataplane/", "TestFollowsTheOwner"},
	{"13", "a claim without a quorum is hinted", "dataplane/repair/transactions.go", "	t.r.told(err)\n	return current, won, err\n", "	if t.r.told(err); err != nil {\n		return row, true, nil\n	}\n	return current, won, err\n", "dataplane/repair/", "TestClaimNeverHinted"},
	{"13", "the first attempt goes elsewhere than to the offline pin", "dataplane/proxy/decide.go", "	if x.first() { // every", "	if false { // every", "dataplane/", "TestOfflinePin$"},
	{"13", "not_sent at an offline pin ends the attempt", rules + "next.go", "	if c.AtPin {\n		return false", "	if false {\n		return false", "dataplane/", "TestOfflinePinGoesNowhereElse"},
	{"13", "a settle window closes what was sent to an offline pin", rules + "unknown.go", "	case c.AtPin: // a region", "	case false: // a region", rules, stories},
	{"13", "an operation without a pin goes on without a quorum", "dataplane/proxy/offline.go", "return x.op.PinAt > 0 && x.svc.Offline && ", "return x.op.PinAt > 0 && ", "dataplane/", "TestOfflinePinRefuses"},
	{"13", "without a quorum nothing is on the disk before the send", "dataplane/proxy/offline.go", "	if x.work.old {\n		return nil\n	}\n	if err", "	if true {\n		return nil\n	}\n	if err", "dataplane/", "TestOfflinePinRestart"},
	{"13", "what was recorded at a pin is written over the row that is there", "dataplane/repair/offline.go", "	if !atPin(t) {\n		return r.ledger.Advance", "	if true {\n		return r.ledger.Advance", "dataplane/repair/", "TestRecordedOverAnotherRow"},
	{"13", "an offline pin changes while regions work without a quorum", "controlplane/state/pins.go", "then.Same(next), !then.Offline && !next.Offline:", "then.Same(next), !next.Offline:", "controlplane/state/", "TestPinsChange"},
	{"14", "the key stands under its canonical name", "dataplane/provider/request.go", "out[strings.ToLower(name)]", "out[http.CanonicalHeaderKey(name)]", "dataplane/provider/", "TestDeadWarmConnection|TestKeyName|TestOneExecutionPerSend"},
	{"sessions", "what is fetched is kept in the open", "dataplane/transfer/fetch.go", "sealed, err := c.seal(a.Session, a.Service.Name, a.Rule.Name, withMedia(kind, value))", "sealed, err := withMedia(kind, value), error(nil)", "dataplane/", "TestFetchedIsSealed"},
	{"sessions", "tokens are kept in the open", "dataplane/transfer/token.go", "sealed, err := c.seal(n.Session, n.Service.Name, n.Rule.Name, plain)", "sealed, err := plain, error(nil)", "dataplane/", "TestTokensAreSealed"},
	{"sessions", "two agents show one refresh token", "dataplane/transfer/token.go", "how, uint64(t.Stamp.Clock), t.Stamp.By)", "how+c.cfg.Run, uint64(t.Stamp.Clock), t.Stamp.By)", "dataplane/", "TestTwoAgentsRefreshOnce"},
	{"sessions", "a pinned field is fetched", "dataplane/session/plan.go", " && rule.Class != policy.PinnedHere\n", "\n", "dataplane/session/", "TestSource"},
	{"sessions", "what an operation changed is not fetched", "dataplane/transfer/fetch.go", "if !can || !call.Touches(t.Operation) {", "if can || !can {", "dataplane/", "TestFetchedBeforeTheProviderDies"},
	{"sessions", "a session moves with an old copy", "dataplane/transfer/fetch.go", "	if !f.Due(who.Provider, call.Life, c.cfg.Now()) {\n", "	if !f.Due(who.Provider, call.Life, c.cfg.Now()) || true {\n", "dataplane/", "TestFetchedOnTheWay"},
	{"sessions", "a fetch takes back what an application wrote", "dataplane/transfer/fetch.go", "f.Stamp != a.was && f.Stamp.From() == \"\"", "f.Stamp != a.was && false", "dataplane/", "TestWhatTheApplicationWroteStays"},
	{"15", "the driver never says that its clock is off", driver + "ask.go", "Skewed: d.Clock() != nil, ", "", driver, "TestClockOffIsNotRedriven"},
	{"15", "a first byte leaves by a clock that is off", driver + "attempt.go", "	if err := w.Clock(); err != nil {", "	if err := w.Clock(); false {", driver, "TestClockOff$"},
	{"15", "a clock that is off claims", "dataplane/proxy/offline.go", "Driver.Clock(); err != nil {", "Driver.Clock(); false {", "dataplane/", "TestClockOff"},
	{"15", "a clock that was set between two looks is believed", driver + "clock.go", "(s.ahead + d.cfg.Boot())", "time.Duration(d.cfg.Now().UnixNano())", driver, "TestClockOff"},
	{"8", "an open row without an entry is not found again", embedded + "watches.go", "			if !there {", "			if there && false {", embedded, "TestMend"},
	{"8", "nobody looks through all rows", driver + "keeper.go", "!now.Before(k.mend) {", "false {", driver, "TestNightly"},
	{"9", "what is watched is forgotten with its agent", driver + "late.go", "	if d.cfg.Watches == nil {\n		return nil\n	}\n	ctx, cancel", "	if true {\n		return nil\n	}\n	ctx, cancel", driver, "TestWatchSurvives"},
	{"I5", "a new attempt without a caller", rules + "next.go", "	case !c.Live:\n		return \"no caller", "	case false:\n		return \"no caller", explored, inN},
}

// TestMutants runs every mutant beside its clean control and prints the table: `make mutants`.
func TestMutants(t *testing.T) {
	if os.Getenv("SEGUE_MUTANTS") == "" {
		t.Skip("takes minutes: make mutants")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	clean := map[string]string{}
	var table strings.Builder
	survived, only := 0, os.Getenv("SEGUE_MUTANT")
	for _, m := range slices.Concat(mutants, hintMutants) {
		if !strings.Contains(m.name, only) && only != m.dir {
			continue
		}
		key := m.dir + " " + m.pattern
		if _, done := clean[key]; !done {
			if clean[key] = "green"; run(t, root, m, "") != "green" {
				clean[key] = "RED"
			}
		}
		begun := time.Now()
		got := run(t, root, m, overlay(t, root, m))
		fmt.Printf("%-4s %-66s %-14s clean %s, mutant %s (%v)\n", m.rule, m.name, filepath.Base(m.file), clean[key], got, time.Since(begun).Round(time.Second/10))
		if clean[key] != "green" || got != "red" {
			survived++
			t.Errorf("rule %s: %s: %s is %s without it and %s with it", m.rule, m.name, m.pattern, clean[key], got)
		}
		fmt.Fprintf(&table, "| %s | %s | `%s` | `%s` in `%s` | %s | %s | %.0f |\n", m.rule, m.name, m.file, strings.NewReplacer("|", " ", "$", "", "_", " ").Replace(m.pattern), m.dir, clean[key], got, time.Since(begun).Seconds())
	}
	if only == "" && survived == 0 {
		text := "# What `make mutants` broke\n\nEach rule broken in one place of the source, beside it; the test named turns red, and is green without. Written by the run itself, at commit " + commit(t) +
			".\n\n| rule | broken | in | test | without | with | seconds |\n|---|---|---|---|---|---|---|\n" + table.String()
		keep(t, "mutants.md", text)
	}
}

// TestMutantsFit holds the table against the source: each mutant changes one place.
func TestMutantsFit(t *testing.T) {
	for _, m := range slices.Concat(mutants, hintMutants) {
		source, err := os.ReadFile(filepath.Join("../../..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), m.old); n != 1 {
			t.Errorf("rule %s: %s: its place is %d times in %s", m.rule, m.name, n, m.file)
		}
	}
}

// overlay writes a mutant beside the tree and names it to the go command.
func overlay(t *testing.T, root string, m mutant) string {
	t.Helper()
	file := filepath.Join(root, m.file)
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), m.old) != 1 {
		t.Fatalf("%s: its place is not once in %s", m.name, m.file)
	}
	dir := t.TempDir()
	broken, list := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]map[string]string{"Replace": {file: broken}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{broken: strings.Replace(string(source), m.old, m.new, 1), list: string(b)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// run runs a mutant's test and tells whether it is green, red, or did not even build.
func run(t *testing.T, root string, m mutant, overlay string) string {
	t.Helper()
	args := []string{"test", "-count=1", "-timeout", "10m", "-run", m.pattern, "./" + m.dir}
	if overlay != "" {
		args = append([]string{"test", "-overlay", overlay}, args[1:]...)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "SEGUE_MUTANTS=", "SEGUE_POWER=10")
	if m.dir == cassandra {
		cmd.Env = append(cmd.Env, "SEGUE_CASSANDRA=1")
	}
	out, err := cmd.CombinedOutput()
	switch {
	case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
		t.Logf("%s", out)
		return "not built"
	case strings.Contains(string(out), "no tests to run"):
		return "without a test"
	case err == nil:
		return "green"
	default:
		return "red"
	}
}
