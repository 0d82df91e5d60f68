package policy

import (
	"errors"
	"fmt"
	"strings"
)

// pattern is a compiled path pattern. Matching compares decoded segments one by one, without allocating.
type pattern struct {
	method   string
	segments []segment
	prefix   string // the literal beginning: most patterns are ruled out by it alone
}

// segment is one part of a pattern between slashes.
type segment struct {
	kind   segmentKind
	text   string // literal: the decoded text; named: the name
	suffix string // named: what follows it in the segment, as in {id}.json
}

type segmentKind uint8

const (
	literal segmentKind = iota
	one                 // *
	named               // {id}
	many                // **: any number, none too
)

// The methods that an operation can have.
func methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
}

// parsePattern compiles "POST /v1/charges/{id}".
func parsePattern(match string) (pattern, error) {
	method, path, ok := strings.Cut(match, " ")
	if !ok || !strings.HasPrefix(path, "/") || len(match) > maxText {
		return pattern{}, errors.New("not a method and a path, like POST /v1/charges")
	}
	known := false
	for _, m := range methods() {
		known = known || m == method
	}
	if !known {
		return pattern{}, fmt.Errorf("%.20q is no method; known: %s", method, strings.Join(methods(), ", "))
	}
	p := pattern{method: method}
	for text := range strings.SplitSeq(path[1:], "/") {
		s, err := parseSegment(text)
		if err != nil {
			return pattern{}, err
		}
		if s.kind == named && p.place(s.text) >= 0 {
			return pattern{}, fmt.Errorf("{%s} stands there twice", s.text)
		}
		p.segments = append(p.segments, s)
	}
	if len(p.segments) > maxSegments {
		return pattern{}, fmt.Errorf("more than %d segments", maxSegments)
	}
	for _, s := range p.segments[:p.fixed()] {
		p.prefix += "/" + s.text
	}
	return p, nil
}

func parseSegment(text string) (segment, error) {
	switch {
	case text == "**":
		return segment{kind: many}, nil
	case text == "*":
		return segment{kind: one}, nil
	case text != "" && text[0] == '{':
		return parseNamed(text)
	case text == "" || text == "." || text == "..":
		return segment{}, errors.New("an empty segment, . or .. never matches")
	}
	if err := plainText(text); err != nil {
		return segment{}, err
	}
	return segment{kind: literal, text: text}, nil
}

// parseNamed reads {id}, or {id}.json.
func parseNamed(text string) (segment, error) {
	name, suffix, closed := strings.Cut(text[1:], "}")
	if !closed {
		return segment{}, fmt.Errorf("%.20q lacks its }", text)
	}
	if nameProblem(name) != "" {
		return segment{}, fmt.Errorf("{%.20s} is no name", name)
	}
	return segment{kind: named, text: name, suffix: suffix}, plainText(suffix)
}

func plainText(text string) error {
	for i := range len(text) {
		if !plainPathByte(text[i]) {
			return fmt.Errorf("%.20q cannot stand in a path pattern", text)
		}
	}
	return nil
}

// plainPathByte tells whether c stands for itself in a path (RFC 3986 pchar without escapes). The star and the braces are left
// out: in a pattern they have a meaning.
func plainPathByte(c byte) bool {
	return lowerOrDigit(c) || c >= 'A' && c <= 'Z' || strings.IndexByte("-._~!$&'()+,;=:@", c) >= 0
}

// place returns where the segment called name stands, or -1.
func (p *pattern) place(name string) int {
	for i, s := range p.segments {
		if s.kind == named && s.text == name {
			return i
		}
	}
	return -1
}

// match tells whether a safe path fits, and returns the raw text of the path's segment that stands at place want of the pattern
// (want -1: none). Where the rest does not fit, the last ** that was passed takes one segment more: that is enough for any
// number of them, and bounds the work by the product of both lengths.
func (p *pattern) match(path string, want int) (found string, ok bool) {
	at, seg := cursor{path[1:], true}, 0
	retry, star := cursor{}, -1
	for at.left || seg < len(p.segments) {
		if seg < len(p.segments) && p.segments[seg].kind == many {
			star, retry = seg, at
			seg++
			continue
		}
		head, next := at.cut()
		if at.left && seg < len(p.segments) && p.segments[seg].fits(head) {
			if seg == want {
				found = head
			}
			at = next
			seg++
			continue
		}
		if star < 0 || !at.left { // once the path is used up, a ** that takes more of it does not help
			return "", false
		}
		_, retry = retry.cut()
		at, seg = retry, star+1
	}
	return found, true
}

// path is the pattern as it is written, without the method.
func (p *pattern) path() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteString("/" + s.String())
	}
	return b.String()
}

func (s segment) String() string {
	switch s.kind {
	case one:
		return "*"
	case many:
		return "**"
	case named:
		return "{" + s.text + "}" + s.suffix
	default:
		return s.text
	}
}

// covers tells whether every path that fits other fits p too, as far as can be seen from both being written alike: other's open
// segments are taken for text that only an open segment of p fits, its ** for text that only a ** does.
func (p *pattern) covers(other *pattern) bool {
	if p.method != other.method {
		return false
	}
	if p.path() == other.path() {
		return true
	}
	for _, s := range other.segments {
		if s.kind == many {
			return false
		}
	}
	_, ok := p.match(other.path(), -1)
	return ok
}

// fits tells whether one escaped segment of a path is what the pattern wants there.
func (s *segment) fits(escaped string) bool {
	if s.kind == literal {
		return equalDecoded(escaped, s.text)
	}
	if s.suffix == "" {
		return true
	}
	text := decoded(escaped)
	return len(text) > len(s.suffix) && strings.HasSuffix(text, s.suffix)
}

// cursor is a place in a path: what is left of it, and whether a segment is.
type cursor struct {
	rest string
	left bool
}

// cut takes the next segment.
func (c cursor) cut() (head string, next cursor) {
	if i := strings.IndexByte(c.rest, '/'); i >= 0 {
		return c.rest[:i], cursor{c.rest[i+1:], true}
	}
	return c.rest, cursor{}
}

// safePath tells whether every reader of a path sees the same segments in it: no empty segment, no dots, no escaped slash or
// control byte, no broken escape. Anything else could be one path for the agent and another for the provider.
func safePath(path string) bool {
	if len(path) < 2 || len(path) > maxPath || path[0] != '/' {
		return false
	}
	for at := (cursor{path[1:], true}); at.left; {
		var head string
		if head, at = at.cut(); !safeSegment(head) {
			return false
		}
	}
	return true
}

func safeSegment(escaped string) bool {
	dots, n := 0, 0
	for i := 0; i < len(escaped); n++ {
		c, size := decodeByte(escaped[i:])
		if size == 0 || c < ' ' || c == 0x7f || c == '/' || c == '\\' || size == 1 && (c == '?' || c == '#') {
			return false
		}
		if c == '.' {
			dots++
		}
		i += size
	}
	return n > 0 && (dots < n || n > 2)
}

// decodeByte reads one byte of an escaped path and says how many bytes it took; 0 is a broken escape.
func decodeByte(s string) (c byte, size int) {
	if s[0] != '%' {
		return s[0], 1
	}
	if len(s) < 3 {
		return 0, 0
	}
	high, low := unhex(s[1]), unhex(s[2])
	if high > 15 || low > 15 {
		return 0, 0
	}
	return high<<4 | low, 3
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	default:
		return 255
	}
}

// equalDecoded compares an escaped segment with plain text.
func equalDecoded(escaped, text string) bool {
	if escaped == text { // a literal holds no %, so this is the whole truth for most paths
		return true
	}
	i := 0
	for len(escaped) > 0 {
		c, size := decodeByte(escaped)
		if size == 0 || i == len(text) || text[i] != c {
			return false
		}
		escaped = escaped[size:]
		i++
	}
	return i == len(text)
}

// decoded returns a safe segment's plain text.
func decoded(escaped string) string {
	if strings.IndexByte(escaped, '%') < 0 {
		return escaped
	}
	var b strings.Builder
	for len(escaped) > 0 {
		c, size := decodeByte(escaped)
		b.WriteByte(c)
		escaped = escaped[size:]
	}
	return b.String()
}
