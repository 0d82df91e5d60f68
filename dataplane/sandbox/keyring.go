package sandbox

import "crypto/sha256"

// keyring holds, per account and idempotency key, the answer that was given, or the call that is in progress.
type keyring struct{ uses *shelf[*use] }

type use struct {
	params [sha256.Size]byte
	by     *call   // in progress, if not nil
	answer *answer // stored, if not nil
}

func newKeyring(keep int) *keyring { return &keyring{newShelf[*use](keep)} }

func keyOf(c *call) string { return c.secret + "\x00" + c.key }

func paramsOf(c *call) [sha256.Size]byte {
	return sha256.Sum256([]byte(c.method + " " + c.path + "\n" + c.form.Encode()))
}

// admit takes the key for c, or answers.
func (k *keyring) admit(c *call) *answer {
	u, known := k.uses.byID[keyOf(c)]
	switch {
	case !known:
		k.uses.put(keyOf(c), &use{params: paramsOf(c), by: c})
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
