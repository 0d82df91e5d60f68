package route

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// Explain tells the decision in sentences: who won and why, then the others in the order of the candidates. svc is the service that was
// decided by.
func (d *Decision) Explain(svc *policy.Service) []string {
	lines := make([]string, 0, int(d.N)+1)
	if d.Winner >= 0 {
		lines = append(lines, d.name(svc, d.Winner)+" won: "+d.won(svc))
	} else {
		lines = append(lines, "no provider was eligible")
	}
	for i := range d.N {
		if i != d.Winner {
			lines = append(lines, d.name(svc, i)+": "+d.lost(i, svc))
		}
	}
	for i := range d.N {
		if line := d.dearer(i, svc); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// dearer tells what was learned of i's fees, for a call that costs something there.
func (d *Decision) dearer(i int8, svc *policy.Service) string {
	if d.Seen[i].Cost <= 0 {
		return ""
	}
	return d.Seen[i].Fees.words(d.name(svc, i))
}

// Why is the decision in one line of printable ASCII without quotes and backslashes, fit for a string of RFC 9651: why the winner won,
// and what kept those away that would have come before it.
func (d *Decision) Why(svc *policy.Service) string {
	if d.Winner < 0 {
		return ascii("no provider was eligible: " + d.gatedNames(svc, false))
	}
	line := d.won(svc)
	if away := d.gatedNames(svc, true); away != "" {
		line += "; " + away
	}
	return ascii(line)
}

// Reasons are per candidate the sentence that a problem document shows; the winner's is why it won.
func (d *Decision) Reasons(svc *policy.Service) []string {
	lines := make([]string, d.N)
	for i := range d.N {
		if i == d.Winner {
			lines[i] = d.won(svc)
		} else {
			lines[i] = d.lost(i, svc)
		}
		if fees := d.dearer(i, svc); fees != "" {
			lines[i] += "; " + fees
		}
	}
	return lines
}

// Wait is the shortest time after which a gate of this decision may open: what Retry-After tells. False: none opens by time.
func (d *Decision) Wait() (time.Duration, bool) {
	best, found := time.Duration(0), false
	for i := range d.N {
		if w := d.Scores[i].Wait; w > 0 && (!found || w < best) {
			best, found = w, true
		}
	}
	return best, found
}

func (d *Decision) name(svc *policy.Service, i int8) string {
	if i < 0 || int(i) >= len(svc.Candidates) {
		return "candidate " + strconv.Itoa(int(i))
	}
	return svc.Candidates[i].Provider
}

// gatedNames are the sentences of those that a gate kept away, those in a row that have the same one together; surprising leaves out what
// any call shows (weights of 0, other owners).
func (d *Decision) gatedNames(svc *policy.Service, surprising bool) string {
	line, names, say := "", "", ""
	for i := range d.N {
		g := d.Scores[i].Gate
		if i == d.Winner || g == Passed || surprising && (g == NotOwner || g == NoWeight) {
			continue
		}
		one := d.lost(i, svc)
		switch {
		case names == "":
			names = d.name(svc, i)
		case one == say:
			names += " and " + d.name(svc, i)
		default:
			line += names + ": " + say + ", "
			names = d.name(svc, i)
		}
		say = one
	}
	if names == "" {
		return ""
	}
	return line + names + ": " + say
}

func (d *Decision) won(svc *policy.Service) string {
	s := &d.Scores[d.Winner]
	switch d.Reason {
	case ByOwner:
		if s.Circuit == breaker.Closed {
			return "it owns the object"
		}
		return fmt.Sprintf("it owns the object, though its circuit is %s", s.Circuit)
	case ByPin:
		return "the session is pinned there"
	case ByWeight:
		return fmt.Sprintf("the session's draw, at %s %% of new sessions", decimal(s.Weight))
	case ByPriority:
		return fmt.Sprintf("first in the order that passed (%d of %d)", d.Winner+1, d.N)
	case ByFallback:
		return "fallback: no provider with a weight passed"
	case ByProbe:
		return "the one probe of its half-open circuit"
	case ByNearness:
		return "nearest to the user of those that passed"
	case ByValue:
		return "worth most" + d.over(svc)
	case BySpread:
		return fmt.Sprintf("the draw, at %s %% among those that are as good", decimal(s.Weight))
	case ByRamp:
		return fmt.Sprintf("nobody else passed, and it is on its ramp at %s %% of its share", decimal(100*d.Seen[d.Winner].Circuit.Share))
	case BySpill:
		return d.spilled()
	case LastResort:
		if s.Gate == Drained {
			return "last resort for a read: every provider was gated, and it is only drained"
		}
		if d.Seen[d.Winner].Cause.Alarm == health.Slowing {
			return "last resort: nobody else passed, and it answers, though " + d.cause(d.Winner)
		}
		if d.beyond {
			return fmt.Sprintf("last resort: nobody else passed, and it comes back: %s since it was asked again", count(int(d.Seen[d.Winner].Circuit.Good), "good answer"))
		}
		if !d.Facts.Read {
			return "last resort: every provider was gated, and it refuses connections, so that a try there is proven unsent; it had " + d.cause(d.Winner)
		}
		return "last resort for a read: every provider was gated, it had " + d.cause(d.Winner)
	case NoReason:
		return "no reason was recorded"
	default:
		return "a reason that this version does not know"
	}
}

func (d *Decision) lost(i int8, svc *policy.Service) string {
	s := &d.Scores[i]
	switch s.Gate {
	case Passed:
		return d.passed(i, svc)
	case Tried:
		return "this call was there already"
	case NotOwner:
		return "another provider owns the object"
	case NoState:
		return "the session's state is not there and cannot be brought"
	case Drained:
		return "drained for another " + span(s.Wait)
	case NoWeight:
		return "weight 0, fallback only"
	case CircuitOpen:
		return fmt.Sprintf("circuit open, %s, asks again in %s", d.cause(i), span(s.Wait))
	case CircuitProbing:
		return "circuit half-open, its one probe is out or was just now"
	case AtCapacity:
		return fmt.Sprintf("at capacity, %d in flight of %d", s.InFlight, limits(svc, i).InFlight)
	case AtRate:
		return d.atRate(i, svc)
	case NoTime:
		return "no time left for an attempt"
	case Unmapped:
		return "its contract does not map this operation"
	case Ruled, Ramping, Spent, Careful, Dearer, Shed, NoRetry:
		return d.steered(i, svc)
	case Absent:
		return "no such candidate"
	default:
		return "a gate that this version does not know"
	}
}

func (d *Decision) passed(i int8, svc *policy.Service) string {
	switch {
	case svc.Strategy == policy.Weighted && d.Reason == ByWeight, d.Reason == BySpread && d.Scores[i].Weight > 0:
		return fmt.Sprintf("eligible, at %s %% of %s", decimal(d.Scores[i].Weight), drawn(svc))
	case svc.Strategy == policy.Adaptive && d.Winner >= 0:
		return "eligible, worth " + d.against(i, d.Winner, svc)
	}
	return "eligible"
}

func drawn(svc *policy.Service) string {
	if svc.Strategy == policy.Weighted {
		return "new sessions"
	}
	return "the draws"
}

func (d *Decision) atRate(i int8, svc *policy.Service) string {
	if d.Seen[i].Closed > 0 {
		return "it asked to be left alone for another " + span(d.Seen[i].Closed)
	}
	return fmt.Sprintf("its rate of %s per second is used up for %s", decimal(limits(svc, i).Rate), span(d.Seen[i].Rate))
}

func limits(svc *policy.Service, i int8) policy.Limits {
	if int(i) < len(svc.Candidates) {
		return svc.Candidates[i].Limits
	}
	return policy.Limits{}
}

func decimal(x float64) string { return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64) }

// span is a time as people say it: "14 s", "3 m 20 s", "250 ms". It is rounded up: nothing comes back sooner than told.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", (d+time.Millisecond-1)/time.Millisecond)
	}
	s := int64((d + time.Second - 1) / time.Second)
	switch {
	case s < 120:
		return fmt.Sprintf("%d s", s)
	case s < 7200:
		return fmt.Sprintf("%d m %d s", s/60, s%60)
	}
	return fmt.Sprintf("%d h %d m", s/3600, s%3600/60)
}

func fits(line string) bool {
	for i := range len(line) {
		if c := line[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return len(line) <= MaxWhy
}

// MaxWhy bounds the line of a header.
const MaxWhy = 240

// cut ends a line that is too long behind a whole word, and shows that it went on.
func cut(line string) string {
	line = line[:MaxWhy-len(" ...")]
	if i := strings.LastIndexByte(line, ' '); i > MaxWhy/2 {
		line = line[:i]
	}
	return strings.TrimRight(line, ",:; ") + " ..."
}

// ascii makes line fit for a string of RFC 9651. Nearly every line is so already.
func ascii(line string) string {
	if fits(line) {
		return line
	}
	b := make([]byte, 0, min(len(line), MaxWhy))
	for _, r := range line {
		switch {
		case len(b) == MaxWhy:
			return cut(string(b))
		case r == '"' || r == '\\':
			b = append(b, '\'')
		case r < ' ' || r > '~':
			b = append(b, '?')
		default:
			b = append(b, byte(r))
		}
	}
	return string(b)
}
