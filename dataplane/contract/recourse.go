package contract

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
)

// covered is the operation that the specimen's effect is, where an aid is for it.
func (d *driver) covered(of []string) (operation string, ok bool) {
	r := d.Specimen.Effect("covered")
	o, known := d.compiled.Match(r.Method, r.Path)
	if !known {
		return "", false
	}
	return o.Name, len(of) == 0 || slices.Contains(of, o.Name)
}

// referred sends an effect that carries a reference of ours, and returns the attempt as the ledger would have it.
func (d *driver) referred(ctx context.Context, operation string, r Request) (*got, *ledger.Attempt, bool) {
	d.n++
	a := &ledger.Attempt{ID: "at_" + d.key(), Provider: d.right.Provider, Account: d.right.Account, Endpoint: d.right.Endpoint,
		Contract: d.right.Digest, Reference: fmt.Sprintf("tx_%s%d-0", strings.ToLower(d.run), d.n)}
	q := &message.Request{Method: r.Method, Path: r.Path, Header: r.header(), Body: []byte(r.Body)}
	if !provider.Refers(d.right, operation, q) {
		return nil, a, false
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g := &got{}
	g.Result = d.client.Send(ctx, &provider.Call{Candidate: d.right, Service: "driven", Operation: operation, Request: q, Key: d.key(), Reference: a.Reference, PerTry: patience}, g)
	return g, a, true
}

func (d *driver) question(operation string, a *ledger.Attempt) *provider.Question {
	return &provider.Question{Candidate: d.right, Service: "driven", Operation: operation, Attempt: a}
}

// lookup checks that what was sent with our reference is found by it, with its outcome, and what was not is not.
func (d *driver) lookup(ctx context.Context) {
	l := &d.contract.Recourse.Lookup
	if l.Match == "" {
		return
	}
	operation, ok := d.covered(l.Of)
	if !ok {
		d.say("lookup", "a request is found", false, "it is not for the effect that is driven")
		return
	}
	g, a, carried := d.referred(ctx, operation, d.anonymous())
	if !carried {
		d.say("lookup", "a request carries our reference", false, "%s has no room for it", l.By)
		return
	}
	f := d.found(ctx, operation, a)
	id := g.field(d.contract.ObjectID)
	d.say("lookup", "a request is found", f.Evidence.Outcome == ledger.Succeeded && f.ObjectID == id, "sent: %s; found: %s of %s", g, f.Evidence.Outcome, f.ObjectID)
	if l.Answer != 0 && f.Answer != nil {
		d.say("lookup", "as it was answered", f.Answer.Status == g.Status && len(f.Answer.Body) > 0, "%d, then %d", g.Status, f.Answer.Status)
	} else if l.Answer != 0 {
		d.say("lookup", "as it was answered", false, "no answer is shown")
	}
	if d.Specimen.Declines != nil {
		g, a, _ := d.referred(ctx, operation, d.Specimen.Declines(d.anonymous()))
		f := d.found(ctx, operation, a)
		d.say("lookup", "a declined one too", f.Evidence.Outcome == ledger.Declined, "sent: %s; found: %s", g, f.Evidence.Outcome)
	}
	for _, w := range d.Specimen.Words {
		item := l.Read(200, []byte(d.Specimen.Item("tx_1-0", w.Event)), "tx_1-0", d.contract.ObjectID)
		d.say("lookup", w.Event, item.Shows == w.Shows, "shows %q; the vendor means %q", item.Shows, w.Shows)
	}
	never := *a
	never.Reference = "tx_never" + a.Reference
	f = d.client.LookUp(ctx, d.question(operation, &never))
	d.say("lookup", "what was never sent is not there", f.Evidence.Outcome == ledger.Unknown && f.Evidence.Finding == ledger.Absent, "%s, %s", f.Evidence.Outcome, f.Evidence.Finding)
}

// later is how long a lookup that does not show a request at once may take.
const later = 400 * time.Millisecond

// found looks a request up: once where the lookup shows it at once, else for a while.
func (d *driver) found(ctx context.Context, operation string, a *ledger.Attempt) provider.Finding {
	f := d.client.LookUp(ctx, d.question(operation, a))
	if !d.contract.Recourse.Lookup.Strong {
		within(ctx, later, func() bool {
			f = d.client.LookUp(ctx, d.question(operation, a))
			return f.ObjectID != ""
		})
	}
	return f
}

// anonymous is an effect without the application's own reference.
func (d *driver) anonymous() Request {
	r := d.next()
	if d.Specimen.Anonymous != nil {
		r = d.Specimen.Anonymous(r)
	}
	return r
}

// cancel checks that a call is cancelled by our reference, or by the id that the lookup finds, and what its answers say.
func (d *driver) cancel(ctx context.Context) {
	k := &d.contract.Recourse.Cancel
	if k.Match == "" {
		return
	}
	operation, ok := d.covered(k.Of)
	if !ok {
		d.say("cancel", "a request is cancelled", false, "it is not for the effect that is driven")
		return
	}
	g, a, carried := d.referred(ctx, operation, d.anonymous())
	if !carried {
		d.say("cancel", "a request carries our reference", false, "there is no room for it")
		return
	}
	if d.contract.Recourse.Lookup.Match != "" {
		d.found(ctx, operation, a) // an id is asked for, which may not be there at once
	}
	want := map[policy.CancelState]ledger.Finding{policy.CancelFinal: ledger.Voided, policy.CancelQueued: ledger.InProgress}[k.State]
	f := d.client.Cancel(ctx, d.question(operation, a))
	status := f.Evidence.Status
	d.say("cancel", "it is taken", f.Evidence.Finding == want && f.Evidence.Kind == ledger.FromCancel && d.Specimen.Cancelled == k.State,
		"sent: %s; cancelled: %d, %s; the vendor means %s", g, status, f.Evidence.Finding, d.Specimen.Cancelled)
	if d.contract.Recourse.Lookup.Match != "" {
		f = d.found(ctx, operation, a)
		d.say("cancel", "a lookup shows it", f.Evidence.Finding == ledger.Voided, "%s, %s", f.Evidence.Outcome, f.Evidence.Finding)
	}
	if d.Specimen.TooLate != nil {
		g, a, _ := d.referred(ctx, operation, d.anonymous())
		d.found(ctx, operation, a)
		d.send(ctx, d.right, d.Specimen.TooLate(g.field(d.contract.ObjectID)), d.key())
		f := d.client.Cancel(ctx, d.question(operation, a))
		d.say("cancel", "or comes too late", f.Evidence.Finding == ledger.TooLate, "%d, %s", f.Evidence.Status, f.Evidence.Finding)
	}
}

// webhooks checks that what the vendor would send is believed and read, and what it would not is not.
func (d *driver) webhooks(context.Context) {
	h := &d.contract.Webhooks
	if h.Signature.Scheme == "" {
		if d.Specimen.Hook != nil {
			d.leave("webhooks", "a notice is read", "the contract says nothing of webhooks")
		}
		return
	}
	if d.Specimen.Hook == nil {
		d.leave("webhooks", "a notice is read", "nobody knows how this API signs one")
		return
	}
	read := func(secret, event string, at time.Time) (provider.Hook, error) {
		r := d.Specimen.Hook(secret, Notice{"tx_hook-0", "object_1", event}, at)
		return d.client.ReadHook(d.right, &message.Request{Method: "POST", Header: r.header(), Body: []byte(r.Body)})
	}
	for _, e := range d.Specimen.Events {
		got, err := read(d.Specimen.HookSecret, e.Event, time.Now())
		fine := err == nil && got.Reference == "tx_hook-0" && got.ObjectID == "object_1" && shown(got) == e.Shows
		d.say("webhooks", e.Event, fine, "%s of %s, %s; the vendor means %s%s", shown(got), got.Reference, got.ObjectID, e.Shows, because(err))
	}
	event := d.Specimen.Events[0].Event
	_, err := read(strings.Repeat("00", 32), event, time.Now())
	d.say("webhooks", "another's is not believed", err != nil, "%v", err)
	if d.Specimen.Dated {
		_, err = read(d.Specimen.HookSecret, event, time.Now().Add(-2*h.Signature.Tolerance))
		d.say("webhooks", "an old one is not believed", err != nil, "%v", err)
		_, err = read(d.Specimen.HookSecret, event, time.Now().Add(-4*time.Minute))
		d.say("webhooks", "one of some minutes is", err == nil, "%v", err)
		_, err = read(d.Specimen.HookSecret, event, time.Now().Add(-6*time.Minute))
		d.say("webhooks", "and one of more is not", err != nil, "%v", err)
	}
	if r := d.Specimen.Effect("hook"); d.Specimen.Anonymous != nil {
		r = d.Specimen.Anonymous(r)
		operation, _ := d.covered(nil)
		ok := provider.Refers(d.right, operation, &message.Request{Method: r.Method, Path: r.Path, Header: r.header(), Body: []byte(r.Body)})
		d.say("webhooks", "a request carries what they name", ok && d.carriesIn(operation) == d.Specimen.Carries, "in %s; the vendor reads %s", d.carriesIn(operation), d.Specimen.Carries)
	}
}

func (d *driver) carriesIn(operation string) string {
	by, _, ok := d.contract.Carrier(operation)
	if !ok {
		return "nothing"
	}
	return by.String()
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return "; " + err.Error()
}

// shown is what a webhook showed, in the contract's words.
func shown(h provider.Hook) policy.Shown {
	switch e := h.Evidence; {
	case e.Outcome == ledger.Succeeded:
		return policy.ShowsSucceeded
	case e.Outcome == ledger.Declined:
		return policy.ShowsDeclined
	case e.Finding == ledger.Voided:
		return policy.ShowsVoided
	case e.Finding == ledger.InProgress:
		return policy.ShowsInProgress
	default:
		return policy.ShowsNothing
	}
}
