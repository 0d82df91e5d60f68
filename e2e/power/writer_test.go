package power

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"segue/controlplane/seal"
	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/repair"
	"segue/dataplane/session"
)

// The environment of the process that writes.
const (
	writerDir   = "SEGUE_POWER_DIR"
	writerFirst = "SEGUE_POWER_FIRST"
)

const (
	writers = 8
	most    = 90_000 // writes of a life: the plug is pulled long before
)

var errAway = errors.New("the store is out of reach")

// parts are what an agent keeps on its disk, and the way from one to the other, which is cut now and then, so that hints are written.
type parts struct {
	store *embedded.Store
	log   *repair.Log
	*repair.Repair
	away atomic.Bool
}

type talks struct {
	session.Store
	p *parts
}

func (s talks) Append(ctx context.Context, k session.Key, events ...session.Event) error {
	if s.p.away.Load() {
		return errAway
	}
	return s.Store.Append(ctx, k, events...)
}

type rows struct {
	ledger.Store
	p *parts
}

func (s rows) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	if s.p.away.Load() {
		return nil, 0, errAway
	}
	return s.Store.Advance(ctx, t)
}

func open(dir string) (*parts, error) {
	p := &parts{}
	var err error
	if p.store, err = embedded.Open(filepath.Join(dir, "store"), embedded.Options{Reserve: 1}); err != nil {
		return nil, err
	}
	k, err := seal.NewKey("k1", bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		return nil, err
	}
	p.log, err = repair.OpenLog(filepath.Join(dir, "hints"), repair.LogOptions{Keys: []seal.Key{k}, Reserve: 1, Segment: 8000})
	if err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	p.Repair = repair.New(p.log, rows{p.store.Ledger(), p}, talks{p.store.Sessions(), p}, repair.Options{SyncEvery: 20 * time.Millisecond})
	return p, nil
}

func (p *parts) close() error { return errors.Join(p.log.Close(), p.store.Close()) }

// What is written under a number.
func rowOf(n int) *ledger.Transaction { return ledgertest.Sample(n) }

func doneOf(n int) *ledger.Transaction {
	t := rowOf(n)
	t.State, t.Version, t.Token = ledger.DoneSucceeded, t.Version+1, [16]byte{byte(n), byte(n >> 8), byte(n >> 16), 7}
	t.Current().Outcome = ledger.Succeeded
	t.Answer = &ledger.StoredAnswer{Status: 200, Sealed: bytes.Repeat([]byte{byte(n)}, 300), KeyID: "k1", Kept: true}
	return t
}

func talkOf(n int) (session.Key, session.Event) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
	return session.Key{App: "default", ID: fmt.Sprint("ses_", n)}, session.Event{At: at, Pin: session.Pin{Service: "payments", Provider: fmt.Sprint("p", n), At: at}}
}

func objectOf(n int) ledger.Object {
	return ledger.Object{App: "default", Service: "payments", ID: fmt.Sprint("ch_", n), Provider: "stripe", Account: "acct", Transaction: rowOf(n).ID}
}

// write is the process: it writes until the power goes, and prints what it was told is written.
func write(dir string) error {
	first, err := strconv.Atoi(os.Getenv(writerFirst))
	if err != nil {
		return err
	}
	p, err := open(dir)
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	var next atomic.Int64
	next.Store(int64(first))
	failed := make(chan error, writers)
	var out sync.Mutex
	for range writers {
		go func() {
			for {
				n := int(next.Add(1))
				if n > first+most {
					failed <- errors.New("the power did not go")
					return
				}
				if n%8 == 0 {
					p.away.Store(n%24 != 0) // two thirds of the time
				}
				if err := p.one(n, func(what string) {
					out.Lock()
					defer out.Unlock()
					fmt.Println(what, n)
				}); err != nil {
					failed <- fmt.Errorf("%d: %w", n, err)
					return
				}
			}
		}()
	}
	return <-failed
}

// one writes all kinds of thing under one number.
func (p *parts) one(n int, told func(string)) error {
	ctx := context.Background()
	if _, won, err := p.Ledger().Claim(ctx, rowOf(n)); err != nil || !won {
		return fmt.Errorf("claim: %v %w", won, err)
	}
	told("claim")
	if _, _, err := p.Ledger().Advance(ctx, doneOf(n)); err != nil {
		return fmt.Errorf("advance: %w", err)
	}
	told("outcome")
	k, e := talkOf(n)
	if err := p.Sessions().Append(ctx, k, e); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	told("session")
	if err := p.Ledger().Own(ctx, objectOf(n)); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	told("object")
	return nil
}

// has tells whether something that was acknowledged is there: in the store, or in the hints before it.
func (p *parts) has(ctx context.Context, what string, n int) error {
	switch what {
	case "claim", "outcome":
		row, err := p.Ledger().Load(ctx, rowOf(n).Key)
		if err == nil && what == "outcome" && (row.State != ledger.DoneSucceeded || row.Version != 2) {
			err = fmt.Errorf("it is %s, version %d", row.State, row.Version)
		}
		return err
	case "session":
		k, e := talkOf(n)
		s, err := p.Sessions().Load(ctx, k)
		if err == nil && s.Pinned("payments") != e.Pin.Provider {
			err = fmt.Errorf("it has %+v", s.Pins)
		}
		return err
	case "object":
		o, err := p.Ledger().Owner(ctx, "default", "payments", objectOf(n).ID)
		if err == nil && o != objectOf(n) {
			err = fmt.Errorf("it is %+v", o)
		}
		return err
	default:
		return errors.New("nobody wrote such a thing")
	}
}
