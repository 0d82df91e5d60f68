package provider

import (
	"net/http"
	"strings"

	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// teller keeps what of an answer can state its fee, while it passes. An answer that is no stream is kept whole or not at all; of a stream
// the beginning and the end are kept: what came in is told there, and what went out here.
type teller struct {
	room           *[maxPrefix]byte
	n              int
	kind, encoding string
	of             int // bytes at the beginning that stay; the whole of an answer that is no stream
	over           bool
}

const (
	eventHead = 4 << 10 // of a stream
	eventTail = 8 << 10 // at least, of a stream that is long
)

// costs tells whether a request is one of those that cost something: looking does not.
func costs(r *message.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// listen begins to keep.
func (d *delivery) listen(resp *http.Response) {
	room, _ := d.client.prefixes.Get().(*[maxPrefix]byte)
	d.told = &teller{room: room, of: maxPrefix, kind: resp.Header.Get("Content-Type"), encoding: resp.Header.Get("Content-Encoding")}
	if strings.HasPrefix(d.told.kind, "text/event-stream") {
		d.told.of = eventHead
	}
}

// stated reads what an answer stated that came whole.
func (d *delivery) stated(r *Result) {
	t := d.told
	if t == nil {
		return
	}
	if !t.over && r.Outcome == ledger.Succeeded {
		r.Stated = d.call.Candidate.Contract.Statement(t.kind, plain(t.room[:t.n], t.encoding))
	}
	d.client.prefixes.Put(t.room)
	d.told = nil
}

// take keeps the next bytes.
func (t *teller) take(p []byte) {
	if t == nil || t.over {
		return
	}
	if t.of == maxPrefix && len(p) > maxPrefix-t.n {
		t.over = true
		return
	}
	for len(p) > 0 {
		if t.n == maxPrefix { // the end moves up to the beginning: what was between is no whole event there
			t.room[t.of] = '\n'
			t.n = t.of + 1 + copy(t.room[t.of+1:], t.room[maxPrefix-eventTail:])
		}
		k := copy(t.room[t.n:], p)
		t.n, p = t.n+k, p[k:]
	}
}
