package ledger

import (
	"errors"
	"testing"
	"time"
)

func open1(outcome Outcome) *Transaction {
	t := New("tx_1", Key{"default", "payments", "k"}, "charge", [32]byte{}, noon)
	t.Attempts = []Attempt{{ID: "at_1", Provider: "a", IntentAt: noon, Sends: 1, Outcome: outcome}}
	t.State, t.Run = Intent, "run"
	return t
}

// An answer goes out before the final write only on all three grounds of rule 7.
func TestMayAnswer(t *testing.T) {
	type facts struct {
		e Evidence
		c Circumstances
		y Early
	}
	for _, test := range []struct {
		name   string
		change func(*Transaction, *facts)
		want   bool
	}{
		{"guarded, kept here", func(*Transaction, *facts) {}, true},
		{"guarded without a fence needs no lease", func(_ *Transaction, f *facts) { f.y.Lease = false }, true},
		{"not kept", func(_ *Transaction, f *facts) { f.y.Kept = false }, false},
		{"a decline that is replayed", func(_ *Transaction, f *facts) { f.e.Outcome = Declined }, true},
		{"a decline that is forgotten", func(_ *Transaction, f *facts) { f.e.Outcome, f.c.Forgets = Declined, true }, false},
		{"a decline where there is only a lookup", func(_ *Transaction, f *facts) {
			f.e.Outcome, f.c.Enforced, f.c.Lookup = Declined, false, true
		}, false},
		{"unknown", func(_ *Transaction, f *facts) { f.e.Outcome = Unknown }, false},
		{"nothing can be learnt again", func(_ *Transaction, f *facts) { f.c.Enforced = false }, false},
		{"it can be looked up", func(_ *Transaction, f *facts) { f.c.Enforced, f.c.Lookup = false, true }, true},
		{"somebody may move, with our lease", func(_ *Transaction, f *facts) { f.c.Lookup, f.c.Traced = true, true }, true},
		{"somebody may move, without it", func(_ *Transaction, f *facts) { f.c.Lookup, f.c.Traced, f.y.Lease = true, true, false }, false},
		{"somebody may cancel what is of high value", func(_ *Transaction, f *facts) {
			f.c.Means, f.y.High = Means{Lookup: true, Cancel: true, Blocks: true}, true
		}, false},
		{"a cancel may have left", func(r *Transaction, _ *facts) { r.Current().Cancel = true }, false},
		{"another drives", func(r *Transaction, _ *facts) { r.Run = "other" }, false},
		{"another attempt", func(_ *Transaction, f *facts) { f.e.Attempt = "at_0" }, false},
		{"final", func(r *Transaction, _ *facts) { r.State = DoneSucceeded }, false},
	} {
		r, f := open1(Open), facts{
			Evidence{Attempt: "at_1", Kind: FromAnswer, Outcome: Succeeded}, Circumstances{Run: "run", Enforced: true, KeyLife: time.Hour}, Early{Kept: true, Lease: true},
		}
		test.change(r, &f)
		if got := MayAnswer(r, f.e, f.c, f.y); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestMaySend(t *testing.T) {
	for _, test := range []struct {
		age    time.Duration
		lapsed bool
		want   bool
	}{{0, false, true}, {2 * time.Second, false, true}, {2*time.Second + 1, false, false}, {-1, false, false}, {0, true, false}} {
		if got := MaySend(test.age, 2*time.Second, test.lapsed); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// Where an open entry has no row, the plant is one that a late claim meets: nothing was sent, and a caller who still waits may begin.
func TestPlant(t *testing.T) {
	p := Plant("tx_1", Key{"default", "payments", "k"}, noon)
	if p.State != Refused || p.Pending() || p.Final() || len(p.Duplicates()) != 0 {
		t.Fatalf("%+v", p)
	}
	if err := p.Close(Hold); !errors.Is(err, ErrNotProven) {
		t.Errorf("it was held: %v", err)
	}
	if step := Next(p, Evidence{Outcome: Succeeded}, Circumstances{}); step.Kind != Hold {
		t.Errorf("%+v", step)
	}
	p.TakeOver("other", noon)
	if p.State != Refused {
		t.Errorf("taken over it is %s", p.State)
	}
	if back, err := Decode(encoded(t, p)); err != nil || back.State != Refused {
		t.Errorf("%+v %v", back, err)
	}
	if err := p.Begin(Attempt{ID: "at_1"}, "run"); err != nil || p.State != Intent || p.Epoch != 0 {
		t.Errorf("%v %+v", err, p)
	}
}

func TestLate(t *testing.T) {
	r := open1(NotSent)
	r.Current().How, r.State = ByWindow, Refused
	if r.Duplicates() != nil || r.index("at_9") >= 0 {
		t.Error("it has duplicates")
	}
	r.Told = true
	seen := Evidence{Attempt: "at_1", Kind: FromWebhook, Outcome: Succeeded}
	if !r.Note(seen, Circumstances{}) || r.Note(seen, Circumstances{}) {
		t.Error("it is news once")
	}
	if d := r.Duplicates(); len(d) != 1 || r.CompensationKey(d[0]) != (Key{"default", "payments", "segue-compensates-at_1"}) {
		t.Errorf("%v", d)
	}
	if err := r.Begin(Attempt{ID: "at_2"}, "run"); !errors.Is(err, ErrNotProven) {
		t.Errorf("another attempt beside it: %v", err)
	}
	if _, err := ParseKey([]string{"segue-compensates-at_1"}); err == nil {
		t.Error("a caller may use a compensation's key")
	}
	second := open1(NotSent)
	second.Attempts = append(second.Attempts, Attempt{ID: "at_2", Outcome: NotSent, Sends: 1})
	second.Attempts[0].Late = true
	if err := second.Begin(Attempt{ID: "at_3"}, "run"); !errors.Is(err, ErrNotProven) {
		t.Errorf("another attempt beside a late one: %v", err)
	}
	if err := second.Close(Refuse); !errors.Is(err, ErrNotProven) {
		t.Errorf("refused beside a late one: %v", err)
	}
}

// A settle window is no definite result: the key and the reference stay, so that what comes late meets them.
func TestReferenceAfterAWindow(t *testing.T) {
	r := open1(NotSent)
	if got := Reference(r, "a", ""); got != "tx_1-1" {
		t.Errorf("after a proof: %s", got)
	}
	r.Current().How = ByWindow
	if got := Reference(r, "a", ""); got != "tx_1-0" {
		t.Errorf("after a window: %s", got)
	}
}
