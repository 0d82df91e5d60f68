package dataplane

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"segue/controlplane/seal"
	"segue/dataplane/settle"
)

// secretSize is the length of the agent's secrets.
const secretSize = seal.KeySize

// openVault opens the agent's secrets, and makes them at the first start: a ring of daily keys that seal what is kept, and the secret of
// the keys that providers are sent. They are readable by their owner alone, and lie outside the store.
func openVault(dir string, now func() time.Time) (*settle.Vault, *settle.Ring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("dataplane: keys: %w", err)
	}
	keys, err := secret(filepath.Join(dir, "provider-keys"))
	if err != nil {
		return nil, nil, err
	}
	ring, err := settle.OpenRing(dir, now)
	if err != nil {
		return nil, nil, fmt.Errorf("dataplane: %w", err)
	}
	return settle.NewDailyVault(ring, keys), ring, nil
}

// hintKey is the key that seals hints. It stands beside the vault's, so that agents which share these can replay each other's.
func hintKey(dir string) (seal.Key, error) {
	b, err := secret(filepath.Join(dir, "hints"))
	if err != nil {
		return seal.Key{}, err
	}
	key, err := seal.NewKey("hints-1", b)
	if err != nil {
		return seal.Key{}, fmt.Errorf("dataplane: keys: %w", err)
	}
	return key, nil
}

// secret reads a secret, or makes it. It is never made anew beside one that exists: without the old one no provider's key can be made again.
func secret(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = make([]byte, secretSize)
		_, _ = rand.Read(b) // it never fails: the program ends where the system has no randomness
		b, err = first(path, b)
	}
	if err != nil {
		return nil, fmt.Errorf("dataplane: keys: %w", err)
	}
	if len(b) != secretSize {
		return nil, fmt.Errorf("dataplane: keys: %s has %d bytes, not %d; bring the right one back, or move the file away and lose what was stored with it", path, len(b), secretSize)
	}
	return b, nil
}

// first makes the file of a secret, and returns what is in it: agents that share their keys may start at once, and one of them is first.
func first(path string, b []byte) ([]byte, error) {
	mine := path + "." + nonce()
	if err := writeDurable(mine, b, 0o600); err != nil {
		return nil, err
	}
	err := os.Link(mine, path)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err = errors.Join(err, os.Remove(mine), syncDir(filepath.Dir(path))); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
