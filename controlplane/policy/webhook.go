package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Webhooks are what a provider tells by itself: how it signs, where our reference stands, which words mean what.
type Webhooks struct {
	By        Field // where a request carries our reference, if nothing looks it up
	Wins      Winner
	Of        []string
	Signature Signature
	Items     string // where a list of one notice stands; "": the body is the notice
	Item      string // where the notice stands in an item of the list
	Reference string // where a notice names our reference
	ID        string // where it names the object
	States    States
}

// Signature says how a notice is signed: HMAC-SHA256 with a secret that the provider's policy names.
type Signature struct {
	Scheme    Scheme
	Header    string // where the signature stands; a JSON Web Token stands behind Bearer
	In        string // scheme fields: where it stands in the notice
	Part      string // v1, where the header is a list like t=1,v1=abc
	Time      string // t of that list, or a header of its own
	Encoding  Encoding
	Secret    Encoding // how the secret is written; "": as it is
	Fields    []string // scheme fields: what is signed, joined by a colon
	Tolerance time.Duration
}

// Scheme is what is signed.
type Scheme string

// The schemes.
const (
	SignedBody   Scheme = "body"      // the body
	SignedTime   Scheme = "time.body" // the time, a point, the body
	SignedFields Scheme = "fields"    // some fields of the notice
	SignedToken  Scheme = "jwt"       // a token (HS256) with the body's SHA-256 as payload_hash, and the time as iat
)

func schemes() []string {
	return []string{string(SignedBody), string(SignedTime), string(SignedFields), string(SignedToken)}
}

// Encoding is how bytes are written as text.
type Encoding string

// The encodings.
const (
	InHex    Encoding = "hex"
	InBase64 Encoding = "base64"
)

func encodings() []string { return []string{string(InHex), string(InBase64)} }

// Notice is what a webhook says.
type Notice struct {
	Shows     Shown
	Reference string
	ID        string
	Body      []byte // the notice
}

// What is wrong with a notice.
var (
	ErrUnsigned = errors.New("the signature is not the provider's")
	ErrStale    = errors.New("the signature is too old, or of a time to come")
	ErrNoNotice = errors.New("the body is no notice of this API")
)

// Read checks a notice and says what it shows. header returns the first line of that name.
func (h *Webhooks) Read(body []byte, header func(name string) string, secret string, now time.Time) (Notice, error) {
	s := &h.Signature
	key, err := s.key(secret)
	if err != nil {
		return Notice{}, err
	}
	if s.Scheme != SignedFields { // nothing of a body is read before it is known whose it is
		if err := s.verify(body, header, key, now); err != nil {
			return Notice{}, err
		}
	}
	raw, ok := h.notice(body)
	if !ok {
		return Notice{}, ErrNoNotice
	}
	if s.Scheme == SignedFields && !s.is(s.joined(raw), word(raw, s.In), key) {
		return Notice{}, ErrUnsigned
	}
	return Notice{Shows: h.States.Read(raw), Reference: word(raw, h.Reference), ID: word(raw, h.ID), Body: raw}, nil
}

func (h *Webhooks) notice(body []byte) (json.RawMessage, bool) {
	raw, ok := oneValue(body)
	if !ok || h.Items == "" {
		return raw, ok && raw[0] == '{'
	}
	var list []json.RawMessage
	found, there := within(raw, h.Items)
	if !there || found[0] != '[' || json.Unmarshal(found, &list) != nil || len(list) != 1 {
		return nil, false
	}
	if h.Item == "" {
		return list[0], true
	}
	return within(list[0], h.Item)
}

func (s *Signature) key(secret string) ([]byte, error) {
	if s.Secret == "" {
		return []byte(secret), nil
	}
	key, err := s.Secret.decode(secret)
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("the secret is not written in %s", s.Secret)
	}
	return key, nil
}

func (e Encoding) decode(text string) ([]byte, error) {
	if e == InBase64 {
		return base64.StdEncoding.DecodeString(text)
	}
	return hex.DecodeString(text)
}

func (s *Signature) is(signed, signature string, key []byte) bool {
	got, err := s.Encoding.decode(signature)
	return err == nil && len(got) == sha256.Size && hmac.Equal(got, mac(key, signed))
}

func mac(key []byte, signed string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(signed))
	return m.Sum(nil)
}

func (s *Signature) verify(body []byte, header func(string) string, key []byte, now time.Time) error {
	value := header(s.Header)
	switch s.Scheme {
	case SignedToken:
		return s.token(value, body, key, now)
	case SignedTime:
		return s.timed(value, header, body, key, now)
	default:
		if s.is(string(body), value, key) {
			return nil
		}
		return ErrUnsigned
	}
}

func (s *Signature) timed(value string, header func(string) string, body, key []byte, now time.Time) error {
	at, signatures := header(s.Time), []string{value}
	if s.Part != "" {
		at, signatures = "", nil
		for part := range strings.SplitSeq(value, ",") {
			switch name, text, _ := strings.Cut(strings.TrimSpace(part), "="); name {
			case s.Time:
				at = text
			case s.Part:
				signatures = append(signatures, text)
			}
		}
	}
	for _, one := range signatures[:min(len(signatures), maxSignatures)] {
		if at != "" && s.is(at+"."+string(body), one, key) {
			return s.fresh(at, now)
		}
	}
	return ErrUnsigned
}

// fresh is asked once the signature is known to be the provider's: until then the time is anybody's word.
func (s *Signature) fresh(at string, now time.Time) error {
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return ErrStale
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > s.Tolerance || age < -s.Tolerance {
		return ErrStale
	}
	return nil
}

func (s *Signature) token(value string, body, key []byte, now time.Time) error {
	token, bearer := strings.CutPrefix(value, "Bearer ")
	signed, signature, dotted := cutLast(token, ".")
	head, claims, parts := strings.Cut(signed, ".")
	got, err := base64.RawURLEncoding.DecodeString(signature)
	if !bearer || !dotted || !parts || err != nil || !hmac.Equal(got, mac(key, signed)) {
		return ErrUnsigned
	}
	var h struct{ Alg string }
	var c struct {
		PayloadHash string      `json:"payload_hash"`
		Iat         json.Number `json:"iat"`
	}
	if !claim(head, &h) || h.Alg != "HS256" || !claim(claims, &c) { // another algorithm could take the key for something else
		return ErrUnsigned
	}
	sum := sha256.Sum256(body)
	if !strings.EqualFold(c.PayloadHash, hex.EncodeToString(sum[:])) {
		return ErrUnsigned
	}
	return s.fresh(c.Iat.String(), now)
}

func claim(text string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && json.Unmarshal(raw, into) == nil
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// joined are the signed fields of a notice; one that is not there is empty.
func (s *Signature) joined(raw json.RawMessage) string {
	words := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		words[i] = word(raw, f)
	}
	return strings.Join(words, ":")
}

func (h *Webhooks) say() bool { return h.Signature.Scheme != "" }

func (s *Signature) text() string {
	text := string(s.Scheme) + " in " + s.Header + s.In
	for _, part := range [][2]string{{" as ", s.Part}, {", time in ", s.Time}, {", ", string(s.Encoding)}, {", the secret in ", string(s.Secret)}} {
		if part[1] != "" {
			text += part[0] + part[1]
		}
	}
	if s.Tolerance != 0 {
		text += ", within " + span(s.Tolerance)
	}
	if len(s.Fields) > 0 {
		text += ", of " + strings.Join(s.Fields, ":")
	}
	return text
}

func (h *Webhooks) text() string {
	if !h.say() {
		return ""
	}
	text := "signed: " + h.Signature.text()
	if h.By != (Field{}) {
		text += "; our reference in " + h.By.String() + ofText(h.Of)
	}
	if h.Wins == OursWins {
		text += " (ours takes the caller's place)"
	}
	for _, part := range [][2]string{{"; notices in ", h.Items}, {" at ", h.Item}, {"; named in ", h.Reference}, {"; id in ", h.ID}} {
		if part[1] != "" {
			text += part[0] + part[1]
		}
	}
	return text + "; " + h.States.text()
}
