package proxy

import (
	"bytes"
	"encoding/json"
	"strings"

	"segue/dataplane/message"
)

// tail follows an event stream that is passed on, so that a cut can be told as an event. A reset alone would tell it too, but not why.
type tail struct {
	follows bool
	n       int     // bytes of last that are set
	last    [4]byte // what was passed on last
}

// open begins to follow an answer, if it is an event stream to which an event can be added.
func (t *tail) open(h message.Header) {
	coding := h.Get("Content-Encoding")
	*t = tail{follows: strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") &&
		(coding == "" || coding == "identity") && !h.Has("Content-Length")}
}

func (t *tail) wrote(p []byte) {
	if !t.follows {
		return
	}
	for _, b := range p[max(0, len(p)-len(t.last)):] {
		if t.n == len(t.last) {
			copy(t.last[:], t.last[1:])
			t.n--
		}
		t.last[t.n] = b
		t.n++
	}
}

// between tells whether the stream stands between two events. In the midst of one, whatever is added would become a part of it.
func (t *tail) between() bool {
	if !t.follows {
		return false
	}
	last := t.last[:t.n]
	return t.n == 0 || bytes.HasSuffix(last, []byte("\n\n")) || bytes.HasSuffix(last, []byte("\r\n\r\n")) || bytes.HasSuffix(last, []byte("\r\r"))
}

// cutEvent is the last event of a stream that a provider did not end. It has the members by which SDKs take it for an error.
func cutEvent(provider string) []byte {
	said := provider + " broke the stream off. What came is not all of it; nothing was asked of another provider."
	doc, err := json.Marshal(struct {
		Error   sdkError `json:"error"`
		Message string   `json:"message"`
	}{sdkError{Type: "api_error", Code: "segue_stream_cut", Message: said}, said})
	if err != nil { // texts alone: they can be written
		return nil
	}
	return append(append([]byte("event: error\ndata: "), doc...), "\n\n"...)
}
