package embedded

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
)

// A read that began before a write must not bring the old row back after it.
func TestALateReadDoesNotUndoAWrite(t *testing.T) {
	m := newMemory[string, int]()
	_, writes, ok := m.find("k")
	if ok {
		t.Fatal("an empty memory knows something")
	}
	m.set("k", 2)
	m.learn("k", 1, writes)
	if v, _, _ := m.find("k"); v != 2 {
		t.Fatalf("the read from before the write won: %d", v)
	}
	_, writes, _ = m.find("k")
	m.drop("k")
	m.learn("k", 2, writes)
	if _, _, ok := m.find("k"); ok {
		t.Fatal("a dropped row came back")
	}
}

func TestMemoryIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	m := newMemory[int, int]()
	for i := range 100_000 {
		m.set(i, i)
		m.set(-1, i)
	}
	rows := 0
	for i := range m.parts {
		rows += len(m.parts[i].young) + len(m.parts[i].old)
	}
	if most := 2 * memoryParts * memoryRows; rows > most {
		t.Errorf("%d rows are kept, over %d", rows, most)
	}
	if v, _, ok := m.find(-1); !ok || v != 99_999 {
		t.Errorf("the row in use is %d, %v", v, ok)
	}
}

// What the store answers from memory is what it would answer from its files, after every kind of write.
func TestMemorySaysWhatTheFilesSay(t *testing.T) {
	s := onMem(t, vfs.NewMem(), nil)
	defer shut(t, s)
	ctx := context.Background()
	if _, err := s.Ledger().Owner(ctx, "a", "s", "ch_1"); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	for i := range 3 {
		o := ledger.Object{App: "a", Service: "s", ID: "ch_1", Provider: fmt.Sprint("p", i)}
		if err := s.Ledger().Own(ctx, o); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Ledger().Owner(ctx, "a", "s", "ch_1"); err != nil || got != o {
			t.Errorf("the owner is %v, %v after it became %v", got, err, o)
		}
	}
	k := session.Key{App: "a", ID: "ses"}
	if _, err := s.Sessions().Load(ctx, k); !errors.Is(err, session.ErrNotFound) {
		t.Fatal(err)
	}
	for i := range 3 {
		at := time.Unix(int64(1000+i), 0)
		if err := s.Sessions().Append(ctx, k, session.Event{At: at, Pin: session.Pin{Service: "s", Provider: fmt.Sprint("p", i), At: at}}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Sessions().Load(ctx, k)
		if err != nil || got.Pinned("s") != fmt.Sprint("p", i) {
			t.Errorf("pinned to %v, %v after event %d", got, err, i)
		}
	}
}

// The same for transactions: absent, claimed, closed with a small or a large answer, and swept.
func TestMemorySaysWhatTheFilesSayOfRows(t *testing.T) {
	s := onMem(t, vfs.NewMem(), nil)
	defer shut(t, s)
	ctx, l := context.Background(), transactions{s}
	agree := func(when string, k ledger.Key) *ledger.Transaction {
		t.Helper()
		said, err := l.row(k.Hash())
		if err != nil {
			t.Fatal(err)
		}
		s.known.rows.drop(k.Hash())
		stored, err := l.row(k.Hash())
		if err != nil || !reflect.DeepEqual(said, stored) {
			t.Fatalf("%s: remembered is %+v, stored %+v, %v", when, said, stored, err)
		}
		return said
	}
	for n, answer := range []int{10, maxKnownRow + 1} {
		row := ledgertest.Sample(n)
		if agree("before", row.Key) != nil {
			t.Fatal("a row was there before its claim")
		}
		if _, won, err := l.Claim(ctx, row); err != nil || !won {
			t.Fatal(won, err)
		}
		if got := agree("claimed", row.Key); got == nil || got.Version != 1 {
			t.Fatalf("claimed: %+v", got)
		}
		end := done(row)
		end.Answer.Sealed = make([]byte, answer)
		if _, how, err := l.Advance(ctx, end); err != nil || how != ledger.Stored {
			t.Fatal(how, err)
		}
		if got := agree("closed", row.Key); got == nil || got.State != ledger.DoneSucceeded || len(got.Answer.Sealed) != answer {
			t.Fatalf("closed: %+v", got)
		}
	}
	if n, err := s.sweep(ctx, time.Now().Add(2*DefaultKeep)); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if agree("swept", ledgertest.Sample(0).Key) != nil || agree("swept", ledgertest.Sample(1).Key) != nil {
		t.Fatal("a swept row is still known")
	}
}
