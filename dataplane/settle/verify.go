package settle

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// Bounds of a look at many outcomes. It shares the providers with calls, which come first.
const (
	verifyPause  = 100 * time.Millisecond // between two questions to one provider; ten times as long as its limit asks for, where that is longer
	verifyAtOnce = 4                      // providers
	verifyMute   = 3                      // questions in a row that a provider leaves without an answer: the rest is not asked
	verifyBusy   = 20 * time.Millisecond
)

// Looked is what a look at a row's outcome came to.
type Looked struct {
	Asked bool   // its provider was asked
	Mute  bool   // and gave no answer, or one that says that it cannot answer now
	Why   string // why its outcome is not known; empty where it is
}

// Checked is a row after a look at it; Tx is nil where it could not be read.
type Checked struct {
	Tx *ledger.Transaction
	Looked
}

func unasked(t *ledger.Transaction, why string) Checked {
	return Checked{Tx: t, Looked: Looked{Why: why}}
}

// mute tells whether a provider could not answer a question.
func mute(err error, status int) bool {
	return err != nil || status == http.StatusTooManyRequests || status >= 500
}

// Open lists this agent's rows without a known outcome that which means, oldest first, and how many it means in all.
func (d *Driver) Open(ctx context.Context, which *policy.Open, now time.Time) (rows []*ledger.Transaction, found int, err error) {
	for _, k := range d.unknowns.meant(which, now.Add(-which.OlderThan)) {
		if len(rows) == which.Limit && which.State == "" { // the rows need not be read to be counted
			found++
			continue
		}
		t, err := d.cfg.Store.Load(ctx, k)
		switch {
		case ctx.Err() != nil:
			return rows, found, fmt.Errorf("settle: open transactions: %w", ctx.Err())
		case err != nil || !t.Pending() || !d.mine(t) || len(t.Attempts) == 0, which.State != "" && t.State.String() != which.State:
			continue
		}
		if found++; len(rows) < which.Limit {
			rows = append(rows, t)
		}
	}
	return rows, found, nil
}

// VerifyAll looks for the outcome of each row now, as Verify does: those of one provider one after the other, a few providers at a time. tell
// is called for each, with its place in rows, from several goroutines. What ctx's end leaves is told as not asked.
func (d *Driver) VerifyAll(ctx context.Context, rows []*ledger.Transaction, tell func(int, Checked)) {
	turns := map[[2]string][]int{}
	var places [][2]string
	for i, t := range rows {
		p := [2]string{t.Key.Service, t.Current().Provider}
		if turns[p] == nil {
			places = append(places, p)
		}
		turns[p] = append(turns[p], i)
	}
	var all sync.WaitGroup
	free := make(chan struct{}, verifyAtOnce)
	for _, p := range places {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			d.verifyEach(ctx, rows, turns[p], tell)
		})
	}
	all.Wait()
}

// verifyEach is the turn of one provider's rows.
func (d *Driver) verifyEach(ctx context.Context, rows []*ledger.Transaction, turns []int, tell func(int, Checked)) {
	silent := 0
	for n, i := range turns {
		t := rows[i]
		switch {
		case silent >= verifyMute:
			tell(i, unasked(t, fmt.Sprintf("%s left %d questions in a row without an answer: it is asked again by the schedule", t.Current().Provider, silent)))
			continue
		case n > 0 && !pause(ctx, d.pauseAt(t)), ctx.Err() != nil:
			tell(i, unasked(t, "the time of what was asked for was up"))
			continue
		}
		got := d.lookAtOne(ctx, t)
		if tell(i, got); got.Mute {
			silent++
		} else if got.Asked {
			silent = 0
		}
	}
}

// pauseAt keeps to a tenth of a provider's limit.
func (d *Driver) pauseAt(t *ledger.Transaction) time.Duration {
	svc, _, who := d.place(t, len(t.Attempts)-1)
	if who < 0 || svc.Candidates[who].Limits.Rate <= 0 {
		return verifyPause
	}
	return max(verifyPause, time.Duration(10*float64(time.Second)/svc.Candidates[who].Limits.Rate))
}

// lookAtOne looks at one row. One that somebody looks at already is waited for.
func (d *Driver) lookAtOne(ctx context.Context, t *ledger.Transaction) Checked {
	if err := cmp.Or(d.Lease(), d.Clock()); err != nil {
		return unasked(t, err.Error())
	}
	for until := d.cfg.Boot() + checkLimit; !d.unknowns.claim(t.Key); {
		if _, known := d.unknowns.next(t.Key); !known { // its outcome is known, or another agent has it
			return d.reread(ctx, t)
		}
		if d.cfg.Boot() > until || !pause(ctx, verifyBusy) {
			return unasked(t, "it is being looked at already")
		}
	}
	return d.check(ctx, t.Key)
}

func (d *Driver) reread(ctx context.Context, t *ledger.Transaction) Checked {
	row, err := d.cfg.Store.Load(ctx, t.Key)
	switch {
	case err != nil:
		return unasked(t, "the store could not be read: "+err.Error())
	case row.Pending():
		return unasked(row, "another agent drives it by now")
	}
	return Checked{Tx: row}
}

// meant are the keys of what which names and began before a time, oldest first. Their states are not looked at.
func (u *unknowns) meant(which *policy.Open, before time.Time) []ledger.Key {
	u.mu.Lock()
	defer u.mu.Unlock()
	var keys []ledger.Key
	for k, h := range u.open {
		if (which.Service == "" || k.Service == which.Service) && (which.Provider == "" || h.provider == which.Provider) && !h.created.After(before) &&
			(len(which.Transactions) == 0 || slices.Contains(which.Transactions, h.id)) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b ledger.Key) int {
		return cmp.Or(u.open[a].created.Compare(u.open[b].created), cmp.Compare(u.open[a].id, u.open[b].id))
	})
	return keys
}

// claim takes a key for a look at it. false: it is not here, or somebody looks at it.
func (u *unknowns) claim(k ledger.Key) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	h := u.open[k]
	if h == nil || h.busy {
		return false
	}
	h.busy = true
	return true
}
