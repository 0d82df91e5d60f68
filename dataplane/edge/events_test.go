package edge

import (
	"context"
	"errors"
	"strings"
	"testing"

	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

// TestACutStreamSaysSo: the reader of an event stream that is cut is told so by an event, where one can be told, and then the connection breaks.
// In the middle of an event nothing is added to it.
func TestACutStreamSaysSo(t *testing.T) {
	events := message.Header{{Name: "Content-Type", Value: "text/event-stream; charset=utf-8"}}
	packed := append(events[:1:1], message.Field{Name: "Content-Encoding", Value: "gzip"})
	for _, c := range []struct {
		name   string
		header message.Header
		parts  []string
		told   bool
	}{
		{"between two events", events, []string{"data: 1\n\n", "data: 2\n\n"}, true},
		{"between two events of Windows", events, []string{"data: 1\r\n\r\n"}, true},
		{"before the first", events, nil, true},
		{"byte by byte", events, []string{"d", "a", "ta: 1\n", "\n"}, true},
		{"in a line", events, []string{"data: 1\n\n", "data: [DONE]"}, false},
		{"behind a line", events, []string{"data: 1\n\n", "data: [DONE]\n"}, false},
		{"byte by byte in a line", events, []string{"data: 1\n", "\n", "d"}, false},
		{"packed", packed, []string{"data: 1\n\n"}, false},
		{"no events", plainText, []string{"data: 1\n\n"}, false},
	} {
		w := newWorld(t, func(_ context.Context, _ *proxy.Call, to message.Reply) {
			_ = to.Begin(200, c.header)
			for _, p := range c.parts {
				_ = to.Write([]byte(p))
			}
			_ = to.End(errors.New("cut"))
		}, nil)
		_, body, err := w.do(t, "GET", "/", "")
		if err == nil {
			t.Errorf("%s: a clean end", c.name)
		}
		want := strings.Join(c.parts, "")
		if c.told {
			want += cutEvent
		}
		if body != want {
			t.Errorf("%s: got %q, want %q", c.name, body, want)
		}
	}
}
