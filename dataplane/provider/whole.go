package provider

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
)

// maxWhole bounds what is kept of an answer to see whether it is whole.
const maxWhole = 1 << 20

// ending reads in an answer's own words that it came to its end, where its framing tells nothing: a body that is over when its connection
// is, as HTTP/1.0 has it. JSON that was cut does not parse; an event stream of a chat has a last event.
type ending struct {
	words, events bool
	kept          []byte // the whole of JSON, the end of a stream
	over          bool
}

// lastWords is how much of a stream's end is kept: its last event is short.
const lastWords = 256

// open begins to keep, if the answer's framing tells nothing.
func (e *ending) open(resp *http.Response) {
	if !endless(resp) || resp.Header.Get("Content-Encoding") != "" {
		return
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	e.events = kind == "text/event-stream"
	e.words = kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// take keeps the next bytes.
func (e *ending) take(p []byte) {
	switch {
	case e.events:
		e.kept = append(e.kept, p...)
		if n := len(e.kept) - lastWords; n > 0 {
			e.kept = append(e.kept[:0], e.kept[n:]...)
		}
	case e.words && !e.over:
		if e.over = len(e.kept)+len(p) > maxWhole; !e.over {
			e.kept = append(e.kept, p...)
		}
	}
}

// told tells whether the answer itself says that this was all.
func (e *ending) told() bool {
	switch {
	case e.events:
		text := bytes.TrimSpace(bytes.ReplaceAll(e.kept, []byte("\r\n"), []byte("\n")))
		last := text[bytes.LastIndex(text, []byte("\n\n"))+1:]
		switch last = bytes.TrimSpace(last); {
		case bytes.Equal(last, []byte("data: [DONE]")), bytes.Equal(last, []byte("data:[DONE]")):
			return true
		default:
			return bytes.HasPrefix(last, []byte("event: message_stop\n")) && bytes.HasSuffix(last, []byte("}"))
		}
	case e.words:
		text := bytes.TrimSpace(e.kept)
		return !e.over && len(text) > 0 && (text[0] == '{' || text[0] == '[') && json.Valid(text) // a number that was cut is a number
	default:
		return false
	}
}

// saysItsEnd tells whether p is all of an answer whose framing tells nothing.
func saysItsEnd(resp *http.Response, p []byte) bool {
	var e ending
	e.open(resp)
	e.take(p)
	return e.told()
}
