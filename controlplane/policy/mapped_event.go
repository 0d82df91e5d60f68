package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// MaxEvent bounds one event of a stream.
const MaxEvent = 256 << 10

// Stream maps the events of one answer, one by one. What its program keeps as state, the next event sees.
type Stream struct {
	m     *Mapped
	in    map[string]any
	state any
	ended bool
}

// Events begins the mapping of a stream.
func (m *Mapped) Events(a *Heard, t *Told) (*Stream, error) {
	if m.run.event == nil {
		return nil, errors.New("it maps no events")
	}
	in, err := m.answered(a, t)
	if err != nil {
		return nil, err
	}
	return &Stream{m: m, in: in}, nil
}

// errCutByProgram says that the provider told in its stream that it failed.
var errCutByProgram = errors.New("the stream ended with an error")

// Event maps one event into bytes for the application. An error ends the stream as a cut; bytes may come with it.
func (s *Stream) Event(ctx context.Context, name string, data []byte, to []byte) ([]byte, error) {
	if s.ended {
		return to, errors.New("an event follows the end of the stream")
	}
	if v, err := ReadTree(data); err == nil {
		s.in["data"] = v
	} else {
		s.in["data"] = strings.ToValidUTF8(string(data), "\uFFFD") // not every event is JSON
	}
	s.in["event"], s.in["state"] = name, s.state
	v, err := s.m.run.event.run(ctx, s.in)
	if err != nil {
		return to, err
	}
	out, err := members(v, givenBy("event")...)
	if err != nil {
		return to, err
	}
	if kept, ok := out["state"]; ok {
		s.state = kept
	}
	if send := out["send"]; send != nil {
		list, ok := send.([]any)
		if !ok {
			return to, errors.New("send is no list")
		}
		for _, e := range list {
			if to, err = appendEvent(to, e); err != nil {
				return to, err
			}
		}
	}
	s.ended = out["end"] == true
	if out["cut"] == true {
		return to, errCutByProgram
	}
	return to, nil
}

// Ended tells whether the stream came to its end, as the provider's API has one. A stream without is cut, however its connection ended.
func (s *Stream) Ended() bool { return s.ended }

// appendEvent writes an event: a text as it is, anything else as JSON.
func appendEvent(to []byte, v any) ([]byte, error) {
	text, ok := v.(string)
	if !ok {
		b, err := WriteTree(v)
		if err != nil {
			return to, err
		}
		text = string(b)
	}
	if len(text) > MaxEvent || strings.ContainsAny(text, "\r\n") {
		return to, fmt.Errorf("an event is no text of one line, of at most %d bytes", MaxEvent)
	}
	return append(append(append(to, "data: "...), text...), "\n\n"...), nil
}
