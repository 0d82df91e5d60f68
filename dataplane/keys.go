package dataplane

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"segue/controlplane/seal"
	"segue/dataplane/settle"
)

// secretSize is the length of the agent's secrets.
const secretSize = seal.KeySize

// openVault reads the agent's secrets, and makes them at the first start. They are readable by their owner alone. They are never made
// anew beside one that exists: without the old ones nothing that was stored can be read.
func openVault(dir string) (*settle.Vault, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("dataplane: keys: %w", err)
	}
	sealing, err := secret(filepath.Join(dir, "answers"))
	if err != nil {
		return nil, err
	}
	keys, err := secret(filepath.Join(dir, "provider-keys"))
	if err != nil {
		return nil, err
	}
	key, err := seal.NewKey("answers-1", sealing)
	if err != nil {
		return nil, fmt.Errorf("dataplane: keys: %w", err)
	}
	return settle.NewVault(key, keys), nil
}

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
