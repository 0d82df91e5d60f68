package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// racers is how many goroutines race for one row.
const racers = 16

// Case is one promise of a store. Check returns what is wrong. open opens the same store again and again: what one value wrote, the next
// must have.
type Case struct {
	Name  string
	Check func(ctx context.Context, open func() ledger.Store) error
}

// Run holds a store against every promise. open returns an empty store's value; a further call in the same test returns the same
// store, closed and opened again.
func Run(t *testing.T, fresh func(t *testing.T) (open func() ledger.Store)) {
	t.Helper()
	for _, c := range Cases {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := c.Check(ctx, fresh(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Cases are the promises.
var Cases = []Case{
	{"a claim is read back whole", wholeRow},
	{"a key without a row is not found", notFound},
	{"one of many claims wins and all see the winner", claimRace},
	{"a claim does not touch a row that is there", claimTaken},
	{"a claim writes its open entry", claimOpens},
	{"a version guards each write", versionGuard},
	{"one of many advances wins", advanceRace},
	{"a lost advance returns the row as it is", lostAdvance},
	{"an advance needs a row", advanceNothing},
	{"the token tells whose write it was", tokens},
	{"open entries follow the state", openFollows},
	{"open transactions come oldest first, until told to stop", openOrder},
	{"while open transactions are walked, they can be written", openWrites},
	{"recent ones come newest first, as many as asked", recentOrder},
	{"recent ones pass every filter", recentFilters},
	{"the owner of an object is known per application and service", owners},
	{"rows in hand are copies", copies},
	{"keys that look alike are apart", alike},
	{"everything is there after a reopening", reopened},
	{"many keys at once", manyKeys},
	{"a planted row keeps a late claim out", planted},
}

var base = time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC)

// Sample is a claim with everything set; n tells samples apart and orders them in time.
func Sample(n int) *ledger.Transaction {
	t := ledger.New(fmt.Sprintf("tx_%04d", n), ledger.Key{App: "default", Service: "payments", Key: fmt.Sprintf("key-%d", n)}, "charge", [32]byte{1, byte(n)}, at(n))
	t.Version, t.Token, t.Region, t.Session = 1, [16]byte{byte(n), 1}, "eu-west", "ses_1"
	t.Run, t.State = "eu-west-1/run-1", ledger.Intent
	t.Attempts = []ledger.Attempt{{
		ID: fmt.Sprintf("at_%04d", n), Provider: "stripe", Account: "acct", Endpoint: "http://127.0.0.1:7600", ProviderKey: "key", Reference: "tx-0",
		Contract: [32]byte{9}, IntentAt: at(n), SendBy: 2 * time.Second, Sends: 1,
	}}
	return t
}

func at(n int) time.Time { return base.Add(time.Duration(n) * time.Second) }

// next is the following version of t.
func next(t *ledger.Transaction, s ledger.State, o ledger.Outcome) *ledger.Transaction {
	n := t.Clone()
	n.State, n.Version, n.Token = s, t.Version+1, [16]byte{t.Token[0], byte(t.Version + 1)}
	n.Updated = t.Updated.Add(time.Millisecond)
	a := n.Current()
	a.Outcome, a.Status, a.Elapsed = o, 200, 12*time.Millisecond
	if n.Final() {
		n.Answer = &ledger.StoredAnswer{
			Status: 200, Header: message.Header{{Name: "Content-Type", Value: "application/json"}}, Sealed: []byte{1, 2, 3},
			KeyID: "k1", Hash: [32]byte{7}, Kept: true, ObjectID: "ch_1",
		}
	}
	return n
}

func claim(ctx context.Context, s ledger.Store, ts ...*ledger.Transaction) error {
	for _, t := range ts {
		if current, won, err := s.Claim(ctx, t); err != nil || !won {
			return fmt.Errorf("claim of %s: won %v, current %v: %w", t.ID, won, current, err)
		}
	}
	return nil
}

func advance(ctx context.Context, s ledger.Store, ts ...*ledger.Transaction) error {
	for _, t := range ts {
		if _, how, err := s.Advance(ctx, t); err != nil || how != ledger.Stored {
			return fmt.Errorf("advance of %s to version %d: %d: %w", t.ID, t.Version, how, err)
		}
	}
	return nil
}

// is checks that the row of want's key is want.
func is(ctx context.Context, s ledger.Store, want *ledger.Transaction) error {
	got, err := s.Load(ctx, want.Key)
	if err != nil {
		return fmt.Errorf("load of %s: %w", want.ID, err)
	}
	return same(got, want)
}

func same(got, want *ledger.Transaction) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the row is\n%+v, want\n%+v", got, want)
	}
	return nil
}

func wholeRow(ctx context.Context, open func() ledger.Store) error {
	s, t := open(), Sample(1)
	if err := claim(ctx, s, t); err != nil {
		return err
	}
	got, err := s.ByID(ctx, t.ID)
	if err != nil {
		return fmt.Errorf("by id: %w", err)
	}
	if err := same(got, t); err != nil {
		return err
	}
	done := next(t, ledger.DoneSucceeded, ledger.Succeeded)
	return errors.Join(is(ctx, s, t), advance(ctx, s, done), is(ctx, s, done))
}

func notFound(ctx context.Context, open func() ledger.Store) error {
	s := open()
	_, errLoad := s.Load(ctx, Sample(1).Key)
	_, errID := s.ByID(ctx, "tx_nobody")
	_, errOwner := s.Owner(ctx, "default", "payments", "ch_nobody")
	for _, err := range []error{errLoad, errID, errOwner} {
		if !errors.Is(err, ledger.ErrNotFound) {
			return fmt.Errorf("%w instead of ErrNotFound", err)
		}
	}
	return nil
}

// race runs f racers times at once.
func race(f func(n int) error) error {
	var group sync.WaitGroup
	start := make(chan struct{})
	errs := make([]error, racers)
	for n := range racers {
		group.Go(func() {
			<-start
			errs[n] = f(n)
		})
	}
	close(start)
	group.Wait()
	return errors.Join(errs...)
}

func claimRace(ctx context.Context, open func() ledger.Store) error {
	s := open()
	for round := range 8 {
		var mu sync.Mutex
		var winners, seen []string
		err := race(func(n int) error {
			t := Sample(round*racers + n)
			t.Key = Sample(round).Key
			current, won, err := s.Claim(ctx, t)
			if err != nil {
				return fmt.Errorf("claim: %w", err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, current.ID)
			if won {
				winners = append(winners, t.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(winners) != 1 {
			return fmt.Errorf("%d claims won: %v", len(winners), winners)
		}
		for _, id := range seen {
			if id != winners[0] {
				return fmt.Errorf("%s won, and somebody saw %s", winners[0], id)
			}
		}
	}
	return nil
}

func claimTaken(ctx context.Context, open func() ledger.Store) error {
	s, first := open(), Sample(1)
	second := Sample(2)
	second.Key = first.Key
	if err := claim(ctx, s, first); err != nil {
		return err
	}
	current, won, err := s.Claim(ctx, second)
	if err != nil || won {
		return fmt.Errorf("the second claim: won %v: %w", won, err)
	}
	if _, err := s.ByID(ctx, second.ID); !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("the id of a lost claim is known: %w", err)
	}
	return errors.Join(same(current, first), is(ctx, s, first))
}

func claimOpens(ctx context.Context, open func() ledger.Store) error {
	s := open()
	return errors.Join(claim(ctx, s, Sample(1)), opens(ctx, s, 1), opens(ctx, open(), 1))
}

func versionGuard(ctx context.Context, open func() ledger.Store) error {
	s, t := open(), Sample(1)
	if err := claim(ctx, s, t); err != nil {
		return err
	}
	second := next(t, ledger.Held, ledger.Unknown)
	if err := advance(ctx, s, second); err != nil {
		return err
	}
	for _, version := range []uint64{0, 1, 2, 4, 5} {
		stale := next(t, ledger.DoneDeclined, ledger.Declined)
		stale.Version, stale.Token = version, [16]byte{200}
		if _, how, err := s.Advance(ctx, stale); err != nil || how != ledger.Lost {
			return fmt.Errorf("version %d over 2: %d, want lost: %w", version, how, err)
		}
	}
	return is(ctx, s, second)
}

func advanceRace(ctx context.Context, open func() ledger.Store) error {
	s, t := open(), Sample(1)
	if err := claim(ctx, s, t); err != nil {
		return err
	}
	for version := range uint64(8) {
		var mu sync.Mutex
		var winner *ledger.Transaction
		wins := 0
		err := race(func(n int) error {
			mine := t.Clone()
			mine.Version, mine.Token, mine.Run = version+2, [16]byte{byte(n), byte(version)}, fmt.Sprint(n)
			_, how, err := s.Advance(ctx, mine)
			if err != nil {
				return fmt.Errorf("advance: %w", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if how == ledger.Stored {
				wins, winner = wins+1, mine
			}
			return nil
		})
		if err != nil {
			return err
		}
		if wins != 1 {
			return fmt.Errorf("%d advances to version %d won", wins, version+2)
		}
		if err := is(ctx, s, winner); err != nil {
			return err
		}
	}
	return nil
}

func lostAdvance(ctx context.Context, open func() ledger.Store) error {
	s, t := open(), Sample(1)
	second := next(t, ledger.Held, ledger.Unknown)
	if err := errors.Join(claim(ctx, s, t), advance(ctx, s, second)); err != nil {
		return err
	}
	late := next(t, ledger.DoneDeclined, ledger.Declined)
	late.Token = [16]byte{99}
	current, how, err := s.Advance(ctx, late)
	if err != nil || how != ledger.Lost {
		return fmt.Errorf("a late advance: %d: %w", how, err)
	}
	return errors.Join(same(current, second), is(ctx, s, second), opens(ctx, s, 1))
}

func advanceNothing(ctx context.Context, open func() ledger.Store) error {
	s, t := open(), Sample(1)
	for _, version := range []uint64{1, 2} {
		t.Version = version
		if current, how, err := s.Advance(ctx, t); err != nil || how != ledger.Lost || current != nil {
			return fmt.Errorf("advance of nothing: %v, %d: %w", current, how, err)
		}
	}
	if _, err := s.Load(ctx, t.Key); !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("it made a row: %w", err)
	}
	return opens(ctx, s)
}

func tokens(ctx context.Context, open func() ledger.Store) error {
	s, t := open(), Sample(1)
	second := next(t, ledger.Held, ledger.Unknown)
	if err := errors.Join(claim(ctx, s, t)); err != nil {
		return err
	}
	if again, won, err := s.Claim(ctx, t); err != nil || won || again.Token != t.Token {
		return fmt.Errorf("a claim that is repeated: won %v, %+v: %w", won, again, err)
	}
	if err := advance(ctx, s, second); err != nil {
		return err
	}
	again, _, err := s.Advance(ctx, second)
	if err != nil || again == nil || again.Token != second.Token || again.Version != second.Version {
		return fmt.Errorf("an advance that is repeated returns %+v: %w", again, err)
	}
	return is(ctx, s, second)
}
