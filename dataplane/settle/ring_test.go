package settle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"segue/controlplane/seal"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

type days struct{ now time.Time }

func (d *days) pass(n int) { d.now = d.now.Add(time.Duration(n) * 24 * time.Hour) }

func openRing(t *testing.T, dir string, d *days) *Ring {
	t.Helper()
	r, err := OpenRing(dir, func() time.Time { return d.now })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sealedRow(t *testing.T, v *Vault, id string) *ledger.Transaction {
	t.Helper()
	body := []byte("card 4242 in " + id)
	row := &ledger.Transaction{ID: id}
	sealed, keyID, err := v.Seal(nil, body, row)
	if err != nil {
		t.Fatal(err)
	}
	row.Answer = &ledger.StoredAnswer{Kept: true, Sealed: sealed, KeyID: keyID, Hash: sha256.Sum256(body)}
	return row
}

// TestKeysEnd: a day's key seals on its day, opens for its life, in other processes too, and then nothing opens, though a copy of the row
// and the vault that sealed it are still there.
func TestKeysEnd(t *testing.T) {
	dir, d := t.TempDir(), &days{time.Date(2026, 11, 21, 23, 59, 0, 0, time.UTC)}
	v := NewDailyVault(openRing(t, dir, d), []byte("secret"))
	old := sealedRow(t, v, "tx_1")
	same := sealedRow(t, v, "tx_2")
	d.now = d.now.Add(2 * time.Minute)
	young := sealedRow(t, v, "tx_3")
	if old.Answer.KeyID != same.Answer.KeyID || old.Answer.KeyID == young.Answer.KeyID {
		t.Errorf("keys %s, %s, %s", old.Answer.KeyID, same.Answer.KeyID, young.Answer.KeyID)
	}
	beside := NewDailyVault(openRing(t, dir, d), nil) // another agent with the same directory
	opens := func(v *Vault, row *ledger.Transaction) error { _, err := v.Open(row); return err }
	d.now = time.Date(2026, 12, 27, 23, 59, 0, 0, time.UTC) // 36 days later
	for _, row := range []*ledger.Transaction{old, same, young} {
		if err := errors.Join(opens(v, row), opens(beside, row)); err != nil {
			t.Errorf("%s within its life: %v", row.ID, err)
		}
	}
	secret, err := os.ReadFile(filepath.Join(dir, old.Answer.KeyID))
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(2 * time.Minute) // before anybody swept
	for _, row := range []*ledger.Transaction{old, same} {
		for _, v := range []*Vault{v, beside} {
			if err := opens(v, row); !errors.Is(err, ErrDestroyed) {
				t.Errorf("%s behind its life: %v", row.ID, err)
			}
		}
	}
	gone, err := v.keys.(*Ring).Destroy()
	if err != nil || len(gone) != 1 || gone[0] != old.Answer.KeyID {
		t.Errorf("destroyed %v, %v", gone, err)
	}
	if again, err := v.keys.(*Ring).Destroy(); err != nil || len(again) != 0 {
		t.Errorf("destroyed again: %v, %v", again, err)
	}
	d.now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) // who sets the clock back finds no key
	if err := opens(NewDailyVault(openRing(t, dir, d), nil), old); !errors.Is(err, ErrDestroyed) {
		t.Errorf("with the clock set back: %v", err)
	}
	if err := opens(NewDailyVault(openRing(t, dir, d), nil), young); err != nil {
		t.Errorf("the next day's: %v", err)
	}
	onlyIn(t, dir, secret, 0)
}

// onlyIn counts the files of a directory that hold bytes.
func onlyIn(t *testing.T, dir string, what []byte, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, what) {
			n++
		}
	}
	if n != want {
		t.Errorf("the key is in %d files, not %d", n, want)
	}
}

// TestRingRefuses: a damaged key is named and never replaced; what is no key's name opens nothing.
func TestRingRefuses(t *testing.T) {
	dir, d := t.TempDir(), &days{time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)}
	r := openRing(t, dir, d)
	k, err := r.Today()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, k.ID())); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, id := range []string{"", "x", "../provider-keys", "day-2026-11-21", "day-2026-11-21_", "day-2026-11-21_zz", "day-2026-99-21_00000000", "day-2026-11-21_00000000", "day-2026-11-21_0000000000/../../x"} {
		if _, err := r.Key(id); !errors.Is(err, ErrDestroyed) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, k.ID()), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRing(dir, r.now); err == nil || !strings.Contains(err.Error(), "5 bytes, not 32") {
		t.Errorf("a damaged key was taken: %v", err)
	}
	if _, err := OpenRing(filepath.Join(dir, "nowhere"), r.now); err == nil {
		t.Error("a directory that is not there was opened")
	}
	r.Start(slog.New(slog.DiscardHandler))
	r.Stop()
	r.Stop()
}

// TestKeyFromBefore: rows from when there was one key open as long as they can be there, and no longer.
func TestKeyFromBefore(t *testing.T) {
	dir, d := t.TempDir(), &days{time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)}
	secret := bytes.Repeat([]byte{7}, seal.KeySize)
	if err := os.WriteFile(filepath.Join(dir, first), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := seal.NewKey(firstID, secret)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("body")
	sealed, err := seal.Seal(k, [seal.NonceSize]byte{1}, body, []byte("tx_0"))
	if err != nil {
		t.Fatal(err)
	}
	row := &ledger.Transaction{ID: "tx_0", Answer: &ledger.StoredAnswer{
		Kept: true, Sealed: sealed, KeyID: firstID, Hash: sha256.Sum256(body), Header: message.Header{{Name: "A", Value: "b"}},
	}}
	v := NewDailyVault(openRing(t, dir, d), nil)
	sealedRow(t, v, "tx_1")
	d.pass(36)
	v = NewDailyVault(openRing(t, dir, d), nil)
	if h, got, err := v.Answer(row); err != nil || string(got) != "body" || h.Get("A") != "b" {
		t.Errorf("%q %q %v", h, got, err)
	}
	d.pass(2)
	v = NewDailyVault(openRing(t, dir, d), nil)
	if _, err := v.Open(row); !errors.Is(err, ErrDestroyed) {
		t.Errorf("behind its life: %v", err)
	}
	onlyIn(t, dir, secret, 0)
}

// TestFrame: a header and a body are read as they were written, and nothing else panics.
func TestFrame(t *testing.T) {
	for _, h := range []message.Header{nil, {{Name: "A", Value: ""}}, {{Name: "Set-Cookie", Value: strings.Repeat("x", 300)}, {Name: "Set-Cookie", Value: "b"}}} {
		got, body, err := splitAnswer(appendAnswer(nil, h, []byte("body")))
		if err != nil || string(body) != "body" || fmt.Sprint(got) != fmt.Sprint(h) {
			t.Errorf("%v: %v %q %v", h, got, body, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(appendAnswer(nil, message.Header{{Name: "A", Value: "b"}}, []byte("body")))
	f.Add([]byte{255, 255, 255, 255, 15})
	f.Add([]byte{1, 1, 'a', 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := splitAnswer(b)
		if err != nil {
			return
		}
		again, rest, err := splitAnswer(appendAnswer(nil, h, body))
		if err != nil || !bytes.Equal(rest, body) || len(again) != len(h) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
