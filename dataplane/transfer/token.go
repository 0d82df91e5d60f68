package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/session"
)

// What the calls for tokens are called in the ledger and in metrics.
const (
	Issuing    = "session-issue"
	Refreshing = "session-refresh"
)

// The results of calls for tokens, as the metric tells them.
const (
	gotIssued    = "issued"
	gotRefreshed = "refreshed"
	gotRefused   = "refused"
	gotUnknown   = "unknown"
	gotNone      = "failed"
)

const (
	lastSecond = time.Second            // of a token's life: a call that carries it must arrive before its end
	othersTime = 3 * time.Second        // that somebody else's call for the same tokens is waited for
	firstLook  = 20 * time.Millisecond  // at what somebody else brought
	lastLook   = 200 * time.Millisecond // between two of those
)

var (
	errEnded   = errors.New("transfer: the session's token there has ended, and could not be renewed yet")
	errNoGiven = errors.New("transfer: the provider's answer holds no tokens that the contract finds")
)

// held are a conversation's tokens at one provider, as they are sealed.
type held struct {
	Access  string `json:"a"`
	Refresh string `json:"r,omitempty"`
	Ends    int64  `json:"e,omitempty"` // milliseconds since 1970; 0: never
}

func (h *held) ends() time.Time {
	if h.Ends == 0 {
		return time.Time{}
	}
	return time.UnixMilli(h.Ends).UTC()
}

// live tells whether the token can still be sent.
func (h *held) live(now time.Time) bool { return h.Ends == 0 || now.Add(lastSecond).Before(h.ends()) }

// old tells whether it is time for the next one.
func (h *held) old(now time.Time, early time.Duration) bool {
	return h.Ends != 0 && now.Add(early).After(h.ends())
}

func given(g policy.Given, at time.Time) held {
	h := held{Access: g.Access, Refresh: g.Refresh}
	if g.Life > 0 {
		h.Ends = at.Add(g.Life).UnixMilli()
	}
	return h
}

// tokens opens what a provider gave a session; nil: nothing.
func (c *Carrier) tokens(n Name, s *session.Session, provider string) (*held, session.Token, error) {
	f := s.Field(n.Service.Name, n.Rule.Name)
	if f == nil {
		return nil, session.Token{}, nil
	}
	t, there := f.For(provider)
	if !there {
		return nil, t, nil
	}
	h, err := c.opened(n, t)
	return h, t, err
}

func (c *Carrier) opened(n Name, t session.Token) (*held, error) {
	plain, err := c.open(n.Session, n.Service.Name, n.Rule.Name, t.Value)
	if err != nil {
		return nil, err
	}
	var h held
	if json.Unmarshal(plain, &h) != nil || h.Access == "" {
		return nil, ErrSealed
	}
	return &h, nil
}

// admit gives a request the session's token at its provider. One that nears its end is refreshed beside the call; one that has ended,
// before it. Where nobody can give a new one the call goes without: it is the provider's to say what it makes of that.
func (c *Carrier) admit(ctx context.Context, s *session.Session, n Name, to *policy.Candidate, r *message.Request, caller message.Header) (*message.Request, error) {
	calls, asks := to.Tokens(n.Rule.Map)
	if !asks {
		return r, nil
	}
	h, t, err := c.tokens(n, s, to.Provider)
	if err != nil {
		return nil, err
	}
	now := c.cfg.Now()
	switch {
	case h == nil && !calls.CanIssue():
		return r, nil // the application has not said any yet
	case h == nil || !h.live(now):
		if h, t, err = c.renewed(ctx, n, to, h, t, caller); err != nil {
			return nil, err
		}
		if h == nil {
			return r, nil
		}
	case h.old(now, ahead(&calls, h, t)) && calls.CanRefresh() && h.Refresh != "":
		c.refreshBeside(n, to, caller, now)
	}
	c.watch.see(n, to, h, ahead(&calls, h, t), now)
	out := *r
	out.Token = message.Token{In: calls.Put.In, Name: calls.Put.Name, Value: calls.Line(h.Access)}
	return &out, nil
}

// let gives a call of the agent's own, for a session, the token that its provider lets the session in by.
func (c *Carrier) let(ctx context.Context, n Name, to *policy.Candidate, r *message.Request, caller message.Header) (*message.Request, error) {
	for i := range n.Service.Session {
		rule := &n.Service.Session[i]
		if _, asks := to.Tokens(rule.Map); rule.Kind != policy.KindTokens || !asks {
			continue
		}
		s, err := c.load(ctx, n.Session)
		if err != nil {
			return nil, err
		}
		if r, err = c.admit(ctx, s, Name{Session: n.Session, Service: n.Service, Rule: rule}, to, r, caller); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// ahead is how long before its end a token is refreshed: what the contract says, and half its life at most.
func ahead(calls *policy.Tokening, h *held, t session.Token) time.Duration {
	life := h.ends().Sub(t.Stamp.Clock.Time())
	return min(calls.Ahead(), life/2)
}

// refreshBeside has a token refreshed while calls go on with it.
func (c *Carrier) refreshBeside(n Name, to *policy.Candidate, caller message.Header, now time.Time) {
	if !c.pace.may(n, to.Provider, now) {
		return
	}
	n.Provider = to.Provider
	if !c.standby.put(push{name: n, caller: credentials(to, caller), task: taskRefresh}) {
		c.metrics.token(n.Service.Name, to.Provider, gotLost)
	}
}

// refresh renews a session's token ahead of its end.
func (c *Carrier) refresh(p push) {
	ctx, cancel := context.WithTimeout(c.ctx, bringWithin)
	defer cancel()
	n := p.name
	to := n.at(n.Provider)
	n.Provider = ""
	if to == nil {
		return
	}
	s, err := c.load(ctx, n.Session)
	if err != nil {
		return // the call that needs it finds out
	}
	h, t, err := c.tokens(n, s, to.Provider)
	calls, asks := to.Tokens(n.Rule.Map)
	if err != nil || h == nil || !asks || !h.old(c.cfg.Now(), ahead(&calls, h, t)) {
		return // somebody was faster
	}
	if h, t, err = c.renewed(ctx, n, to, h, t, p.caller); err == nil && h != nil {
		c.watch.see(n, to, h, ahead(&calls, h, t), time.Time{})
	}
}

// at is a provider of the name's service; nil: there is none of that name.
func (n *Name) at(provider string) *policy.Candidate {
	for _, c := range n.Service.Candidates {
		if c.Provider == provider {
			return c
		}
	}
	return nil
}

// renewed gets a session new tokens in place of old ones: by its refresh token, which is used once, and where that does not help by issue.
// nil without an error: nobody can give any.
func (c *Carrier) renewed(ctx context.Context, n Name, to *policy.Candidate, old *held, t session.Token, caller message.Header) (*held, session.Token, error) {
	if waits, final := c.fails.waits(n, to.Provider, c.cfg.Now(), t.Stamp); waits {
		h, fresh, err := c.others(ctx, n, to, t, 0)
		if h == nil && err == nil && !final {
			err = errEnded
		}
		return h, fresh, err
	}
	calls, _ := to.Tokens(n.Rule.Map)
	if old != nil && old.Refresh != "" && calls.CanRefresh() {
		h, fresh, err := c.given(ctx, n, to, Refreshing, calls, old, t, caller)
		switch {
		case err == nil:
			return h, fresh, nil
		case !spent(err):
			return nil, t, c.unrenewed(n, to, Refreshing, t, err, false)
		}
		_ = c.unrenewed(n, to, Refreshing, t, err, !calls.CanIssue()) // it is told, and asked for anew
	}
	if !calls.CanIssue() {
		return nil, t, nil
	}
	h, fresh, err := c.given(ctx, n, to, Issuing, calls, old, t, caller)
	if err != nil {
		return nil, t, c.unrenewed(n, to, Issuing, t, err, false)
	}
	return h, fresh, nil
}

// spent tells whether a refresh token is of no more use: the provider refused it, or nobody knows whether it took it, and it must not be
// shown twice.
func spent(err error) bool {
	return errors.Is(err, errRefused) || errors.Is(err, errOpen) || errors.Is(err, errNoGiven) || errors.Is(err, errNameless)
}

// unrenewed tells people that a session could not be given new tokens.
func (c *Carrier) unrenewed(n Name, to *policy.Candidate, how string, t session.Token, err error, final bool) error {
	now := c.cfg.Now()
	c.fails.failed(n, to.Provider, now, t.Stamp, final)
	result := gotNone
	switch {
	case errors.Is(err, errOpen):
		result = gotUnknown
	case spent(err):
		result = gotRefused
	}
	c.metrics.token(n.Service.Name, to.Provider, result)
	c.cfg.Log.Warn("a session was given no new token", "service", n.Service.Name, "provider", to.Provider, "field", n.Rule.Name, "by", how, "error", err)
	c.cfg.Board.Note(health.Event{
		At: now, Kind: "session", Service: n.Service.Name, Provider: to.Provider, Level: "warn",
		Text: fmt.Sprintf("%s: %s gave a session no new token (%s: %s)", n.Service.Name, to.Provider, how, result),
	})
	return fmt.Errorf("%w: %w", errEnded, err)
}

// given makes the call for tokens, or finds the one that was made: a transaction of its own, whose key is the session, the provider and the
// tokens that it replaces. So a refresh token is shown once, whoever asks and how often.
func (c *Carrier) given(ctx context.Context, n Name, to *policy.Candidate, how string, calls policy.Tokening, old *held, t session.Token, caller message.Header) (*held, session.Token, error) {
	call, marks := calls.Issue, policy.TokenMarks{Session: n.Session.ID, Account: to.Account}
	if how == Refreshing {
		call, marks.Refresh = calls.Refresh, old.Refresh
	}
	asked, err := call.Ask(marks)
	if err != nil {
		return nil, t, err
	}
	r := &message.Request{Method: asked.Method, Path: asked.Path, RawQuery: asked.RawQuery, Body: []byte(asked.Body), Header: message.Header{{Name: "Accept", Value: "application/json"}}}
	if asked.Type != "" {
		r.Header.Add("Content-Type", asked.Type)
	}
	lend(r, to, caller)
	version := fmt.Sprintf("%s %d %s", how, uint64(t.Stamp.Clock), t.Stamp.By)
	key := ledger.Key{App: n.Session.App, Service: n.Service.Name, Key: transferKey(n, to, version)}
	answer, at, err := c.transacted(ctx, n, to, how, key, func() (*message.Request, error) { return r, nil })
	if errors.Is(err, errTaken) {
		return c.others(ctx, n, to, t, othersTime)
	}
	if err != nil {
		return nil, t, err
	}
	g, err := calls.Read(ctx, answer.Header.Get("Content-Type"), answer.Body)
	if err != nil {
		return nil, t, fmt.Errorf("%w: %w", errNoGiven, err)
	}
	if g.Refresh == "" && how == Refreshing {
		g.Refresh = old.Refresh // it is not rotated
	}
	h := given(g, at)
	fresh, err := c.learnTokens(ctx, n, to.Provider, &h, t)
	if err != nil {
		return nil, t, err
	}
	c.pace.ended(n, to.Provider)
	c.fails.ended(n, to.Provider)
	c.metrics.token(n.Service.Name, to.Provider, map[string]string{Issuing: gotIssued, Refreshing: gotRefreshed}[how])
	if how == Issuing && n.Rule.Warm {
		c.standby.put(push{name: n, caller: caller})
	}
	return &h, fresh, nil
}

// learnTokens writes what a provider gave a session, in place of what t says. Newer ones than that stay.
func (c *Carrier) learnTokens(ctx context.Context, n Name, provider string, h *held, t session.Token) (session.Token, error) {
	plain, err := json.Marshal(h)
	if err != nil {
		return t, err
	}
	defer c.lock(n.Session)()
	fresh := t
	_, err = c.commit(ctx, n, func(s *session.Session) (session.Event, error) {
		now, last, err := c.tokens(n, s, provider)
		if err != nil {
			return session.Event{}, err
		}
		if now != nil && last.Stamp != t.Stamp {
			*h, fresh = *now, last
			return session.Event{}, errTold
		}
		sealed, err := c.seal(n.Session, n.Service.Name, n.Rule.Name, plain)
		if err != nil {
			return session.Event{}, err
		}
		w := c.writer(s)
		e := w.Token(n.Service.Name, n.Rule.Name, provider, sealed, session.Stamp{})
		fresh = e.Field.Tokens[0]
		return e, nil
	})
	if errors.Is(err, errTold) {
		err = nil
	}
	return fresh, err
}

// errTold ends a write of what is written already.
var errTold = errors.New("transfer: it is written already")

// others waits for the tokens that somebody else asked for.
func (c *Carrier) others(ctx context.Context, n Name, to *policy.Candidate, t session.Token, within time.Duration) (*held, session.Token, error) {
	over := time.Now().Add(within)
	for wait := firstLook; ; wait = min(lastLook, 2*wait) {
		s, err := c.load(ctx, n.Session)
		if err != nil {
			return nil, t, err
		}
		h, now, err := c.tokens(n, s, to.Provider)
		if err != nil || h != nil && now.Stamp != t.Stamp && h.live(c.cfg.Now()) {
			return h, now, err
		}
		if within == 0 {
			return nil, t, nil
		}
		if time.Now().After(over) {
			return nil, t, errTaken
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, t, ctx.Err()
		}
	}
}

// told reads tokens as an application writes them.
func (c *Carrier) told(body []byte) ([]byte, error) {
	var w struct {
		Access  string `json:"access"`
		Refresh string `json:"refresh"`
		Life    int64  `json:"life"` // seconds; 0: they do not end
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(&w) != nil || d.More() || !policy.SaneToken(w.Access) || w.Refresh != "" && !policy.SaneToken(w.Refresh) || w.Life < 0 || w.Life > maxLife {
		return nil, fmt.Errorf(`%w: tokens are written as {"access": "...", "refresh": "...", "life": 3600}: life in seconds, refresh and life where there are any`, ErrKind)
	}
	return json.Marshal(given(policy.Given{Access: w.Access, Refresh: w.Refresh, Life: time.Duration(w.Life) * time.Second}, c.cfg.Now()))
}

// maxLife is the longest life of a token, in seconds.
const maxLife = 366 * 24 * 3600

// untils tells until when a session's tokens live, and never what they are: also to the application that wrote them.
func (c *Carrier) untils(n Name, f *session.Field) ([]byte, error) {
	type until struct {
		Until string `json:"until,omitempty"` // missing: for ever
	}
	list := map[string]until{}
	for i := range f.Tokens {
		t := f.Tokens[i]
		if t.Value == nil || n.Provider != "" && n.Provider != t.Provider {
			continue
		}
		h, err := c.opened(n, t)
		if err != nil {
			return nil, err
		}
		one := until{}
		if h.Ends != 0 {
			one.Until = h.ends().Format(time.RFC3339)
		}
		list[t.Provider] = one
	}
	if len(list) == 0 {
		return nil, ErrAbsent
	}
	return json.Marshal(struct {
		Providers map[string]until `json:"providers"`
	}{list})
}
