package ledger

import "time"

// StepKind is what to do next.
type StepKind uint8

// The steps.
const (
	Finish     StepKind = iota + 1 // write the final state, then answer
	Elsewhere                      // proven not executed: a new epoch at another provider
	Redrive                        // the same request again: same provider, key and bytes
	Hold                           // record unknown; answer outcome-unknown
	Refuse                         // proven not executed and nowhere or no time to go: write Refused, tell the caller
	LookUp                         // ask the provider by our reference
	Cancel                         // write Cancelling, and only then cancel by our reference
	Wait                           // until Step.Until, then ask again
	Compensate                     // the evidence's attempt was executed beside the outcome: take it back, by a transaction of its own
)

// Step is the next step and why.
type Step struct {
	Kind  StepKind
	Why   string
	Until time.Time // Wait
}

// keyLifePart is how much of a key's life a re-drive may use, in tenths: the rest is for clocks that differ and for the way there.
const keyLifePart = 9

// skew is how far ahead of our clock an INTENT may be before its key's age is not believed.
const skew = time.Second

// LookSpacing lies between two lookups of one attempt.
const LookSpacing = time.Second

// Next says what to do now that e is known of t. It does not guess: only evidence of an outcome leads to a final state, and only
// evidence that nothing was executed leads to another provider or to a refusal. Evidence is taken from anybody; the way is changed by
// the row's driver alone. It does not change t.
func Next(t *Transaction, e Evidence, c Circumstances) Step {
	switch {
	case len(t.Attempts) == 0:
		return Step{Kind: Hold, Why: "the row has no attempt"}
	case t.cameToLight(e):
		return late(t, e, c)
	case t.Final():
		return Step{Kind: Finish, Why: "the transaction has its outcome: " + t.State.String()}
	case e.Attempt != t.Current().ID:
		return Step{Kind: standing(t), Why: "the evidence is about another attempt than the current one"}
	}
	switch o := meaning(t, e, c); o {
	case Succeeded, Declined:
		return Step{Kind: Finish, Why: t.Current().Provider + " showed that the attempt " + o.String()}
	case NotSent:
		return unsent(t, c)
	case Unknown:
		return unknown(t, e, c)
	case Open:
		return Step{Kind: standing(t), Why: "the evidence shows nothing"}
	default:
		return Step{Kind: standing(t), Why: "the evidence is of a kind that nobody knows"}
	}
}

// standing is the step that leaves a row which is not final where it is.
func standing(t *Transaction) StepKind {
	if t.State == Refused {
		return Refuse
	}
	return Hold
}

// meaning is what e shows of the whole attempt. That one send was not sent says nothing of the sends before it; and what says
// nothing takes no proof back.
func meaning(t *Transaction, e Evidence, c Circumstances) Outcome {
	a := t.Current()
	if o := found(t, e, c); o != Open {
		return o
	}
	switch e.Outcome {
	case Declined:
		if once(a, e, c) || !c.Forgets && !beforeTheKey(e.Status) {
			return Declined
		}
	case Succeeded:
		if !a.Cancel || e.Kind == FromOperator {
			return Succeeded
		} // a cancel that has left may still void what was executed
	case Open:
		return Open
	case NotSent, Unknown:
	default: // a word that nobody knows proves nothing: it is read as unknown
	}
	switch {
	case t.State == Refused:
		return NotSent
	case e.Kind == FromTimer && a.Outcome.Definite(): // somebody else noted the proof, and left the way to the driver
		return a.Outcome
	case e.Outcome == NotSent && (once(a, e, c) || e.Kind == FromOperator):
		return NotSent
	default:
		return Unknown
	}
}

// once tells whether the send that e speaks of is the attempt's only one. At an offline pin nobody knows what other regions sent.
func once(a *Attempt, e Evidence, c Circumstances) bool {
	if c.AtPin {
		return false
	}
	return !e.Redrive && a.Sends <= 1
}

// found is the outcome that a finding proves, or Open.
func found(t *Transaction, e Evidence, c Circumstances) Outcome {
	switch e.Finding {
	case TooLate:
		return Succeeded
	case Voided:
		if e.Kind != FromCancel { // a cancel's own answer is no fence: a lookup must show it
			return NotSent
		}
	case Absent:
		if windowed(t, e, c) {
			return NotSent
		}
	case NoFinding, InProgress:
	default: // a finding that nobody knows proves nothing
	}
	return Open
}

// windowed tells whether a lookup that found nothing closes the attempt: it is the second one, it was begun after the settle window had passed,
// within the lookup's horizon, no cancel can have left, and the policy or the contract makes that a proof.
func windowed(t *Transaction, e Evidence, c Circumstances) bool {
	a := t.Current()
	switch {
	case a.How == ByWindow:
		return true
	case e.Kind != FromLookup, a.Cancel, c.AtPin, !c.Traced && !c.Expires, c.Settle <= 0, a.Absent.IsZero():
		return false
	}
	return !e.Begun.Before(a.Absent.Add(LookSpacing)) && !e.Begun.Before(t.quiet().Add(c.Settle)) && !beyond(a, e.Begun, c)
}

// beyond tells whether a lookup at that time is past the time for which the provider remembers.
func beyond(a *Attempt, at time.Time, c Circumstances) bool {
	return c.Horizon > 0 && at.Sub(a.IntentAt) >= c.Horizon
}

// quiet is when the last send of the current attempt may have begun. Rows that do not say so were last written after it.
func (t *Transaction) quiet() time.Time {
	a := t.Current()
	q := a.Quiet
	if q.IsZero() {
		q = t.Updated
	}
	if q.Before(a.IntentAt) {
		q = a.IntentAt
	}
	return q
}

// beforeTheKey tells the refusals that a provider gives before it looks at the key: who asks, what may be asked, where. To a re-drive they
// say nothing of the sends before it (a credential that was revoked between the two refuses the second, not the first).
func beforeTheKey(status int) bool {
	switch status {
	case 401, 403, 404, 405:
		return true
	default:
		return false
	}
}

func unsent(t *Transaction, c Circumstances) Step {
	where := t.Current().Provider + " executed nothing, which is proven; "
	switch {
	case c.Run != t.Run:
		return Step{Kind: standing(t), Why: where + "only the row's driver goes on from here"}
	case t.lateOne() >= 0:
		return Step{Kind: Finish, Why: where + "an earlier attempt was executed late: it is the outcome"}
	case t.State == Refused:
		return Step{Kind: Refuse, Why: where + "the caller was told"}
	}
	if why := stay(t, c); why != "" {
		return Step{Kind: Refuse, Why: where + why}
	}
	return Step{Kind: Elsewhere, Why: where + "another provider may be asked"}
}

// stay is why no other provider may be asked now, or empty.
func stay(t *Transaction, c Circumstances) string {
	switch {
	case !c.Live:
		return "no caller waits, so that nothing is sent elsewhere"
	case !c.Now.Before(c.Deadline):
		return "the caller's deadline has passed"
	case c.Skewed:
		return "this machine's clock is too far off for guarded work"
	case len(t.Attempts) >= MaxAttempts:
		return "the key has had all the attempts that one key may have"
	case len(t.Attempts)-c.Before >= c.MaxTries:
		return "the call has had all its tries"
	}
	return ""
}
