package ledger

import "time"

// Evidence proves or suggests the outcome of one send of the current attempt.
type Evidence struct {
	Attempt string
	Kind    EvidenceKind
	Outcome Outcome
	Error   string // RFC 9209 token
	Status  int
	Redrive bool // the send was a same-key re-drive: its not_sent says nothing of the first send
}

// EvidenceKind is where evidence comes from.
type EvidenceKind uint8

// The kinds of evidence that are built.
const (
	FromAnswer    EvidenceKind = iota + 1 // the provider answered (or refused the connection)
	FromTimeout                           // nothing came in time, or the connection died after the first byte
	FromStaleSend                         // the sender was paused past send_by: no byte left
)

// Circumstances are what Next must know beside row and evidence.
type Circumstances struct {
	Now      time.Time
	Live     bool          // a caller's exchange is live: the body is here
	Deadline time.Time     // when the caller must have an answer
	Enforced bool          // the attempt's provider enforces keys, by the contract
	KeyLife  time.Duration // how long it remembers them
	MaxTries int           // providers per call, by the policy
	Before   int           // attempts that earlier calls under the key made: they count for none of this call's tries
	MaxSends int           // sends of one attempt
	Run      string        // who asks
}

// StepKind is what to do next.
type StepKind uint8

// The steps.
const (
	Finish    StepKind = iota + 1 // write the final state, then answer
	Elsewhere                     // proven not executed: a new epoch at another provider
	Redrive                       // the same request again: same provider, key and bytes
	Hold                          // record unknown; answer outcome-unknown
	Refuse                        // proven not executed and nowhere or no time to go: write Refused, tell the caller
)

// Step is the next step and why.
type Step struct {
	Kind StepKind
	Why  string
}

// keyLifePart is how much of a key's life a re-drive may use, in tenths: the rest is for clocks that differ and for the way there.
const keyLifePart = 9

// skew is how far ahead of our clock an INTENT may be before its key's age is not believed.
const skew = time.Second

// Next says what to do now that e is known of t. It does not guess: only evidence of an outcome leads to a final state, and only
// evidence that nothing was executed leads to another provider or to a refusal. Evidence is taken from anybody; the way is changed by
// the row's driver alone. It does not change t.
func Next(t *Transaction, e Evidence, c Circumstances) Step {
	switch {
	case len(t.Attempts) == 0:
		return Step{Hold, "the row has no attempt"}
	case t.Final():
		return Step{Finish, "the transaction has its outcome: " + t.State.String()}
	case e.Attempt != t.Current().ID:
		return Step{standing(t), "the evidence is about another attempt than the current one"}
	}
	switch o := meaning(t, e); o {
	case Succeeded, Declined:
		return Step{Finish, t.Current().Provider + " showed that the attempt " + o.String()}
	case NotSent:
		return unsent(t, c)
	case Unknown:
		return unknown(t, e, c)
	case Open:
		return Step{standing(t), "the evidence shows nothing"}
	default:
		return Step{standing(t), "the evidence is of a kind that nobody knows"}
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
func meaning(t *Transaction, e Evidence) Outcome {
	switch e.Outcome {
	case Declined:
		if !e.Redrive && t.Current().Sends <= 1 || !beforeTheKey(e.Status) {
			return Declined
		}
	case Succeeded, Open:
		return e.Outcome
	case NotSent, Unknown:
	default: // a word that nobody knows proves nothing: it is read as unknown
	}
	switch {
	case t.State == Refused:
		return NotSent
	case e.Outcome == NotSent && !e.Redrive && t.Current().Sends <= 1:
		return NotSent
	default:
		return Unknown
	}
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
		return Step{standing(t), where + "only the row's driver goes on from here"}
	case t.State == Refused:
		return Step{Refuse, where + "the caller was told"}
	case !c.Live:
		return Step{Refuse, where + "no caller waits, so that nothing is sent elsewhere"}
	case !c.Now.Before(c.Deadline):
		return Step{Refuse, where + "the caller's deadline has passed"}
	case len(t.Attempts) >= MaxAttempts:
		return Step{Refuse, where + "the key has had all the attempts that one key may have"}
	case len(t.Attempts)-c.Before >= c.MaxTries:
		return Step{Refuse, where + "the call has had all its tries"}
	}
	return Step{Elsewhere, where + "another provider may be asked"}
}

func unknown(t *Transaction, e Evidence, c Circumstances) Step {
	a := t.Current()
	what := "whether " + a.Provider + " executed it is not known; "
	if e.Outcome == NotSent {
		what = "a re-drive that was not sent says nothing of the sends before it; "
	}
	age := c.Now.Sub(a.IntentAt)
	switch {
	case c.Run != t.Run:
		return Step{Hold, what + "only the row's driver may send again"}
	case !c.Enforced:
		return Step{Hold, what + "it does not enforce keys, so that a second send could execute twice"}
	case !c.Live:
		return Step{Hold, what + "no caller waits, and the body is gone"}
	case !c.Now.Before(c.Deadline):
		return Step{Hold, what + "the caller's deadline has passed"}
	case age < -skew:
		return Step{Hold, what + "the attempt's INTENT lies in the future, so that its key's age is not known"}
	case age >= c.KeyLife/10*keyLifePart:
		return Step{Hold, what + "its key is too old to be relied on there"}
	case a.Sends >= c.MaxSends:
		return Step{Hold, what + "the attempt has had all its sends"}
	}
	return Step{Redrive, what + "it enforces keys, so that the same request is sent again"}
}
