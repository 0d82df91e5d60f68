package ledger

import "time"

// MaySend tells whether the first byte of a send may leave: not behind its send_by, and not under a lease that lapsed, because somebody
// else may have concluded that nothing comes any more. Both are asked right before the byte, on a clock that goes on in sleep.
func MaySend(age, sendBy time.Duration, lapsed bool) bool {
	return age >= 0 && age <= sendBy && !lapsed
}

// Early is what an answer before the final write rests on.
type Early struct {
	Kept  bool // the outcome is on stable storage here
	Lease bool // over half of the lease of the run that sent is left, and it is still ours
	High  bool // the operation is above the policy's high value
}

// MayAnswer tells whether the caller may be told e's outcome before the row has it: the outcome is kept here, the provider can be asked
// for exactly this outcome again, and nobody can have begun a cancel or a move.
func MayAnswer(t *Transaction, e Evidence, c Circumstances, y Early) bool {
	if len(t.Attempts) == 0 || t.Final() || !y.Kept || c.Run != t.Run || e.Attempt != t.Current().ID || t.lateOne() >= 0 {
		return false
	}
	fences := !c.AtPin && (c.Cancel || c.Traced || c.Expires) // nothing closes an attempt at a pin but what the provider or a person shows
	switch meaning(t, e, c) {
	case Succeeded:
		if !c.Enforced && !c.Lookup {
			return false
		}
	case Declined:
		if !c.Enforced || c.Forgets { // a lookup may not show what was declined
			return false
		}
	default:
		return false
	}
	switch {
	case t.Current().Cancel:
		return false
	case !fences:
		return true
	default:
		return y.Lease && !(y.High && c.Cancel)
	}
}
