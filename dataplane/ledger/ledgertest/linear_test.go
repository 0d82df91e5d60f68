package ledgertest

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
)

// broken is a good store that now and then does not keep a promise.
type broken struct {
	ledger.Store
	calls   atomic.Int64
	claim   func(context.Context, *ledger.Transaction) (*ledger.Transaction, bool, error)
	advance func(context.Context, *ledger.Transaction) (*ledger.Transaction, ledger.Written, error)
	load    func(context.Context, ledger.Key) (*ledger.Transaction, error)
}

func (b *broken) Claim(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
	return b.claim(ctx, t)
}

func (b *broken) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	return b.advance(ctx, t)
}

func (b *broken) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	return b.load(ctx, k)
}

// seldom is true for one call of many.
func (b *broken) seldom() bool { return b.calls.Add(1)%40 == 0 }

var errLost = errors.New("the answer is lost")

// TestLinearMutants: a store that does what it should is linear, though answers are lost; each that does not is found out.
func TestLinearMutants(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(b *broken)
		linear bool
	}{
		"good": {func(*broken) {}, true},
		"applied, and the answer lost": {func(b *broken) {
			b.advance = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
				current, how, err := b.Store.Advance(ctx, t)
				if b.seldom() {
					return nil, 0, errLost
				}
				return current, how, err
			}
		}, true},
		"not applied, and the answer lost": {func(b *broken) {
			b.advance = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
				if b.seldom() {
					return nil, 0, errLost
				}
				return b.Store.Advance(ctx, t)
			}
		}, true},
		"two claims are told that they won": {func(b *broken) {
			b.claim = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
				current, won, err := b.Store.Claim(ctx, t)
				if err == nil && !won && b.calls.Add(1)%4 == 0 {
					return t, true, nil
				}
				return current, won, err
			}
		}, false},
		"an advance is told to be stored and is not": {func(b *broken) {
			b.advance = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
				if b.seldom() {
					return t, ledger.Stored, nil
				}
				return b.Store.Advance(ctx, t)
			}
		}, false},
		"a read finds nothing": {func(b *broken) {
			b.load = func(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
				if b.seldom() {
					return nil, ledger.ErrNotFound
				}
				return b.Store.Load(ctx, k)
			}
		}, false},
		"a read is old": {func(b *broken) {
			old := map[ledger.Key]*ledger.Transaction{}
			var gate = make(chan struct{}, 1)
			b.load = func(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
				t, err := b.Store.Load(ctx, k)
				gate <- struct{}{}
				defer func() { <-gate }()
				if was := old[k]; was != nil && b.seldom() {
					return was, nil
				}
				if old[k] == nil && err == nil {
					old[k] = t
				}
				return t, err
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := embedded.Open(t.TempDir(), embedded.Options{Reserve: 1})
			if err != nil {
				t.Fatal(err)
			}
			good := store.Ledger()
			b := &broken{Store: good, claim: good.Claim, advance: good.Advance, load: good.Load}
			c.breaks(b)
			l := newLoad(func(int) ledger.Store { return b }, 7)
			l.run(t.Context(), 3000, nil)
			if err := l.judge(); (err == nil) != c.linear {
				t.Errorf("linear: %v", err)
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			_ = os.Remove(os.TempDir() + "/linearizable-7.html")
		})
	}
}
