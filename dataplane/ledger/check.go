package ledger

import "time"

// The checks of a row whose outcome is not known come after 5, 15 and 45 seconds, each 45 seconds for a quarter of an hour, each quarter of
// an hour for three hours, and each hour after that. A provider can be well again without anybody's circuit telling so; a minute is as
// long as a person should have to wait for what could be asked.
const (
	firstCheck = 5 * time.Second
	often      = 45 * time.Second
	aQuarter   = 15 * time.Minute
	aFewHours  = 3 * time.Hour
)

// followingCheck is the check after the one that is d old.
func followingCheck(d time.Duration) time.Duration {
	switch {
	case d < often:
		return 3 * d
	case d < aQuarter:
		return d + often
	case d < aFewHours:
		return d + aQuarter
	default:
		return d + time.Hour
	}
}

// longestHold ends the checks where a provider finds its requests for ever: a row is kept no longer.
const longestHold = 35 * 24 * time.Hour

// What one drive of a row may do.
const (
	MaxSends = 4 // of one attempt: the first and three re-drives, which a call's deadline hardly holds anyway
	MaxAsks  = 8 // lookups and cancels
)

// AgainAfter is how long a driver waits before it sends an attempt once more to a provider that enforces keys; n sends and waits lie behind it.
func AgainAfter(n int) time.Duration {
	return min(lastAgain, firstAgain<<min(max(n, 0), 6))
}

const (
	firstAgain = 50 * time.Millisecond
	lastAgain  = time.Second
)

// NextCheck is when the background looks for t's outcome next: by a lookup within its horizon, or by the kept request while its key may be
// relied on. Zero: nothing can be learnt by asking any more, and an operator decides.
func NextCheck(t *Transaction, c Circumstances) time.Time {
	if !t.Pending() || len(t.Attempts) == 0 {
		return time.Time{}
	}
	if until := askable(t, c); c.Now.Before(until) {
		if at := checkAfter(t, c.Now); at.Before(until) {
			return at
		}
		return until.Add(-time.Millisecond) // a last look before it is too late
	}
	return time.Time{}
}

// askable is until when the provider can be asked for t's outcome without a caller.
func askable(t *Transaction, c Circumstances) (until time.Time) {
	a := t.Current()
	if a.Outcome == NotSent { // the proof is in the row: who wrote it had lost his lease, so that the background goes on from it
		return a.IntentAt.Add(longestHold)
	}
	if c.Lookup {
		until = a.IntentAt.Add(longestHold)
		if c.Horizon > 0 && c.Horizon < longestHold {
			until = a.IntentAt.Add(c.Horizon)
		}
	}
	c.Live = false
	if !a.Cancel && !c.Twice && alone(t, c) == "" {
		life := a.IntentAt.Add(c.KeyLife / 10 * keyLifePart)
		if t.ExecuteBy.Before(life) {
			life = t.ExecuteBy
		}
		if life.After(until) {
			until = life
		}
	}
	return until
}

// checkAfter is the first check of the schedule that is still to come. Each transaction has its own tenth more or less: what was held together is
// not asked for together.
func checkAfter(t *Transaction, now time.Time) time.Time {
	h := uint64(14695981039346656037)
	for i := range len(t.ID) {
		h = (h ^ uint64(t.ID[i])) * 1099511628211
	}
	share := 900 + time.Duration((h>>11)%201) // thousandths
	since := t.Updated
	if a := t.Current(); a.Sends > 1 { // each send writes the row: the checks would begin anew with each of them
		since = a.IntentAt
	}
	for d := firstCheck; ; d = followingCheck(d) {
		if at := since.Add(d / 1000 * share); at.After(now) {
			return at
		}
	}
}
