package ledger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// MaxKey is the longest idempotency key that is taken, in bytes: what the providers that Segue knows take themselves.
const MaxKey = 255

// derivedPrefix marks keys that were derived. A caller's key may not begin with it: it could meet another's derived key.
const derivedPrefix = "segue-derived-"

// FingerprintVersion says how Fingerprint is made now. A row of another version cannot be compared: it was made by other rules.
const FingerprintVersion = 1

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes a transaction's id from the time and 80 random bits: ids sort by time, and none can be guessed.
func NewID(now time.Time, random [10]byte) string { return "tx_" + sortable(now, random) }

// NewAttemptID makes an attempt's id the same way.
func NewAttemptID(now time.Time, random [10]byte) string { return "at_" + sortable(now, random) }

// sortable is 48 bits of milliseconds and 80 random ones as 26 letters. Like a ULID, but the spare bits stand at the end.
func sortable(now time.Time, random [10]byte) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(max(0, now.UnixMilli()))<<16)
	copy(b[6:], random[:])
	return crockford.EncodeToString(b[:])
}

// ParseKey reads the Idempotency-Key lines of a request. Bare (abc) and quoted ("abc", RFC 8941) are one key, because SDKs send both.
func ParseKey(lines []string) (string, error) {
	switch len(lines) {
	case 0:
		return "", errors.New("no key was sent")
	case 1:
	default:
		return "", fmt.Errorf("%d lines were sent; two readers could take either: send one", len(lines))
	}
	key := strings.Trim(lines[0], " \t")
	if strings.HasPrefix(key, `"`) {
		var err error
		if key, err = unquote(key); err != nil {
			return "", err
		}
	}
	return key, checkKey(key)
}

// unquote reads an RFC 8941 string. Parameters after it are refused: none is defined for a key.
func unquote(s string) (string, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			if i+1 < len(s) {
				return "", fmt.Errorf("something follows the closing quote, at byte %d", i+2)
			}
			return b.String(), nil
		case '\\':
			if i++; i >= len(s) || s[i] != '"' && s[i] != '\\' {
				return "", fmt.Errorf(`a backslash may stand before " or \ only, at byte %d`, i)
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("the closing quote is missing")
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("it is empty")
	case len(key) > MaxKey:
		return fmt.Errorf("it has %d bytes; at most %d are taken", len(key), MaxKey)
	case strings.HasPrefix(key, derivedPrefix), strings.HasPrefix(key, compensationPrefix):
		return fmt.Errorf("keys that begin with %s or %s are made by Segue", derivedPrefix, compensationPrefix)
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return fmt.Errorf("byte %d is %#02x; only printable ASCII is taken", i+1, key[i])
		}
	}
	return nil
}

// accountHeaders say on whose behalf a request is made: the same bytes for another account are another request.
var accountHeaders = [...]string{"Stripe-Account"}

// Fingerprint tells one request from another under the same key. It covers the operation, the target (the same refund of another
// charge is another request), the media type, the exact bytes, and on whose behalf it is asked.
func Fingerprint(operation string, r *message.Request) [32]byte {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	h := sha256.New()
	h.Write([]byte{FingerprintVersion})
	lengthPrefixed(h, operation, r.Method, r.Path, r.RawQuery, strings.ToLower(strings.TrimSpace(media)))
	for _, name := range accountHeaders {
		if r.Header.Has(name) {
			lengthPrefixed(h, name, r.Header.Get(name))
		}
	}
	writeLength(h, int(r.Size()))
	if r.Size() > message.InMemory { // wherever it is kept; its length stands before it, so that no small body looks like it
		sum := r.Sum()
		h.Write(sum[:])
	} else {
		h.Write(r.Body)
	}
	for i := range r.Trailer {
		lengthPrefixed(h, r.Trailer[i].Name, r.Trailer[i].Value)
	}
	return [32]byte(h.Sum(nil))
}

// DeriveKey makes a key from the fields that the policy says are unique per intent. With a window, a repeat may fall into the next
// window though little time has passed: whoever looks a key up must look for previous too, and a row found there counts if
// Within says so. To close the race between the two, hold both keys while claiming (an agent's set of live keys does). previous is
// "" when there is no window: the key holds for ever.
func DeriveKey(op *policy.Operation, r *message.Request, now time.Time) (current, previous string, err error) {
	values := make([]string, 0, len(op.Key.Derive))
	for _, f := range op.Key.Derive {
		v, ok := op.Value(f, r.Path, r.Header.Get("Content-Type"), r.Body, r.Header.Get)
		if !ok {
			return "", "", fmt.Errorf("%s is missing, empty, too long or there twice", f)
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return "", "", fmt.Errorf("the operation %s derives no key", op.Name)
	}
	current, previous = derive(op.Name, values, op.Key.Within, now)
	return current, previous, nil
}

func derive(operation string, values []string, within time.Duration, now time.Time) (current, previous string) {
	if within <= 0 {
		return derived(operation, values, 0, 0), ""
	}
	window := floor(now.UnixNano(), int64(within))
	return derived(operation, values, within, window), derived(operation, values, within, window-1)
}

// floor divides towards the past, before 1970 too: windows do not overlap.
func floor(a, b int64) int64 {
	if a < 0 && a%b != 0 {
		return a/b - 1
	}
	return a / b
}

func derived(operation string, values []string, within time.Duration, window int64) string {
	h := sha256.New()
	var times [16]byte
	binary.BigEndian.PutUint64(times[:8], uint64(within))
	binary.BigEndian.PutUint64(times[8:], uint64(window))
	h.Write(times[:])
	lengthPrefixed(h, operation)
	lengthPrefixed(h, values...)
	return derivedPrefix + hex.EncodeToString(h.Sum(nil)[:20])
}

// Within tells whether t, found under the previous window's derived key, is the same intent as a request that comes now.
func (t *Transaction) Within(window time.Duration, now time.Time) bool {
	return now.Sub(t.Created) < window
}

// ProviderKey is the key that a provider is sent where it is not the application's own: nobody without the secret can make it, and no
// two of (transaction, provider, account, n) share one.
func ProviderKey(secret []byte, keys policy.Keys, id, provider, account string, n int) string {
	h := hmac.New(sha256.New, secret)
	lengthPrefixed(h, id, provider, account)
	writeLength(h, n)
	return keys.Make([20]byte(h.Sum(nil)[:20]))
}

// PinnedID is the id of the transaction of a key whose first attempt goes to an offline pin, and PinnedAttemptID that attempt's: two regions that do not
// hear of each other make the same, so that the provider is sent the same request, and what each learnt is about one attempt.
func PinnedID(k Key) string { return "tx_" + pinned(k, "transaction") }

// PinnedAttemptID is the id of that attempt.
func PinnedAttemptID(k Key) string { return "at_" + pinned(k, "attempt") }

func pinned(k Key, what string) string {
	h := sha256.New()
	lengthPrefixed(h, "offline pin", what, k.App, k.Service, k.Key)
	return crockford.EncodeToString(h.Sum(nil)[:16])
}

// Account names the domain in which a provider knows the keys of a request: the policy's name for it, and where the credential is the
// caller's own, a short print of that too. Another credential may open another account, where the same key would execute again.
func Account(c *policy.Candidate, h message.Header) string {
	if c.Credential.Kind != policy.CredentialCaller {
		return c.Account
	}
	slot := "Authorization"
	if c.Contract != nil && c.Contract.Credential.Header != "" {
		slot = c.Contract.Credential.Header
	}
	if !h.Has(slot) {
		return c.Account
	}
	print := sha256.New()
	for i := range h {
		if strings.EqualFold(h[i].Name, slot) {
			lengthPrefixed(print, h[i].Value)
		}
	}
	return c.Account + "/" + hex.EncodeToString(print.Sum(nil)[:4])
}

// ProviderKeyFor is the key for the attempt that t is about to make at c. The first attempt at a provider whose API the application
// speaks sends the application's own key, so that a retry that bypasses Segue meets it. A derived key is no application's: it
// is never sent.
func ProviderKeyFor(secret []byte, t *Transaction, c *policy.Candidate) string {
	own := t.Key.Key
	var keys policy.Keys
	if c.Contract != nil {
		keys = c.Contract.Keys
	}
	if len(t.Attempts) == 0 && c.SpeaksNative && keys.Takes(own) && !strings.HasPrefix(own, derivedPrefix) {
		return own
	}
	return ProviderKey(secret, keys, t.ID, c.Provider, c.Account, t.definite(c.Provider, c.Account))
}

// Reference is our name for the attempt that t is about to make there. It rises with the provider key's n: a lookup names one of them.
func Reference(t *Transaction, provider, account string) string {
	return fmt.Sprintf("%s-%d", t.ID, t.definite(provider, account))
}

// TransactionOf returns the id of the transaction that made a reference: a webhook needs no index.
func TransactionOf(reference string) (id string, ok bool) {
	i := strings.LastIndexByte(reference, '-')
	if i <= len("tx_") || !strings.HasPrefix(reference, "tx_") {
		return "", false
	}
	if _, err := strconv.ParseUint(reference[i+1:], 10, 16); err != nil {
		return "", false
	}
	return reference[:i], true
}

// definite counts the attempts at a provider whose outcome is certain. Only they raise n: after an unknown outcome the same key must
// meet what may have been executed. A settle window that passed is no definite result of the provider's.
func (t *Transaction) definite(provider, account string) int {
	n := 0
	for i := range t.Attempts {
		a := &t.Attempts[i]
		if a.Provider == provider && a.Account == account && a.Outcome.Definite() && a.How != ByWindow {
			n++
		}
	}
	return n
}

// lengthPrefixed writes texts so that no two lists of them look alike: ("ab","c") is not ("a","bc").
func lengthPrefixed(h hash.Hash, texts ...string) {
	writeLength(h, len(texts))
	for _, s := range texts {
		writeLength(h, len(s))
		h.Write([]byte(s))
	}
}

func writeLength(h hash.Hash, n int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

// Hash is what a store files the key under: one length for every key, and no text of an application in an index.
func (k Key) Hash() [32]byte {
	var room [512]byte // enough for every key of a caller: then nothing is allocated
	b := binary.BigEndian.AppendUint64(room[:0], 3)
	for _, s := range [...]string{k.App, k.Service, k.Key} {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	return sha256.Sum256(b)
}
