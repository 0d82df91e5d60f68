package dev

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"segue/dataplane"
	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

// errCut is what an agent is told when its link to the store is cut. Nothing gets through, and nothing is known.
var errCut = &ledger.NoQuorum{Alive: 0, Needed: 1, Err: errors.New("the link to the store is cut")}

// link is an agent's way to the store that all agents of this process share. It can be cut.
type link struct {
	dataplane.Store
	cut atomic.Bool
}

func (l *link) open() error {
	if l.cut.Load() {
		return errCut
	}
	return nil
}

// Refused says so while the link is cut.
func (l *link) Refused() error {
	if err := l.open(); err != nil {
		return err
	}
	return l.Store.Refused()
}

// Ledger is the store of transactions, by this link.
func (l *link) Ledger() ledger.Store { return linkedLedger{l.Store.Ledger(), l} }

// Sessions is the store of sessions, by this link.
func (l *link) Sessions() session.Store { return linkedSessions{l.Store.Sessions(), l} }

// Runs are the beats of agents, by this link.
func (l *link) Runs() ledger.Runs { return linkedRuns{l.Store.Runs(), l} }

// Payloads are what is kept of requests, by this link.
func (l *link) Payloads() ledger.Payloads { return linkedPayloads{l.Store.Payloads(), l} }

// Watches are the attempts that are watched, by this link.
func (l *link) Watches() ledger.Watches { return linkedWatches{l.Store.Watches(), l} }

// Time is the store's clock, by this link.
func (l *link) Time(ctx context.Context) (time.Time, error) {
	if err := l.open(); err != nil {
		return time.Time{}, err
	}
	return l.Store.Time(ctx)
}

type linkedWatches struct {
	to ledger.Watches
	l  *link
}

func (s linkedWatches) Watch(ctx context.Context, w ledger.Watched) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.to.Watch(ctx, w)
}

func (s linkedWatches) Unwatch(ctx context.Context, w ledger.Watched) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.to.Unwatch(ctx, w)
}

func (s linkedWatches) Watched(ctx context.Context, yield func(*ledger.Transaction, ledger.Watched) bool) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.to.Watched(ctx, yield)
}

type linkedRuns struct {
	to ledger.Runs
	l  *link
}

func (s linkedRuns) Beat(ctx context.Context, r ledger.Run) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.to.Beat(ctx, r)
}

func (s linkedRuns) Runs(ctx context.Context, yield func(ledger.Run) bool) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.to.Runs(ctx, yield)
}

func (s linkedRuns) Fence(ctx context.Context, seen ledger.Run) (bool, error) {
	if err := s.l.open(); err != nil {
		return false, err
	}
	return s.to.Fence(ctx, seen)
}

func (s linkedRuns) Mend(ctx context.Context) (int, error) {
	if err := s.l.open(); err != nil {
		return 0, err
	}
	return s.to.Mend(ctx)
}

func (s linkedRuns) Left(ctx context.Context, run string, yield func(*ledger.Transaction) bool) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.to.Left(ctx, run, yield)
}

type linkedPayloads struct {
	ledger.Payloads
	l *link
}

func (s linkedPayloads) Keep(ctx context.Context, k ledger.Key, part string, sealed []byte) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.Payloads.Keep(ctx, k, part, sealed)
}

func (s linkedPayloads) Fetch(ctx context.Context, k ledger.Key, part string) ([]byte, error) {
	if err := s.l.open(); err != nil {
		return nil, err
	}
	return s.Payloads.Fetch(ctx, k, part)
}

func (s linkedPayloads) Drop(ctx context.Context, k ledger.Key) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.Payloads.Drop(ctx, k)
}

type linkedLedger struct {
	ledger.Store
	l *link
}

func (s linkedLedger) Claim(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
	if err := s.l.open(); err != nil {
		return nil, false, err
	}
	return s.Store.Claim(ctx, t)
}

func (s linkedLedger) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	if err := s.l.open(); err != nil {
		return nil, 0, err
	}
	return s.Store.Advance(ctx, t)
}

func (s linkedLedger) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	if err := s.l.open(); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, k)
}

func (s linkedLedger) ByID(ctx context.Context, id string) (*ledger.Transaction, error) {
	if err := s.l.open(); err != nil {
		return nil, err
	}
	return s.Store.ByID(ctx, id)
}

func (s linkedLedger) Open(ctx context.Context, yield func(*ledger.Transaction) bool) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.Store.Open(ctx, yield)
}

func (s linkedLedger) Recent(ctx context.Context, q ledger.Query) ([]*ledger.Transaction, error) {
	if err := s.l.open(); err != nil {
		return nil, err
	}
	return s.Store.Recent(ctx, q)
}

func (s linkedLedger) Own(ctx context.Context, o ledger.Object) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.Store.Own(ctx, o)
}

func (s linkedLedger) Owner(ctx context.Context, app, service, id string) (ledger.Object, error) {
	if err := s.l.open(); err != nil {
		return ledger.Object{}, err
	}
	return s.Store.Owner(ctx, app, service, id)
}

type linkedSessions struct {
	session.Store
	l *link
}

func (s linkedSessions) Load(ctx context.Context, k session.Key) (*session.Session, error) {
	if err := s.l.open(); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, k)
}

func (s linkedSessions) Append(ctx context.Context, k session.Key, events ...session.Event) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.Store.Append(ctx, k, events...)
}

func (s linkedSessions) Swap(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
	if err := s.l.open(); err != nil {
		return false, err
	}
	return s.Store.Swap(ctx, k, old, events...)
}

func (s linkedSessions) History(ctx context.Context, k session.Key, yield func(session.Event) bool) error {
	if err := s.l.open(); err != nil {
		return err
	}
	return s.Store.History(ctx, k, yield)
}

// link returns a region's way to the store. It outlives its agents.
func (s *stores) link(region string) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.links == nil {
		s.links = map[string]*link{}
	}
	l := s.links[region]
	if l == nil || l.Store == nil { // before the start there is none
		l = &link{Store: s.of(region)}
		s.links[region] = l
	}
	return l
}

// cutStore is the fault that cuts the agents of a region off from the store.
const cutStore = "cut-store"

func cutLink(d *Dev, region string, _ time.Duration) (func() error, error) {
	if _, known := d.policy.Regions.Find(region); !known {
		return nil, fmt.Errorf("region: there is no region %q", region)
	}
	l := d.stores.link(region)
	if l.Store == nil {
		return nil, errors.New("region: its agent is not there yet")
	}
	l.cut.Store(true)
	return func() error { l.cut.Store(false); return nil }, nil
}
