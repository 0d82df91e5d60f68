package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestParseKey(t *testing.T) {
	long := strings.Repeat("x", MaxKey)
	for _, test := range []struct {
		lines []string
		want  string
		why   string // part of the error
	}{
		{[]string{"abc"}, "abc", ""},
		{[]string{`"abc"`}, "abc", ""},
		{[]string{` "abc"	`}, "abc", ""},
		{[]string{`"a\"b\\c"`}, `a"b\c`, ""},
		{[]string{`a"b\c`}, `a"b\c`, ""},
		{[]string{`a b`}, "a b", ""},
		{[]string{long}, long, ""},
		{[]string{`"` + long + `"`}, long, ""},
		{nil, "", "no key"},
		{[]string{""}, "", "empty"},
		{[]string{`""`}, "", "empty"},
		{[]string{"a", "a"}, "", "2 lines"},
		{[]string{long + "x"}, "", "at most 255"},
		{[]string{`"abc`}, "", "closing quote is missing"},
		{[]string{`"abc" `}, "abc", ""},
		{[]string{`"abc";v=1`}, "", "follows the closing quote, at byte 6"},
		{[]string{`"a\n"`}, "", "backslash"},
		{[]string{`"a\`}, "", "backslash"},
		{[]string{"a\x00b"}, "", "byte 2 is 0x00"},
		{[]string{"schlüssel"}, "", "printable ASCII"},
		{[]string{"a\x7f"}, "", "printable ASCII"},
		{[]string{"segue-derived-00"}, "", "made by Segue"},
		{[]string{`"segue-derived-00"`}, "", "made by Segue"},
	} {
		got, err := ParseKey(test.lines)
		switch {
		case test.why == "" && (err != nil || got != test.want):
			t.Errorf("%q: %q, %v", test.lines, got, err)
		case test.why != "" && (err == nil || !strings.Contains(err.Error(), test.why)):
			t.Errorf("%q: the error is %v", test.lines, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"abc", `"abc"`, `"a\"b"`, `"`, `\`, "", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		key, err := ParseKey([]string{raw})
		if err != nil {
			return
		}
		if key == "" || len(key) > MaxKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q was taken as %q", raw, key)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if again, err := ParseKey([]string{quoted}); err != nil || again != key {
			t.Fatalf("%q quoted is %q: %v", key, again, err)
		}
	})
}

func TestIDs(t *testing.T) {
	last := ""
	for i := range 1000 {
		id := NewID(noon.Add(time.Duration(i)*time.Millisecond), [10]byte{byte(255 - i)})
		if !strings.HasPrefix(id, "tx_") || len(id) != 29 || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
	if NewID(noon, [10]byte{9: 1}) == NewID(noon, [10]byte{9: 2}) || NewID(noon, [10]byte{1}) == NewID(noon, [10]byte{2}) {
		t.Error("random bits are lost")
	}
	if a := NewAttemptID(time.Time{}, [10]byte{}); a != "at_"+strings.Repeat("0", 26) {
		t.Errorf("before 1970: %s", a)
	}
}

func request(change func(*message.Request)) *message.Request {
	r := &message.Request{
		Method: "POST", Path: "/v1/charges/ch_1/refund", RawQuery: "a=1", Body: []byte("amount=1"),
		Header: message.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Idempotency-Key", Value: "k"}},
	}
	if change != nil {
		change(r)
	}
	return r
}

func TestFingerprint(t *testing.T) {
	want := Fingerprint("refund", request(nil))
	for name, r := range map[string]*message.Request{
		"the same":       request(nil),
		"another header": request(func(r *message.Request) { r.Header.Set("X-Trace", "1") }),
		"a parameter more": request(func(r *message.Request) {
			r.Header.Set("Content-Type", "Application/X-WWW-form-urlencoded; charset=utf-8")
		}),
	} {
		if Fingerprint("refund", r) != want {
			t.Errorf("%s makes another request of it", name)
		}
	}
	if Fingerprint("charge", request(nil)) == want {
		t.Error("the operation is not covered")
	}
	for name, change := range map[string]func(*message.Request){
		"method": func(r *message.Request) { r.Method = "PUT" },
		"path":   func(r *message.Request) { r.Path = "/v1/charges/ch_2/refund" },
		"query":  func(r *message.Request) { r.RawQuery = "a=2" },
		"type":   func(r *message.Request) { r.Header.Set("Content-Type", "application/json") },
		"body":   func(r *message.Request) { r.Body = []byte("amount=2") },
		"border": func(r *message.Request) { r.Path, r.RawQuery = r.Path+"a", "=1" },
		"empty":  func(r *message.Request) { r.Body = nil },
	} {
		if Fingerprint("refund", request(change)) == want {
			t.Errorf("the %s is not covered", name)
		}
	}
}

func TestDeriveKey(t *testing.T) {
	op := &policy.Operation{OperationSpec: policy.OperationSpec{Name: "charge", Key: policy.KeyRule{
		Derive: []policy.Field{{In: "body", Name: "amount"}, {In: "header", Name: "X-Order"}}, Within: 5 * time.Minute,
	}}}
	r := request(func(r *message.Request) { r.Header.Set("X-Order", "7") })
	key := func(op *policy.Operation, r *message.Request, at time.Time) (string, string) {
		t.Helper()
		current, previous, err := DeriveKey(op, r, at)
		if err != nil {
			t.Fatal(err)
		}
		return current, previous
	}
	current, previous := key(op, r, noon)
	if again, _ := key(op, r, noon.Add(5*time.Minute-1)); again != current {
		t.Error("one window, two keys")
	}
	next, before := key(op, r, noon.Add(5*time.Minute))
	if before != current || next == current || previous == current {
		t.Error("a repeat across the edge of a window is not found")
	}
	if _, ok := refused(current); !ok {
		t.Errorf("%q could be sent by a caller", current)
	}
	other := request(func(r *message.Request) { r.Header.Set("X-Order", "8") })
	if k, _ := key(op, other, noon); k == current {
		t.Error("another order has the same key")
	}
	forever := *op
	forever.Key.Within = 0
	a, none := key(&forever, r, noon)
	if b, _ := key(&forever, r, noon.AddDate(1, 0, 0)); a != b || none != "" {
		t.Error("without a window the key changes")
	}
	if _, _, err := DeriveKey(op, request(nil), noon); err == nil || !strings.Contains(err.Error(), "header.X-Order") {
		t.Errorf("a missing field: %v", err)
	}
	if _, _, err := DeriveKey(&policy.Operation{}, r, noon); err == nil {
		t.Error("an operation without fields derives a key")
	}
}

// refused tells that ParseKey refuses a key.
func refused(key string) (string, bool) {
	_, err := ParseKey([]string{key})
	return key, err != nil
}

// TestWindows: any two times that are less than a window apart share a key, before 1970 too.
func TestWindows(t *testing.T) {
	const within = 7 * time.Second
	for at := -20 * time.Second; at < 20*time.Second; at += 500 * time.Millisecond {
		for later := at; later < at+within; later += 500 * time.Millisecond {
			first, _ := derive("op", []string{"v"}, within, time.Unix(0, int64(at)))
			now, before := derive("op", []string{"v"}, within, time.Unix(0, int64(later)))
			if first != now && first != before {
				t.Fatalf("%v and %v share no key", at, later)
			}
		}
	}
	tx := &Transaction{Created: noon}
	if !tx.Within(time.Minute, noon.Add(time.Minute-1)) || tx.Within(time.Minute, noon.Add(time.Minute)) {
		t.Error("the window's end")
	}
}

func TestProviderKey(t *testing.T) {
	secret := []byte("a secret of this agent")
	seen := map[string]string{}
	for _, id := range []string{"tx_1", "tx_2", "tx_1s"} {
		for _, provider := range []string{"stripe", "tripe", "s"} {
			for _, account := range []string{"", "a", "stripe"} {
				for n := range 3 {
					k := ProviderKey(secret, policy.Keys{}, id, provider, account, n)
					if was, ok := seen[k]; ok || len(k) > 64 {
						t.Fatalf("%s for %s %s %s %d and for %s", k, id, provider, account, n, was)
					}
					seen[k] = fmt.Sprint(id, provider, account, n)
				}
			}
		}
	}
	if ProviderKey(secret, policy.Keys{}, "a", "b", "c", 0) == ProviderKey([]byte("another"), policy.Keys{}, "a", "b", "c", 0) {
		t.Error("the secret does not count")
	}
}

func TestProviderKeyFor(t *testing.T) {
	secret := []byte("s")
	native := &policy.Candidate{Provider: "stripe", Account: "acct", SpeaksNative: true, Contract: &policy.Contract{}}
	fresh := func() *Transaction { return New("tx_1", Key{Key: "order-7"}, "charge", [32]byte{}, noon) }
	if k := ProviderKeyFor(secret, fresh(), native); k != "order-7" {
		t.Errorf("epoch 0 sends %s, not the application's own key", k)
	}
	foreign := *native
	foreign.SpeaksNative = false
	if k := ProviderKeyFor(secret, fresh(), &foreign); k != ProviderKey(secret, policy.Keys{}, "tx_1", "stripe", "acct", 0) {
		t.Errorf("a foreign API was sent %s", k)
	}
	short := *native
	short.Contract = &policy.Contract{Keys: policy.Keys{Max: 6}}
	shaped := *native
	shaped.Contract = &policy.Contract{Keys: policy.Keys{Syntax: policy.SyntaxUUID}}
	if k := ProviderKeyFor(secret, fresh(), &shaped); !shaped.Contract.Keys.Takes(k) || k != ProviderKeyFor(secret, fresh(), &shaped) {
		t.Errorf("a provider that takes UUIDs was sent %s", k)
	}
	derived := fresh()
	derived.Key.Key = derivedPrefix + "0"
	if ProviderKeyFor(secret, fresh(), &short) == "order-7" || ProviderKeyFor(secret, derived, native) == derived.Key.Key {
		t.Error("a key that is too long, or derived, was sent")
	}
	for o, want := range map[Outcome]int{Open: 0, Unknown: 0, NotSent: 1, Declined: 1, Succeeded: 1} {
		tx := fresh()
		tx.Attempts = []Attempt{{Provider: "stripe", Account: "acct", Outcome: o}, {Provider: "stripe", Account: "other", Outcome: NotSent}, {Provider: "adyen", Account: "acct", Outcome: NotSent}}
		if k := ProviderKeyFor(secret, tx, native); k != ProviderKey(secret, policy.Keys{}, "tx_1", "stripe", "acct", want) {
			t.Errorf("after %s the key's n is not %d", o, want)
		}
		if r := Reference(tx, "stripe", "acct"); r != fmt.Sprint("tx_1-", want) {
			t.Errorf("after %s the reference is %s", o, r)
		}
	}
}

func TestBegin(t *testing.T) {
	for o := Open; o <= Unknown; o++ {
		tx := New("tx_1", Key{}, "charge", [32]byte{}, noon)
		if err := tx.Begin(Attempt{ID: "1", Outcome: Succeeded, Sends: 7}, "run"); err != nil || tx.Epoch != 0 || tx.State != Intent || tx.Current().Sends != 1 || tx.Current().Outcome != Open {
			t.Fatalf("the first attempt: %v %+v", err, tx)
		}
		tx.Current().Outcome = o
		err := tx.Begin(Attempt{ID: "2"}, "run2")
		if proven := o == NotSent; proven != (err == nil) || !proven && !errors.Is(err, ErrNotProven) || proven && (tx.Epoch != 1 || tx.Run != "run2") {
			t.Errorf("a second attempt after %s: %v", o, err)
		}
	}
	tx := New("tx_1", Key{}, "charge", [32]byte{}, noon)
	for range MaxAttempts {
		if err := tx.Begin(Attempt{}, "run"); err != nil {
			t.Fatal(err)
		}
		tx.Current().Outcome = NotSent
	}
	if err := tx.Begin(Attempt{}, "run"); !errors.Is(err, ErrTooMany) {
		t.Errorf("one attempt too many: %v", err)
	}
}

// TestSettleAndClose: a proof is never taken back, and no final state is written without one.
func TestSettleAndClose(t *testing.T) {
	for was := Open; was <= Unknown; was++ {
		for o := Open; o <= Unknown; o++ {
			tx := &Transaction{State: Intent, Attempts: []Attempt{{ID: "1", Sends: 1, Outcome: was}}}
			if tx.Settle(Evidence{Attempt: "0", Outcome: o}) || tx.Current().Outcome != was {
				t.Errorf("%s → %s by evidence about another attempt", was, o)
			}
			want := o
			if o == Open || was == Succeeded || was == Declined || was == NotSent && o == Unknown {
				want = was
			}
			if tx.Settle(Evidence{Attempt: "1", Outcome: o}); tx.Current().Outcome != want {
				t.Errorf("%s + %s = %s, want %s", was, o, tx.Current().Outcome, want)
			}
		}
		for k, needs := range map[StepKind][]Outcome{Finish: {Succeeded, Declined}, Refuse: {NotSent}, Elsewhere: {}, Redrive: {}} {
			tx := &Transaction{State: Intent, Attempts: []Attempt{{ID: "1", Outcome: was}}}
			ok := false
			for _, o := range needs {
				ok = ok || o == was
			}
			if err := tx.Close(k); ok != (err == nil) || !ok && tx.State != Intent {
				t.Errorf("%s after %s: %v, %s", k, was, err, tx.State)
			}
		}
	}
}

func TestTakeOver(t *testing.T) {
	tx := &Transaction{State: Intent, Run: "a", Attempts: []Attempt{{ID: "1"}}}
	if tx.TakeOver("b", noon); tx.Run != "b" || tx.State != Held || tx.Current().Outcome != Unknown {
		t.Errorf("taken over: %+v", tx)
	}
	done := &Transaction{State: DoneSucceeded, Attempts: []Attempt{{Outcome: Succeeded}}}
	if done.TakeOver("b", noon); done.State != DoneSucceeded || done.Current().Outcome != Succeeded {
		t.Errorf("a final row: %+v", done)
	}
}

func TestWords(t *testing.T) {
	for s := Intent; s <= Refused; s++ {
		if back, ok := ParseState(s.String()); !ok || back != s {
			t.Errorf("%s reads as %v", s, back)
		}
	}
	if _, ok := ParseState("unknown"); ok {
		t.Error("unknown is no state")
	}
	for _, s := range []fmt.Stringer{Outcome(99), State(99), StepKind(99), EvidenceKind(99)} {
		if s.String() != "unknown" {
			t.Errorf("%T 99 is %s", s, s)
		}
	}
	for _, s := range []fmt.Stringer{FromAnswer, FromTimeout, FromStaleSend, Finish, Elsewhere, Redrive, Hold, Refuse, Open, Succeeded, Declined, NotSent} {
		if s.String() == "unknown" {
			t.Errorf("%T %[1]d has no word", s)
		}
	}
}
