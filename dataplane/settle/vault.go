package settle

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"segue/controlplane/seal"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// Keys are where a vault has its keys from: the one that seals now, and each that opens.
type Keys interface {
	Today() (seal.Key, error)
	Key(id string) (seal.Key, error)
}

// Vault holds what an agent keeps secret for its rows: the keys that seal what is kept of requests and answers, and the secret of the keys
// that providers are sent. What is sealed has a key of its own, which the day's key wraps.
type Vault struct {
	keys   Keys
	secret []byte
}

// NewVault makes a vault of one key that never ends and a secret.
func NewVault(key seal.Key, secret []byte) *Vault { return &Vault{one{key}, secret} }

// NewDailyVault makes a vault of a ring of keys and a secret.
func NewDailyVault(keys Keys, secret []byte) *Vault { return &Vault{keys, secret} }

// one is a ring of one key.
type one struct{ key seal.Key }

func (o one) Today() (seal.Key, error)     { return o.key, nil }
func (o one) Key(string) (seal.Key, error) { return o.key, nil }

// Secret is what ledger.ProviderKeyFor makes keys with.
func (v *Vault) Secret() []byte { return v.secret }

// SealFor closes bytes for the row or part that owner names: as another's they do not open. It returns the id of the key beside them.
func (v *Vault) SealFor(owner string, plain []byte) (sealed []byte, keyID string, err error) {
	key, err := v.keys.Today()
	if err != nil {
		return nil, "", fmt.Errorf("settle: %w", err)
	}
	var nonce [seal.NonceSize]byte
	secret := make([]byte, seal.KeySize)
	_, _ = rand.Read(nonce[:]) // it never fails: the program ends where the system has no randomness
	_, _ = rand.Read(secret)
	sealed, err = seal.Wrap(key, secret, nonce, plain, []byte(owner))
	if err != nil {
		return nil, "", fmt.Errorf("settle: %w", err)
	}
	return sealed, key.ID(), nil
}

// OpenFor returns what SealFor closed for owner, while the key's life lasts.
func (v *Vault) OpenFor(owner string, sealed []byte) ([]byte, error) {
	id, err := seal.KeyID(sealed)
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	key, err := v.keys.Key(id)
	if err != nil {
		return nil, err
	}
	plain, err := seal.Open(key, sealed, []byte(owner))
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	return plain, nil
}

// Seal closes an answer for t, its header too: it may set cookies, or say again what the caller sent.
func (v *Vault) Seal(h message.Header, body []byte, t *ledger.Transaction) (sealed []byte, keyID string, err error) {
	return v.SealFor(t.ID, appendAnswer(nil, h, body))
}

// Answer returns header and body of t's stored answer.
func (v *Vault) Answer(t *ledger.Transaction) (message.Header, []byte, error) {
	if t.Answer == nil || !t.Answer.Kept {
		return nil, nil, errors.New("settle: no answer is kept")
	}
	plain, err := v.OpenFor(t.ID, t.Answer.Sealed)
	if err != nil {
		return nil, nil, err
	}
	h, body := t.Answer.Header, plain // before answers had keys of their own, their header stood in the row
	if seal.Wrapped(t.Answer.Sealed) {
		if h, body, err = splitAnswer(plain); err != nil {
			return nil, nil, err
		}
	}
	if sha256.Sum256(body) != t.Answer.Hash {
		return nil, nil, errors.New("settle: the stored answer is not the one that was recorded")
	}
	return h, body, nil
}

// Open returns the body of t's stored answer.
func (v *Vault) Open(t *ledger.Transaction) ([]byte, error) {
	_, body, err := v.Answer(t)
	return body, err
}
