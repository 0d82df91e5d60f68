package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

func full() *Transaction {
	t := New("tx_1", Key{"default", "payments", "order-7"}, "charge", [32]byte{1, 2}, noon)
	t.State, t.Version, t.Token, t.Epoch, t.Run, t.Region, t.Session = DoneSucceeded, 3, [16]byte{9}, 1, "eu-west-1/r", "eu-west", "ses_1"
	t.Attempts = []Attempt{
		{ID: "at_1", Provider: "stripe", Account: "acct", Endpoint: "https://a", ProviderKey: "order-7", Reference: "tx_1-0", Contract: [32]byte{3}, IntentAt: noon, SendBy: 2 * time.Second, Outcome: NotSent, Sends: 1, Error: "connection_refused", Elapsed: time.Millisecond},
		{ID: "at_2", Provider: "adyen", IntentAt: noon.Add(time.Second + 7), Outcome: Succeeded, Sends: 2, Status: 201, Elapsed: -1},
	}
	t.Answer = &StoredAnswer{Status: 201, Header: message.Header{{Name: "A", Value: "b"}, {Name: "A", Value: ""}}, Sealed: []byte{0, 1}, KeyID: "k", Hash: [32]byte{5}, Kept: true, ObjectID: "ch_1", Theirs: "psp_1"}
	t.Attempts[0].Fence = Fence{How: ByWindow, Cancel: true, Late: true, Quiet: noon.Add(3), Absent: noon.Add(time.Hour)}
	t.Told, t.Kept, t.ExecuteBy, t.Adopted, t.Compensates = true, true, noon.Add(9), 1, "at_0"
	t.Value = policy.Value{Minor: 1290, Currency: "EUR"}
	t.Updated = noon.Add(time.Minute)
	return t
}

func encoded(t testing.TB, tx *Transaction) []byte {
	t.Helper()
	b, err := Encode(tx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncode(t *testing.T) {
	for name, tx := range map[string]*Transaction{
		"full": full(), "least": {State: Intent}, "no answer": {State: Held, Attempts: []Attempt{{}}}, "an empty answer": {State: DoneDeclined, Answer: &StoredAnswer{}},
	} {
		got, err := Decode(encoded(t, tx))
		if err != nil || !reflect.DeepEqual(got, tx) {
			t.Errorf("%s: %v\n%+v\n%+v", name, err, got, tx)
		}
	}
	elsewhere := full()
	elsewhere.Created = noon.In(time.FixedZone("x", 3600))
	if got, err := Decode(encoded(t, elsewhere)); err != nil || !got.Created.Equal(noon) {
		t.Errorf("a time of another zone: %v %v", got.Created, err)
	}
	o := Object{"default", "payments", "ch_1", "stripe", "acct", "tx_1", "psp_1"}
	b, err := EncodeObject(o)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeObject(b); err != nil || got != o {
		t.Errorf("object: %+v %v", got, err)
	}
}

// TestFormat holds the bytes of the present version.
func TestFormat(t *testing.T) {
	want, err := os.ReadFile("testdata/row-v4.hex")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(encoded(t, full())); got != strings.TrimSpace(string(want)) {
		t.Errorf("version %d is written as\n%s", rowVersion, got)
	}
}

// TestOldRows reads what earlier versions wrote: rows that are on disks must be read for ever.
func TestOldRows(t *testing.T) {
	third := full()
	third.Answer.Theirs = ""
	oldRow(t, 3, third)
	second := full()
	second.Answer.Theirs, second.Value = "", policy.Value{}
	oldRow(t, 2, second)
	first := full()
	first.Answer.Theirs, first.Value = "", policy.Value{}
	first.Course = Course{Epoch: first.Epoch}
	for i := range first.Attempts {
		first.Attempts[i].Fence = Fence{}
	}
	oldRow(t, 1, first)
	o := Object{"default", "payments", "ch_1", "stripe", "acct", "tx_1", ""}
	ob, err := EncodeObject(o)
	if err != nil {
		t.Fatal(err)
	}
	ob = ob[:len(ob)-1] // they ended before Theirs, which is empty
	for _, version := range []byte{1, 2, 3} {
		ob[0] = version
		if got, err := DecodeObject(ob); err != nil || got != o {
			t.Errorf("an object of version %d: %+v %v", version, got, err)
		}
	}
}

// storedRow is a row as a version wrote it.
func storedRow(t testing.TB, version byte) []byte {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("testdata/row-v%d.hex", version))
	if err != nil {
		t.Fatal(err)
	}
	old, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || old[0] != version {
		t.Fatalf("the stored row: %v", err)
	}
	return old
}

// oldRow reads the stored row of a version.
func oldRow(t *testing.T, version byte, want *Transaction) {
	old := storedRow(t, version)
	got, err := Decode(old)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\n%+v\n%+v", err, got, want)
	}
	again := encoded(t, got)
	if again[0] != rowVersion {
		t.Errorf("written again it has version %d", again[0])
	}
	if back, err := Decode(again); err != nil || !reflect.DeepEqual(back, want) {
		t.Errorf("written again it reads %v\n%+v", err, back)
	}
	for cut := range old {
		if err := errOf(Decode(old[:cut])); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes were read as a row", cut, len(old))
		}
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := func(name string) string { return rapid.StringN(0, 40, 200).Draw(rt, name) }
		when := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(rt, name), rapid.Int64Range(0, 999_999_999).Draw(rt, name)).UTC()
		}
		tx := &Transaction{
			ID: text("id"), Key: Key{text("app"), text("service"), text("key")}, State: State(rapid.IntRange(1, 5).Draw(rt, "state")),
			Version: rapid.Uint64().Draw(rt, "version"), Course: Course{Epoch: rapid.IntRange(0, 1<<20).Draw(rt, "epoch"), Told: rapid.Bool().Draw(rt, "told"), Adopted: rapid.IntRange(0, 9).Draw(rt, "adopted"), Compensates: text("compensates")}, Run: text("run"), Created: when("created"), Updated: when("updated"),
		}
		for range rapid.IntRange(0, MaxAttempts).Draw(rt, "attempts") {
			tx.Attempts = append(tx.Attempts, Attempt{
				ID: text("attempt"), ProviderKey: text("provider key"), IntentAt: when("intent"), SendBy: time.Duration(rapid.Int64().Draw(rt, "send by")),
				Outcome: Outcome(rapid.IntRange(0, 4).Draw(rt, "outcome")), Sends: rapid.IntRange(0, 9).Draw(rt, "sends"), Status: rapid.IntRange(0, 999).Draw(rt, "status"),
			})
		}
		b, err := Encode(tx)
		if err != nil {
			rt.Fatal(err)
		}
		if got, err := Decode(b); err != nil || !reflect.DeepEqual(got, tx) {
			rt.Fatalf("%v\n%+v\n%+v", err, got, tx)
		}
		if cut := rapid.IntRange(0, len(b)-1).Draw(rt, "cut"); !errors.Is(errOf(Decode(b[:cut])), ErrCorrupt) {
			rt.Fatalf("%d of %d bytes were read as a row", cut, len(b))
		}
	})
}

func errOf(_ *Transaction, err error) error { return err }

func TestDecodeRefuses(t *testing.T) {
	good := encoded(t, full())
	newer := bytes.Clone(good)
	newer[0] = rowVersion + 1
	for name, b := range map[string][]byte{"nothing": nil, "version 0": {0}, "more": append(bytes.Clone(good), 0), "huge": make([]byte, MaxRow+1)} {
		if err := errOf(Decode(b)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := DecodeObject(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s as an object: %v", name, err)
		}
	}
	if err := errOf(Decode(newer)); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "reads up to") {
		t.Errorf("a newer row: %v", err)
	}
	if _, err := DecodeObject(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer object: %v", err)
	}
	for _, bad := range []*Transaction{{State: 0}, {State: lastState + 1}, {State: Intent, Course: Course{Epoch: -1}}, {State: Intent, Attempts: []Attempt{{Outcome: Unknown + 1}}}, {State: Intent, Attempts: []Attempt{{Sends: -1}}}} {
		if err := errOf(Decode(encoded(t, bad))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%+v was read", bad)
		}
	}
	big := full()
	if big.Attempts = make([]Attempt, MaxAttempts+1); !errors.Is(encodeErr(big), ErrTooMany) {
		t.Error("too many attempts were written")
	}
	if big.Attempts, big.Session = nil, strings.Repeat("x", MaxRow); !errors.Is(encodeErr(big), ErrTooLarge) {
		t.Error("a huge row was written")
	}
	if _, err := EncodeObject(Object{ID: big.Session}); !errors.Is(err, ErrTooLarge) {
		t.Error("a huge object was written")
	}
}

func encodeErr(t *Transaction) error {
	_, err := Encode(t)
	return err
}

func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, full()))
	f.Add(encoded(f, &Transaction{State: Intent}))
	for version := byte(1); version < rowVersion; version++ {
		f.Add(storedRow(f, version))
	}
	object, err := EncodeObject(Object{"default", "payments", "ch_1", "stripe", "acct", "tx_1", "theirs"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(object)
	f.Add([]byte{rowVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = DecodeObject(b)
		tx, err := Decode(b)
		if err != nil {
			if tx != nil || !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatalf("%v, %v", tx, err)
			}
			return
		}
		again, err := Encode(tx)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if back, err := Decode(again); err != nil || !reflect.DeepEqual(back, tx) {
			t.Fatalf("%v\n%+v\n%+v", err, back, tx)
		}
	})
}
