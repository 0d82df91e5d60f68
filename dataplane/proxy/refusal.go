package proxy

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

// keyExample is what a key can look like.
const keyExample = `Idempotency-Key: "order-7f3c-charge-1"`

// TooLarge refuses a request whose body is over the limit.
func TooLarge(limit int64) *Problem {
	return &Problem{
		Type: BodyTooLarge, Detail: fmt.Sprintf("The body has more than %d bytes.", limit),
		Extra: Extra{Limit: strconv.FormatInt(limit, 10) + " bytes"},
	}
}

// SpoolFull refuses a request whose body has no room now: limit says where.
func SpoolFull(limit string) *Problem {
	return &Problem{
		Type: Overloaded, RetryAfter: time.Second, Extra: Extra{Limit: limit},
		Detail: "There is no room for the request's body right now: the " + limit + " is full. Nothing was sent.",
	}
}

// NoService refuses a request that came in where no service listens.
func NoService(host string) *Problem {
	return &Problem{Type: UnknownService, Detail: fmt.Sprintf("No service listens here under the host name %.80q.", host)}
}

// BadHeader refuses a request because of one of its headers; why is a sentence without the value.
func BadHeader(name, why string) *Problem {
	return &Problem{Type: HeaderMalformed, Detail: name + ": " + why}
}

func noOperation(svc *policy.Service, method, path string) *Problem {
	nearest := svc.Nearest(method, path)
	detail := fmt.Sprintf("%s has no operation for %s %.200s.", svc.Name, method, path)
	if nearest != "" {
		detail += " The " + nearest + "."
	}
	return &Problem{Type: UnknownOperation, Detail: detail, Extra: Extra{Nearest: nearest}}
}

func keyMissing(op *policy.Operation) *Problem {
	return &Problem{
		Type:   KeyMissing,
		Detail: fmt.Sprintf("%s needs an idempotency key, so that a repeat is known as one.", op.Name),
		Extra:  Extra{Example: keyExample},
	}
}

func keyUnderived(op *policy.Operation, why error) *Problem {
	return &Problem{
		Type:   KeyMissing,
		Detail: fmt.Sprintf("The key of %s is derived from fields that the request must have: %v.", op.Name, why),
		Extra:  Extra{Example: keyExample},
	}
}

func keyMalformed(why error) *Problem {
	return &Problem{Type: KeyMalformed, Detail: fmt.Sprintf("The Idempotency-Key cannot be read: %v.", why), Extra: Extra{Example: keyExample}}
}

func keyReused(t *ledger.Transaction) *Problem {
	seen := t.Created.UTC()
	return &Problem{
		Type: KeyReused, Transaction: t.ID,
		Detail: "The same key came before with another request. A new request needs a new key.",
		Extra:  Extra{FirstSeen: &seen},
	}
}

func inProgress(t *ledger.Transaction) *Problem {
	p := &Problem{Type: InProgress, Detail: "A call under this key is being made right now.", RetryAfter: time.Second}
	if t != nil {
		p.Transaction = t.ID
	}
	return p
}

// noAnswer is why an outcome has no answer.
const noAnswer = "the outcome was proven without it, or it cannot be told in the API that this service speaks"

// unknown is the problem of a row whose outcome nobody knows.
func (x *Exchange) unknown(t *ledger.Transaction) *Problem {
	return unknown(t, x.proxy.cfg.Driver.NextCheck(t))
}

// unknown says that nobody knows whether the call was executed, and when somebody looks again; no time: an operator decides.
func unknown(t *ledger.Transaction, next time.Time) *Problem {
	p := &Problem{
		Type: OutcomeUnknown, Transaction: t.ID,
		Detail: "It is not known whether the call was executed. Retry only with the same key: it is not sent again on a guess.",
		Extra:  Extra{Attempts: tried(t)},
	}
	if !next.IsZero() {
		next = next.UTC().Truncate(time.Second).Add(time.Second)
		p.Extra.NextCheck = &next
	}
	switch {
	case len(t.Attempts) == 0:
	case t.Current().Outcome == ledger.NotSent && t.Current().Error == ledger.StaleSend:
		p.Detail = "This agent was held up for longer than its lease before it could send: nothing left it for " + t.Current().Provider +
			", and it may not conclude from that alone. Retry with the same key: it is sent once."
	default:
		a := t.Current()
		p.Detail = a.Provider + " " + showed(a) + ". " + p.Detail
	}
	return p
}

func showed(a *ledger.Attempt) string {
	switch {
	case a.Status != 0:
		return "answered " + strconv.Itoa(a.Status) + ", which proves nothing"
	case a.Error != "":
		return "gave no whole answer (" + a.Error + ")"
	default:
		return "did not answer"
	}
}

func tried(t *ledger.Transaction) []TriedProvider {
	out := make([]TriedProvider, 0, len(t.Attempts))
	for i := range t.Attempts {
		a := &t.Attempts[i]
		out = append(out, TriedProvider{Provider: a.Provider, Outcome: a.Outcome.String(), Error: a.Error, Status: a.Status, Sends: a.Sends})
	}
	return out
}

// noRoomAgain is when a caller may come back who was refused because hints have no room.
const noRoomAgain = 5 * time.Second

// unwritable says that the ledger took no claim: nothing was sent. How many copies answer is the store's word; one that says nothing is one copy
// that does not.
func unwritable(why error) *Problem {
	if errors.Is(why, ledger.ErrNoRoom) {
		return &Problem{
			Type: Overloaded, RetryAfter: noRoomAgain, Extra: Extra{Limit: "the agent's log of hints"},
			Detail: fmt.Sprintf("The outcome of the call could not be kept until the store takes it, so that it was not sent: %v.", why),
		}
	}
	alive, needed := 0, 1.0
	if q := (*ledger.NoQuorum)(nil); errors.As(why, &q) {
		alive, needed = q.Alive, float64(q.Needed)
	}
	return &Problem{
		Type: NoQuorum, RetryAfter: time.Second, Extra: Extra{Alive: &alive, Needed: &needed},
		Detail: fmt.Sprintf("The ledger could not record the call, so that it was not sent: %v.", why),
	}
}

// unreadable says that the ledger does not tell what became of the key: nothing was sent now, but an earlier call may have been executed.
func unreadable(why error) *Problem {
	p := unwritable(why)
	p.Type, p.Open = NoQuorum, true
	p.Detail = fmt.Sprintf("The ledger could not be read, so that nothing was sent; an earlier call under this key may have been executed: %v.", why)
	return p
}

func notKept(t *ledger.Transaction, why string) *Problem {
	return &Problem{Type: AnswerNotKept, Declined: t.State == ledger.DoneDeclined, Transaction: t.ID, Detail: "The call is done (" + t.State.String() + "), but its answer is not here: " + why + "."}
}

func tooShort(left, needed time.Duration) *Problem {
	s := needed.Seconds()
	return &Problem{
		Type: DeadlineTooShort, Extra: Extra{Needed: &s},
		Detail: fmt.Sprintf("%v are left until the deadline; an attempt needs at least %v.", max(0, left), needed),
	}
}

func keyExhausted(t *ledger.Transaction) *Problem {
	return &Problem{
		Type: NoEligibleProvider, Transaction: t.ID, Extra: Extra{Attempts: tried(t)},
		Detail: fmt.Sprintf("%d attempts under this key were not sent, which is the most that one key may have.", len(t.Attempts)),
	}
}

// ownerGone refuses a call about an object whose provider the policy does not have any more: no other knows the object.
func ownerGone(o ledger.Object) *Problem {
	return &Problem{
		Type: NoEligibleProvider, Detail: fmt.Sprintf("%s belongs to %s, which this service does not have any more.", o.ID, o.Provider),
		Extra: Extra{Candidates: []GatedProvider{{Provider: o.Provider, Gate: "absent", Reason: "not in the policy"}}},
	}
}

// refused tells why nobody was eligible: no time, no capacity, or other gates. The sentences are made here and not when deciding.
func refused(d *route.Decision, svc *policy.Service) *Problem {
	p := &Problem{Type: NoEligibleProvider, Detail: d.Why(svc) + "."}
	reasons := d.Reasons(svc)
	for i, why := range reasons {
		p.Extra.Candidates = append(p.Extra.Candidates, GatedProvider{Provider: svc.Candidates[i].Provider, Gate: d.Scores[i].Gate.String(), Reason: why})
	}
	if p.exhausted(d) {
		return p
	}
	switch full, late := gatedOnlyBy(d); {
	case late:
		return tooShort(d.Facts.Deadline.Sub(d.At), minimum)
	case full:
		p.Type, p.Extra.Limit = Overloaded, "calls in flight or per second at the providers"
	}
	if wait, ok := d.Wait(); ok {
		p.RetryAfter = wait
	}
	return p
}

// exhausted makes it the problem of a budget, where a budget kept away who could have taken the call.
func (p *Problem) exhausted(d *route.Decision) bool {
	for i := range d.N {
		switch d.Scores[i].Gate {
		case route.NoRetry:
			p.Type, p.Extra.Budget, p.RetryAfter = BudgetExhausted, "retry", time.Second
			return true
		case route.Spent:
			resets := d.At.Add(d.Past.Resets).UTC()
			p.Type, p.Extra.Budget, p.Extra.ResetsAt, p.RetryAfter = BudgetExhausted, "spend", &resets, d.Past.Resets
			return true
		default:
		}
	}
	return false
}

// gatedOnlyBy tells whether every candidate that could have been asked was at its limits, or had no time left.
func gatedOnlyBy(d *route.Decision) (full, late bool) {
	asked, limits, times := 0, 0, 0
	for i := range d.N {
		switch d.Scores[i].Gate {
		case route.AtCapacity, route.AtRate, route.Shed:
			asked, limits = asked+1, limits+1
		case route.NoTime:
			asked, times = asked+1, times+1
		case route.Drained, route.CircuitOpen, route.CircuitProbing, route.NoWeight, route.Passed, route.Absent:
			asked++
		case route.Tried, route.NotOwner, route.Unmapped:
		default:
			asked++
		}
	}
	return asked > 0 && limits == asked, asked > 0 && times == asked
}

// exhausted tells that every provider that was asked refused, and that no more may be asked for this call.
func exhausted(attempts []TriedProvider) *Problem {
	p := &Problem{Type: NoEligibleProvider, Detail: "No provider took the call.", Extra: Extra{Attempts: attempts}}
	for i := range attempts {
		a := &attempts[i]
		switch {
		case a.Error != "":
			p.Detail += " " + a.Provider + ": " + a.Error + "."
		case a.Status != 0:
			p.Detail += " " + a.Provider + " answered " + strconv.Itoa(a.Status) + "."
		}
	}
	return p
}
