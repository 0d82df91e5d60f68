package message

import (
	"crypto/sha256"
	"io"
	"strconv"
	"strings"
)

// Field is one header line. Name is in canonical form (Idempotency-Key).
type Field struct{ Name, Value string }

// Header is a list of header lines in the order in which they came. A name may occur several times.
type Header []Field

// Get returns the first value of name (compared without case), or "".
func (h Header) Get(name string) string {
	for i := range h {
		if len(h[i].Name) == len(name) && strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Has tells whether a line called name is there.
func (h Header) Has(name string) bool {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return true
		}
	}
	return false
}

// Count returns how many lines are called name.
func (h Header) Count(name string) int {
	n := 0
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			n++
		}
	}
	return n
}

// Add appends a line.
func (h *Header) Add(name, value string) { *h = append(*h, Field{name, value}) }

// Set replaces every line called name by one.
func (h *Header) Set(name, value string) {
	h.Del(name)
	h.Add(name, value)
}

// Del removes every line called name, in place.
func (h *Header) Del(name string) {
	kept := (*h)[:0]
	for _, f := range *h {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	*h = kept
}

// Request is what an application asked for, hop-by-hop headers and Segue's own already taken out of Header
// (what they said is in proxy.Exchange). Its body is whole, in Body or in Large: it may have to be sent again with the same bytes.
type Request struct {
	Method   string
	Path     string // as the application sent it, escaped, without the query
	RawQuery string
	Header   Header
	Body     []byte
	Large    Large  // a body that is not held in memory; nil: Body is all
	Trailer  Header // what came after the body
	Upgrade  string // "websocket": the application asks for a tunnel; the only protocol that is passed on
	Token    Token  // of the session at the provider; Name "": none
}

// Token is what a provider lets a conversation in by. It goes over what stands in its place, the credential too.
type Token struct {
	In          string // header or body
	Name, Value string
}

// Large is a body that is kept outside memory.
type Large interface {
	Size() int64
	Sum() [32]byte            // SHA-256 of all of it
	Open() (io.Reader, error) // from its first byte, as often as wanted
}

// InMemory is the largest body that is always held in memory.
const InMemory = 64 << 10

// Sum is the SHA-256 of the request's body.
func (r *Request) Sum() [32]byte {
	if r.Large != nil {
		return r.Large.Sum()
	}
	return sha256.Sum256(r.Body)
}

// Size is the length of the request's body.
func (r *Request) Size() int64 {
	if r.Large != nil {
		return r.Large.Size()
	}
	return int64(len(r.Body))
}

// Answer is a whole answer, small enough to keep (a stored outcome, a problem document). Its trailer is passed on and not kept.
type Answer struct {
	Status  int
	Header  Header
	Body    []byte
	Trailer Header
}

// Reply takes an answer as it comes. Begin is called once, then Write any number of times, then End once. End(nil) is a
// clean end; any other cut must reach the caller as an error, never as a clean end. Write blocks until the caller
// has taken the bytes (that bounds memory) and flushes: an event is passed on before the next is read. An error from
// Begin or Write means that the taker wants no more (the caller left, or the answer is not wanted): the provider stops reading.
type Reply interface {
	Begin(status int, h Header) error
	Write(p []byte) error
	End(cut error) error
}

// Trailing is a reply that takes a trailer too, between the last Write and End.
type Trailing interface{ Trail(h Header) }

// Trail gives a trailer to a reply that takes one. Nothing is lost that counts where it does not: a trailer is never framing.
func Trail(to Reply, h Header) {
	if t, ok := to.(Trailing); ok && len(h) > 0 {
		t.Trail(h)
	}
}

// Switcher is a reply whose connection can become a tunnel: Switch answers 101 with the header h and hands the connection over. What
// is read from it are the application's bytes. Whoever switched closes it.
type Switcher interface {
	Switch(h Header) (io.ReadWriteCloser, error)
}

// Send plays a whole answer into a reply. It says how long the body is, where the header does not.
func (a *Answer) Send(to Reply) error {
	h := a.Header
	if len(a.Body) > 0 && len(a.Trailer) == 0 && !h.Has("Content-Length") {
		h = append(h[:len(h):len(h)], Field{"Content-Length", strconv.Itoa(len(a.Body))})
	}
	if err := to.Begin(a.Status, h); err != nil {
		return err
	}
	if err := to.Write(a.Body); err != nil {
		return err
	}
	Trail(to, a.Trailer)
	return to.End(nil)
}
