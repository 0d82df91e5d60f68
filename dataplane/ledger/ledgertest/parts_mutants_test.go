package ledgertest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

// parts is a good store with one rule of its runs or payloads broken.
type parts struct {
	ledgertest.Parts
	runs     ledger.Runs
	payloads ledger.Payloads
	watches  ledger.Watches
}

func (p parts) Watches() ledger.Watches   { return p.watches }
func (p parts) Runs() ledger.Runs         { return p.runs }
func (p parts) Payloads() ledger.Payloads { return p.payloads }

type goodRuns = ledger.Runs

type runs struct {
	goodRuns
	beat  func(context.Context, ledger.Run) error
	fence func(context.Context, ledger.Run) (bool, error)
	left  func(context.Context, string, func(*ledger.Transaction) bool) error
	mend  func(context.Context) (int, error)
	w     *watches
}

func (r runs) Mend(ctx context.Context) (int, error) { return r.mend(ctx) }

type watches struct {
	ledger.Watches
	watch, unwatch func(context.Context, ledger.Watched) error
}

func (w watches) Watch(ctx context.Context, one ledger.Watched) error   { return w.watch(ctx, one) }
func (w watches) Unwatch(ctx context.Context, one ledger.Watched) error { return w.unwatch(ctx, one) }

func (r runs) Beat(ctx context.Context, run ledger.Run) error          { return r.beat(ctx, run) }
func (r runs) Fence(ctx context.Context, run ledger.Run) (bool, error) { return r.fence(ctx, run) }
func (r runs) Left(ctx context.Context, run string, yield func(*ledger.Transaction) bool) error {
	return r.left(ctx, run, yield)
}

type payloads struct {
	ledger.Payloads
	keep func(context.Context, ledger.Key, string, []byte) error
	drop func(context.Context, ledger.Key) error
}

func (p payloads) Keep(ctx context.Context, k ledger.Key, part string, b []byte) error {
	return p.keep(ctx, k, part, b)
}
func (p payloads) Drop(ctx context.Context, k ledger.Key) error { return p.drop(ctx, k) }

var partsMutants = []struct {
	name, red string
	breaks    func(r *runs, p *payloads)
}{
	{"beats are lost", "beats are read back", func(r *runs, _ *payloads) {
		r.beat = func(ctx context.Context, run ledger.Run) error {
			run.Beat = 1
			return r.goodRuns.Beat(ctx, run)
		}
	}},
	{"any beat makes the row", "a beat needs the beat before it", func(r *runs, _ *payloads) {
		r.beat = func(ctx context.Context, run ledger.Run) error {
			if err := r.goodRuns.Beat(ctx, run); err == nil {
				return nil
			}
			first := run
			first.Beat = 1
			if err := r.goodRuns.Beat(ctx, first); err != nil {
				return err
			}
			return r.goodRuns.Beat(ctx, run)
		}
	}},
	{"a fenced run may beat", "a fenced run beats no more", func(r *runs, _ *payloads) {
		r.beat = func(ctx context.Context, run ledger.Run) error {
			_ = r.goodRuns.Beat(ctx, run)
			return nil
		}
	}},
	{"whoever comes last fences", "a run that beat meanwhile is not fenced", func(r *runs, _ *payloads) {
		r.fence = func(ctx context.Context, seen ledger.Run) (bool, error) {
			_ = r.goodRuns.Runs(ctx, func(now ledger.Run) bool {
				if now.ID == seen.ID {
					seen.Beat = now.Beat
				}
				return now.ID != seen.ID
			})
			return r.goodRuns.Fence(ctx, seen)
		}
	}},
	{"a run without a row is not fenced", "a run without a row is fenced, and cannot begin", func(r *runs, _ *payloads) {
		r.fence = func(ctx context.Context, seen ledger.Run) (bool, error) {
			if seen.Beat == 0 {
				return true, nil
			}
			return r.goodRuns.Fence(ctx, seen)
		}
	}},
	{"a fence reads and then writes", "of a beat and a fence at the same time one wins", func(r *runs, _ *payloads) {
		r.fence = func(ctx context.Context, seen ledger.Run) (bool, error) {
			_, err := r.goodRuns.Fence(ctx, seen)
			return true, err
		}
	}},
	{"what another run drives is left too", "what a run left is found until it is empty", func(r *runs, _ *payloads) {
		r.left = func(ctx context.Context, _ string, yield func(*ledger.Transaction) bool) error {
			return r.goodRuns.Left(ctx, ledgertest.Sample(1).Run, yield)
		}
	}},
	{"the first payload stays", "payloads are kept apart", func(_ *runs, p *payloads) {
		p.keep = func(ctx context.Context, k ledger.Key, part string, b []byte) error {
			if _, err := p.Fetch(ctx, k, part); err == nil {
				return nil
			}
			return p.Payloads.Keep(ctx, k, part, b)
		}
	}},
	{"one part stays", "payloads are dropped whole", func(_ *runs, p *payloads) {
		p.drop = func(ctx context.Context, k ledger.Key) error {
			kept, _ := p.Fetch(ctx, k, "request")
			if err := p.Payloads.Drop(ctx, k); err != nil || kept == nil {
				return err
			}
			return p.Payloads.Keep(ctx, k, "request", kept)
		}
	}},
	{"what is watched is lost", "what is watched is read back", func(r *runs, _ *payloads) {
		r.w.watch = func(context.Context, ledger.Watched) error { return nil }
	}},
	{"each watch stands in a place of its own", "what is watched twice is one watch", func(r *runs, _ *payloads) {
		n := 0
		r.w.watch = func(ctx context.Context, one ledger.Watched) error {
			n++
			one.Attempt += strings.Repeat("+", n-1)
			return r.w.Watches.Watch(ctx, one)
		}
	}},
	{"a watch stays", "a watch that is over is gone", func(r *runs, _ *payloads) {
		r.w.unwatch = func(context.Context, ledger.Watched) error { return nil }
	}},
	{"every row is mended", "nothing is mended where nothing is missing", func(r *runs, _ *payloads) {
		r.mend = func(ctx context.Context) (int, error) {
			n, err := r.goodRuns.Mend(ctx)
			return n + 1, err
		}
	}},
	{"what is out of bounds is cut", "payloads out of bounds are refused", func(_ *runs, p *payloads) {
		p.keep = func(ctx context.Context, k ledger.Key, part string, b []byte) error {
			if err := ledger.CheckPayload(part, b); err != nil {
				return nil
			}
			return p.Payloads.Keep(ctx, k, part, b)
		}
	}},
}

// TestPartsMutants breaks the runs or payloads of a good store in one way at a time: each case must turn red for some mutant.
func TestPartsMutants(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range partsMutants {
		t.Run(m.name, func(t *testing.T) {
			caught[m.red] = true
			good := open(t, t.TempDir())
			r := &runs{goodRuns: good.Runs(), beat: good.Runs().Beat, fence: good.Runs().Fence, left: good.Runs().Left, mend: good.Runs().Mend}
			r.w = &watches{good.Watches(), good.Watches().Watch, good.Watches().Unwatch}
			p := &payloads{Payloads: good.Payloads(), keep: good.Payloads().Keep, drop: good.Payloads().Drop}
			m.breaks(r, p)
			if err := checkParts(t, m.red, parts{good, r, p, r.w}); err == nil {
				t.Errorf("%q did not notice", m.red)
			} else {
				t.Log(err)
			}
		})
	}
	for _, c := range ledgertest.PartsCases {
		if !caught[c.Name] {
			t.Errorf("no mutant shows that %q can fail", c.Name)
		}
	}
}

func checkParts(t *testing.T, name string, p ledgertest.Parts) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, c := range ledgertest.PartsCases {
		if c.Name == name {
			return c.Check(ctx, func() ledgertest.Parts { return p })
		}
	}
	t.Fatalf("there is no case %q", name)
	return nil
}
