package sandbox

import (
	"crypto/sha256"
	"time"
)

// keyRules are what a vendor says of its keys.
type keyRules struct {
	header  string
	life    time.Duration
	longest int                                   // 0: nobody says
	stores  func(failed *apiError, told int) bool // is this answer told again?
	long    func() answer
	other   func() answer // the same key with other parameters; nil: the first answer is told again
	busy    func() answer // the first is in progress
}

// stripeKeys are Stripe's: https://docs.stripe.com/api/idempotent_requests.
func stripeKeys() *keyRules {
	return &keyRules{
		header: "Idempotency-Key", life: 24 * time.Hour, longest: 255,
		stores: func(failed *apiError, _ int) bool { return failed == nil || failed.Status == 402 },
		long: func() answer {
			return refuseKey(400, "invalid_request_error", "", "Idempotency keys can be at most 255 characters long.")
		},
		other: func() answer {
			return refuseKey(400, "idempotency_error", "", "Keys for idempotent requests can only be used with the same parameters they were first used with.")
		},
		busy: func() answer {
			return refuseKey(409, "idempotency_error", "idempotency_key_in_use", "There is currently another in-progress request using this Idempotent Key.")
		},
	}
}

// keyring holds, per account and idempotency key, the answer that was given, or the call that is in progress.
type keyring struct {
	uses *shelf[*use]
	now  func() time.Time
	*keyRules
}

type use struct {
	since  time.Time
	params [sha256.Size]byte
	by     *call   // in progress, if not nil
	answer *answer // stored, if not nil
}

func newKeyring(rules *keyRules, keep int, now func() time.Time) *keyring {
	return &keyring{newShelf[*use](keep), now, rules}
}

func keyOf(c *call) string { return c.secret + "\x00" + c.key }

func paramsOf(c *call) [sha256.Size]byte {
	return sha256.Sum256([]byte(c.method + " " + c.path + "\n" + c.form.Encode() + c.doc.text))
}

// admit takes the key for c, or answers.
func (k *keyring) admit(c *call) *answer {
	if k.longest > 0 && len(c.key) > k.longest {
		a := k.long()
		return &a
	}
	u, known := k.uses.byID[keyOf(c)]
	switch {
	case !known:
		k.uses.put(keyOf(c), &use{since: k.now(), params: paramsOf(c), by: c})
		return nil
	case u.by == nil && k.now().Sub(u.since) >= k.life:
		*u = use{since: k.now(), params: paramsOf(c), by: c} // it was removed: a request like any other
		return nil
	case u.answer == nil && (u.by == nil || u.by.life.Err() != nil):
		u.by, u.params = c, paramsOf(c) // nothing came of the earlier use: the key is as good as new
		return nil
	case u.params != paramsOf(c) && k.other != nil:
		a := k.other()
		return &a
	case u.answer == nil:
		a := k.busy()
		return &a
	}
	a := *u.answer
	a.replayed = true
	return &a
}

func refuseKey(status int, kind, code, message string) answer {
	return jsonAnswer(status, stripeError(&apiError{Status: status, Type: kind, Code: code, Message: message}))
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
