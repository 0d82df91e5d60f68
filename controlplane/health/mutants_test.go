package health

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// broken breaks one rule of the detectors or of the circuit in the source: the test must turn red with it.
type broken struct {
	rule, file, old, new string // old stands in the file exactly once
	test                 string
}

const (
	measured = "controlplane/health/measure.go"
	banked   = "controlplane/health/bank.go"
	tested   = "controlplane/health/cusum.go"
	judging  = "controlplane/health/judge.go"
	sketched = "controlplane/health/sketch.go"
	faded    = "controlplane/health/discount.go"
	circuit  = "dataplane/breaker/circuit.go"
	ramped   = "dataplane/breaker/ramp.go"
	limits   = "dataplane/breaker/settings.go"
	windowed = "dataplane/breaker/window.go"
	silent   = "controlplane/health/silence.go"
	aged     = "dataplane/route/ages.go"
	standing = "dataplane/route/standing.go"
	further  = "dataplane/breaker/beyond.go"
	quieted  = "dataplane/route/silence.go"
	steered  = "dataplane/route/steer.go"
	ticked   = "dataplane/standing/tick.go"
)

var brokenRules = []broken{
	{"a 429 is a failure", measured, "	if s.Class != OK && s.Class != Slow && s.Class != Failure {", "	if s.Class == None {", "TestWhatIsNoEvidence"},
	{"a decline or another good answer is a failure", measured, "failed, said := s.Class == Failure, NoAlarm", "failed, said := s.Class != Slow, NoAlarm", "TestDeclinesAccuseNobody"},
	{"an outage is learnt", measured, "	if wary || m.wary {\n", "	if false {\n", "TestAnOutageDoesNotTeachTheBaseline"},
	{"the usual is frozen for ever", measured, "m.skipped = (m.skipped + 1) % leak; m.skipped != 0", "m.skipped = 1; m.skipped != 0", "TestANewUsualIsLearnt"},
	{"a good call clears the evidence", tested, "	if c.s += w.down; c.s <= 0 {\n		*c = cusum{}\n	}\n}\n\n// ease", "	*c = cusum{}\n}\n\n// ease", "TestOneGoodCallClearsNoEvidence"},
	{"an alarm is raised once for all", banked, "c.s >= 1 && said == NoAlarm", "c.s >= 1 && said == NoAlarm && b.said.kind == NoAlarm", "TestAnAlarmIsRaisedAgain"},
	{"calls from before Clear count", measured, "m.cleared == 0 || t-latency >= m.cleared", "m.cleared == 0 || t-latency != m.cleared", "TestWhatBeganBeforeClear"},
	{"what is little known is the usual", measured, "	return (r.failed + 1 + float64(2*math.Sqrt(r.failed+.25))) / (r.calls + prior)", "	return r.failed / (r.calls + 1)", "TestWhatIsLittleKnownIsNotTheUsual"},
	{"who fails from the first call on is as usual", measured, "		p = min(p, leastKnown)\n", "", "TestRefusalsAtTwoCallsASecond"},
	{"nobody is worse than the floor of the usual", tested, "leastUsual = .005", "leastUsual = .0005", "TestThresholds"},
	{"lower thresholds", tested, "w.up\n", "w.up * 1.2\n", "TestABrownOutIsSeen|TestTake|TestReplays"},
	{"a threshold below its promise", tested, "{12.04, 13.62, 13.21}", "{12.04, 13.62, 13.00}", "TestThresholds"},
	{"kinds of calls that share a test make it hasty", tested, "mixed = 1.015", "mixed = .97", "TestKindsTogether"},
	{"a good call ends no row of failures", banked, "		b.inARow = 0\n	}\n	first", "	}\n	first", "TestInARow"},
	{"what is not known yet rises", banked, "		first = Tests - 1\n", "", "TestNobodyIsAccusedWrongly|TestReplays"},
	{"one region says that nothing succeeds anywhere", judging, "partOfAll = 3", "partOfAll = 300", "TestNobodyAloneSays"},
	{"who sees successes is not asked", judging, "		if v.succeeds {\n", "		if false {\n", "TestNothingSucceedsAnywhere"},
	{"that nothing succeeds is said again and again", judging, "h.All = v.All && !h.some", "h.All = v.All", "TestNothingSucceedsAnywhere"},
	{"an open call counts again when it ends", measured, "		if !counted {\n			m.slowing[i].weigh", "		{\n			m.slowing[i].weigh", "TestOverdueCountsOnce"},
	{"slow calls that are answered hang", measured, "m.open.counted > 0 && m.open.answered == 0", "m.open.counted > 0", "TestCallsThatStayOpen"},
	{"the latency window is frozen", sketched, "	s.counts[bucketOf(ns)]++\n", "	if s.total < enough {\n		s.counts[bucketOf(ns)]++\n	}\n", "TestANewUsualIsLearnt"},
	{"what is brisk is slow", sketched, "max(int64(float64(slow)*1.2*(1+32/n)), int64(Brisk))", "int64(float64(slow)*1.2*(1+32/n))", "TestBriskIsNotSlow"},
	{"a verdict arms each second", banked, "elapsed(b.armed, t) < uint64(rearm)", "elapsed(b.armed, t) < 1", "TestArm"},
	{"a verdict alone is an alarm", banked, "*s = min(*s+rise, max(*s, 1-1/w.h))", "*s += rise + 2*w.h", "TestArm"},
	{"nothing fades", faded, "	r.calls, r.failed = r.calls*f, r.failed*f\n", "	_ = f\n", "TestFading|TestSuccessFollows"},
	{"a clock that was set back stops the fading", faded, "r.at == 0 || wentBack(r.at, now)", "r.at == 0", "TestClocksThatWentBack"},

	{"answers weigh nothing against a silence", silent, "-answered*int64(n)", "", "TestAnAnswerTakesItsBits"},
	{"a moment is a silence", silent, "s.sum >= loud && at-s.since >= s.least(usual, at)", "s.sum >= loud", "TestSilence"},
	{"chance is a silence", silent, "	loud     = 25 ", "	loud     = 12 ", "TestSilence|TestAnAnswerTakesItsBits"},
	{"what answers as many as wait is silent", silent, "s.sum == 0 || int64(n)*MostBits > int64(bits)", "s.sum == 0", "TestSilence"},
	{"a silence has no end of bits", silent, ", 0), mostLoud))", ", 0), 1<<30))", "TestAnAnswerTakesItsBits"},
	{"a silence that ended by itself teaches nothing", silent, "		least = max(least, s.lull+s.lull/2)\n", "		_ = least\n", "TestALullIsLearnt"},
	{"a silence that ended by itself teaches for ever", silent, "s.lull > 0 && at-s.lulledAt < lullFor", "s.lull > 0", "TestALullIsLearnt"},
	{"a long silence that ended by itself teaches as much", silent, "s.lull, s.lulledAt = min(max(took, 0), mostLull), at", "s.lull, s.lulledAt = max(took, 0), at", "TestALullIsLearnt"},
	{"few answers tell what is late", sketched, "most := above + 1 + float64(2*math.Sqrt(above+.25))", "most := above", "TestBitsAreNoMore|TestLittleKnown"},
	{"the first seconds are believed", sketched, "	if span < uint64(late) {\n", "	if false {\n", "TestTheFirstToBeAnswered"},
	{"the first seconds fill the sketch", sketched, "		return minute / enough\n", "		return 0\n", "TestTheFirstToBeAnswered"},
	{"a call tells its bits at each look", aged, "			if told {\n				g.bits = bits\n			}\n", "			_ = told\n", "TestNobodyIsSilent|TestAHangIsSeenByAgeAt"},
	{"a generation is as old as its oldest call", aged, "m.Bits(at - g.last)", "m.Bits(at - g.first + time.Hour)", "TestNobodyIsSilent|TestAHangIsSeenByAgeAt"},
	{"answers are not heard", standing, "		row.Silence.Answered()\n	}\n	judged", "	}\n	judged", "TestNobodyIsSilent|TestAHangIsSeenByAgeAt"},
	{"what is ours is blamed on all", ticked, "			if ours {\n", "			if ours && late < 0 {\n", "TestWhoHearsNobody"},
	{"who hears nobody is as sure", ticked, "				r.Silence.Excuse(TickEvery / 2)\n", "", "TestWhoHearsNobody"},
	{"late ticks count", ticked, "				r.Silence.Excuse(TickEvery)\n", "", "TestWhoHearsNobody"},

	{"no lease", circuit, "	c.probes.leased = now.Add(c.settings.Lease)\n", "	c.probes.leased = now.Add(1000 * time.Hour)\n", "TestModelNothingWedges|TestALeaseRunsOut"},
	{"two probes at a time", circuit, ":= probe(max(left(c.probes.at.Add(Spacing), now, Spacing), c.leaseLeft(now)))", ":= probe(left(c.probes.at.Add(Spacing), now, Spacing))", "TestOneProbeAtATime"},
	{"probes without spacing", circuit, "max(left(c.probes.at.Add(Spacing), now, Spacing), c.leaseLeft(now))", "c.leaseLeft(now)", "TestOneProbeAtATime"},
	{"one good probe closes it", circuit, "c.probes.good >= c.settings.Successes", "c.probes.good >= 1", "TestProbesInARowClose"},
	{"one slow probe opens it", circuit, "c.probes.slow > 1", "c.probes.slow > 0", "TestSlowProbes"},
	{"no jitter", circuit, "time.Duration(draw%(spread+1))", "time.Duration(spread/2)", "TestOpenForResetWithinTwentyPercent"},
	{"late answers count", circuit, "held != c.ticket || c.state == Open", "c.state == Open", "TestCallsFromBeforeAreDropped|TestALeaseRunsOut"},
	{"the doublings are forgotten", circuit, "	c.flaps.again = min(again+1, maxDoubling)\n", "", "TestWaitsDouble"},
	{"the doublings are forgiven at once", ramped, "max(now.Sub(f.calm)/Stable, 0)", "max(now.Sub(f.calm), 0)", "TestDoublingsAreForgivenSlowly|TestWhatFlaps"},
	{"what flaps comes back as fast", ramped, "c.settings.Back << c.flaps.relapses", "c.settings.Back", "TestWhatFlapsComesBackSlowly"},
	{"a long black hole comes back slowly", ramped, "	case c.comingBack():\n", "	case c.comingBack() || c.state == HalfOpen:\n", "TestWhatFlapsComesBackSlowly"},
	{"failures in the ramp are as good as elsewhere", limits, "	if back {\n", "	if false {\n", "TestFailuresInTheRampSendItBack"},
	{"the ramp refuses those whom the choice sends", ramped, "x = (x ^ x>>33) * 0xff51afd7ed558ccd", "x = 0", "TestTheRampIsIndependentOfTheChoice"},
	{"all ramps refuse the same calls", ramped, "(draw>>32 | draw<<32) + salt ^", "(draw>>32 | draw<<32) ^", "TestTheRampIsIndependentOfTheChoice"},
	{"nine tenths take longer", ramped, "StartShare + float64((1-StartShare)*done)", "StartShare + float64((1-StartShare)*done*done)", "TestNineTenthsAreBackInFiveSeconds"},
	{"an alarm moves a half-open circuit", circuit, "(c.state == Closed || c.state == Ramp)", "c.state != Open", "TestDetectorsDoNotDecideHalfOpen"},
	{"a clock that was set back keeps it open", circuit, "	if d > 2*span+time.Second {", "	if false {", "TestAClockThatWasSetBack"},
	{"the window does not slide", windowed, "			w.slots[place10(w.last+1+i)] = struct{ calls, failed uint32 }{}\n", "			_ = i\n", "TestShareOfFailures"},
	{"what is only slow comes back as what hangs", circuit, "	c.NoRelapse()\n	return t\n", "	return t\n", "TestWhatIsOnlySlowComesBackAsSoon"},
	{"a failure beyond the probes takes one good answer", further, "c.probes.row/2-setBack", "c.probes.row-1", "TestAFailureTakesMoreThanHalf"},
	{"companions of what failed beyond the probes count", circuit, "c.probes.row > 0 && held == c.probes.beyond", "held == c.probes.beyond", "TestBeyondTheProbes"},
	{"good answers outlive an opening", circuit, "		c.probes.row = 0\n", "", "TestModelNothingWedges|TestBeyond"},
	{"a hang whose calls were answered is a relapse", quieted, "		row.Circuit.NoRelapse()\n", "", "TestALateAnswerIsNoRelapse"},
	{"all that come back refuse what nobody else takes", steered, "d.comesBack(svc); d.Winner >= 0", "d.Winner >= 0", "TestWhoComesBackTakesMore|TestWhenAllComeBack"},
	{"who comes back takes all at once", steered, "min(2*int(s.Circuit.Good), max(most, fewest))", "max(most, fewest)", "TestWhatIsHalfBroken|TestWhoComesBackTakesMore"},
	{"a share of two calls opens it", circuit, "calls >= s.Calls && ", "", "TestShareOfFailures"},
}

const root = "../.."

// TestBrokenRulesFit holds the table against the source: each changes one place.
func TestBrokenRulesFit(t *testing.T) {
	for _, b := range brokenRules {
		source, err := os.ReadFile(filepath.Join(root, b.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), b.old); n != 1 {
			t.Errorf("%s: its place is %d times in %s", b.rule, n, b.file)
		}
	}
}

// TestBrokenRules builds each beside the source and wants its test red.
func TestBrokenRules(t *testing.T) {
	if !long() {
		t.Skip("builds the packages once for each rule: make detect")
	}
	only := os.Getenv("SEGUE_MUTANT")
	for _, b := range brokenRules {
		if !strings.Contains(b.rule, only) {
			continue
		}
		got := runBroken(t, b)
		t.Logf("%-55s %s", b.rule, got)
		if got != "red" {
			t.Errorf("%s: %s is %s", b.rule, b.test, got)
		}
	}
}

func runBroken(t *testing.T, b broken) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(root, b.file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed, list := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	replaced, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{changed: strings.Replace(string(source), b.old, b.new, 1), list: string(replaced)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", list, "-vet=off", "-count=1", "-timeout", "5m", "-run", b.test, "./"+filepath.Dir(b.file))
	cmd.Dir, cmd.Env = root, append(os.Environ(), "SEGUE_DETECT=")
	out, err := cmd.CombinedOutput()
	switch {
	case strings.Contains(string(out), "[build failed]"):
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
