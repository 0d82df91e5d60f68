package seal

import "fmt"

// wrapped is the version of envelopes whose bytes have a key of their own.
const wrapped = 2

// own names the key inside: its id says nothing, because it opens one envelope alone.
const own = "own"

// Wrap seals plaintext with a key that is made for these bytes alone, and that key with k: version, length of the wrapped key, the wrapped
// key's envelope, the plaintext's envelope. Without k nothing of it opens any more, wherever a copy of it lies. secret has KeySize random
// bytes and is used once.
func Wrap(k Key, secret []byte, nonce [NonceSize]byte, plaintext, additional []byte) ([]byte, error) {
	mine, err := NewKey(own, secret)
	if err != nil {
		return nil, err
	}
	head, err := Seal(k, nonce, secret, additional)
	if err != nil {
		return nil, err
	}
	body, err := Seal(mine, [NonceSize]byte{}, plaintext, additional) // a key that seals once needs no nonce
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 2+len(head)+len(body))
	out = append(out, wrapped, byte(len(head)))
	return append(append(out, head...), body...), nil
}

// Wrapped tells whether an envelope was made by Wrap.
func Wrapped(envelope []byte) bool { return len(envelope) > 0 && envelope[0] == wrapped }

// unwrap cuts such an envelope into the key's and the plaintext's.
func unwrap(envelope []byte) (head, body []byte, err error) {
	if len(envelope) < 2 || len(envelope) < 2+int(envelope[1]) {
		return nil, nil, fmt.Errorf("%w: the wrapped key is cut", ErrMalformed)
	}
	n := 2 + int(envelope[1])
	return envelope[2:n], envelope[n:], nil
}

// openWrapped opens the key and then what it closes.
func openWrapped(k Key, envelope, additional []byte) ([]byte, error) {
	head, body, err := unwrap(envelope)
	if err != nil {
		return nil, err
	}
	if Wrapped(head) || Wrapped(body) {
		return nil, fmt.Errorf("%w: wrapped twice", ErrMalformed)
	}
	secret, err := Open(k, head, additional)
	if err != nil {
		return nil, err
	}
	mine, err := NewKey(own, secret)
	if err != nil {
		return nil, fmt.Errorf("%w: the wrapped key is none", ErrMalformed)
	}
	return Open(mine, body, additional)
}
