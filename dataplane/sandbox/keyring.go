package sandbox

import (
	"crypto/sha256"
	"time"
)

// Stripe's own bounds of keys: https://docs.stripe.com/api/idempotent_requests.
const (
	keyLife    = 24 * time.Hour
	longestKey = 255
)

// keyring holds, per account and idempotency key, the answer that was given, or the call that is in progress.
type keyring struct {
	uses *shelf[*use]
	now  func() time.Time
}

type use struct {
	since  time.Time
	params [sha256.Size]byte
	by     *call   // in progress, if not nil
	answer *answer // stored, if not nil
}

func newKeyring(keep int, now func() time.Time) *keyring { return &keyring{newShelf[*use](keep), now} }

func keyOf(c *call) string { return c.secret + "\x00" + c.key }

func paramsOf(c *call) [sha256.Size]byte {
	return sha256.Sum256([]byte(c.method + " " + c.path + "\n" + c.form.Encode()))
}

// admit takes the key for c, or answers.
func (k *keyring) admit(c *call) *answer {
	if len(c.key) > longestKey {
		return refuseKey(400, "invalid_request_error", "", "Idempotency keys can be at most 255 characters long.")
	}
	u, known := k.uses.byID[keyOf(c)]
	switch {
	case !known:
		k.uses.put(keyOf(c), &use{since: k.now(), params: paramsOf(c), by: c})
		return nil
	case u.by == nil && k.now().Sub(u.since) >= keyLife:
		*u = use{since: k.now(), params: paramsOf(c), by: c} // it was removed: a request like any other
		return nil
	case u.answer == nil && (u.by == nil || u.by.life.Err() != nil):
		u.by, u.params = c, paramsOf(c) // nothing came of the earlier use: the key is as good as new
		return nil
	case u.params != paramsOf(c):
		return refuseKey(400, "idempotency_error", "",
			"Keys for idempotent requests can only be used with the same parameters they were first used with.")
	case u.answer == nil:
		return refuseKey(409, "idempotency_error", "idempotency_key_in_use",
			"There is currently another in-progress request using this Idempotent Key.")
	}
	a := *u.answer
	a.replayed = true
	return &a
}

func refuseKey(status int, kind, code, message string) *answer {
	a := jsonAnswer(status, stripeError(&apiError{Status: status, Type: kind, Code: code, Message: message}))
	return &a
}

// inUse counts the calls that are in progress under a key.
func (k *keyring) inUse() int {
	n := 0
	for _, u := range k.uses.byID {
		if u.by != nil {
			n++
		}
	}
	return n
}

func (k *keyring) store(c *call, a answer) {
	if u := k.uses.byID[keyOf(c)]; u != nil && u.by == c {
		u.by, u.answer = nil, &a
	}
}

// release gives the key back if c still has it: nothing was stored.
func (k *keyring) release(c *call) {
	if u := k.uses.byID[keyOf(c)]; u != nil && u.by == c {
		u.by = nil
	}
}
