package settle

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/seal"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

func vault(t *testing.T, id string, fill byte) *Vault {
	t.Helper()
	secret := make([]byte, seal.KeySize)
	secret[0] = fill
	key, err := seal.NewKey(id, secret)
	if err != nil {
		t.Fatal(err)
	}
	return NewVault(key, secret)
}

func TestVaultOpensOnlyItsOwnRow(t *testing.T) {
	v := vault(t, "one", 1)
	row := &ledger.Transaction{ID: "tx_1"}
	body := []byte(strings.Repeat("card 4242", 9))
	sealed, id, err := v.Seal(message.Header{{Name: "Set-Cookie", Value: "card 4242"}}, body, row)
	if err != nil || id != "one" || strings.Contains(string(sealed), "4242") {
		t.Fatal(id, err)
	}
	row.Answer = &ledger.StoredAnswer{Kept: true, Sealed: sealed, Hash: sha256.Sum256(body)}
	if got, err := v.Open(row); err != nil || string(got) != string(body) {
		t.Errorf("opened %q: %v", got, err)
	}
	if h, _, err := v.Answer(row); err != nil || len(h) != 1 || h.Get("Set-Cookie") != "card 4242" {
		t.Errorf("opened the header %q: %v", h, err)
	}
	other := *row
	other.ID = "tx_2"
	if _, err := v.Open(&other); !errors.Is(err, seal.ErrForged) {
		t.Errorf("another row opened it: %v", err)
	}
	if _, err := vault(t, "two", 2).Open(row); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("another key opened it: %v", err)
	}
	row.Answer.Hash[0]++
	if _, err := v.Open(row); err == nil {
		t.Error("an answer with another hash opened")
	}
	if _, err := v.Open(&ledger.Transaction{}); err == nil {
		t.Error("nothing opened")
	}
}

func TestUnknownsCountAndForget(t *testing.T) {
	var u unknowns
	base := time.Unix(1000, 0)
	for i, key := range []string{"a", "b", "a"} {
		u.add(&ledger.Transaction{Key: ledger.Key{Service: "s", Key: key}, Created: base.Add(time.Duration(i) * time.Second)}, time.Time{})
	}
	if got := u.byService()["s"]; got.Open != 2 || !got.Oldest.Equal(base) {
		t.Errorf("%+v", got)
	}
	u.remove(ledger.Key{Service: "s", Key: "a"})
	if got := u.byService()["s"]; got.Open != 1 || !got.Oldest.Equal(base.Add(time.Second)) {
		t.Errorf("%+v", got)
	}
	for i := range maxUnknowns + 5 {
		u.add(&ledger.Transaction{Key: ledger.Key{Service: "s", Key: strconv.Itoa(i)}, Created: base}, time.Time{})
	}
	if len(u.open) > maxUnknowns || u.byService()["s"].Open <= maxUnknowns {
		t.Errorf("%d are remembered, %d counted", len(u.open), u.byService()["s"].Open)
	}
}

// TestUnknownsAreWorth: what is not known is worth something, by currency, until it is settled.
func TestUnknownsAreWorth(t *testing.T) {
	var u unknowns
	for i, v := range []policy.Value{{Minor: 100, Currency: "EUR"}, {Minor: 23, Currency: "EUR"}, {Minor: 5, Currency: "USD"}, {}} {
		u.add(&ledger.Transaction{Key: ledger.Key{Service: "s", Key: strconv.Itoa(i)}, Course: ledger.Course{Value: v}}, time.Time{})
	}
	if got := u.byService()["s"].Worth; got["EUR"] != 123 || got["USD"] != 5 || len(got) != 2 {
		t.Errorf("worth %v", got)
	}
	u.remove(ledger.Key{Service: "s", Key: "0"})
	if got := u.byService()["s"].Worth; got["EUR"] != 23 {
		t.Errorf("worth %v", got)
	}
}

func TestBootRunsForward(t *testing.T) {
	a := Boot()
	if b := Boot(); a <= 0 || b < a || b == time.Duration(1<<63-1) {
		t.Errorf("%v, then %v", a, b)
	}
}
