package settle

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

var errShaky = errors.New("the link to the store broke")

// shaky is a store whose nth Advance ends in an error: applied or not, and with a Load that tells or does not.
type shaky struct {
	ledger.Store
	nth     int
	applied bool
	blind   bool
	n       int
	broken  bool
}

func (s *shaky) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	if s.n++; s.n != s.nth && !(s.blind && s.broken) {
		return s.Store.Advance(ctx, t)
	}
	s.broken = true
	if s.applied {
		if _, _, err := s.Store.Advance(ctx, t); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, errShaky
}

func (s *shaky) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	if s.blind && s.broken {
		return nil, errShaky
	}
	return s.Store.Load(ctx, k)
}

// Whatever becomes of a write, nothing is sent twice, every permit comes back, and what is told is what the row says or less.
func TestWritesOfUnknownEnd(t *testing.T) {
	for _, handlers := range map[string][]http.HandlerFunc{"one": {ok, ok}, "two": {limited, ok}, "none": {limited, limited}, "unknown": {reset, ok}} {
		for nth := 1; nth <= 2; nth++ {
			for mode := range 4 {
				r := newRig(t, false, handlers...)
				s := &shaky{Store: r.store.Ledger(), nth: nth, applied: mode&1 == 1, blind: mode&2 == 2}
				r.driver.cfg.Store = s
				end := r.driver.Run(context.Background(), r.claim("k", &caller{}))
				row := r.row("k")
				name := fmt.Sprintf("write %d, applied %v, blind %v: end %v %v, row %v", nth, s.applied, s.blind, end.Kind, end.Err, row.State)
				if r.hits[0].Load() > 1 || r.hits[1].Load() > 1 || r.inFlight() != 0 {
					t.Errorf("%s: %d and %d sends, %d permits out", name, r.hits[0].Load(), r.hits[1].Load(), r.inFlight())
				}
				if end.Kind == ledger.Finish && row.State != ledger.DoneSucceeded {
					t.Errorf("%s: told what is not written", name)
				}
				if end.Kind == ledger.Refuse && (end.Err == nil && row.State != ledger.Refused || r.executedSomewhere(handlers)) {
					t.Errorf("%s: told that nothing was executed", name)
				}
				if row.Pending() && r.driver.Unknowns()["payments"].Open != 1 {
					t.Errorf("%s: open, and not counted", name)
				}
				if !s.blind && s.broken && end.Err != nil {
					t.Errorf("%s: the row told how the write ended", name)
				}
			}
		}
	}
}

// executedSomewhere tells whether a provider that executes was reached.
func (r *rig) executedSomewhere(handlers []http.HandlerFunc) bool {
	for i, h := range handlers {
		if fmt.Sprintf("%p", h) == fmt.Sprintf("%p", http.HandlerFunc(ok)) && r.hits[i].Load() > 0 {
			return true
		}
	}
	return false
}

// moved lets another run take the row over while the provider works, and answers by h.
func moved(t *testing.T, r **rig, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		row := (*r).row("k")
		row.TakeOver("b/one", time.Now())
		(*r).driver.Stamp(row, time.Now())
		if err := (*r).driver.Put(context.Background(), row); err != nil {
			t.Error(err)
		}
		h(w, q)
	}
}

// An outcome is accepted from a driver that lost the row: evidence about the attempt counts from anybody.
func TestEvidenceOfAnOldDriverIsAccepted(t *testing.T) {
	var r *rig
	r = newRig(t, false, moved(t, &r, ok))
	end := r.driver.Run(context.Background(), r.claim("k", &caller{}))
	row := r.row("k")
	if end.Kind != ledger.Finish || end.Err != nil || row.State != ledger.DoneSucceeded || end.Tx.Version != row.Version {
		t.Fatalf("end %+v, row %+v", end, row)
	}
	if body, err := r.driver.cfg.Vault.Open(row); err != nil || string(body) != `{"id":"ch_1"}` {
		t.Errorf("stored %q, %v", body, err)
	}
}

// A driver that lost the row changes no direction: it tells nobody that nothing was executed, and sends nothing elsewhere.
func TestOldDriverChangesNoDirection(t *testing.T) {
	for name, others := range map[string][]http.HandlerFunc{"nowhere to go": nil, "elsewhere": {ok}} {
		var r *rig
		r = newRig(t, true, append([]http.HandlerFunc{moved(t, &r, limited)}, others...)...)
		end := r.driver.Run(context.Background(), r.claim("k", &caller{}))
		row := r.row("k")
		if end.Kind != ledger.Hold || !errors.Is(end.Err, ErrLost) || row.State != ledger.Held || row.Run != "b/one" {
			t.Errorf("%s: end %+v, row %+v", name, end, row)
		}
		if r.hits[1].Load() != 0 || r.inFlight() != 0 {
			t.Errorf("%s: %d sends elsewhere, %d permits out", name, r.hits[1].Load(), r.inFlight())
		}
	}
}

// An answer that is not kept whole is never stored as if it were.
func TestLargeDeclineIsNotKeptInPieces(t *testing.T) {
	for _, size := range []int{ledger.MaxAnswer, ledger.MaxAnswer + 1} { // just as much as is kept, and one byte more
		r := newRig(t, false, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(402)
			_, _ = w.Write([]byte(strings.Repeat("x", size)))
		})
		end := r.driver.Run(context.Background(), r.claim("k", &caller{}))
		row := r.row("k")
		if row.State != ledger.DoneDeclined || row.Answer.Kept != (size == ledger.MaxAnswer) {
			t.Fatalf("%d bytes: end %+v, row %+v", size, end, row)
		}
		if !row.Answer.Kept {
			continue
		}
		if body, err := r.driver.cfg.Vault.Open(row); err != nil || len(body) != size {
			t.Errorf("%d of %d bytes are stored: %v", len(body), size, err)
		}
	}
}

// A large answer is judged as a small one is, by the code in it too.
func TestLargeKeyInUseIsUnknown(t *testing.T) {
	r := newRig(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"error":{"code":"in_use"}}` + strings.Repeat(" ", ledger.MaxAnswer)))
	})
	c := r.svc.Candidates[0].Contract
	c.Dialect = policy.Stripe
	c.Statuses = append([]policy.StatusRule{{From: 400, To: 499, Code: "in_use", Class: policy.ClassOK, Outcome: policy.OutcomeUnknown}}, c.Statuses...)
	taker := &caller{}
	if end := r.driver.Run(context.Background(), r.claim("k", taker)); end.Kind != ledger.Hold || r.row("k").State != ledger.Held || taker.status != 0 {
		t.Errorf("end %+v, row %v, passed on %d", end, r.row("k").State, taker.status)
	}
}

// What a neighbour with the same store settled is not counted as unknown here for ever; what he only drives is his to count.
func TestSettledByANeighbourIsKnown(t *testing.T) {
	for name, move := range map[string]func(*ledger.Transaction){
		"settled": func(row *ledger.Transaction) {
			row.Settle(ledger.Evidence{Attempt: row.Current().ID, Kind: ledger.FromAnswer, Outcome: ledger.Succeeded})
			_ = row.Close(ledger.Finish)
		},
		"taken over": func(row *ledger.Transaction) { row.TakeOver("b/one", time.Now()) },
	} {
		r := newRig(t, false, reset)
		r.driver.Run(context.Background(), r.claim("k", &caller{}))
		if n := r.driver.Unknowns()["payments"].Open; n != 1 {
			t.Fatalf("%s: %d unknown before", name, n)
		}
		row := r.row("k")
		move(row)
		r.driver.Stamp(row, time.Now())
		if err := r.driver.Put(context.Background(), row); err != nil {
			t.Fatal(err)
		}
		if n := r.driver.Unknowns()["payments"].Open; n != 0 {
			t.Errorf("%s: %d unknown", name, n)
		}
	}
}
