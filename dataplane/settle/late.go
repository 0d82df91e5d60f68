package settle

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
)

// Bounds of the watch over attempts that were left without the provider's proof.
const (
	maxWatched   = 10_000
	maxWatch     = 35 * 24 * time.Hour // rows are kept no longer
	firstWatch   = 30 * time.Second
	lastWatch    = time.Hour
	compensateBy = 24 * time.Hour // a refund that is sent by the background is sent within
)

// watched are attempts that were closed without the provider's own proof: they may come to light until its lookups forget them.
type watched struct {
	mu   sync.Mutex
	list map[string]*watch // by attempt
}

type watch struct {
	transaction string
	next        time.Time
	every       time.Duration
}

// watch remembers the attempts of t that may still come to light.
func (d *Driver) watch(t *ledger.Transaction) {
	if len(t.Attempts) < 2 && t.State != ledger.Refused {
		return
	}
	for i := range t.Attempts {
		if d.dark(t, i) && d.keeper.watched.add(t.Attempts[i].ID, t.ID, d.cfg.Now().Add(firstWatch)) {
			if err := d.remember(context.Background(), t, i); err != nil {
				d.cfg.Log.Warn("an attempt that may come to light late is watched by this life of the agent only", "transaction", t.ID, "error", err)
			}
		}
	}
	if len(t.Duplicates()) > 0 {
		d.compensate(context.Background(), t, "")
	}
}

// dark tells whether an attempt of t was closed without its provider's own proof, and may still come to light by a lookup.
func (d *Driver) dark(t *ledger.Transaction, i int) bool {
	a := &t.Attempts[i]
	if a.Late || a.How == ledger.NotClosed || a.How == ledger.ByAnswer {
		return false
	}
	return d.cfg.Now().Before(d.lookable(t, i))
}

// lookable is until when an attempt may be looked up; the zero time: never. Where the policy does not have its provider now, it may again.
func (d *Driver) lookable(t *ledger.Transaction, i int) time.Time {
	a := &t.Attempts[i]
	until := a.IntentAt.Add(maxWatch)
	svc, _, who := d.place(t, i)
	if who < 0 {
		return until
	}
	c := svc.Candidates[who]
	m := ledger.MeansOf(c.Contract, c.OperationThere(t.Operation))
	if !m.Lookup || a.Reference == "" {
		return time.Time{}
	}
	if m.Horizon > 0 && m.Horizon < maxWatch {
		until = a.IntentAt.Add(m.Horizon)
	}
	return until
}

// remember writes that an attempt is watched, for whoever comes after this life of the agent.
func (d *Driver) remember(ctx context.Context, t *ledger.Transaction, i int) error {
	if d.cfg.Watches == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	w := ledger.Watched{Key: t.Key, Attempt: t.Attempts[i].ID, Until: t.Attempts[i].IntentAt.Add(maxWatch).UTC().Truncate(time.Millisecond)}
	if err := d.cfg.Watches.Watch(ctx, w); err != nil {
		return fmt.Errorf("settle: the watch over %s: %w", w.Attempt, err)
	}
	return nil
}

// leave writes that the current attempt is watched, if it is left without its provider's own proof: before the row says that it is left.
func (w *drive) leave(ctx context.Context) error {
	if i := len(w.tx.Attempts) - 1; i >= 0 && w.dark(w.tx, i) {
		return w.remember(ctx, w.tx, i)
	}
	return nil
}

// add says whether it is new.
func (w *watched) add(attempt, transaction string, next time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.list == nil {
		w.list = map[string]*watch{}
	}
	if w.list[attempt] != nil || len(w.list) >= maxWatched {
		return false
	}
	w.list[attempt] = &watch{transaction: transaction, next: next, every: firstWatch}
	return true
}

// due returns some of the attempts whose look is due, and sets their next.
func (w *watched) due(now time.Time, n int) map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]string{}
	for attempt, one := range w.list {
		if len(out) == n {
			break
		}
		if !one.next.After(now) {
			one.every = min(lastWatch, 2*one.every)
			one.next = now.Add(one.every)
			out[attempt] = one.transaction
		}
	}
	return out
}

func (w *watched) drop(attempt string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.list, attempt)
}

// watches looks for attempts that may have come to light.
func (d *Driver) watches(ctx context.Context) {
	k := &d.keeper
	for attempt, transaction := range k.watched.due(d.cfg.Now(), cap(k.slots)-len(k.slots)) {
		k.slots <- struct{}{}
		k.idle.Go(func() {
			defer func() { <-k.slots }()
			limited, cancel := context.WithTimeout(ctx, checkLimit)
			defer cancel()
			if t, done := d.watchOne(limited, transaction, attempt); done {
				k.watched.drop(attempt)
				d.forgetWatch(limited, t, attempt)
			}
		})
	}
}

// watchOne looks for one attempt. true: nothing can come of it any more.
func (d *Driver) watchOne(ctx context.Context, transaction, attempt string) (t *ledger.Transaction, done bool) {
	t, err := d.cfg.Store.ByID(ctx, transaction)
	if err != nil {
		return nil, errors.Is(err, ledger.ErrNotFound)
	}
	i := attemptOf(t, attempt)
	if i < 0 || !d.dark(t, i) {
		return t, true
	}
	a := &t.Attempts[i]
	svc, _, who := d.place(t, i)
	if who < 0 {
		return t, false
	}
	f := d.cfg.Client.LookUp(ctx, &provider.Question{Candidate: svc.Candidates[who], Service: svc.Name, Operation: t.Operation, Attempt: a, RequestID: t.ID})
	if f.Evidence.Outcome != ledger.Succeeded {
		return t, false
	}
	e := f.Evidence
	e.Attempt, e.Kind = a.ID, ledger.FromLookup
	if err := d.Learn(ctx, t.ID, e, f.Answer); err != nil {
		d.cfg.Log.Warn("a late execution could not be written down", "transaction", t.ID, "error", err)
		return t, false
	}
	return t, true
}

// forgetWatch takes an attempt off what is written down. One that stays there is looked at once more after a start.
func (d *Driver) forgetWatch(ctx context.Context, t *ledger.Transaction, attempt string) {
	i := -1
	if t != nil {
		i = attemptOf(t, attempt)
	}
	if i < 0 || d.cfg.Watches == nil {
		return
	}
	w := ledger.Watched{Key: t.Key, Attempt: attempt, Until: t.Attempts[i].IntentAt.Add(maxWatch).UTC().Truncate(time.Millisecond)}
	if err := d.cfg.Watches.Unwatch(ctx, w); err != nil {
		d.cfg.Log.Debug("a watch that is over stays written down", "transaction", t.ID, "error", err)
	}
}

// Rewatch takes up what is written down to be watched: by this agent's earlier lives, and by agents that are dead.
func (d *Driver) Rewatch(ctx context.Context) error {
	if d.cfg.Watches == nil {
		return nil
	}
	err := d.cfg.Watches.Watched(ctx, func(t *ledger.Transaction, w ledger.Watched) bool {
		if i := attemptOf(t, w.Attempt); i >= 0 && d.dark(t, i) && (d.mine(t) || d.keeper.peers.orphan(t.Run)) {
			d.keeper.watched.add(w.Attempt, t.ID, d.cfg.Now().Add(firstWatch))
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return fmt.Errorf("settle: watch: %w", err)
	}
	return nil
}

// compensate opens the transaction that takes back each attempt which was executed beside the outcome: pinned to the provider that executed it. It
// is sent where the refund can be formed from the contract and sent twice without harm; else it stands before an operator.
func (d *Driver) compensate(ctx context.Context, t *ledger.Transaction, object string) {
	for _, i := range t.Duplicates() {
		if err := d.takeBack(ctx, t, i, object); err != nil {
			d.cfg.Log.Error("a duplicate could not be taken back: an operator must", "transaction", t.ID, "attempt", t.Attempts[i].ID, "error", err)
		}
	}
}

func (d *Driver) takeBack(ctx context.Context, of *ledger.Transaction, i int, object string) error {
	now, late := d.cfg.Now(), &of.Attempts[i]
	key := of.CompensationKey(i)
	if _, err := d.cfg.Store.Load(ctx, key); !errors.Is(err, ledger.ErrNotFound) {
		return err // somebody takes it back already
	}
	svc, _, who := d.place(of, i)
	operation, r := "compensate", (*message.Request)(nil)
	var c *policy.Candidate
	if who >= 0 {
		c = svc.Candidates[who]
		operation, r = refund(c.Contract, object)
	}
	t, err := d.compensation(of, late, key, operation, c, now)
	if err != nil {
		return err
	}
	if r != nil && d.cfg.Payloads != nil && c.Credential.Kind != policy.CredentialCaller && c.Contract.Keys.Enforced {
		t.Kept, t.ExecuteBy = true, now.Add(compensateBy)
		if err := d.Keep(ctx, t, r); err != nil {
			return err
		}
	}
	d.Stamp(t, now)
	if current, err := d.Claim(ctx, t); err != nil || current != nil {
		return err
	}
	d.metrics.duplicate(of.Key.Service)
	d.cfg.Board.Note(health.Event{
		At: now, Kind: "duplicate", Service: of.Key.Service, Provider: late.Provider, Transaction: of.ID, Level: "bad",
		Text: fmt.Sprintf("%s: %s executed an attempt late, beside the outcome: %s takes it back", of.Key.Service, late.Provider, t.ID),
	})
	t.Current().Outcome, t.Current().Error = ledger.Unknown, "compensation"
	if err := t.Close(ledger.Hold); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if err := d.put(ctx, t); err != nil {
		return err
	}
	d.unknowns.add(t, d.NextCheck(t))
	d.unknowns.hurry(t.Key.Service, late.Provider, now)
	d.nudge()
	return nil
}

// compensation is the transaction that takes a late attempt back, at the provider that executed it; c is nil where that is not in the policy
// any more.
func (d *Driver) compensation(of *ledger.Transaction, late *ledger.Attempt, key ledger.Key, operation string, c *policy.Candidate, now time.Time) (*ledger.Transaction, error) {
	t := ledger.New(d.NewID(now), key, operation, [32]byte{}, now)
	t.Compensates, t.Session = late.ID, of.Session
	a := ledger.Attempt{
		ID: ledger.NewAttemptID(now, random()), Provider: late.Provider, Account: late.Account, Endpoint: late.Endpoint,
		Contract: late.Contract, IntentAt: now, SendBy: SendBy,
	}
	if c != nil {
		a.Contract = c.Digest
		a.ProviderKey = ledger.ProviderKey(d.cfg.Vault.Secret(), c.Contract.Keys, t.ID, late.Provider, late.Account, 0)
	}
	if err := t.Begin(a, d.RunID()); err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	t.Region = d.cfg.Region
	return t, nil
}

// cutMatch takes a pattern apart that names one path.
func cutMatch(match string) (method, path string, ok bool) {
	method, path, ok = strings.Cut(match, " ")
	return method, path, ok && !strings.ContainsAny(path, "*{")
}

// refund is the request that gives back an object as a whole, where the contract says enough of it: a form that names the object.
func refund(c *policy.Contract, object string) (operation string, r *message.Request) {
	for i := range c.Operations {
		o := &c.Operations[i]
		if o.Name != c.Recourse.Refund {
			continue
		}
		if object == "" || c.Dialect != policy.Stripe || len(o.Follows) == 0 || o.Follows[0].In != "body" {
			return o.Name, nil
		}
		method, path, ok := cutMatch(o.Match)
		if !ok {
			return o.Name, nil
		}
		return o.Name, &message.Request{
			Method: method, Path: path, Body: []byte(url.Values{o.Follows[0].Name: {object}}.Encode()),
			Header: message.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}},
		}
	}
	return "compensate", nil
}
