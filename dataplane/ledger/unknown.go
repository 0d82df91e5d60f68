package ledger

import "time"

// unknown is the way on where nobody knows whether the current attempt was executed: the same request again where the provider enforces
// keys, else a lookup, then a fence, else hold.
func unknown(t *Transaction, e Evidence, c Circumstances) Step {
	a := t.Current()
	what := "whether " + a.Provider + " executed it is not known; "
	if e.Outcome == NotSent {
		what = "a re-drive that was not sent says nothing of the sends before it; "
	}
	if c.Run != t.Run {
		return Step{Kind: Hold, Why: what + "only the row's driver may send again"}
	}
	if a.Cancel {
		return cancelling(t, e, c, "a cancel may have left, and whether "+a.Provider+" executed it is not known; ")
	}
	if c.Twice {
		if why := stay(t, c); why != "" {
			return Step{Kind: Hold, Why: what + why}
		}
		return Step{Kind: Elsewhere, Why: what + "the policy accepts duplicates"}
	}
	why := alone(t, c)
	if why == "" {
		return Step{Kind: Redrive, Why: what + "it enforces keys, so that the same request is sent again"}
	}
	if !c.Lookup {
		return Step{Kind: Hold, Why: what + why}
	}
	return verify(t, e, c, what)
}

// alone is why the same request may not be sent again, or empty.
func alone(t *Transaction, c Circumstances) string {
	a := t.Current()
	age := c.Now.Sub(a.IntentAt)
	switch {
	case !c.Enforced:
		return "it does not enforce keys, so that a second send could execute twice"
	case !c.Live && !(t.Kept && c.Now.Before(t.ExecuteBy)):
		return "no caller waits, and the body is gone"
	case c.Live && !c.Now.Before(c.Deadline):
		return "the caller's deadline has passed"
	case c.Changed:
		return "the policy sends it otherwise by now, so that it would be another request under the same key"
	case c.Skewed:
		return "this machine's clock is too far off for guarded work"
	case t.lateOne() >= 0:
		return "an earlier attempt was executed late, so that this one is not wanted"
	case age < -skew:
		return "the attempt's INTENT lies in the future, so that its key's age is not known"
	case age >= c.KeyLife/10*keyLifePart:
		return "its key is too old to be relied on there"
	case a.Sends >= c.MaxSends:
		return "the attempt has had all its sends"
	}
	return ""
}

// verify asks the provider by our reference, and goes on by what that found.
func verify(t *Transaction, e Evidence, c Circumstances, what string) Step {
	a := t.Current()
	switch {
	case c.Live && !c.Now.Before(c.Deadline):
		return Step{Kind: Hold, Why: what + "the caller's deadline has passed"}
	case beyond(a, c.Now, c):
		return Step{Kind: Hold, Why: what + "a lookup no longer finds what is so old: an operator decides"}
	case e.Kind != FromLookup:
		return Step{Kind: LookUp, Why: what + "it can be looked up"}
	}
	switch e.Finding {
	case Absent:
		return absent(t, e, c, what)
	case InProgress:
		return wait(c, c.Now.Add(LookSpacing), what+"it works on it")
	default:
		return again(c, what)
	}
}

// absent goes on after a lookup that found nothing: what was sent may still come.
func absent(t *Transaction, e Evidence, c Circumstances, what string) Step {
	what += "it knows nothing of it yet; "
	switch {
	case c.AtPin: // a region that is cut off may have told a success already, which a cancel would void
		return Step{Kind: Hold, Why: what + "a region without a quorum may still send it there: an operator decides"}
	case c.Cancel && c.Blocks:
		return Step{Kind: Cancel, Why: what + "a cancel blocks it for good"}
	case c.Settle <= 0:
		return Step{Kind: Hold, Why: what + "nobody says how long that may take: an operator decides"}
	case !c.Traced && !c.Expires:
		return Step{Kind: Hold, Why: what + "the policy does not take a settle window for proof: an operator decides"}
	}
	until := t.quiet().Add(c.Settle)
	first := t.Current().Absent
	if first.IsZero() {
		first = e.Begun
	}
	if spaced := first.Add(LookSpacing); until.Before(spaced) {
		until = spaced
	}
	if !until.After(c.Now) {
		return Step{Kind: LookUp, Why: what + "its settle window has passed"}
	}
	return wait(c, until, what+"its settle window is open")
}

// again looks up once more after a lookup without an answer: at once while a caller waits, else at the next time of the schedule.
func again(c Circumstances, what string) Step {
	if !c.Live {
		return Step{Kind: Hold, Why: what + "the lookup had no answer"}
	}
	return wait(c, c.Now.Add(LookSpacing), what+"the lookup had no answer")
}

// wait waits, unless a caller's deadline comes first.
func wait(c Circumstances, until time.Time, why string) Step {
	if c.Live && !until.Before(c.Deadline) {
		return Step{Kind: Hold, Why: why + ", for longer than the caller waits"}
	}
	return Step{Kind: Wait, Why: why, Until: until}
}

// cancelling is the way on once a cancel may have left: success needs "too late to cancel", and a fence a lookup that shows the attempt
// cancelled. What else comes is unknown.
func cancelling(t *Transaction, e Evidence, c Circumstances, what string) Step {
	a := t.Current()
	switch {
	case !c.Lookup || !c.Cancel:
		return Step{Kind: Hold, Why: what + "the contract no longer says how to look: an operator decides"}
	case c.Live && !c.Now.Before(c.Deadline):
		return Step{Kind: Hold, Why: what + "the caller's deadline has passed"}
	case beyond(a, c.Now, c):
		return Step{Kind: Hold, Why: what + "a lookup no longer finds what is so old: an operator decides"}
	case e.Kind != FromLookup:
		return Step{Kind: LookUp, Why: what + "a lookup shows what the cancel did"}
	case e.Outcome == Succeeded:
		return Step{Kind: Cancel, Why: what + "it is executed there: a cancel voids it or comes too late"}
	case e.Finding == Absent && c.Blocks:
		return Step{Kind: Cancel, Why: what + "the cancel did not arrive"}
	case e.Finding == Absent:
		return Step{Kind: Hold, Why: what + "not found is no fence here: an operator decides"}
	case e.Finding == InProgress:
		return wait(c, c.Now.Add(LookSpacing), what+"it works on it")
	default:
		return again(c, what)
	}
}
