package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/session"
	"segue/dataplane/settle"
)

// Exporting is what a fetch is called in metrics.
const Exporting = "session-export"

// How long a fetch may take. On a caller's way it is asked for only when the session moves, and all of a call's fields share the time.
const (
	fetchWithin = 5 * time.Second
	fetchOnWay  = 500 * time.Millisecond
)

// The results of fetches, as the metric tells them.
const (
	gotField   = "fetched"
	gotSame    = "same"
	gotAbsent  = "absent"
	gotUnasked = "unasked" // the provider takes no calls now
	gotNothing = "failed"  // no whole answer, or one of a provider in trouble
	gotRefusal = "refused"
	gotNoise   = "unreadable" // the contract's program made nothing of it
	gotTooMuch = "too_large"
	gotLate    = "overtaken" // an application wrote the field meanwhile
	gotLost    = "dropped"   // there was no room in the queue
)

var (
	errNothing = errors.New("transfer: the provider has nothing of the field")
	errAnswer  = errors.New("transfer: the provider's answer is none that a field is fetched from")
)

// asked is a fetch: of a field, from the provider that its session is with.
type asked struct {
	Name
	at     int
	call   policy.Exporting
	theirs string         // what the field is called there, or the session's id
	was    session.Stamp  // of the field, when it was asked for
	caller message.Header // of whose call it is
}

// fetch fetches a field from the provider that its session is with, and writes what it says there. It is a read: it is bounded, counted,
// and changes nothing there.
func (c *Carrier) fetch(ctx context.Context, n Name, caller message.Header, within time.Duration) (*session.Session, error) {
	s, err := c.load(ctx, n.Session)
	if err != nil {
		return nil, err
	}
	at, call, token := s.Source(n.Service, n.Rule)
	if at < 0 {
		return s, errNothing
	}
	who := n.Service.Candidates[at]
	a := asked{Name: n, at: at, call: call, theirs: n.Session.ID, caller: caller}
	if f := s.Field(n.Service.Name, n.Rule.Name); f != nil {
		a.was = f.Stamp
	}
	if token.Value != nil {
		plain, err := c.open(n.Session, n.Service.Name, n.Rule.Name, token.Value)
		if err != nil {
			return nil, err
		}
		a.theirs = string(plain)
	}
	after, result, err := c.fetched(ctx, &a, within)
	c.metrics.fetched(n.Service.Name, who.Provider, result)
	if err != nil {
		return s, fmt.Errorf("%s from %s: %w", n.Rule.Name, who.Provider, err)
	}
	return after, nil
}

// fetched asks, reads the answer by the contract, and writes what it says.
func (c *Carrier) fetched(ctx context.Context, a *asked, within time.Duration) (*session.Session, string, error) {
	who := a.Service.Candidates[a.at]
	r, err := fetching(a, who)
	if err != nil {
		return nil, gotNoise, err
	}
	if r, err = c.let(ctx, a.Name, who, r, a.caller); err != nil {
		return nil, gotUnasked, err
	}
	answer, outcome, err := c.cfg.Driver.Fetch(ctx, &settle.Fetch{
		Service: a.Service, Candidate: a.at, Operation: Exporting, Request: r, Max: a.call.Room(), Within: within,
	})
	switch {
	case errors.Is(err, settle.ErrUnasked):
		return nil, gotUnasked, err
	case err != nil:
		return nil, gotNothing, err
	case slices.Contains(a.call.Absent, answer.Status):
		return nil, gotAbsent, errNothing
	case outcome == ledger.Declined:
		return nil, gotRefusal, fmt.Errorf("%w: %d", errAnswer, answer.Status)
	case outcome != ledger.Succeeded:
		return nil, gotNothing, fmt.Errorf("%w: %d", errAnswer, answer.Status)
	}
	kind, value, there, err := a.call.Value(ctx, answer.Header.Get("Content-Type"), answer.Body)
	switch {
	case err != nil:
		return nil, gotNoise, errAnswer // what the program says of it may be the field's
	case !there:
		return nil, gotAbsent, errNothing
	case len(value)+len(kind) > maxPlain:
		return nil, gotTooMuch, ErrTooLarge
	}
	return c.keep(ctx, a, kind, value)
}

// fetching is the request of a fetch.
func fetching(a *asked, who *policy.Candidate) (*message.Request, error) {
	m, err := a.call.Ask(policy.FieldMarks{ID: a.theirs, Session: a.Session.ID, Account: who.Account})
	if err != nil {
		return nil, err
	}
	r := &message.Request{Method: m.Method, Path: m.Path, RawQuery: m.RawQuery, Header: message.Header{{Name: "Accept", Value: "application/json"}}}
	lend(r, who, a.caller)
	return r, nil
}

// lend gives a request the caller's own credential, where the provider is to be sent that.
func lend(r *message.Request, to *policy.Candidate, caller message.Header) {
	if to.Credential.Kind != policy.CredentialCaller {
		return
	}
	for _, name := range []string{"Authorization", to.Contract.Credential.Header} {
		if v := caller.Get(name); v != "" && r.Header.Get(name) == "" {
			r.Header.Add(name, v)
		}
	}
}

// keep writes what was fetched as an event of the field, sealed. What an application wrote meanwhile is newer, and stays.
func (c *Carrier) keep(ctx context.Context, a *asked, kind string, value []byte) (*session.Session, string, error) {
	defer c.lock(a.Session)()
	result := gotField
	after, err := c.commit(ctx, a.Name, func(s *session.Session) (session.Event, error) {
		f, w := s.Field(a.Service.Name, a.Rule.Name), c.writer(s)
		provider := a.Service.Candidates[a.at].Provider
		theirs, err := c.seal(a.Session, a.Service.Name, a.Rule.Name, []byte(a.theirs))
		if err != nil {
			return session.Event{}, err
		}
		if f != nil && f.Stamp != a.was && f.Stamp.From() == "" {
			return session.Event{}, ErrChanged
		}
		if same, err := c.says(a.Name, f, kind, value); err != nil {
			return session.Event{}, err
		} else if same {
			result = gotSame
			return w.Confirm(a.Service.Name, a.Rule.Name, provider, theirs, f.Stamp), nil
		}
		result = gotField
		sealed, err := c.seal(a.Session, a.Service.Name, a.Rule.Name, withMedia(kind, value))
		return w.Fetch(a.Service.Name, a.Rule.Name, provider, sealed, theirs), err
	})
	switch {
	case errors.Is(err, ErrChanged):
		return nil, gotLate, err
	case errors.Is(err, session.ErrTooMany), errors.Is(err, session.ErrTooLarge):
		return nil, gotTooMuch, err
	case err != nil:
		return nil, gotNothing, err
	}
	return after, result, nil
}

// says tells whether a field says that value already. How it was written does not matter to a provider.
func (c *Carrier) says(n Name, f *session.Field, kind string, value []byte) (bool, error) {
	if f == nil || f.Value == nil {
		return false, nil
	}
	plain, err := c.open(n.Session, n.Service.Name, n.Rule.Name, f.Value)
	if err != nil {
		return false, err
	}
	_, had := media(plain)
	return bytes.Equal(had, value), nil
}

// commit writes an event that is made of the session as it is: by a swap where the field is guarded. It is called with the session's lock.
func (c *Carrier) commit(ctx context.Context, n Name, make func(*session.Session) (session.Event, error)) (*session.Session, error) {
	for range maxSwaps {
		s, err := c.load(ctx, n.Session)
		if err != nil {
			return nil, err
		}
		e, err := make(s)
		if err != nil {
			return nil, err
		}
		after, err := session.Apply(s, n.Session, e)
		if err == nil {
			err = after.Fits()
		}
		if err != nil {
			return nil, err
		}
		if !n.Rule.Guarded() {
			return after, c.cfg.Sessions.Append(ctx, n.Session, e)
		}
		guard := uint64(0)
		if s != nil {
			guard = s.Guard
		}
		if won, err := c.cfg.Sessions.Swap(ctx, n.Session, guard, e); won || err != nil {
			return after, err
		}
	}
	return nil, ErrChanged
}

// Touching is an operation that succeeded at a provider.
type Touching struct {
	Service   *policy.Service
	Session   session.Key
	At        *policy.Candidate
	Operation string          // as its contract calls it
	Answer    *message.Answer // nil: it was streamed
	ID        string          // the provider's own, of what was made, where the answer has another
	Caller    message.Header
	Waits     bool // somebody waits to be answered: that the field changed is noted first, if that is done soon
}

// Touched is told that an operation succeeded: the fields that it changed at its provider are fetched, so that what they say is here when
// the provider dies. Nobody waits for that.
func (c *Carrier) Touched(t *Touching) {
	for i := range t.Service.Session {
		rule := &t.Service.Session[i]
		if !session.Fetches(rule) {
			continue
		}
		call, can := t.At.Export(rule.Map)
		if !can || !call.Touches(t.Operation) {
			continue
		}
		p := push{
			name:   Name{Session: t.Session, Service: t.Service, Rule: rule, Provider: t.At.Provider},
			caller: credentials(t.At, t.Caller), theirs: t.theirs(call), task: taskFetch,
		}
		if t.Waits {
			p.again = c.noted(p)
		}
		if !c.standby.put(p) {
			c.metrics.fetched(t.Service.Name, t.At.Provider, gotLost)
		}
	}
}

// theirs is what the answer says that a field is called there, "" where it does not.
func (t *Touching) theirs(call policy.Exporting) string {
	id := t.ID
	if id == "" && t.Answer != nil {
		id, _ = policy.BodyField(t.Answer.Header.Get("Content-Type"), t.Answer.Body, call.ID)
	}
	if call.ID == "" || len(id) > maxToken {
		return ""
	}
	return id
}

// noteWithin is how long a caller may wait for the note that a field changed.
const noteWithin = 250 * time.Millisecond

// noted notes that a field was changed at a provider, while a caller waits.
func (c *Carrier) noted(p push) bool {
	ctx, cancel := context.WithTimeout(c.ctx, noteWithin)
	defer cancel()
	return c.touch(ctx, p) == nil // else it is noted behind the answer
}

// credentials are the lines of a caller's header that open a provider for him: nothing else of a call is held on to.
func credentials(to *policy.Candidate, caller message.Header) (h message.Header) {
	r := &message.Request{}
	lend(r, to, caller)
	return r.Header
}

// follow fetches a field after an operation that changed it. Where that fails, the session says that the copy here is old.
func (c *Carrier) follow(p push) {
	ctx, cancel := context.WithTimeout(c.ctx, bringWithin)
	defer cancel()
	n := p.name
	n.Provider = ""
	if err := c.touch(ctx, p); err != nil {
		c.cfg.Log.Warn("a change of a field at a provider could not be noted", "service", n.Service.Name, "provider", p.name.Provider, "field", n.Rule.Name, "error", err)
		return
	}
	if _, err := c.fetch(ctx, n, p.caller, fetchWithin); err != nil {
		if !errors.Is(err, errNothing) {
			c.cfg.Log.Warn("a field could not be fetched", "service", n.Service.Name, "provider", p.name.Provider, "field", n.Rule.Name, "error", err)
		}
		c.pace.failed(n, p.name.Provider, c.cfg.Now(), session.Stamp{}, false)
		return
	}
	c.pace.ended(n, p.name.Provider)
	if n.Rule.Warm {
		c.warm(push{name: n, caller: p.caller})
	}
}

// touch notes that a field was changed at a provider, and what it is called there.
func (c *Carrier) touch(ctx context.Context, p push) error {
	if p.again {
		return nil // it is noted
	}
	n := p.name
	defer c.lock(n.Session)()
	_, err := c.commit(ctx, n, func(s *session.Session) (session.Event, error) {
		f, theirs := s.Field(n.Service.Name, n.Rule.Name), []byte(p.theirs)
		var of session.Stamp
		if f != nil {
			if of = f.Stamp; len(theirs) == 0 {
				if t, there := f.For(n.Provider); there {
					plain, err := c.open(n.Session, n.Service.Name, n.Rule.Name, t.Value)
					if err != nil {
						return session.Event{}, err
					}
					theirs = plain
				}
			}
		}
		if len(theirs) == 0 {
			theirs = []byte(n.Session.ID)
		}
		sealed, err := c.seal(n.Session, n.Service.Name, n.Rule.Name, theirs)
		w := c.writer(s)
		return w.Touch(n.Service.Name, n.Rule.Name, n.Provider, sealed, of), err
	})
	return err
}

// fresh is the session with a field as its provider has it, where that can still be asked and what is here is old. What cannot be fetched
// is brought on as it is here.
func (c *Carrier) fresh(ctx context.Context, s *session.Session, n Name, to *policy.Candidate, caller message.Header) *session.Session {
	at, call, _ := s.Source(n.Service, n.Rule)
	if at < 0 || n.Service.Candidates[at] == to {
		return s
	}
	who := n.Service.Candidates[at]
	f := s.Field(n.Service.Name, n.Rule.Name)
	if !f.Due(who.Provider, call.Life, c.cfg.Now()) {
		return s
	}
	after, err := c.fetch(ctx, n, caller, fetchOnWay)
	if err != nil {
		c.cfg.Log.Warn("a session moves without what its provider has of a field", "service", n.Service.Name, "provider", who.Provider, "field", n.Rule.Name, "error", err)
		return s
	}
	return after
}

// renewal has a field that is old fetched beside a call that goes to its provider.
func (c *Carrier) renewal(s *session.Session, n Name, to *policy.Candidate, caller message.Header) {
	at, call, _ := s.Source(n.Service, n.Rule)
	if at < 0 || n.Service.Candidates[at] != to {
		return
	}
	f, now := s.Field(n.Service.Name, n.Rule.Name), c.cfg.Now()
	if (f == nil || f.Stamp.Zero() && len(f.Tokens) == 0) && len(call.After) > 0 { // an operation makes it: none did yet
		return
	}
	if !f.Due(to.Provider, call.Life, now) || !c.pace.may(n, to.Provider, now) {
		return
	}
	n.Provider = to.Provider
	c.standby.put(push{name: n, caller: credentials(to, caller), task: taskFetch, again: true})
}
