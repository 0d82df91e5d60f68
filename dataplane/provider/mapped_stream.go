package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// errNoEnd says that a stream's connection ended well and the stream did not: it stays a cut.
var errNoEnd = errors.New("the stream ended before its last event")

// translation is a stream of events on its way from one API into another, event by event.
type translation struct {
	delivery *delivery
	events   *policy.Stream
	begun    bool
	failed   error // nothing more is told; the rest is read, for its end proves the outcome
	line     []byte
	name     string
	data     []byte
	filled   bool // data has a line
	out      []byte
}

// translateEvents passes a stream on. Memory is one event; what comes of it is written before the next is read.
func (d *delivery) translateEvents(told *policy.Told, b *stream, class health.Class, outcome ledger.Outcome) Result {
	events, err := d.call.Mapping.Events(d.heard, told)
	t := &translation{delivery: d, events: events, failed: err}
	for {
		b.read()
		if b.n > 0 {
			d.flight.timer.Stop()
			d.told.take(b.room[:b.n])
			taken := t.take(b.room[:b.n])
			d.flight.timer.Reset(d.flight.idle)
			if taken != nil {
				return d.broken(class, errors.Join(errNotWanted, taken))
			}
			if t.failed != nil && d.call.Read { // nobody needs the proof of a read
				break
			}
		}
		if b.clean() || b.err == io.EOF && t.failed == nil && events.Ended() { // its last event proves the end too
			d.prove(class, outcome)
			break
		}
		if b.err != nil {
			return t.cut(class)
		}
	}
	if t.failed == nil && !events.Ended() {
		t.failed = errNoEnd
	}
	return t.end()
}

// cut is the end of a stream whose connection was cut.
func (t *translation) cut(class health.Class) Result {
	if t.begun {
		return t.delivery.broken(class, ErrCut)
	}
	return t.delivery.cut("http_response_incomplete", ErrCut)
}

func (t *translation) end() Result {
	d := t.delivery
	if t.failed != nil {
		r := d.untold(t.failed)
		if t.begun {
			_ = d.to.End(ErrCut) // the taker may be gone; there is nobody else to tell
		}
		return r
	}
	if err := d.to.End(nil); err != nil {
		d.result.Err = fmt.Errorf("end: %w", err)
	}
	return d.result
}

// take reads bytes of the stream, and writes what comes of the events in them. The error is the taker's.
func (t *translation) take(p []byte) error {
	for len(p) > 0 && t.failed == nil {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			t.line = append(t.line, p...)
			if len(t.line) > policy.MaxEvent {
				t.failed = fmt.Errorf("a line of the stream has more than %d bytes", policy.MaxEvent)
			}
			break
		}
		line := p[:i]
		if len(t.line) > 0 {
			t.line = append(t.line, line...)
			line = t.line
		}
		t.field(bytes.TrimSuffix(line, []byte("\r")))
		t.line, p = t.line[:0], p[i+1:]
	}
	return t.write()
}

// field reads one line of an event; an empty one ends it.
func (t *translation) field(line []byte) {
	if len(line) == 0 {
		t.dispatch()
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		t.name = string(value)
	case "data":
		if t.filled {
			t.data = append(t.data, '\n')
		}
		t.data, t.filled = append(t.data, value...), true
		if len(t.data) > policy.MaxEvent {
			t.failed = fmt.Errorf("an event of the stream has more than %d bytes", policy.MaxEvent)
		}
	}
}

// dispatch maps the event that is whole.
func (t *translation) dispatch() {
	if t.filled {
		ctx, cancel := context.WithTimeout(context.Background(), mapTime)
		t.out, t.failed = t.events.Event(ctx, t.name, t.data, t.out)
		cancel()
	}
	t.name, t.data, t.filled = "", t.data[:0], false
}

// write passes on what came of the events so far. The header goes with the first of them: until then another provider can be asked.
func (t *translation) write() error {
	if len(t.out) == 0 {
		return nil
	}
	d := t.delivery
	if !t.begun {
		t.begun, d.result.Begun = true, true
		h := make(message.Header, 0, 10)
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		if err := d.to.Begin(200, h); err != nil {
			return err
		}
	}
	err := d.to.Write(t.out)
	t.out = t.out[:0]
	return err
}
