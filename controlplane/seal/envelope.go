package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// NonceSize is the length of a nonce. A nonce must never come twice under one key: random ones are good for 2³² envelopes.
const NonceSize = 12

// Overhead is how much longer than its bytes an envelope is, without the key's id.
const Overhead = 2 + NonceSize + tagSize

const (
	version = 1
	tagSize = 16
)

var (
	// ErrForged says that an envelope was not sealed by this key, or not with these additional bytes, or was changed.
	ErrForged = errors.New("seal: the envelope was not sealed with this key and these additional bytes, or it was changed")
	// ErrMalformed says that bytes are no envelope.
	ErrMalformed = errors.New("seal: not an envelope")
	// ErrVersion says that an envelope is of a form that this program does not know.
	ErrVersion = errors.New("seal: the envelope is of a newer form than this program knows")
	// ErrOtherKey says that an envelope names another key.
	ErrOtherKey = errors.New("seal: the envelope names another key")
	errNoKey    = errors.New("seal: the key was not made by NewKey")
)

// Seal puts plaintext into an envelope: version, length of the key's id, id, nonce, ciphertext with its tag. Whoever opens it must
// name the same additional bytes: they say what the envelope belongs to, so that it cannot be moved to another row.
func Seal(k Key, nonce [NonceSize]byte, plaintext, additional []byte) ([]byte, error) {
	if k.aead == nil {
		return nil, errNoKey
	}
	out := make([]byte, 0, Overhead+len(k.id)+len(plaintext))
	out = append(out, version, byte(len(k.id)))
	out = append(out, k.id...)
	bound := bind(out, additional)
	out = append(out, nonce[:]...)
	return k.aead.Seal(out, nonce[:], plaintext, bound), nil
}

// Open returns what an envelope holds.
func Open(k Key, envelope, additional []byte) ([]byte, error) {
	if k.aead == nil {
		return nil, errNoKey
	}
	if Wrapped(envelope) {
		return openWrapped(k, envelope, additional)
	}
	head, rest, err := split(envelope)
	if err != nil {
		return nil, err
	}
	if id := string(head[2:]); id != k.id {
		return nil, fmt.Errorf("%w: %.64q, not %.64q", ErrOtherKey, id, k.id)
	}
	plaintext, err := k.aead.Open(nil, rest[:NonceSize], rest[NonceSize:], bind(head, additional))
	if err != nil {
		return nil, ErrForged // the cipher's own error says nothing more
	}
	return plaintext, nil
}

// KeyID tells which key opens an envelope.
func KeyID(envelope []byte) (string, error) {
	if Wrapped(envelope) {
		inner, _, err := unwrap(envelope)
		if err != nil {
			return "", err
		}
		if Wrapped(inner) {
			return "", fmt.Errorf("%w: wrapped twice", ErrMalformed)
		}
		envelope = inner
	}
	head, _, err := split(envelope)
	if err != nil {
		return "", err
	}
	return string(head[2:]), nil
}

// split cuts an envelope into its head (version, length, id) and the rest, which is long enough for nonce and tag.
func split(envelope []byte) (head, rest []byte, err error) {
	if len(envelope) < Overhead {
		return nil, nil, fmt.Errorf("%w: %d bytes are too few", ErrMalformed, len(envelope))
	}
	if envelope[0] != version {
		if envelope[0] == 0 {
			return nil, nil, fmt.Errorf("%w: version 0", ErrMalformed)
		}
		return nil, nil, fmt.Errorf("%w: %d, not %d", ErrVersion, envelope[0], version)
	}
	n := int(envelope[1])
	if n == 0 || n > MaxKeyID || len(envelope) < Overhead+n {
		return nil, nil, fmt.Errorf("%w: a key id of %d bytes does not fit", ErrMalformed, n)
	}
	return envelope[:2+n], envelope[2+n:], nil
}

// bind makes the bytes that the tag covers beside the ciphertext. The head's length stands first, so that no byte can move between
// head and additional bytes.
func bind(head, additional []byte) []byte {
	out := make([]byte, 0, 8+len(head)+len(additional))
	out = binary.BigEndian.AppendUint64(out, uint64(len(head)))
	out = append(out, head...)
	return append(out, additional...)
}
