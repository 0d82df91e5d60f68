package policy

import (
	"encoding/hex"
	"strings"
)

// Syntax says what a key may be made of at a provider.
type Syntax string

// The syntaxes.
const (
	SyntaxToken    Syntax = "token"        // letters, digits, - and _
	SyntaxAlphanum Syntax = "alphanumeric" // letters and digits
	SyntaxUUID     Syntax = "uuid"         // 8-4-4-4-12 hexadecimal digits
)

func syntaxes() []string {
	return []string{string(SyntaxToken), string(SyntaxAlphanum), string(SyntaxUUID)}
}

// Bounds of keys that Segue makes: 128 bits at least, so that nobody else makes the same.
const (
	minKeyDigits = 32
	uuidLength   = 36
)

// Takes tells whether the provider takes a key as it is.
func (k Keys) Takes(key string) bool {
	if k.Max > 0 && len(key) > k.Max {
		return false
	}
	switch k.Syntax {
	case SyntaxToken:
		return strings.Trim(key, keyLetters+"-_") == ""
	case SyntaxAlphanum:
		return strings.Trim(key, keyLetters) == ""
	case SyntaxUUID:
		return isUUID(key)
	default:
		return true
	}
}

const keyLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func isUUID(key string) bool {
	if len(key) != uuidLength {
		return false
	}
	for i := range len(key) {
		switch i {
		case 8, 13, 18, 23:
			if key[i] != '-' {
				return false
			}
		default:
			if strings.IndexByte("0123456789abcdefABCDEF", key[i]) < 0 {
				return false
			}
		}
	}
	return true
}

// Make writes a key of Segue's as the provider takes it. sum is what makes it its own, 20 bytes of a hash.
func (k Keys) Make(sum [20]byte) string {
	if k.Syntax == SyntaxUUID {
		sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8: of our own making (RFC 9562)
		h := hex.EncodeToString(sum[:16])
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	}
	digits := hex.EncodeToString(sum[:])
	key := "segue-" + digits
	if k.Syntax == SyntaxAlphanum {
		key = "segue" + digits
	}
	if k.Max > 0 && len(key) > k.Max { // Validate asks for room for 32 digits
		key = digits[:min(len(digits), k.Max)]
	}
	return key
}

// shortest is the shortest limit under which a key of Segue's fits.
func (k Keys) shortest() int {
	if k.Syntax == SyntaxUUID {
		return uuidLength
	}
	return minKeyDigits
}
