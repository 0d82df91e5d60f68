package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/dataplane/ledger"
)

// Parts is a store with all that a ledger needs of it.
type Parts interface {
	Ledger() ledger.Store
	Runs() ledger.Runs
	Payloads() ledger.Payloads
	Watches() ledger.Watches
}

// PartsCase is one promise of a store's runs or payloads. open is as in Case.
type PartsCase struct {
	Name  string
	Check func(ctx context.Context, open func() Parts) error
}

// RunParts holds a store's runs and payloads against every promise.
func RunParts(t *testing.T, fresh func(t *testing.T) (open func() Parts)) {
	t.Helper()
	for _, c := range PartsCases {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := c.Check(ctx, fresh(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// PartsCases are the promises.
var PartsCases = []PartsCase{
	{"beats are read back", beatsBack},
	{"a beat needs the beat before it", beatOrder},
	{"a fenced run beats no more", fenced},
	{"a run that beat meanwhile is not fenced", beatWins},
	{"a run without a row is fenced, and cannot begin", fencedUnseen},
	{"of a beat and a fence at the same time one wins", fenceRace},
	{"what a run left is found until it is empty", left},
	{"payloads are kept apart", payloads},
	{"payloads are dropped whole", payloadsDropped},
	{"payloads out of bounds are refused", payloadBounds},
	{"what is watched is read back", watched},
	{"what is watched twice is one watch", watchedTwice},
	{"a watch that is over is gone", unwatched},
	{"nothing is mended where nothing is missing", unmended},
}

func runID(n int) string { return fmt.Sprintf("eu-west-%d/%016x", n%3, n) }

func beat(ctx context.Context, s ledger.Runs, n int, beats ...uint64) error {
	for _, b := range beats {
		if err := s.Beat(ctx, ledger.Run{ID: runID(n), Region: "eu-west", Beat: b}); err != nil {
			return fmt.Errorf("beat %d of %s: %w", b, runID(n), err)
		}
	}
	return nil
}

// unbeaten checks that a run may not beat.
func unbeaten(ctx context.Context, s ledger.Runs, n int, beats ...uint64) error {
	for _, b := range beats {
		if err := s.Beat(ctx, ledger.Run{ID: runID(n), Region: "eu-west", Beat: b}); !errors.Is(err, ledger.ErrFenced) {
			return fmt.Errorf("beat %d of %s: %w instead of ErrFenced", b, runID(n), err)
		}
	}
	return nil
}

func fence(ctx context.Context, s ledger.Runs, n int, seen uint64, want bool) error {
	got, err := s.Fence(ctx, ledger.Run{ID: runID(n), Region: "eu-west", Beat: seen, Fenced: at(n)})
	if err != nil || got != want {
		return fmt.Errorf("fence of %s at beat %d: %v, want %v: %w", runID(n), seen, got, want, err)
	}
	return nil
}

func listed(ctx context.Context, s ledger.Runs, want ...ledger.Run) error {
	var got []ledger.Run
	err := s.Runs(ctx, func(r ledger.Run) bool {
		got = append(got, r)
		return true
	})
	if err != nil {
		return fmt.Errorf("runs: %w", err)
	}
	byID := func(a, b ledger.Run) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	if !slices.EqualFunc(got, want, func(a, b ledger.Run) bool {
		return a.ID == b.ID && a.Region == b.Region && a.Beat == b.Beat && a.Fenced.Equal(b.Fenced)
	}) {
		return fmt.Errorf("the runs are %+v, want %+v", got, want)
	}
	return nil
}

func alive(n int, b uint64) ledger.Run { return ledger.Run{ID: runID(n), Region: "eu-west", Beat: b} }

func dead(n int, b uint64) ledger.Run {
	r := alive(n, b)
	r.Fenced = at(n)
	return r
}

func beatsBack(ctx context.Context, open func() Parts) error {
	s := open().Runs()
	if err := errors.Join(listed(ctx, s), beat(ctx, s, 1, 1), beat(ctx, s, 2, 1, 2, 3), beat(ctx, s, 1, 2)); err != nil {
		return err
	}
	n := 0
	if err := s.Runs(ctx, func(ledger.Run) bool { n++; return false }); err != nil || n != 1 {
		return fmt.Errorf("told to stop at the first, %d runs came: %w", n, err)
	}
	return errors.Join(listed(ctx, s, alive(1, 2), alive(2, 3)), listed(ctx, open().Runs(), alive(1, 2), alive(2, 3)))
}

func beatOrder(ctx context.Context, open func() Parts) error {
	s := open().Runs()
	return errors.Join(
		unbeaten(ctx, s, 1, 2, 7), // its row was removed, or it never began
		beat(ctx, s, 1, 1, 1, 2, 2, 5),
		unbeaten(ctx, s, 1, 1, 4),
		listed(ctx, s, alive(1, 5)),
	)
}

func fenced(ctx context.Context, open func() Parts) error {
	s := open().Runs()
	if err := errors.Join(beat(ctx, s, 1, 1, 2), beat(ctx, s, 2, 1), fence(ctx, s, 1, 2, true)); err != nil {
		return err
	}
	later, err := s.Fence(ctx, ledger.Run{ID: runID(1), Region: "eu-west", Beat: 1, Fenced: at(90)})
	if err != nil || !later {
		return fmt.Errorf("the fence of a fenced run: %v: %w", later, err)
	}
	s = open().Runs()
	return errors.Join(unbeaten(ctx, s, 1, 1, 2, 3), beat(ctx, s, 2, 2), listed(ctx, s, dead(1, 2), alive(2, 2)))
}

func beatWins(ctx context.Context, open func() Parts) error {
	s := open().Runs()
	return errors.Join(
		beat(ctx, s, 1, 1, 2, 3), fence(ctx, s, 1, 2, false), fence(ctx, s, 1, 0, false), fence(ctx, s, 1, 4, false),
		beat(ctx, s, 1, 4), listed(ctx, s, alive(1, 4)),
	)
}

func fencedUnseen(ctx context.Context, open func() Parts) error {
	s := open().Runs()
	return errors.Join(
		fence(ctx, s, 1, 5, false), listed(ctx, s),
		fence(ctx, s, 1, 0, true), unbeaten(ctx, s, 1, 1, 2), listed(ctx, open().Runs(), dead(1, 0)),
	)
}

func fenceRace(ctx context.Context, open func() Parts) error {
	s := open().Runs()
	for n := range 16 {
		if err := beat(ctx, s, n, 1); err != nil {
			return err
		}
		var beats, fences atomic.Int64
		err := race(func(i int) error {
			if i%2 == 0 {
				won, err := s.Fence(ctx, dead(n, 1))
				if won {
					fences.Add(1)
				}
				return err
			}
			err := s.Beat(ctx, alive(n, 2))
			if err == nil {
				beats.Add(1)
			}
			if errors.Is(err, ledger.ErrFenced) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
		if beats.Load() > 0 && fences.Load() > 0 || beats.Load()+fences.Load() == 0 {
			return fmt.Errorf("of %s, %d beats and %d fences won", runID(n), beats.Load(), fences.Load())
		}
	}
	return nil
}

func lefts(ctx context.Context, p Parts, run string, want ...int) error {
	var got []string
	err := p.Runs().Left(ctx, run, func(t *ledger.Transaction) bool {
		got = append(got, t.ID)
		return true
	})
	if err != nil {
		return fmt.Errorf("left: %w", err)
	}
	slices.Sort(got)
	return ids("left by "+run, got, want)
}

func left(ctx context.Context, open func() Parts) error {
	p := open()
	s := p.Ledger()
	mine, other := Sample(1), Sample(2)
	other.Run = runID(2)
	if err := claim(ctx, s, mine, other, Sample(3), Sample(4)); err != nil {
		return err
	}
	if _, err := p.Runs().Fence(ctx, ledger.Run{ID: mine.Run, Fenced: at(9)}); err != nil {
		return err
	}
	taken := next(mine, ledger.Held, ledger.Unknown)
	taken.Run = runID(2)
	heldBy := next(Sample(4), ledger.Held, ledger.Unknown)
	refused := next(Sample(3), ledger.Refused, ledger.NotSent)
	again := next(refused, ledger.Intent, ledger.NotSent)
	again.Run = runID(2)
	if err := errors.Join(lefts(ctx, p, mine.Run, 1, 3, 4), advance(ctx, s, taken, heldBy, refused), lefts(ctx, p, mine.Run, 4)); err != nil {
		return err
	}
	return errors.Join(
		advance(ctx, s, again), lefts(ctx, p, runID(2), 1, 2, 3), lefts(ctx, p, "nobody"), lefts(ctx, open(), mine.Run, 4),
	)
}

// planted checks that a row which says "nothing was sent" stands in the way of a late claim, and can be opened by a later request.
func planted(ctx context.Context, open func() ledger.Store) error {
	s, late := open(), Sample(1)
	plant := ledger.Plant("tx_plant", late.Key, at(2))
	plant.Version, plant.Token = 1, [16]byte{77}
	if err := claim(ctx, s, plant); err != nil {
		return err
	}
	current, won, err := s.Claim(ctx, late)
	if err != nil || won || !current.Planted() {
		return fmt.Errorf("a claim after a plant: won %v, %+v: %w", won, current, err)
	}
	if err := errors.Join(is(ctx, s, plant), opens(ctx, s)); err != nil {
		return err
	}
	second := ledger.Plant("tx_second", Sample(4).Key, at(2))
	second.Version, second.Token = 1, [16]byte{78}
	if err := claim(ctx, s, Sample(4)); err != nil {
		return err
	}
	if current, won, err = s.Claim(ctx, second); err != nil || won || current.ID != Sample(4).ID {
		return fmt.Errorf("a plant over a claim: won %v, %+v: %w", won, current, err)
	}
	reopened := plant.Clone()
	reopened.Attempts, reopened.State, reopened.Run = Sample(1).Attempts, ledger.Intent, Sample(1).Run
	reopened.Version, reopened.Token = 2, [16]byte{79}
	return errors.Join(advance(ctx, s, reopened), is(ctx, open(), reopened))
}

func fetched(ctx context.Context, s ledger.Payloads, k ledger.Key, part string, want []byte) error {
	got, err := s.Fetch(ctx, k, part)
	if want == nil {
		if !errors.Is(err, ledger.ErrNotFound) {
			return fmt.Errorf("%v %s: %d bytes, %w instead of ErrNotFound", k, part, len(got), err)
		}
		return nil
	}
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("%v %s: %d bytes, want %d: %w", k, part, len(got), len(want), err)
	}
	return nil
}

func payloads(ctx context.Context, open func() Parts) error {
	s := open().Payloads()
	a, b := Sample(1).Key, Sample(2).Key
	large := bytes.Repeat([]byte{0, 255, 7}, ledger.MaxPayload/3)
	if err := errors.Join(
		fetched(ctx, s, a, "request", nil), s.Keep(ctx, a, "request", []byte{1}), s.Keep(ctx, a, "request-2", []byte{2}), s.Keep(ctx, b, "request", large),
		s.Keep(ctx, a, "request", []byte{3, 0}),
	); err != nil {
		return err
	}
	kept := func(s ledger.Payloads) error {
		return errors.Join(
			fetched(ctx, s, a, "request", []byte{3, 0}), fetched(ctx, s, a, "request-2", []byte{2}), fetched(ctx, s, b, "request", large),
			fetched(ctx, s, a, "req", nil), fetched(ctx, s, b, "request-2", nil),
		)
	}
	return errors.Join(kept(s), kept(open().Payloads()))
}

func payloadsDropped(ctx context.Context, open func() Parts) error {
	s := open().Payloads()
	a, b := Sample(1).Key, Sample(2).Key
	return errors.Join(
		s.Drop(ctx, a),
		s.Keep(ctx, a, "request", []byte{1}), s.Keep(ctx, a, "evidence", []byte{2}), s.Keep(ctx, b, "request", []byte{3}), s.Drop(ctx, a),
		fetched(ctx, s, a, "request", nil), fetched(ctx, s, a, "evidence", nil), fetched(ctx, s, b, "request", []byte{3}),
		fetched(ctx, open().Payloads(), a, "request", nil),
	)
}

func payloadBounds(ctx context.Context, open func() Parts) error {
	s, k := open().Payloads(), Sample(1).Key
	for what, err := range map[string]error{
		"an empty one":          s.Keep(ctx, k, "request", nil),
		"one without a part":    s.Keep(ctx, k, "", []byte{1}),
		"one of a long part":    s.Keep(ctx, k, strings.Repeat("a", ledger.MaxPart+1), []byte{1}),
		"one that is too large": s.Keep(ctx, k, "request", make([]byte, ledger.MaxPayload+1)),
	} {
		if !errors.Is(err, ledger.ErrPayload) {
			return fmt.Errorf("%s: %w instead of ErrPayload", what, err)
		}
	}
	return fetched(ctx, s, k, "request", nil)
}
