package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the length of a key's secret: AES-256.
const KeySize = 32

// MaxKeyID bounds a key's id, whose length is one byte in an envelope.
const MaxKeyID = 64

// redacted is all that a key ever prints.
const redacted = "[a sealing key]"

// Key seals and opens. It holds the cipher and not the secret, behind a pointer, so that printing a struct around it shows nothing.
type Key struct {
	id   string
	aead cipher.AEAD
}

// NewKey makes a key of a secret with KeySize bytes. The secret is not kept.
func NewKey(id string, secret []byte) (Key, error) {
	if id == "" || len(id) > MaxKeyID {
		return Key{}, fmt.Errorf("seal: a key's id has 1 to %d bytes, not %d", MaxKeyID, len(id))
	}
	if len(secret) != KeySize {
		return Key{}, fmt.Errorf("seal: a key has %d bytes, not %d", KeySize, len(secret))
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return Key{}, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return Key{}, fmt.Errorf("seal: %w", err)
	}
	return Key{id, aead}, nil
}

// ID names the key; it is no secret.
func (k Key) ID() string { return k.id }

// String shows nothing of the key.
func (k Key) String() string { return redacted }

// GoString shows nothing of the key.
func (k Key) GoString() string { return redacted }

// Format shows nothing of the key, whatever the verb: without it %d would print the fields.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue shows nothing of the key.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText shows nothing of the key.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
