package repair

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
	"segue/dataplane/session/sessiontest"
	"segue/e2e/patience"
)

// reopener opens a store and a log again and again, each time after it closed them.
func reopener(t *testing.T) func() *Repair {
	var s *embedded.Store
	var l *Log
	dir, logs := patience.Dir(t), patience.Dir(t)
	t.Cleanup(func() { shutBoth(t, s, l) })
	return func() *Repair {
		shutBoth(t, s, l)
		var err error
		s, err = embedded.Open(dir, embedded.Options{Reserve: 1, Fatal: func(err error) { t.Error(err) }})
		must(t, err)
		l, err = OpenLog(logs, logOptions(t))
		must(t, err)
		return New(l, s.Ledger(), s.Sessions(), Options{})
	}
}

func shutBoth(t *testing.T, s *embedded.Store, l *Log) {
	if s != nil {
		shut(t, l)
		shut(t, s)
	}
}

// TestLedgerSuite and TestSessionSuite: a store behind a Repair is a store.
func TestLedgerSuite(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(t *testing.T) func() ledger.Store {
		open := reopener(t)
		return func() ledger.Store { return open().Ledger() }
	})
}

func TestSessionSuite(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t *testing.T) func() session.Store {
		open := reopener(t)
		return func() session.Store { return open().Sessions() }
	})
}

// TestEventWhole: a hint carries all that an event has, fields that were added since this was written too.
func TestEventWhole(t *testing.T) {
	var e session.Event
	fill(t, reflect.ValueOf(&e).Elem(), "Event")
	b, err := encodeTalk(talk1, []session.Event{e})
	must(t, err)
	got, err := decodeTalk(b)
	if err != nil || got.key() != talk1 || !reflect.DeepEqual(got.Events, []session.Event{e}) {
		t.Errorf("an event came back as\n%+v, %v, want\n%+v", got, err, e)
	}
	if _, err := decodeTalk([]byte(`{"app":"a","id":"b","events":[{"Tomorrow":1}]}`)); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer program's event: %v", err)
	}
}

// fill sets every field to something. A field that JSON does not carry, or that this does not know, fails the test.
func fill(t *testing.T, v reflect.Value, name string) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(base))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); !f.IsExported() || f.Tag.Get("json") == "-" {
				t.Fatalf("%s.%s does not travel in a hint", name, f.Name)
			}
			fill(t, v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0), name)
	case v.Kind() == reflect.Map:
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, k, name)
		fill(t, e, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(k, e)
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), name)
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), name)
	case v.Kind() == reflect.String:
		v.SetString("x")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(3)
	case v.CanUint():
		v.SetUint(3)
	case v.CanFloat():
		v.SetFloat(1.5)
	default:
		t.Fatalf("%s is a %s: say how a hint carries it", name, v.Type())
	}
}

// TestSessionOutage: through an outage a region goes on and reads its own writes; the store has them all afterwards.
func TestSessionOutage(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	r.start(t)
	talks := r.Sessions()
	must(t, talks.Append(t.Context(), talk1, pin(1, "messages", "twilio")))
	r.link.cut.Store(true)
	if _, err := talks.Load(t.Context(), session.Key{ID: "other"}); !errors.Is(err, errCut) {
		t.Errorf("a session that nobody here knows: %v", err)
	}
	for n := range 50 {
		must(t, talks.Append(t.Context(), talk1, pin(10+n, "payments", []string{"stripe", "adyen"}[n%2])))
		pinned(t, talks, talk1, "payments", []string{"stripe", "adyen"}[n%2])
	}
	if s := r.Stats(); s.Pending != 50 || !s.Down || s.Oldest.IsZero() || s.Bytes == 0 || s.Expires <= 0 {
		t.Errorf("in the outage: %+v", s)
	}
	other := session.Key{App: "default", ID: "ses_2"}
	must(t, talks.Append(t.Context(), other, pin(1, "chat", "openai")))
	pinned(t, talks, other, "chat", "openai")
	if err := talks.Append(t.Context(), other, session.Event{}); err == nil || r.Stats().Pending != 51 {
		t.Errorf("an event that no store takes was hinted: %v", err)
	}
	r.link.cut.Store(false)
	r.drained(t)
	pinned(t, s.Sessions(), talk1, "payments", "adyen")
	pinned(t, s.Sessions(), talk1, "messages", "twilio")
	pinned(t, s.Sessions(), other, "chat", "openai")
	if st := r.Stats(); st.Journal != 51 || st.Replays <= 0 {
		t.Errorf("after the replay: %+v", st)
	}
}

// TestSessionKnown: in an outage a session that was read before is what it was.
func TestSessionKnown(t *testing.T) {
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	must(t, s.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	pinned(t, r.Sessions(), talk1, "payments", "stripe")
	r.link.cut.Store(true)
	pinned(t, r.Sessions(), talk1, "payments", "stripe")
	must(t, r.Sessions().Append(t.Context(), talk1, pin(2, "chat", "openai")))
	pinned(t, r.Sessions(), talk1, "payments", "stripe")
	pinned(t, r.Sessions(), talk1, "chat", "openai")
}

// TestSessionLostAnswers: what the store took while its answer was lost is hinted, and applied once more without a difference.
func TestSessionLostAnswers(t *testing.T) {
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	r.link.loses.Store(true)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	before, err := s.Sessions().Load(t.Context(), talk1)
	must(t, err)
	r.link.loses.Store(false)
	r.start(t)
	r.drained(t)
	if after, err := s.Sessions().Load(t.Context(), talk1); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("applied again the session is %+v, %v; it was %+v", after, err, before)
	}
}

// TestFullRefuses: a log that is full refuses new soft work with its error and the store's, and the backlog is whole.
func TestFullRefuses(t *testing.T) {
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, func(_ *Options, l *LogOptions) { l.Limit = 10_000 })
	r.link.cut.Store(true)
	n := 0
	var err error
	for ; err == nil && n < 1000; n++ {
		err = r.Sessions().Append(t.Context(), talk1, pin(n, "payments", "stripe"))
	}
	if !errors.Is(err, ErrFull) || n < 10 {
		t.Fatalf("after %d events: %v", n, err)
	}
	if got := r.Stats().Pending; got != n-1 {
		t.Errorf("%d of %d acknowledged events are there", got, n-1)
	}
}

// finished is the version after t's claim, with an outcome.
func finished(t *ledger.Transaction, s ledger.State, o ledger.Outcome) *ledger.Transaction {
	n := t.Clone()
	n.State, n.Version, n.Token = s, t.Version+1, [16]byte{t.Token[0], t.Token[1], byte(t.Version + 1), byte(o), 9}
	n.Updated = t.Updated.Add(time.Millisecond)
	n.Current().Outcome, n.Current().Status, n.Current().Elapsed = o, 200, 5*time.Millisecond
	if n.Final() {
		n.Answer = &ledger.StoredAnswer{Status: 200, Sealed: []byte{1, 2, 3}, KeyID: "k1", Kept: true}
	}
	return n
}

func claimed(t *testing.T, s ledger.Store, n int) *ledger.Transaction {
	t.Helper()
	row := ledgertest.Sample(n)
	if _, won, err := s.Claim(t.Context(), row); err != nil || !won {
		t.Fatalf("claim: %v %v", won, err)
	}
	return row
}

// advance writes a row and wants it to end so.
func advance(t *testing.T, s ledger.Store, row *ledger.Transaction, want ledger.Written) {
	t.Helper()
	if _, how, err := s.Advance(t.Context(), row); err != nil || how != want {
		t.Fatalf("advance: %d, %v; want %d", how, err, want)
	}
}

// TestClaimNeverHinted: without the store there is no claim, and nothing that would allow a send is hinted either.
func TestClaimNeverHinted(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	row := claimed(t, r.Ledger(), 1)
	r.link.cut.Store(true)
	if _, won, err := r.Ledger().Claim(t.Context(), ledgertest.Sample(2)); won || !errors.Is(err, errCut) {
		t.Errorf("a claim without the store: %v, %v", won, err)
	}
	told := finished(row, ledger.Refused, ledger.NotSent)
	told.Told = true
	adopted := finished(row, ledger.DoneSucceeded, ledger.Succeeded)
	adopted.Adopted = 1
	redrive := finished(row, ledger.Intent, ledger.Open)
	for what, next := range map[string]*ledger.Transaction{
		"held": finished(row, ledger.Held, ledger.Unknown), "intent": redrive, "told": told, "adopted": adopted,
		"success without proof": finished(row, ledger.DoneSucceeded, ledger.Unknown), "no attempt": {State: ledger.DoneSucceeded},
	} {
		if _, how, err := r.Ledger().Advance(t.Context(), next); how == ledger.Hinted || !errors.Is(err, errCut) {
			t.Errorf("%s: %d, %v", what, how, err)
		}
	}
	if n := r.Stats().Pending; n != 0 {
		t.Errorf("%d hints", n)
	}
}

// refusing is a store that was reached and says no.
type refusing struct{ ledger.Store }

func (refusing) Advance(context.Context, *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	return nil, 0, ledger.ErrNotProven
}

// TestRefusalNotHinted: what the store refused is no outage. A hint of it would be refused for ever.
func TestRefusalNotHinted(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := New(openLog(t, patience.Dir(t), logOptions(t)), refusing{s.Ledger()}, s.Sessions(), Options{})
	row := claimed(t, s.Ledger(), 1)
	if _, how, err := r.Ledger().Advance(t.Context(), finished(row, ledger.DoneSucceeded, ledger.Succeeded)); how == ledger.Hinted || !errors.Is(err, ledger.ErrNotProven) {
		t.Errorf("%d, %v", how, err)
	}
	if st := r.Stats(); st.Pending != 0 || st.Down {
		t.Errorf("%+v", st)
	}
}

// TestOutcomeHinted: an outcome waits out the outage, is shown to nobody before the store has it, and gets there once.
func TestOutcomeHinted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s ledger.State
		o ledger.Outcome
	}{{ledger.DoneSucceeded, ledger.Succeeded}, {ledger.DoneDeclined, ledger.Declined}, {ledger.Refused, ledger.NotSent}} {
		t.Run(c.s.String(), func(t *testing.T) {
			s := openStore(t, patience.Dir(t))
			r := newRegion(t, s, nil)
			row := claimed(t, r.Ledger(), 1)
			done := finished(row, c.s, c.o)
			r.link.cut.Store(true)
			advance(t, r.Ledger(), done, ledger.Hinted)
			advance(t, r.Ledger(), done, ledger.Hinted) // the caller repeats it: one event
			if n := r.Stats().Pending; n != 1 {
				t.Errorf("%d hints", n)
			}
			r.link.cut.Store(false)
			r.reached()
			got, err := r.Ledger().Load(t.Context(), row.Key) // read repair
			if err != nil || !reflect.DeepEqual(got, done) {
				t.Errorf("after the outage: %+v, %v; want %+v", got, err, done)
			}
			if n := r.Stats().Pending; n != 0 {
				t.Errorf("%d hints are left", n)
			}
			r.log.retry(r.log.all(func(*entry) bool { return true })[0].ID) // replay twice
			if _, err := r.Replay(t.Context(), Filter{}); err != nil {
				t.Error(err)
			}
			if got, err := s.Ledger().Load(t.Context(), row.Key); err != nil || got.Version != 2 {
				t.Errorf("after a second replay: %+v, %v", got, err)
			}
		})
	}
}

// TestOutcomeLostAnswer: the store took the write, and its answer was lost: the hint finds its own token there.
func TestOutcomeLostAnswer(t *testing.T) {
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	row := claimed(t, r.Ledger(), 1)
	r.link.loses.Store(true)
	advance(t, r.Ledger(), finished(row, ledger.DoneSucceeded, ledger.Succeeded), ledger.Hinted)
	r.link.loses.Store(false)
	r.start(t)
	r.drained(t)
	if got, err := s.Ledger().Load(t.Context(), row.Key); err != nil || got.Version != 2 || r.Stats().Held != 0 || r.counts.applied.Load() != 1 {
		t.Errorf("%+v, %v, %+v", got, err, r.Stats())
	}
}

// TestMerge holds what a hint does to a row that moved on while it waited.
func TestMerge(t *testing.T) {
	t.Parallel()
	taken := func(row *ledger.Transaction) *ledger.Transaction {
		n := finished(row, ledger.Held, ledger.Unknown)
		n.Run = "another/run"
		return n
	}
	cancelling := func(row *ledger.Transaction) *ledger.Transaction {
		n := taken(row)
		n.Current().Cancel = true
		return n
	}
	elsewhere := func(how ledger.Closed) func(*ledger.Transaction) *ledger.Transaction {
		return func(row *ledger.Transaction) *ledger.Transaction {
			n := finished(row, ledger.Intent, ledger.NotSent)
			n.Current().How = how
			b := *n.Current()
			b.ID, b.Provider, b.Outcome, b.Fence = "at_b", "adyen", ledger.Open, ledger.Fence{}
			n.Attempts = append(n.Attempts, b)
			n.Epoch = 1
			return n
		}
	}
	for _, c := range []struct {
		name    string
		moved   func(*ledger.Transaction) *ledger.Transaction
		state   ledger.State
		outcome ledger.Outcome
		want    ledger.State // of the row
		held    bool
		late    bool
	}{
		{"taken over, then succeeded", taken, ledger.DoneSucceeded, ledger.Succeeded, ledger.DoneSucceeded, false, false},
		{"taken over, then declined", taken, ledger.DoneDeclined, ledger.Declined, ledger.DoneDeclined, false, false},
		{"taken over, then not sent", taken, ledger.Refused, ledger.NotSent, ledger.Held, false, false},
		{"a cancel may have left", cancelling, ledger.DoneSucceeded, ledger.Succeeded, ledger.Held, true, false},
		{"went elsewhere by a window, succeeded late", elsewhere(ledger.ByWindow), ledger.DoneSucceeded, ledger.Succeeded, ledger.Intent, false, true},
		{"went elsewhere, declined", elsewhere(ledger.ByWindow), ledger.DoneDeclined, ledger.Declined, ledger.Intent, false, false},
		{"went elsewhere by its own answer, succeeded", elsewhere(ledger.ByAnswer), ledger.DoneSucceeded, ledger.Succeeded, ledger.Intent, true, false},
		{"settled the same way", func(row *ledger.Transaction) *ledger.Transaction {
			n := finished(row, ledger.DoneSucceeded, ledger.Succeeded)
			n.Token = [16]byte{99}
			return n
		}, ledger.DoneSucceeded, ledger.Succeeded, ledger.DoneSucceeded, false, false},
		{"settled the other way", func(row *ledger.Transaction) *ledger.Transaction {
			return finished(row, ledger.DoneDeclined, ledger.Declined)
		}, ledger.DoneSucceeded, ledger.Succeeded, ledger.DoneDeclined, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openStore(t, patience.Dir(t))
			r := newRegion(t, s, nil)
			row := claimed(t, r.Ledger(), 1)
			r.link.cut.Store(true)
			advance(t, r.Ledger(), finished(row, c.state, c.outcome), ledger.Hinted)
			advance(t, s.Ledger(), c.moved(row), ledger.Stored)
			r.link.cut.Store(false)
			dry, err := r.DryRun(t.Context(), Filter{})
			must(t, err)
			if len(dry) != 1 || (dry[0].Does == "held") != c.held || r.Stats().Pending != 1 {
				t.Errorf("dry run: %+v", dry)
			}
			if _, err := r.Replay(t.Context(), Filter{}); err != nil {
				t.Fatal(err)
			}
			got, err := s.Ledger().Load(t.Context(), row.Key)
			must(t, err)
			if st := r.Stats(); got.State != c.want || (st.Held == 1) != c.held || st.Pending != 0 || got.Attempts[0].Late != c.late {
				t.Errorf("the row is %s, late %v; %+v; held for %+v", got.State, got.Attempts[0].Late, st, r.List(Filter{Held: true}))
			}
			if got.Final() && !c.held && c.state == ledger.DoneSucceeded && (got.Answer == nil || got.Current().Elapsed != 5*time.Millisecond) {
				t.Errorf("the answer is gone: %+v", got)
			}
			if c.held {
				line := r.List(Filter{Held: true})[0]
				if line.Held == "" || r.Discard(line.ID, "") == nil {
					t.Errorf("held without a reason, or discarded without one: %+v", line)
				}
				must(t, r.Discard(line.ID, "the provider's statement shows it"))
				if st := r.Stats(); st.Held != 0 || !st.Oldest.IsZero() {
					t.Errorf("after it was discarded: %+v", st)
				}
			}
		})
	}
}

// TestMergeRefusals are rows that a hint cannot be about.
func TestMergeRefusals(t *testing.T) {
	row := ledgertest.Sample(1)
	hint := finished(row, ledger.DoneSucceeded, ledger.Succeeded)
	other := row.Clone()
	other.ID = "tx_other"
	empty := row.Clone()
	empty.Attempts = nil
	for _, current := range []*ledger.Transaction{nil, other, empty} {
		if next, v := merge(current, hint); next != nil || v.held == "" {
			t.Errorf("%+v: %+v", current, v)
		}
	}
	if Outage(nil) || Outage(session.ErrNotFound) || !Outage(context.DeadlineExceeded) {
		t.Error("an outage is not told from a refusal")
	}
}
