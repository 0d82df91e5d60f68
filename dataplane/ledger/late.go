package ledger

// cameToLight tells whether e shows the execution of an attempt that is not the transaction's outcome and had been closed. What an
// answer says of an attempt that its own answer closed is no such thing: it is a late word.
func (t *Transaction) cameToLight(e Evidence) bool {
	if e.Outcome != Succeeded {
		return false
	}
	i := t.index(e.Attempt)
	if i < 0 || t.outcomeOf() == i {
		return false
	}
	a := &t.Attempts[i]
	switch {
	case a.How == ByCancel && !t.news(e, i):
		return false
	case i == len(t.Attempts)-1:
		return t.State == DoneSucceeded || t.State == Refused && t.Told
	case e.Kind == FromAnswer, e.Kind == FromTimeout, e.Kind == FromStaleSend:
		return a.How == ByWindow || a.How == ByOperator || a.How == ByPolicy
	default:
		return true
	}
}

// news tells whether e can speak of a time after a cancel had voided attempt i. What was executed and then voided is told late, too: by an
// answer, by a webhook, by a lookup that was begun before.
func (t *Transaction) news(e Evidence, i int) bool {
	switch e.Kind {
	case FromLookup:
		closed := t.Updated
		if i+1 < len(t.Attempts) {
			closed = t.Attempts[i+1].IntentAt // it was closed by the write that began this one
		}
		return e.Begun.After(closed.Add(skew))
	case FromStatement, FromOperator:
		return true
	default:
		return false
	}
}

// outcomeOf is the index of the attempt whose outcome is a succeeded transaction's, or -1.
func (t *Transaction) outcomeOf() int {
	switch {
	case t.State != DoneSucceeded:
		return -1
	case t.Adopted > 0:
		return t.Adopted - 1
	default:
		return len(t.Attempts) - 1
	}
}

// Settled is the attempt whose outcome is the transaction's: the current one, or an earlier one whose late execution was adopted.
func (t *Transaction) Settled() *Attempt {
	if i := t.outcomeOf(); i >= 0 {
		return &t.Attempts[i]
	}
	return t.Current()
}

func (t *Transaction) index(attempt string) int {
	for i := range t.Attempts {
		if t.Attempts[i].ID == attempt {
			return i
		}
	}
	return -1
}

// lateOne is the first attempt before the current one that was executed after it had been closed, or -1.
func (t *Transaction) lateOne() int {
	for i := range t.Attempts[:len(t.Attempts)-1] {
		if t.Attempts[i].Late {
			return i
		}
	}
	return -1
}

// late is the way on when an attempt that had been closed was executed after all. While the current one is open it is fenced, so that the
// late one can be the outcome; where there is no fence its outcome decides. Beside an outcome that was told, the late one is taken back.
func late(t *Transaction, e Evidence, c Circumstances) Step {
	what := t.Attempts[t.index(e.Attempt)].Provider + " executed an attempt after it had been closed; "
	now := t.Current()
	switch {
	case t.State == DoneSucceeded, t.State == DoneDeclined, t.State == Refused && t.Told:
		return Step{Kind: Compensate, Why: what + "the transaction has its outcome, so that it is taken back"}
	case c.Twice:
		return Step{Kind: Hold, Why: what + "the policy accepts duplicates"}
	case c.Run != t.Run:
		return Step{Kind: standing(t), Why: what + "only the row's driver goes on from here"}
	case now.Outcome == NotSent || t.State == Refused:
		return Step{Kind: Finish, Why: what + "nothing else was, so that it is the outcome"}
	case c.Lookup && c.Cancel && c.Blocks:
		return Step{Kind: Cancel, Why: what + "the current attempt is cancelled, if it can be"}
	case c.Lookup:
		return Step{Kind: LookUp, Why: what + "the outcome of the current attempt decides which of the two stays"}
	default:
		return Step{Kind: Hold, Why: what + "the outcome of the current attempt decides which of the two stays"}
	}
}

// Duplicates are the attempts that were executed beside the outcome of a final row: each is to be compensated.
func (t *Transaction) Duplicates() []int {
	if !t.Final() && !(t.State == Refused && t.Told) {
		return nil
	}
	var out []int
	for i := range t.Attempts {
		if t.Attempts[i].Late && i != t.outcomeOf() {
			out = append(out, i)
		}
	}
	return out
}

// compensationPrefix marks the keys of compensations. A caller's key may not begin with it.
const compensationPrefix = "segue-compensates-"

// CompensationKey is the key of the transaction that takes attempt i back: there is one for each attempt, whoever asks.
func (t *Transaction) CompensationKey(i int) Key {
	return Key{App: t.Key.App, Service: t.Key.Service, Key: compensationPrefix + t.Attempts[i].ID}
}
