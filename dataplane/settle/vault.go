package settle

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"segue/controlplane/seal"
	"segue/dataplane/ledger"
)

// Vault holds what an agent keeps secret for its rows: the key that seals stored answers, and the secret of the keys that
// providers are sent.
type Vault struct {
	key    seal.Key
	secret []byte
}

// NewVault makes a vault of two secrets.
func NewVault(key seal.Key, secret []byte) *Vault { return &Vault{key, secret} }

// Secret is what ledger.ProviderKeyFor makes keys with.
func (v *Vault) Secret() []byte { return v.secret }

// Seal closes a body for t: in another row it does not open.
func (v *Vault) Seal(body []byte, t *ledger.Transaction) (sealed []byte, keyID string, err error) {
	var nonce [seal.NonceSize]byte
	_, _ = rand.Read(nonce[:]) // it never fails: the program ends where the system has no randomness
	sealed, err = seal.Seal(v.key, nonce, body, []byte(t.ID))
	if err != nil {
		return nil, "", fmt.Errorf("settle: %w", err)
	}
	return sealed, v.key.ID(), nil
}

// Unseal opens what Seal closed for t.
func (v *Vault) Unseal(sealed []byte, t *ledger.Transaction) ([]byte, error) {
	plain, err := seal.Open(v.key, sealed, []byte(t.ID))
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	return plain, nil
}

// Open returns the body of t's stored answer.
func (v *Vault) Open(t *ledger.Transaction) ([]byte, error) {
	if t.Answer == nil || !t.Answer.Kept {
		return nil, errors.New("settle: no answer is kept")
	}
	body, err := seal.Open(v.key, t.Answer.Sealed, []byte(t.ID))
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	if sha256.Sum256(body) != t.Answer.Hash {
		return nil, errors.New("settle: the stored answer is not the one that was recorded")
	}
	return body, nil
}
