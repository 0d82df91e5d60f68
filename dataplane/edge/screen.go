package edge

import (
	"bytes"
	"strconv"
)

// screen reads an HTTP/1 connection's bytes beside net/http, which forgives what two readers could take differently, and hides that it
// did: a length beside a transfer coding, lines that end with a bare LF, folded lines. It follows the framing as far as that is certain:
// the bodies of requests with a length are skipped, and after anything else the connection ends with its answer. It decides
// nothing but what is refused.
type screen struct {
	state  screening
	flaw   string // of a request that came; what follows on the connection is not looked at
	name   string // of the header that has the flaw
	skip   int64  // bytes of a body that are still to come
	lines  int    // of the header so far
	last   byte   // of the line so far
	line   [48]byte
	n      int  // of line
	cut    bool // the line is longer
	length int64
	has    [3]bool // a Content-Length, a Transfer-Encoding, a Host
	ended  bool    // nothing on this connection is a request after this one
}

type screening uint8

const (
	atLine    screening = iota // in a header, or between two requests
	inBody                     // skip bytes follow
	lookAside                  // HTTP/2, a tunnel, or a body whose end only net/http knows
)

// mostLines bounds a header: applications send a few dozen.
const mostLines = 256

// take looks at bytes as they came.
func (s *screen) take(p []byte) {
	for len(p) > 0 {
		switch {
		case s.flaw != "" || s.state == lookAside:
			return
		case s.state == inBody:
			n := min(s.skip, int64(len(p)))
			s.skip -= n
			p = p[n:]
			if s.skip == 0 {
				s.state = atLine
			}
		default:
			p = s.header(p)
		}
	}
}

// header takes a piece of a line, its end included where that is here.
func (s *screen) header(p []byte) (rest []byte) {
	end := bytes.IndexByte(p, '\n')
	piece := p
	if end >= 0 {
		piece, rest = p[:end], p[end+1:]
	}
	if i := bytes.IndexByte(piece, '\r'); i >= 0 && i < len(piece)-1 || s.last == '\r' && len(piece) > 0 {
		s.refuse("header", "a CR stands alone")
		return rest
	}
	n := copy(s.line[s.n:], piece)
	s.n, s.cut = s.n+n, s.cut || n < len(piece)
	if len(piece) > 0 {
		s.last = piece[len(piece)-1]
	}
	if end < 0 {
		return nil
	}
	if s.last != '\r' {
		s.refuse("header", "a line ends without CR")
		return rest
	}
	line := bytes.TrimSuffix(s.line[:s.n], []byte{'\r'})
	s.whole(line)
	s.n, s.last, s.cut = 0, 0, false
	return rest
}

// whole takes a line, or the beginning of one that is longer than any that counts here.
func (s *screen) whole(line []byte) {
	switch {
	case len(line) == 0 && s.lines == 0: // an empty line before a request is nothing
	case len(line) == 0:
		s.over()
	case s.lines == 0:
		s.lines = 1
		if bytes.Equal(line, []byte("PRI * HTTP/2.0")) {
			s.state = lookAside
		}
	case line[0] == ' ' || line[0] == '\t':
		s.refuse("header", "a line is folded")
	default:
		if s.lines++; s.lines > mostLines {
			s.refuse("header", "it has more than "+strconv.Itoa(mostLines)+" lines")
			return
		}
		s.field(line)
	}
}

// framing are the headers that may stand once, and what they are remembered as.
var framing = [...][]byte{[]byte("Content-Length"), []byte("Transfer-Encoding"), []byte("Host")}

func (s *screen) field(line []byte) {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return // net/http refuses it, or it is longer than any name that counts here
	}
	for i, name := range framing {
		if colon != len(name) || !bytes.EqualFold(line[:colon], name) {
			continue
		}
		if s.has[i] {
			s.refuse(string(name), "it stands there twice")
			return
		}
		s.has[i] = true
		if i == 0 {
			s.measure(bytes.Trim(line[colon+1:], " \t"))
		}
	}
}

// measure reads a length: digits, and no more of them than a length has.
func (s *screen) measure(text []byte) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || s.cut || text[0] < '0' || text[0] > '9' {
		s.refuse("Content-Length", "it is no length")
		return
	}
	s.length = n
}

// over is the end of a header.
func (s *screen) over() {
	switch {
	case s.has[0] && s.has[1]:
		s.refuse("Transfer-Encoding", "it cannot stand beside Content-Length")
		return
	case s.has[1]:
		s.state, s.ended = lookAside, true
	case s.length > 0:
		s.state, s.skip = inBody, s.length
	}
	s.lines, s.length, s.has = 0, 0, [3]bool{}
}

func (s *screen) refuse(name, why string) { s.name, s.flaw = name, why }
