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

// Text is the evidence in words, for a circuit that saw so many failures in a row: "11 of the last 23 failed".
func (c *Cause) Text(failures int) string {
	switch {
	case c.Quiet.For > 0:
		return c.silence()
	case c.Late > 0 && c.Alarm == health.Slowing:
		return fmt.Sprintf("slow: %s took longer than %s", count(int(c.Late), "call"), span(c.Limit))
	case c.Late > 0:
		return fmt.Sprintf("%s in flight %s older than %s", count(int(c.Late), "call"), are(c.Late), span(c.Limit))
	case c.Alarm == health.Slowing:
		return fmt.Sprintf("slow: %d of the last %d over %s, its usual p95", c.Evidence.Slow, c.Evidence.Answers, span(c.Evidence.Usual))
	case c.Alarm == health.Hanging:
		return fmt.Sprintf("hangs: %d of the last %d stayed open for longer than is usual", c.Evidence.Slow, c.Evidence.Answers)
	case c.Alarm == health.Failing:
		return fmt.Sprintf("%d of the last %d failed", c.Evidence.Failed, c.Evidence.Calls)
	default:
		return inARow(failures)
	}
}

// silence is that evidence where nothing came: "12 calls in flight and no answer for 140 ms, where 9 were due".
func (c *Cause) silence() string {
	q := &c.Quiet
	came := "no answer for"
	if q.Answered > 0 {
		came = count(int(q.Answered), "answer") + " in"
	}
	line := fmt.Sprintf("%s in flight and %s %s, where %d were due", count(int(c.Late), "call"), came, span(q.For), q.Due)
	if c.Alarm == health.Slowing { // all came after all
		return "slow: it had " + line
	}
	return line
}

func are(n int32) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func inARow(failures int) string {
	if failures == 1 {
		return "1 failure"
	}
	return fmt.Sprintf("%d failures in a row", failures)
}

func (d *Decision) cause(i int8) string { return d.Seen[i].Cause.Text(int(d.Scores[i].Failures)) }

// steered are the sentences of the gates that follow from the policy's steering.
func (d *Decision) steered(i int8, svc *policy.Service) string {
	s, seen := &d.Scores[i], &d.Seen[i]
	switch s.Gate {
	case Ruled:
		return "kept away by the rule " + ruleName(svc, seen.Rule)
	case Ramping:
		if seen.Away && seen.Circuit.Pass {
			return "being left, " + d.cause(i) + ": others have room for its calls"
		}
		if seen.Away {
			return fmt.Sprintf("being left, %s: %s %% of its share goes there still", d.cause(i), decimal(100*seen.Circuit.Share))
		}
		return fmt.Sprintf("being taken back, at %s %% of its share", decimal(100*seen.Circuit.Share))
	case Spent:
		return "the money of the service's budget is spent, the next comes in " + span(d.Past.Resets)
	case Careful:
		if seen.State != breaker.Closed {
			return "high value: its circuit is " + seen.State.String()
		}
		return fmt.Sprintf("high value: known to succeed in %s %% of all cases, another in more", fine(100*float64(seen.Lower)))
	case Dearer:
		return "the money of the service's budget is spent, and another is cheaper"
	case Shed:
		return fmt.Sprintf("what is free of its %d in flight is kept: %s %% of the last calls were worth more", limits(svc, i).InFlight, decimal(100*d.Past.Above))
	default:
		return "eligible, but the service's retries are used up"
	}
}

// spilled tells why a call goes where it should not.
func (d *Decision) spilled() string {
	why := "nobody else can take it"
	if d.shed() {
		why = "what is free at the others is kept for calls that are worth more"
	}
	return why + "; part of what goes there succeeds, " + d.cause(d.Winner)
}

func ruleName(svc *policy.Service, rule int8) string {
	if k := int(rule) - 1; k >= 0 && k < len(svc.Rules) {
		return svc.Rules[k].Name
	}
	return strconv.Itoa(int(rule))
}

// over compares the winner with the best of the others that passed: "+0.031 against stripe: success -0.6 pp, fee -8 bps".
func (d *Decision) over(svc *policy.Service) string {
	next := int8(-1)
	for i := range d.N {
		if i != d.Winner && d.Scores[i].Gate == Passed && (next < 0 || d.Scores[i].Rank > d.Scores[next].Rank) {
			next = i
		}
	}
	if next < 0 {
		return " (nobody else passed)"
	}
	return ": " + d.against(d.Winner, next, svc) + " against " + d.name(svc, next)
}

// against tells what i is worth beside j, and what makes the difference.
func (d *Decision) against(i, j int8, svc *policy.Service) string {
	x, y := &d.Seen[i], &d.Seen[j]
	line := signed((d.Scores[i].Rank-d.Scores[j].Rank)/float64(policy.Unit), 4)
	var terms []string
	if gap := 100 * (x.success(d.high(svc)) - y.success(d.high(svc))); math.Abs(gap) >= .005 {
		terms = append(terms, "success "+signed(gap, 2)+" pp")
	}
	if gap := float64(x.Cost - y.Cost); gap != 0 && d.Facts.Value > 0 {
		terms = append(terms, "fee "+signed(gap/float64(d.Facts.Value)*10_000, 1)+" bps")
	} else if gap != 0 {
		terms = append(terms, "fee "+signed(gap/float64(policy.Unit), 6))
	}
	if gap := x.Latency - y.Latency; svc.Objective.Second > 0 && (gap >= time.Millisecond || gap <= -time.Millisecond) {
		terms = append(terms, "time "+signed(float64(gap/time.Millisecond), 0)+" ms")
	}
	if pin := d.Facts.Pinned; svc.Objective.Stay > 0 && (pin == i || pin == j) {
		word := "it is the session's"
		if pin == j {
			word = "the session is at " + d.name(svc, j)
		}
		terms = append(terms, word)
	}
	if len(terms) == 0 {
		return line
	}
	return line + " (" + strings.Join(terms, ", ") + ")"
}

// signed is a number with its sign, without zeros at its end.
func signed(x float64, digits int) string {
	scale := math.Pow10(digits)
	x = math.Round(x*scale) / scale
	if x == 0 {
		return "0"
	}
	text := strconv.FormatFloat(x, 'f', -1, 64)
	if x > 0 {
		return "+" + text
	}
	return text
}

func fine(x float64) string { return strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64) }
