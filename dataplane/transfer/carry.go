package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/route"
	"segue/dataplane/session"
	"segue/dataplane/settle"
)

// Operation is what an import is called in the ledger and in metrics.
const Operation = "session-import"

// Errors of an import. The field is not there, and the session does not go there.
var (
	errNoImport = errors.New("transfer: nothing brings the field there")
	errOpen     = errors.New("transfer: it is not known whether an earlier import was executed")
	errRefused  = errors.New("transfer: the provider did not take the field")
	errUnsent   = errors.New("transfer: the provider takes nothing now")
	errTaken    = errors.New("transfer: somebody else does it right now")
	errNameless = errors.New("transfer: the provider's answer does not say what the field is called there")
)

// maxReplayed bounds what a history may have of one field when it is replayed to a provider.
const maxReplayed = 1000

// Conversation is a session on its way to a provider, with a call.
type Conversation struct {
	Session *session.Session
	Service *policy.Service
}

// Carry brings to a provider what the session must have there, and returns the request with the provider's own names in it.
func (c *Carrier) Carry(ctx context.Context, v Conversation, to *policy.Candidate, r *message.Request) (*message.Request, error) {
	out, s := r, v.Session
	way, cancel := context.WithTimeout(ctx, fetchOnWay)
	defer cancel()
	for i := range v.Service.Session {
		rule := &v.Service.Session[i]
		if rule.Map == "" {
			continue
		}
		n := Name{Session: s.Key, Service: v.Service, Rule: rule}
		var err error
		if rule.Kind == policy.KindTokens {
			out, err = c.admit(ctx, s, n, to, out, r.Header)
		} else {
			c.renewal(s, n, to, r.Header)
			s = c.fresh(way, s, n, to, r.Header)
			out, err = c.carried(ctx, s.Field(v.Service.Name, rule.Name), n, to, out, r.Header)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.Name, err)
		}
	}
	return out, nil
}

// carried brings one field to a provider, and returns the request with the provider's name for it.
func (c *Carrier) carried(ctx context.Context, f *session.Field, n Name, to *policy.Candidate, r *message.Request, caller message.Header) (*message.Request, error) {
	if f == nil || !f.Set() {
		return r, nil
	}
	theirs, err := c.bring(ctx, n, f, to, caller)
	if err != nil {
		return nil, err
	}
	if n.Rule.At == (policy.Field{}) {
		return r, nil
	}
	known, err := c.names(n, f)
	if err != nil {
		return nil, err
	}
	return substituted(r, n.Rule.At, known, theirs), nil
}

// names are all that a request may call a field: its value, and what it is called at any provider.
func (c *Carrier) names(n Name, f *session.Field) ([]string, error) {
	var known []string
	for _, t := range f.Tokens {
		if t.Value == nil {
			continue
		}
		plain, err := c.open(n.Session, n.Service.Name, n.Rule.Name, t.Value)
		if err != nil {
			return nil, err
		}
		known = append(known, string(plain))
	}
	if f.Value != nil {
		plain, err := c.open(n.Session, n.Service.Name, n.Rule.Name, f.Value)
		if err != nil {
			return nil, err
		}
		_, value := media(plain)
		known = append(known, string(value))
	}
	return known, nil
}

// bring returns what a field is called at a provider, and has it brought there if need be.
func (c *Carrier) bring(ctx context.Context, n Name, f *session.Field, to *policy.Candidate, caller message.Header) (string, error) {
	if t, there := f.For(to.Provider); there {
		plain, err := c.open(n.Session, n.Service.Name, n.Rule.Name, t.Value)
		return string(plain), err
	}
	call, can := to.Import(n.Rule.Map)
	if !can || f.Value == nil {
		return "", errNoImport
	}
	answer, err := c.imported(ctx, n, f, to, call, caller)
	if err != nil {
		return "", err
	}
	theirs, ok := policy.BodyField(answer.Header.Get("Content-Type"), answer.Body, call.ID)
	if !ok || len(theirs) > maxToken {
		return "", errNameless
	}
	return theirs, c.learn(ctx, n, to.Provider, theirs, f.Stamp)
}

// learn notes what a field is called at a provider.
func (c *Carrier) learn(ctx context.Context, n Name, provider, theirs string, of session.Stamp) error {
	defer c.lock(n.Session)()
	s, err := c.load(ctx, n.Session)
	if err != nil {
		return err
	}
	sealed, err := c.seal(n.Session, n.Service.Name, n.Rule.Name, []byte(theirs))
	if err != nil {
		return err
	}
	w := c.writer(s)
	return c.cfg.Sessions.Append(ctx, n.Session, w.Token(n.Service.Name, n.Rule.Name, provider, sealed, of))
}

// imported makes the import, or finds the one that was made: a transaction of its own, whose key is session, provider and version of the
// field, so that it is made once whoever asks for it and how often.
func (c *Carrier) imported(ctx context.Context, n Name, f *session.Field, to *policy.Candidate, call policy.Import, caller message.Header) (*message.Answer, error) {
	key := ledger.Key{App: n.Session.App, Service: n.Service.Name, Key: transferKey(n, to, f.Version())}
	answer, _, err := c.transacted(ctx, n, to, Operation, key, func() (*message.Request, error) { return c.request(ctx, n, f, to, call, caller) })
	if errors.Is(err, errTaken) {
		return nil, errOpen
	}
	return answer, err
}

// transacted makes an effect at one provider once, or finds what became of it. at is when its answer came.
func (c *Carrier) transacted(ctx context.Context, n Name, to *policy.Candidate, how string, key ledger.Key, request func() (*message.Request, error)) (answer *message.Answer, at time.Time, err error) {
	c.cfg.Driver.Enter()
	defer c.cfg.Driver.Leave()
	old, err := c.cfg.Ledger.Load(ctx, key)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		old = nil
	case err != nil:
		return nil, at, err
	case old.State == ledger.DoneSucceeded:
		answer, err = c.stored(old)
		return answer, old.Updated, err
	case old.State == ledger.DoneDeclined:
		return nil, at, errRefused
	case old.State == ledger.Intent && !c.left(old, n):
		return nil, at, errTaken
	}
	r, err := request()
	if err != nil {
		return nil, at, err
	}
	if old != nil && old.State != ledger.Refused && !c.again(n, to, how, r, old) {
		return nil, at, errOpen
	}
	answer, err = c.send(ctx, n, to, how, r, key, old)
	return answer, c.cfg.Now(), err
}

// left tells whether nobody drives an open row any more: it is of an earlier life of this agent, or older than any exchange.
func (c *Carrier) left(t *ledger.Transaction, n Name) bool {
	run, _, _ := strings.Cut(t.Run, "/")
	mine, _, _ := strings.Cut(c.cfg.Driver.RunID(), "/")
	return run == mine && t.Run != c.cfg.Driver.RunID() || !c.cfg.Now().Before(t.Updated.Add(settle.SendBy+n.Service.Attempts.Deadline))
}

// again tells whether what somebody left open may be sent there once more: the same bytes, in the same account, and the ledger says that the
// provider would execute them once.
func (c *Carrier) again(n Name, to *policy.Candidate, how string, r *message.Request, old *ledger.Transaction) bool {
	a, now := old.Current(), c.cfg.Now()
	if a.Provider != to.Provider || a.Account != ledger.Account(to, r.Header) || old.Fingerprint != ledger.Fingerprint(how, r) {
		return false
	}
	about := c.cfg.Driver.For(old, to, &policy.Operation{OperationSpec: policy.OperationSpec{Name: how}}, r.Header)
	about.Now, about.Live, about.Deadline, about.MaxTries, about.MaxSends = now, true, now.Add(n.Service.Attempts.Deadline), n.Service.Attempts.Max, a.Sends+1
	about.Before, about.Run = len(old.Attempts), old.Run
	e := ledger.Evidence{Attempt: a.ID, Kind: ledger.FromTimer, Outcome: ledger.Unknown}
	return ledger.Next(old, e, about).Kind == ledger.Redrive
}

// transferKey names an effect of a field at a provider: version says which.
func transferKey(n Name, to *policy.Candidate, version string) string {
	h := sha256.New()
	for _, text := range [...]string{n.Session.App, n.Session.ID, n.Service.Name, n.Rule.Name, to.Provider, to.Account, version} {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return fmt.Sprintf("segue-import-%x", h.Sum(nil)[:16])
}

func (c *Carrier) stored(t *ledger.Transaction) (*message.Answer, error) {
	if t.Answer == nil || !t.Answer.Kept {
		return nil, errNameless
	}
	header, body, err := c.cfg.Vault.Answer(t)
	if err != nil {
		return nil, err
	}
	return &message.Answer{Status: t.Answer.Status, Header: header, Body: body}, nil
}

// send drives the import to its outcome. It goes to that one provider, or nowhere.
func (c *Carrier) send(ctx context.Context, n Name, to *policy.Candidate, how string, r *message.Request, key ledger.Key, old *ledger.Transaction) (*message.Answer, error) {
	now := c.cfg.Now()
	at := slices.Index(n.Service.Candidates, to)
	if at < 0 {
		return nil, errNoImport
	}
	facts := policy.Facts{Pinned: -1, Client: -1, Owner: int8(at), Deadline: now.Add(n.Service.Attempts.Deadline)}
	if d, bounded := ctx.Deadline(); bounded && d.Before(facts.Deadline) {
		facts.Deadline = d
	}
	var d route.Decision
	permit, ok := c.cfg.Board.Choose(&d, n.Service, &facts, now)
	if !ok {
		return nil, fmt.Errorf("transfer: %s", d.Why(n.Service))
	}
	tx, begun, err := c.intend(ctx, n, to, how, r, key, old, now)
	if err != nil {
		c.cfg.Board.Release(permit)
		return nil, err
	}
	end := c.cfg.Driver.Run(ctx, &settle.Job{
		Tx: tx, Service: n.Service, Operation: how, Request: r, RequestID: tx.ID, Facts: facts, Candidate: at, Permit: permit,
		Begun: begun, Deadline: facts.Deadline, Caller: silent{},
	})
	switch {
	case end.Err != nil:
		return nil, end.Err
	case end.Kind == ledger.Hold:
		return nil, errOpen
	case end.Kind == ledger.Refuse:
		return nil, errUnsent
	case end.Kind != ledger.Finish || end.Tx.State != ledger.DoneSucceeded:
		return nil, errRefused
	case end.Answer == nil:
		return nil, errNameless
	}
	return end.Answer, nil
}

// intend makes the import durable before anything of it is sent.
func (c *Carrier) intend(ctx context.Context, n Name, to *policy.Candidate, how string, r *message.Request, key ledger.Key, old *ledger.Transaction, now time.Time) (*ledger.Transaction, time.Duration, error) {
	tx := old
	if old != nil && old.State != ledger.Refused { // left by somebody: the same request once more
		begun := c.cfg.Driver.Resend(old, now)
		err := c.cfg.Driver.Put(ctx, old)
		if errors.Is(err, settle.ErrLost) {
			err = errTaken
		}
		return old, begun, err
	}
	if old == nil {
		tx = ledger.New(c.cfg.Driver.NewID(now), key, how, ledger.Fingerprint(how, r), now)
	} else if len(old.Attempts) >= ledger.MaxAttempts {
		return nil, 0, errRefused
	}
	tx.Session = n.Session.ID
	begun, err := c.cfg.Driver.Intend(tx, to, r, now)
	switch {
	case err != nil:
	case old != nil:
		err = c.cfg.Driver.Put(ctx, tx)
	default:
		var current *ledger.Transaction
		if current, err = c.cfg.Driver.Claim(ctx, tx); err == nil && current != nil {
			err = errTaken // somebody else brings it right now
		}
	}
	return tx, begun, err
}

// request is the import's. The caller's own credential goes along where the provider is to be sent that.
func (c *Carrier) request(ctx context.Context, n Name, f *session.Field, to *policy.Candidate, call policy.Import, caller message.Header) (*message.Request, error) {
	value, err := c.value(ctx, n, f)
	if err != nil {
		return nil, err
	}
	method, path := call.Call()
	r := &message.Request{Method: method, Path: path}
	lend(r, to, caller)
	if call.Form != "" {
		r.Header.Add("Content-Type", "application/x-www-form-urlencoded")
		r.Body = []byte(url.Values{bracketed(call.Put.Name): {string(value)}}.Encode())
	} else {
		r.Header.Add("Content-Type", "application/json")
		r.Body = nested(call.Put.Name, value)
	}
	return c.let(ctx, n, to, r, caller)
}

// value is what is sent of a field: what it says now, or, where it is rebuilt, all that it ever said, the oldest first.
func (c *Carrier) value(ctx context.Context, n Name, f *session.Field) ([]byte, error) {
	service, name := n.Service.Name, n.Rule.Name
	if n.Rule.Class != policy.Rebuilt {
		plain, err := c.open(n.Session, service, name, f.Value)
		_, value := media(plain)
		return value, err
	}
	var sealed [][]byte
	err := c.cfg.Sessions.History(ctx, n.Session, func(e session.Event) bool {
		if e.Field.Service == service && e.Field.Name == name && e.Field.Value != nil {
			sealed = append(sealed, e.Field.Value)
		}
		return len(sealed) <= maxReplayed
	})
	if err != nil {
		return nil, err
	}
	if len(sealed) > maxReplayed {
		return nil, fmt.Errorf("transfer: its history has more than %d entries, and is replayed whole or not at all", maxReplayed)
	}
	list := make([]json.RawMessage, len(sealed))
	for i, s := range sealed {
		plain, err := c.open(n.Session, service, name, s)
		if err != nil {
			return nil, err
		}
		_, value := media(plain)
		list[i] = asJSON(value)
	}
	return json.Marshal(list)
}

// asJSON is a value as it is where it is JSON, else as a text.
func asJSON(value []byte) json.RawMessage {
	if json.Valid(value) {
		return value
	}
	text, _ := json.Marshal(string(value)) // a text is always written
	return text
}

// bracketed is a dotted name as web forms write it: card.number is card[number].
func bracketed(name string) string {
	head, rest, deep := strings.Cut(name, ".")
	if !deep {
		return head
	}
	return head + "[" + strings.ReplaceAll(rest, ".", "][") + "]"
}

// nested is a JSON text with a value at a dotted name.
func nested(name string, value []byte) []byte {
	text := string(asJSON(value))
	parts := strings.Split(name, ".")
	for _, part := range slices.Backward(parts) {
		key, _ := json.Marshal(part) // a text is always written
		text = "{" + string(key) + ":" + text + "}"
	}
	return []byte(text)
}

// silent is a caller whom nobody waits for: the answer comes back from Run.
type silent struct{}

func (silent) Begin(int, message.Header) error                   { return errNameless } // an answer too large to be kept is none of an import
func (silent) Write([]byte) error                                { return errNameless }
func (silent) End(error) error                                   { return nil }
func (silent) Decided(*route.Decision)                           {}
func (silent) Ended(*ledger.Attempt, time.Duration, time.Time)   {}
func (silent) Beside(context.Context, *ledger.Transaction) error { return nil }
