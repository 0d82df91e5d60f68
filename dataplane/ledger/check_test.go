package ledger

import (
	"testing"
	"time"
)

// TestNextCheck: the times of the background's checks, and when they end.
func TestNextCheck(t *testing.T) {
	const minute = time.Minute
	base := noon
	row := func(change func(*Transaction)) *Transaction {
		r := New("tx_1", Key{"default", "payments", "k"}, "charge", [32]byte{}, base)
		if err := r.Begin(Attempt{ID: "at_1", Provider: "main", IntentAt: base}, "run"); err != nil {
			t.Fatal(err)
		}
		r.State, r.Attempts[0].Outcome = Held, Unknown
		if change != nil {
			change(r)
		}
		return r
	}
	lookup := Means{Lookup: true, Horizon: 2 * time.Hour}
	for _, c := range []struct {
		name     string
		row      *Transaction
		c        Circumstances
		after    time.Duration
		low, top time.Duration // zero: none
	}{
		{"nothing can be asked", row(nil), Circumstances{}, 0, 0, 0},
		{"at first after 5 s", row(nil), Circumstances{Means: lookup}, 0, 4 * time.Second, 6 * time.Second},
		{"then 15 s", row(nil), Circumstances{Means: lookup}, 6 * time.Second, 13 * time.Second, 17 * time.Second},
		{"then 45 s", row(nil), Circumstances{Means: lookup}, 20 * time.Second, 40 * time.Second, 50 * time.Second},
		{"then each 45 s", row(nil), Circumstances{Means: lookup}, 10 * minute, 10 * minute, 10*minute + 50*time.Second},
		{"then each quarter of an hour", row(nil), Circumstances{Means: lookup}, 18 * minute, 27 * minute, 34 * minute},
		{"then each hour", row(nil), Circumstances{Means: Means{Lookup: true}}, 4 * time.Hour, 4 * time.Hour, 5*time.Hour + 6*minute},
		{"of what was sent again, since its INTENT", row(func(r *Transaction) { r.Attempts[0].Sends, r.Updated = 5, base.Add(20*time.Second) }), Circumstances{Means: lookup}, 20 * time.Second, 40 * time.Second, 50 * time.Second},
		{"a last time before the horizon", row(nil), Circumstances{Means: lookup}, 118 * minute, 119 * minute, 120 * minute},
		{"never behind it", row(nil), Circumstances{Means: lookup}, 2 * time.Hour, 0, 0},
		{"by the hour where nothing is forgotten", row(nil), Circumstances{Means: Means{Lookup: true}}, 100 * time.Hour, 100 * time.Hour, 112 * time.Hour},
		{"keys without the request", row(nil), Circumstances{Enforced: true, KeyLife: 24 * time.Hour, MaxSends: 4}, 0, 0, 0},
		{"keys with the request", row(func(r *Transaction) { r.Kept, r.ExecuteBy = true, base.Add(time.Hour) }), Circumstances{Enforced: true, KeyLife: 24 * time.Hour, MaxSends: 4}, 0, 4 * time.Second, 6 * time.Second},
		{"keys with the request, too late", row(func(r *Transaction) { r.Kept, r.ExecuteBy = true, base.Add(time.Hour) }), Circumstances{Enforced: true, KeyLife: 24 * time.Hour, MaxSends: 4}, time.Hour, 0, 0},
		{"keys with the request, an old key", row(func(r *Transaction) { r.Kept, r.ExecuteBy = true, base.Add(99*time.Hour) }), Circumstances{Enforced: true, KeyLife: 10 * time.Hour, MaxSends: 4}, 9 * time.Hour, 0, 0},
		{"nothing to ask, and the proof in the row", row(func(r *Transaction) { r.Attempts[0].Outcome = NotSent }), Circumstances{}, 0, 4 * time.Second, 6 * time.Second},
		{"a row that has its outcome", row(func(r *Transaction) { r.State = DoneSucceeded }), Circumstances{Means: lookup}, 0, 0, 0},
	} {
		c.c.Now = base.Add(c.after)
		at := NextCheck(c.row, c.c)
		if c.top == 0 {
			if !at.IsZero() {
				t.Errorf("%s: %v", c.name, at.Sub(base))
			}
			continue
		}
		if d := at.Sub(base); d < c.low || d > c.top || !at.After(c.c.Now) {
			t.Errorf("%s: after %v, not between %v and %v", c.name, d, c.low, c.top)
		}
	}
}
