package message

import (
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
// (what they said is in proxy.Exchange). Body is whole: an effect may have to be sent again with the same bytes.
type Request struct {
	Method   string
	Path     string // as the application sent it, escaped, without the query
	RawQuery string
	Header   Header
	Body     []byte
}

// Answer is a whole answer, small enough to keep (a stored outcome, a problem document).
type Answer struct {
	Status int
	Header Header
	Body   []byte
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

// Send plays a whole answer into a reply. It says how long the body is, where the header does not.
func (a *Answer) Send(to Reply) error {
	h := a.Header
	if len(a.Body) > 0 && !h.Has("Content-Length") {
		h = append(h[:len(h):len(h)], Field{"Content-Length", strconv.Itoa(len(a.Body))})
	}
	if err := to.Begin(a.Status, h); err != nil {
		return err
	}
	if err := to.Write(a.Body); err != nil {
		return err
	}
	return to.End(nil)
}
