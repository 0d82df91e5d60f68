package dataplane

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/seal"
	"segue/dataplane/ledger"
	"segue/dataplane/repair"
	"segue/dataplane/session"
)

// hints stands between an agent and a store that others share: what the store cannot be told now waits on this machine's disk. An agent
// whose store is its own keeps none, because that store is on the same disk.
type hints struct {
	Store
	log      *repair.Log
	repair   *repair.Repair
	mirrored *repair.Mirrored
	mirror   string
	metrics  *prometheus.Registry
	shown    *repair.Collector
	idle     sync.WaitGroup
	tell     atomic.Pointer[func(*ledger.Transaction)] // the driver's Claimed; nil: it is not there yet
	ctx      context.Context                           // of the replays that were asked for
	cancel   context.CancelFunc

	mu    sync.Mutex
	asked map[string]*query.HintReplayed
	order []string
}

// maxAskedReplays bounds the replays that are remembered by their order.
const maxAskedReplays = 16

// openHints puts the log of hints before a shared store.
func openHints(cfg *Config, key seal.Key, to Store) (*hints, error) {
	h := &hints{Store: to, mirror: cfg.Mirror, asked: map[string]*query.HintReplayed{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	disk := repair.LogOptions{Keys: []seal.Key{key}, Log: cfg.Log, Now: cfg.Now, Fatal: cfg.Fatal}
	o := repair.Options{Log: cfg.Log, Now: cfg.Now, Claimed: h.claimed}
	var err error
	if h.log, err = repair.OpenLog(filepath.Join(cfg.Dir, "hints"), disk); err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	if h.mirrored, err = repair.OpenMirrored(filepath.Join(cfg.Dir, "mirrored"), to.Ledger(), to.Sessions(), repair.MirroredOptions{Log: disk, Repair: o}); err != nil {
		return nil, errors.Join(fmt.Errorf("dataplane: %w", err), h.log.Close())
	}
	if h.mirror != "" {
		if o.Mirror, err = newMirror(h.mirror, cfg.ID); err != nil {
			return nil, errors.Join(err, h.mirrored.Close(), h.log.Close())
		}
	}
	h.repair = repair.New(h.log, to.Ledger(), to.Sessions(), o)
	h.shown = repair.NewCollector(h.repair, cfg.Region)
	h.metrics = cfg.Metrics
	if err := errors.Join(h.repair.Start(), h.metrics.Register(h.shown)); err != nil {
		return nil, errors.Join(fmt.Errorf("dataplane: hints: %w", err), h.shut())
	}
	return h, nil
}

// claimed tells whoever looks for outcomes of a row that was made from what this machine's disk kept.
func (h *hints) claimed(t *ledger.Transaction) {
	if tell := h.tell.Load(); tell != nil {
		(*tell)(t)
	}
}

// hint puts the log of hints before a store that others share.
func (a *Agent) hint() error {
	if a.owned {
		if a.cfg.Mirror != "" {
			return errors.New("dataplane: a mirror is for a store that agents share: this one's is on its own disk, and it keeps no hints")
		}
		if err := a.cfg.Metrics.Register(repair.NewCollector(nil, a.cfg.Region)); err != nil && !errors.As(err, &prometheus.AlreadyRegisteredError{}) {
			return fmt.Errorf("dataplane: hints: %w", err)
		}
		return nil
	}
	key, err := hintKey(a.cfg.KeysDir)
	if err != nil {
		return err
	}
	if a.parts.hints, err = openHints(&a.cfg, key, a.store); err != nil {
		return err
	}
	a.store = a.parts.hints
	return nil
}

// Ledger is the store's, with hints.
func (h *hints) Ledger() ledger.Store { return h.repair.Ledger() }

// Sessions are the store's, with hints.
func (h *hints) Sessions() session.Store { return h.repair.Sessions() }

// Runs are the store's. A beat tells once a second whether the store is in reach, also while nobody calls.
func (h *hints) Runs() ledger.Runs { return felt{h.Store.Runs(), h.repair} }

type storeRuns = ledger.Runs

type felt struct {
	storeRuns
	repair *repair.Repair
}

// Beat beats, and lets the hints know how it went.
func (f felt) Beat(ctx context.Context, r ledger.Run) error {
	err := f.storeRuns.Beat(ctx, r)
	f.repair.Feel(err)
	return err
}

// Refused tells why nothing new is claimed: the store says so, or the outcome could not be hinted.
func (h *hints) Refused() error {
	if err := h.log.Refused(); err != nil {
		return fmt.Errorf("%w: %w", ledger.ErrNoRoom, err)
	}
	return h.Store.Refused()
}

// shut ends the replay. The store stays open: others share it.
func (h *hints) shut() error {
	h.metrics.Unregister(h.shown)
	h.cancel()
	h.idle.Wait()
	h.repair.Stop()
	return errors.Join(h.mirrored.Close(), h.log.Close())
}

// steer holds the replay back as the latest throttle in force says; nil: none is.
func (h *hints) steer(o *policy.Order) {
	if h == nil {
		return
	}
	var s repair.Steer
	if o != nil {
		s = repair.Steer{Paused: o.Hints.Pause, Rate: o.Hints.Rate, Until: o.Ends()}
	}
	_ = h.repair.Steer(s) // the State took no rate that is none
}

// replay does what an order asks for, once.
func (h *hints) replay(id string, which policy.Hints) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked[id] != nil {
		return
	}
	done := &query.HintReplayed{Known: true, Kept: true}
	h.asked[id] = done
	if h.order = append(h.order, id); len(h.order) > maxAskedReplays {
		delete(h.asked, h.order[0])
		h.order = h.order[1:]
	}
	h.idle.Go(func() {
		got, err := h.repair.Replay(h.ctx, repair.Filter{Held: which.Held, Old: which.Old, From: which.From, To: which.To})
		h.mu.Lock()
		defer h.mu.Unlock()
		done.Done, done.Ended, done.Held = true, got.Ended, got.Held
		if err != nil {
			done.Problem = err.Error()
		}
	})
}

// replayed tells what the replay of an order came to.
func (h *hints) replayed(order string) query.HintReplayed {
	if h == nil {
		return query.HintReplayed{Known: true, Done: true}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked[order] == nil {
		return query.HintReplayed{Kept: true}
	}
	done := *h.asked[order]
	done.Left = h.repair.Stats().Pending
	return done
}

// Bounds of a list of hints.
const (
	defaultHints = 50
	maxHints     = 500
)

// stand tells how the log stands, and what its oldest hints are.
func (h *hints) stand(ctx context.Context, q query.Question) query.HintLog {
	if h == nil {
		return query.HintLog{}
	}
	s := h.repair.Stats()
	out := query.HintLog{
		Kept: true, Away: s.Down, Waiting: s.Pending, Held: s.Held, Journal: s.Journal, Mirror: h.mirror, Oldest: s.Oldest, Room: query.Room{Bytes: s.Bytes, Limit: s.Limit},
		Rate: s.Replays, Left: s.Left, HeldBack: query.HeldBack{Paused: s.Paused, Throttle: s.Rate, Until: s.Until},
	}
	out.Mirrored, _ = h.mirrored.Waiting()
	if s.Full != nil {
		out.Refused = s.Full.Error()
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultHints
	}
	which := query.Which{Held: true, Old: true}
	if q.Which != nil {
		which = *q.Which
	}
	f := repair.Filter{Held: which.Held, Old: which.Old, From: which.From, To: which.To, Limit: min(limit, maxHints)}
	lines := h.repair.List(f)
	if which.DryRun {
		var err error
		if lines, err = h.repair.DryRun(ctx, f); err != nil {
			out.Problem = err.Error()
		}
	}
	out.Hints = make([]query.Hint, len(lines))
	for i, l := range lines {
		out.Hints[i] = query.Hint{Number: l.Seq, ID: l.ID.String(), Kind: l.Kind.String(), About: l.About, At: l.At, Why: l.Held, Replays: l.Does}
	}
	return out
}

// throttling is the order that holds the replay back: the latest of those in force.
func throttling(latest *policy.Order, o *policy.Order) *policy.Order {
	if latest != nil && latest.At.After(o.At) {
		return latest
	}
	return o
}
