package simulator

import (
	"fmt"
	"strings"
)

// Bar is a figure that must be reached, and whether it is.
type Bar struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Held bool   `json:"held"`
	Why  string `json:"why,omitempty"` // missed: the reason, as far as it is known
}

// bars holds the study against what it must show. A bar whose story was not played is left out.
func (s *Study) bars() []Bar {
	var out []Bar
	for _, b := range []func() (Bar, bool){
		s.barSeen, s.barFalse, s.barOff, s.barSteady, s.barBrownout, s.barFees, s.barBack, s.barFlapping, s.barGrey, s.barDeclines, s.barEgress, s.barStorm, s.barRoom, s.barTwice, s.barRivals,
	} {
		if bar, ok := b(); ok {
			if !bar.Held {
				bar.Why = reasons()[bar.Name]
			}
			out = append(out, bar)
		}
	}
	return out
}

// The bars' names.
const (
	nameSeen     = "30 % brown-out at 50/s is seen"
	nameFalse    = "false gates while nothing happens"
	nameOff      = "2/s in three regions, the provider is down: all regions off it"
	nameSteady   = "fees and failures against the oracle, nothing happens"
	nameBrownout = "fees and failures against the oracle, 30 % brown-out"
	nameFees     = "fees and failures against the oracle, the cheapest provider doubles its fees"
	nameBack     = "90 % of its share back after a black hole"
	nameFlapping = "flapping: the provider is not taken back faster than is safe"
	nameGrey     = "six times as slow, no errors: left"
	nameDeclines = "issuers decline more: gates"
	nameEgress   = "one region's way out is lost: who is blamed"
	nameStorm    = "retry storm: sends for each wish"
	nameRoom     = "room is scarce: the others' longest queue, with shift.away and without"
	nameTwice    = "executions beside the first, all stories"
	nameRivals   = "fees, failures and duplicates: rivals that cost less in a faulty story"
)

func (s *Study) barSeen() (Bar, bool) {
	r := s.find("brownout-30", 50, Segue)
	if r == nil {
		return Bar{}, false
	}
	return Bar{Name: nameSeen, Want: "within 20 calls in the median", Got: fmt.Sprintf("%s calls, %s s; %d of %d runs not seen", figure(r.SeenCalls), figure(r.SeenSeconds), r.Missed, r.Runs),
		Held: r.SeenCalls >= 0 && r.SeenCalls <= 20}, true
}

func (s *Study) barFalse() (Bar, bool) {
	calls, gates := uint64(0), 0
	for i := range s.Results {
		if r := &s.Results[i]; r.Scenario == "steady" && r.Player == Segue {
			calls, gates = calls+r.Calls, gates+r.FalseGates
		}
	}
	if calls == 0 {
		return Bar{}, false
	}
	allowed := max(1, float64(calls)/6e6)
	return Bar{Name: nameFalse, Want: "at most 1 in 6 million calls", Got: fmt.Sprintf("%d in %s calls", gates, thousands(calls)), Held: float64(gates) <= allowed}, true
}

func (s *Study) barOff() (Bar, bool) {
	r := s.find("outage", 2, Segue)
	if r == nil {
		return Bar{}, false
	}
	return Bar{Name: nameOff, Want: "at most 5 s after the first failure, in every run",
		Got:  fmt.Sprintf("%s s in the median, %s s in 95 %%, %s s in the worst of %d runs", figure(r.OffP50), figure(r.OffP95), figure(r.AllOff), r.Runs),
		Held: r.AllOff >= 0 && r.AllOff <= 5 && r.OffP50 >= 0}, true
}

func (s *Study) barSteady() (Bar, bool) { return s.against(nameSteady, "steady", 1) }

func (s *Study) barBrownout() (Bar, bool) { return s.against(nameBrownout, "brownout-30", 2) }

// barFees wants what answers state of fees to be learned.
func (s *Study) barFees() (Bar, bool) { return s.against(nameFees, "fee-drift", 2) }

func (s *Study) against(name, scenario string, percent float64) (Bar, bool) {
	r := s.find(scenario, 50, Segue)
	if r == nil || s.find(scenario, 50, Oracle) == nil {
		return Bar{}, false
	}
	return Bar{Name: name, Want: fmt.Sprintf("at most %+.0f %%", percent), Got: fmt.Sprintf("%+.2f %%", r.Regret), Held: r.Regret <= percent}, true
}

func (s *Study) barBack() (Bar, bool) {
	r := s.find("black-hole", 50, Segue)
	if r == nil {
		return Bar{}, false
	}
	return Bar{Name: nameBack, Want: "at most 5 s after its last probe, the others never over their capacity", Got: fmt.Sprintf("%s s (%s s after it was well again); the longest queue at the others %.2f s", figure(r.BackAfter), figure(r.Back), r.Queued),
		Held: r.BackAfter >= 0 && r.BackAfter <= 5 && r.Queued < queueAllowed}, true
}

// queueAllowed is a queue that the crowds of ordinary traffic make too.
const queueAllowed = .2

// barFlapping wants a flapping provider to be taken back less often than it comes back, and those who call not to notice.
func (s *Study) barFlapping() (Bar, bool) {
	r, base := s.find("flapping", 50, Segue), s.find("flapping", 50, Oracle)
	if r == nil || base == nil {
		return Bar{}, false
	}
	gates := float64(r.Gates) / float64(r.Runs)
	return Bar{Name: nameFlapping, Want: "at most 4 gates in 6 outages, success within 0.1 of the oracle's", Got: fmt.Sprintf("%.1f gates, success %.3f %% beside %.3f %%", gates, r.Success, base.Success),
		Held: gates <= 4 && r.Success >= base.Success-.1}, true
}

func (s *Study) barGrey() (Bar, bool) {
	r := s.find("grey", 50, Segue)
	if r == nil {
		return Bar{}, false
	}
	return Bar{Name: nameGrey, Want: "within 40 calls in the median", Got: fmt.Sprintf("%s calls, %s s; %d of %d runs not seen", figure(r.SeenCalls), figure(r.SeenSeconds), r.Missed, r.Runs),
		Held: r.SeenCalls >= 0 && r.SeenCalls <= 40}, true
}

func (s *Study) barDeclines() (Bar, bool) {
	gates, runs := 0, 0
	for i := range s.Results {
		if r := &s.Results[i]; r.Scenario == "declines" && r.Player == Segue {
			gates, runs = gates+r.Gates, runs+r.Runs
		}
	}
	return Bar{Name: nameDeclines, Want: "none", Got: fmt.Sprintf("%d in %d runs", gates, runs), Held: gates == 0}, runs > 0
}

// barEgress wants the region blamed, and no provider.
func (s *Study) barEgress() (Bar, bool) {
	r := s.find("egress", 50, Segue)
	if r == nil {
		return Bar{}, false
	}
	region, provider := r.Verdicts[3], r.Verdicts[2]
	return Bar{Name: nameEgress, Want: "the region in every run, no provider", Got: fmt.Sprintf("the region in %d of %d runs, a provider in %d", region, r.Runs, provider),
		Held: region >= r.Runs && provider == 0}, true
}

func (s *Study) barStorm() (Bar, bool) {
	r := s.find("retry-storm", 50, Segue)
	if r == nil {
		return Bar{}, false
	}
	return Bar{Name: nameStorm, Want: "at most 1.2", Got: fmt.Sprintf("%.3f", r.Amplification), Held: r.Amplification <= 1.2}, true
}

// barRoom wants nobody to be asked for more than he can take while a provider is left, at once or as the others have room; and the second to serve more.
func (s *Study) barRoom() (Bar, bool) {
	once, away := s.find("scarce", 50, Segue), s.find("scarce-away", 50, Segue)
	if once == nil || away == nil {
		return Bar{}, false
	}
	worst := 0.0
	for _, r := range Rivals() {
		if x := s.find("scarce-away", 50, r.Name); x != nil {
			worst = max(worst, x.Queued)
		}
	}
	got := fmt.Sprintf("%.2f s, success %.2f %%; without %.2f s, %.2f %%", away.Queued, away.Success, once.Queued, once.Success)
	if worst > 0 {
		got += fmt.Sprintf("; the rivals' longest %.1f s", worst)
	}
	return Bar{Name: nameRoom, Want: fmt.Sprintf("below %v s, and more success with it", queueAllowed), Got: got,
		Held: away.Queued < queueAllowed && once.Queued < queueAllowed && away.Success > once.Success}, true
}

func (s *Study) barTwice() (Bar, bool) {
	twice, calls := uint64(0), uint64(0)
	theirs := map[string]float64{}
	for i := range s.Results {
		if r := &s.Results[i]; ours(r.Player) {
			twice, calls = twice+r.Duplicates, calls+r.Calls
		} else {
			theirs[r.Player] = max(theirs[r.Player], r.PerHundred)
		}
	}
	var list []string
	for _, r := range Rivals() {
		if n, ok := theirs[r.Name]; ok {
			list = append(list, fmt.Sprintf("%s %.0f", r.Name, n))
		}
	}
	got := fmt.Sprintf("%d in %s calls", twice, thousands(calls))
	if len(list) > 0 {
		got += "; the rivals' worst story, in 100,000: " + strings.Join(list, ", ")
	}
	return Bar{Name: nameTwice, Want: "0", Got: got, Held: twice == 0}, calls > 0
}

// dearer tells from which price of a duplicate on a rival that costs less now costs more.
func dearer(rival, mine *Result) string {
	if rival.Doubled <= mine.Doubled {
		return "nothing twice in these runs"
	}
	ahead := mine.Loss - rival.Loss
	price := DuplicateCost * (1 + ahead/(rival.Doubled-mine.Doubled))
	return fmt.Sprintf("%.0f in 100,000 twice: behind where a duplicate costs over %.0f", rival.PerHundred, price)
}

// barRivals lists who cost less than Segue in a story where something fails; and who would, if duplicates cost nothing.
func (s *Study) barRivals() (Bar, bool) {
	var lost, blind []string
	stories := 0
	for _, g := range s.groups {
		mine := s.find(g.Scenario.Name, 50, Segue)
		if g.Rate != 50 || mine == nil || !g.faulty() || len(g.Tallies) < 3 {
			continue
		}
		stories++
		for _, r := range Rivals() {
			x := s.find(g.Scenario.Name, 50, r.Name)
			switch {
			case x == nil:
			case x.Loss < mine.Loss:
				lost = append(lost, fmt.Sprintf("%s: %s by %.1f %% (%s)", g.Scenario.Name, r.Name, 100*(1-x.Loss/mine.Loss), dearer(x, mine)))
			case x.Loss-x.Doubled < mine.Loss-mine.Doubled:
				blind = append(blind, fmt.Sprintf("%s: %s", g.Scenario.Name, r.Name))
			}
		}
	}
	got := fmt.Sprintf("none in %d stories", stories)
	if len(lost) > 0 {
		got = strings.Join(lost, "; ")
	}
	if len(blind) > 0 {
		got += ". If duplicates cost nothing, also " + strings.Join(blind, ", ")
	}
	return Bar{Name: nameRivals, Want: "none", Got: got, Held: len(lost) == 0}, stories > 0
}

// faulty tells whether a provider or a way to it fails: declines, fees and the ledger's quorum are none of that. The story scarce stands beside
// scarce-away, to show what the policy's word does.
func (g *Group) faulty() bool {
	switch g.Scenario.Name {
	case "steady", "fee-drift", "declines", "quorum", "scarce":
		return false
	default:
		return true
	}
}

// reasons say why a bar is missed that is known to be.
func reasons() map[string]string {
	return map[string]string{
		nameBrownout: "What is lost is lost behind the trouble: an open circuit asks again after 5 s, doubling to 20 s, so that the cheapest provider comes back late.",
		nameOff:      "With two calls a second a region has none for whole seconds, and each needs a few failures of its own: the worst runs are those gaps.",
		nameFlapping: "Each fall costs the calls under way and the four or five that show it, six or so of which nobody knows what became; who came back in the pauses pays that three times. To stay away for the whole of it would cost more in fees than it spares.",
		nameRivals: "A brown-out of 5 %: at these prices a call that fails costs less than the dearer provider, and who stays is right by a little; Segue leaves what fails ten times as often as usual. " +
			"A black hole: nothing is executed there, so who sends again elsewhere is right by luck, and his callers wait for 4 s; what Segue pays is the calls in flight when it began, of which it says that nobody knows. " +
			"Flapping: each time it falls, the calls that show it. Who retries blindly tells every caller an outcome, and some are charged twice.",
	}
}

func figure(x float64) string {
	switch {
	case x < 0:
		return "no"
	case x < 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.0f", x)
	}
}

func thousands(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
