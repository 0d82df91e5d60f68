package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// Bounds of a question.
const (
	askTime   = 5 * time.Second // to the first byte of its answer, whatever else the context allows
	maxAnswer = 1 << 20         // of an answer that is read whole
)

// ErrCannotAsk is why a question is not asked: nothing is known by it, and nothing is guessed.
var ErrCannotAsk = errors.New("cannot ask")

// Question asks what became of an attempt.
type Question struct {
	Candidate *policy.Candidate
	Service   string
	Operation string // of the attempt
	Attempt   *ledger.Attempt
	Header    message.Header // the caller's, where the credential is his; may be nil
	RequestID string
}

// Finding is what a question found. Evidence is always to be noted; without an answer it shows nothing.
type Finding struct {
	Evidence ledger.Evidence
	Answer   *message.Answer // what the create would have answered, where the lookup shows it
	ObjectID string          // of what was found
	Err      error           // for the log; never shown to callers
}

// LookUp asks the provider by the attempt's reference. It is one read in the attempt's account, at its endpoint; redirects are not followed.
// It proves an outcome only by an item that names our reference and a word that the contract knows.
func (c *Client) LookUp(ctx context.Context, q *Question) Finding {
	f := Finding{Evidence: ledger.Evidence{Attempt: q.Attempt.ID, Kind: ledger.FromLookup, Outcome: ledger.Unknown, Begun: c.now()}}
	l := &q.Candidate.Contract.Recourse.Lookup
	if f.Err = q.cannot(l.Match, l.Of); f.Err != nil {
		return f
	}
	asked, err := l.Ask(policy.Marks{Reference: q.Attempt.Reference, Account: q.Candidate.Account})
	if err != nil {
		f.Err = fmt.Errorf("provider %s: lookup: %w: %w", q.Candidate.Provider, ErrCannotAsk, err)
		return f
	}
	a := c.ask(ctx, q, asked, "lookup", &f)
	if a == nil {
		return f
	}
	item := l.Read(a.Status, a.Body, q.Attempt.Reference, q.Candidate.Contract.ObjectID)
	f.ObjectID = item.ID
	q.show(&f, item.Shows)
	if f.Evidence.Outcome == ledger.Succeeded && l.Answer != 0 && q.Candidate.Mapped(q.Operation) == nil { // in another API's words nobody can tell it without the call
		f.Evidence.Status = l.Answer
		f.Answer = &message.Answer{Status: l.Answer, Header: message.Header{{Name: "Content-Type", Value: "application/json"}}, Body: item.Body}
	}
	if item.Twice {
		f.Err = fmt.Errorf("provider %s: lookup: more than one object carries the reference %s", q.Candidate.Provider, q.Attempt.Reference)
	}
	return f
}

// Cancel cancels the attempt by its reference, or by the id that a lookup finds for it. What its answer says is no fence: a lookup shows that.
func (c *Client) Cancel(ctx context.Context, q *Question) Finding {
	f := Finding{Evidence: ledger.Evidence{Attempt: q.Attempt.ID, Kind: ledger.FromCancel, Outcome: ledger.Unknown, Begun: c.now()}}
	k := &q.Candidate.Contract.Recourse.Cancel
	if f.Err = q.cannot(k.Match, k.Of); f.Err != nil {
		return f
	}
	marks := policy.Marks{Reference: q.Attempt.Reference, Account: q.Candidate.Account}
	if k.NeedsID() {
		found := c.LookUp(ctx, q)
		if marks.ID = found.ObjectID; marks.ID == "" {
			f.Err = errors.Join(fmt.Errorf("provider %s: cancel: the lookup shows no id to cancel", q.Candidate.Provider), found.Err)
			return f
		}
	}
	asked, err := k.Ask(marks)
	if err != nil {
		f.Err = fmt.Errorf("provider %s: cancel: %w: %w", q.Candidate.Provider, ErrCannotAsk, err)
		return f
	}
	if a := c.ask(ctx, q, asked, "cancel", &f); a != nil {
		q.show(&f, k.Read(a.Status, a.Body))
	}
	return f
}

// cannot is why the question cannot be asked, or nil.
func (q *Question) cannot(match string, of []string) error {
	why := ""
	p, a := q.Candidate, q.Attempt
	switch {
	case match == "" || len(of) > 0 && !slices.Contains(of, q.Candidate.OperationThere(q.Operation)):
		why = "its contract has no such question for " + q.Operation
	case a.Reference == "":
		why = "the request carried no reference of ours"
	case p.Provider != a.Provider || !p.At(a.Endpoint):
		why = "the policy has it elsewhere by now"
	case p.Credential.Kind == policy.CredentialCaller && !q.Header.Has(slotName(p.Contract.Credential)):
		why = "the credential is the caller's, who is not here"
	case ledger.Account(p, q.Header) != a.Account:
		why = "the credential opens another account than the attempt's"
	default:
		return nil
	}
	return fmt.Errorf("provider %s: %w: %s", p.Provider, ErrCannotAsk, why)
}

// ask makes one call about an attempt and returns its whole answer, or nil.
func (c *Client) ask(ctx context.Context, q *Question, asked policy.Asked, as string, f *Finding) *message.Answer {
	r := &message.Request{Method: asked.Method, Path: asked.Path, RawQuery: asked.RawQuery, Header: message.Header{{Name: "Accept", Value: "application/json"}}}
	if asked.Body != "" {
		r.Body = []byte(asked.Body)
		r.Header.Add("Content-Type", asked.Type)
	}
	if q.Candidate.Credential.Kind == policy.CredentialCaller {
		name := slotName(q.Candidate.Contract.Credential)
		r.Header.Add(name, q.Header.Get(name))
	}
	limited, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	to, only := &whole{}, ""
	if len(q.Candidate.Further) > 0 && !q.Candidate.Shares() { // what was sent to one endpoint is known there alone
		only = q.Attempt.Endpoint
	}
	got := c.Send(limited, &Call{
		Candidate: q.Candidate, Service: q.Service, Operation: as, Request: r, Read: asked.Method == "GET", PerTry: askTime, RequestID: q.RequestID, Where: Where{Only: only},
	}, to)
	f.Evidence.Error, f.Evidence.Status = got.Error, got.Status
	if got.Err != nil || !to.ended {
		f.Err = got.Err
		return nil
	}
	return &to.answer
}

// show puts down what an answer shows. That nothing is there is read by today's contract, and proves nothing of a request that was sent by
// another one: its reference may stand elsewhere.
func (q *Question) show(f *Finding, shown policy.Shown) {
	e := &f.Evidence
	switch shown {
	case policy.ShowsSucceeded:
		e.Outcome = ledger.Succeeded
	case policy.ShowsDeclined:
		e.Outcome = ledger.Declined
	case policy.ShowsVoided:
		e.Finding = ledger.Voided
	case policy.ShowsTooLate:
		e.Finding = ledger.TooLate
	case policy.ShowsInProgress, policy.ShowsQueued:
		e.Finding = ledger.InProgress
	case policy.ShowsAbsent:
		if e.Kind == ledger.FromLookup && q.Candidate.Digest == q.Attempt.Contract {
			e.Finding = ledger.Absent
		}
	case policy.ShowsNothing:
	}
}

// whole is a reply that keeps an answer, up to a bound.
type whole struct {
	answer message.Answer
	ended  bool
}

var errTooMuch = errors.New("the answer is larger than what is read")

func (w *whole) Begin(status int, h message.Header) error {
	w.answer.Status, w.answer.Header = status, slices.Clone(h)
	return nil
}

func (w *whole) Write(p []byte) error {
	if len(w.answer.Body)+len(p) > maxAnswer {
		return errTooMuch
	}
	w.answer.Body = append(w.answer.Body, p...)
	return nil
}

func (w *whole) End(cut error) error {
	w.ended = cut == nil
	return nil
}

// Exchange sends a call and returns its whole answer; nil where there is none, or it is larger than what is read.
func (c *Client) Exchange(ctx context.Context, call *Call) (Result, *message.Answer) {
	to := &whole{}
	r := c.Send(ctx, call, to)
	if r.Err != nil || !to.ended {
		return r, nil
	}
	return r, &to.answer
}
