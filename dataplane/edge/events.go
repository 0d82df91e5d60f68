package edge

import (
	"bytes"
	"net/http"
	"strings"
)

// cutEvent is the last event of a stream of events that was cut: SDKs raise it as an error, with the words in it. The connection is reset
// behind it, for those that do not look.
const cutEvent = "event: error\n" +
	`data: {"error":{"type":"api_error","code":"segue_answer_cut","message":"The provider's answer was cut. What came before is not the whole.","param":null},` +
	`"message":"The provider's answer was cut. What came before is not the whole."}` + "\n\n"

// events watches an event stream pass. Only between two events another can be told: in the middle of one, the two would be read as one.
type events struct {
	on   bool
	tail []byte // how what passed ends; room for it is in last
	last [4]byte
}

// begin looks at an answer's header.
func (e *events) begin(h http.Header, length int64) {
	e.on = length < 0 && strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") && h.Get("Content-Encoding") == ""
	e.tail = append(e.last[:0], "\n\n"...)
}

// passed takes note of the bytes that the application was sent.
func (e *events) passed(p []byte) {
	if !e.on {
		return
	}
	if len(p) >= len(e.last) {
		e.tail = append(e.last[:0], p[len(p)-len(e.last):]...)
		return
	}
	keep := min(len(e.tail), len(e.last)-len(p))
	e.tail = append(append(e.last[:0], e.tail[len(e.tail)-keep:]...), p...)
}

// between tells whether an event can follow.
func (e *events) between() bool {
	return e.on && (bytes.HasSuffix(e.tail, []byte("\n\n")) || bytes.HasSuffix(e.tail, []byte("\r\n\r\n")) || bytes.HasSuffix(e.tail, []byte("\r\r")))
}

// tellCut tells the reader of an event stream that it was cut. It is called with the reply's lock held.
func (r *reply) tellCut() {
	if !r.events.between() {
		return
	}
	if _, err := r.w.Write([]byte(cutEvent)); err == nil {
		_ = r.flush() // the reader may be gone: there is nobody else to tell
	}
}
