package sandbox

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	maxDownload = 1 << 30 // bytes
	maxEvents   = 1 << 20
)

// stream answers with what is too long to hold: a download, or server-sent events.
func (x *exchange) stream() {
	switch x.fault.Kind {
	case Lose, Reset:
		x.drop(x.fault.End)
	case Hang:
		x.hang()
	case Status:
		x.write(x.failed(), 1)
		return
	case CutHeaders:
		x.cutHeaders(answer{status: 200})
		return
	}
	whole := x.download
	if x.call.operation == opStream {
		whole = x.events
	}
	if bad := whole(); bad != nil {
		x.write(x.bank.speaks.answer(nil, bad), 1)
	}
}

func (x *exchange) size(param string, most int) (n int, bad *apiError) {
	n, err := strconv.Atoi(x.call.form.Get(param))
	if err != nil || n < 0 || n > most {
		return 0, invalid(param, "parameter_invalid_integer", fmt.Sprintf("%s is between 0 and %d.", param, most))
	}
	return n, nil
}

// content is what every download consists of, over and over.
func content() []byte {
	line := []byte("The quick brown fox jumps over the lazy dog, and segues on. ===\n")
	return bytes.Repeat(line, 512) // 32 KiB
}

// download streams N bytes; the same for the same N.
func (x *exchange) download() *apiError {
	n, bad := x.size("bytes", maxDownload)
	if bad != nil {
		return bad
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(n))
	x.ownHeaders(answer{})
	send := n
	if x.fault.Kind == CutBody {
		send = n / 2
	}
	for block := content(); send > 0; send -= len(block) {
		if _, err := x.w.Write(block[:min(len(block), send)]); err != nil {
			return nil // the client left
		}
	}
	x.endStream()
	return nil
}

func (x *exchange) endStream() {
	_ = http.NewResponseController(x.w).Flush()
	if x.fault.Kind == CutBody {
		x.drop(x.fault.End)
	}
}

// events sends N server-sent events, each flushed before the next is begun. With gate=1 each waits for a POST /_gate; with every=20ms, for
// the time.
func (x *exchange) events() *apiError {
	n, bad := x.size("events", maxEvents)
	if bad != nil {
		return bad
	}
	every, err := time.ParseDuration("0" + x.call.form.Get("every"))
	if err != nil || every > time.Minute {
		return invalid("every", "", "every is a duration of a minute at most, such as 20ms.")
	}
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	x.ownHeaders(answer{})
	x.w.WriteHeader(200)
	out := http.NewResponseController(x.w)
	_ = out.Flush() // the client knows that the stream stands before the first gate opens
	if x.fault.Kind == CutBody {
		n /= 2
	}
	for i := range n {
		if !x.gateOpens() {
			return nil
		}
		x.wait(every)
		if _, err := fmt.Fprintf(x.w, "id: %d\nevent: tick\ndata: {\"n\":%d}\n\n", i, i); err != nil || out.Flush() != nil {
			return nil // the client left
		}
	}
	x.endStream()
	return nil
}

func (x *exchange) gateOpens() bool {
	if !x.call.form.flag("gate", x.call.form.Get("gate") == "1") {
		return true
	}
	select {
	case <-x.gate:
		return true
	case <-x.r.Context().Done():
	case <-x.call.life.Done():
		x.drop(Abort)
	}
	return false
}

// tell sends the first events of an answer, one by one.
func (x *exchange) tell(a answer, events stream) {
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	x.ownHeaders(a)
	x.w.WriteHeader(a.status)
	out := http.NewResponseController(x.w)
	for _, e := range events {
		before, after := x.pace.next(x.fault)
		x.wait((before + after) / perWord)
		if _, err := x.w.Write(e); err != nil || out.Flush() != nil {
			return // the client left
		}
	}
}

// perWord is how much faster a word follows another than an answer its question.
const perWord = 16
