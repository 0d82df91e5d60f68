package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

var secret = []byte("0123456789abcdefSECRETSECRETSECR")

func key(t testing.TB, id string, change byte) Key {
	t.Helper()
	s := bytes.Clone(secret)
	s[0] ^= change
	k, err := NewKey(id, s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealed(t testing.TB, k Key, plaintext, additional string) []byte {
	t.Helper()
	e, err := Seal(k, [NonceSize]byte{1}, []byte(plaintext), []byte(additional))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSealOpen(t *testing.T) {
	k := key(t, "k1", 0)
	for _, plaintext := range []string{"", "x", strings.Repeat("answer", 1000)} {
		e := sealed(t, k, plaintext, "row 7")
		if len(e) != len(plaintext)+Overhead+len("k1") || plaintext != "" && len(plaintext) > 1 && bytes.Contains(e, []byte(plaintext)) {
			t.Errorf("an envelope of %d bytes for %d", len(e), len(plaintext))
		}
		if got, err := Open(k, e, []byte("row 7")); err != nil || string(got) != plaintext {
			t.Errorf("opened: %q, %v", got, err)
		}
		if id, err := KeyID(e); err != nil || id != "k1" {
			t.Errorf("key id %q, %v", id, err)
		}
	}
}

// TestEveryBit changes each bit of an envelope in turn: none may pass.
func TestEveryBit(t *testing.T) {
	k := key(t, "k1", 0)
	e := sealed(t, k, "the answer", "row 7")
	for i := range len(e) * 8 {
		hurt := bytes.Clone(e)
		hurt[i/8] ^= 1 << (i % 8)
		if got, err := Open(k, hurt, []byte("row 7")); err == nil || got != nil {
			t.Errorf("bit %d: %q", i, got)
		}
	}
	for n := range e {
		if _, err := Open(k, e[:n], []byte("row 7")); err == nil {
			t.Errorf("%d of %d bytes were opened", n, len(e))
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	k := key(t, "k1", 0)
	e := sealed(t, k, "the answer", "row 7")
	newer := bytes.Clone(e)
	newer[0] = wrapped + 1
	for name, c := range map[string]struct {
		key        Key
		envelope   []byte
		additional string
		want       error
	}{
		"another row":        {k, e, "row 8", ErrForged},
		"no row":             {k, e, "", ErrForged},
		"another secret":     {key(t, "k1", 1), e, "row 7", ErrForged},
		"another key":        {key(t, "k2", 0), e, "row 7", ErrOtherKey},
		"a newer form":       {k, newer, "row 7", ErrVersion},
		"nothing":            {k, nil, "row 7", ErrMalformed},
		"noughts":            {k, make([]byte, 99), "row 7", ErrMalformed},
		"no id":              {k, append([]byte{version, 0}, make([]byte, 99)...), "row 7", ErrMalformed},
		"an id that is long": {k, append([]byte{version, MaxKeyID + 1}, make([]byte, 999)...), "row 7", ErrMalformed},
		"no key":             {Key{}, e, "row 7", errNoKey},
	} {
		if got, err := Open(c.key, c.envelope, []byte(c.additional)); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := Seal(Key{}, [NonceSize]byte{}, nil, nil); !errors.Is(err, errNoKey) {
		t.Errorf("sealed without a key: %v", err)
	}
	if _, err := KeyID([]byte{1}); !errors.Is(err, ErrMalformed) {
		t.Errorf("key id of nothing: %v", err)
	}
}

// TestWrap: what has a key of its own opens by the key that wraps that, in its own row, whole, and by nothing else.
func TestWrap(t *testing.T) {
	k := key(t, "k1", 0)
	e, err := Wrap(k, secret, [NonceSize]byte{1}, []byte("the answer"), []byte("row 7"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Open(k, e, []byte("row 7")); err != nil || string(got) != "the answer" || !Wrapped(e) {
		t.Fatalf("opened: %q, %v", got, err)
	}
	if id, err := KeyID(e); err != nil || id != "k1" {
		t.Errorf("key id %q, %v", id, err)
	}
	for i := range len(e) * 8 {
		hurt := bytes.Clone(e)
		hurt[i/8] ^= 1 << (i % 8)
		if got, err := Open(k, hurt, []byte("row 7")); err == nil || got != nil {
			t.Errorf("bit %d: %q", i, got)
		}
	}
	for n := range e {
		if _, err := Open(k, e[:n], []byte("row 7")); err == nil {
			t.Errorf("%d of %d bytes were opened", n, len(e))
		}
	}
	for name, other := range map[string]struct {
		key Key
		row string
	}{"another row": {k, "row 8"}, "another secret": {key(t, "k1", 1), "row 7"}, "another key": {key(t, "k2", 0), "row 7"}} {
		if got, err := Open(other.key, e, []byte(other.row)); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	if bytes.Contains(e, secret) || bytes.Contains(e, []byte("the answer")) {
		t.Error("the envelope shows what it holds")
	}
	if _, err := Wrap(k, secret[:5], [NonceSize]byte{}, nil, nil); err == nil {
		t.Error("a short secret was taken")
	}
	if _, err := Wrap(Key{}, secret, [NonceSize]byte{}, nil, nil); !errors.Is(err, errNoKey) {
		t.Errorf("wrapped without a key: %v", err)
	}
}

func TestNewKeyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		id     string
		secret []byte
	}{
		"no id": {"", secret}, "a long id": {strings.Repeat("x", MaxKeyID+1), secret}, "no secret": {"k", nil}, "a short secret": {"k", secret[:31]}, "a long one": {"k", append(secret, 1)},
	} {
		if _, err := NewKey(c.id, c.secret); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeyShowsNothing prints a key in every way, alone and inside others: neither its secret nor its id's neighbours come out.
func TestKeyShowsNothing(t *testing.T) {
	k := key(t, "k1", 0)
	type vault struct {
		Key  Key
		Ref  *Key
		mine Key
	}
	v := vault{k, &k, k}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%t", "%c", "%U", "%e"} {
		if got := fmt.Sprintf(verb, k); got != redacted {
			t.Errorf("%s prints %s", verb, got)
		}
		for _, what := range []any{k, &k, v, &v, []Key{k}, map[string]Key{"a": k}} {
			fmt.Fprintf(&out, verb+"\n", what)
		}
	}
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("a key", "key", k, "vault", v)
	slog.New(slog.NewTextHandler(&out, nil)).Info("a key", "key", k, "vault", v)
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	for _, s := range []string{"SECRET", fmt.Sprintf("%x", secret[8:16]), fmt.Sprintf("%X", secret[8:16]), fmt.Sprint(secret[8:12])[1:12], "0x53, 0x45"} {
		if strings.Contains(out.String(), s) {
			t.Errorf("%q came out", s)
		}
	}
	if !strings.Contains(out.String(), redacted) || k.String() != redacted || k.GoString() != redacted {
		t.Error("a key does not say that it is one")
	}
}

func FuzzOpen(f *testing.F) {
	k := key(f, "k1", 0)
	good := sealed(f, k, "the answer", "row 7")
	f.Add(good, []byte("row 7"))
	f.Add([]byte{version, 255}, []byte{})
	f.Add(bytes.Repeat([]byte{version}, 64), []byte("row 7"))
	enclosed, err := Wrap(k, bytes.Repeat([]byte{7}, KeySize), [NonceSize]byte{2}, []byte("the answer"), []byte("row 7"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(enclosed, []byte("row 7"))
	f.Add([]byte{wrapped, 3, wrapped, 1, 0}, []byte{})
	f.Fuzz(func(t *testing.T, envelope, additional []byte) {
		_, _ = KeyID(envelope)
		got, err := Open(k, envelope, additional)
		if err == nil && (!bytes.Equal(envelope, good) && !bytes.Equal(envelope, enclosed) || string(additional) != "row 7" || string(got) != "the answer") {
			t.Fatalf("forged: %x", envelope)
		}
		again := sealed(t, k, string(envelope), string(additional))
		if back, err := Open(k, again, additional); err != nil || !bytes.Equal(back, envelope) {
			t.Fatalf("sealed and opened: %v", err)
		}
	})
}
