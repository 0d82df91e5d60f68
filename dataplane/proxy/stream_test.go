package proxy

import (
	"errors"
	"strings"
	"testing"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// taken is what a caller was given.
type taken struct {
	text string
	cut  error
}

func (t *taken) Begin(int, message.Header) error { return nil }
func (t *taken) Write(p []byte) error            { t.text += string(p); return nil }
func (t *taken) End(cut error) error             { t.cut = cut; return nil }

// A stream that a provider breaks off between two events gets one more, which says so; in any other place only the cut tells.
func TestCutIsTold(t *testing.T) {
	events := message.Header{{Name: "Content-Type", Value: "text/event-stream; charset=utf-8"}}
	with := func(name, value string) message.Header {
		return append(events[:1:1], message.Field{Name: name, Value: value})
	}
	gone := errors.New("gone")
	for _, c := range []struct {
		name   string
		header message.Header
		writes []string
		cut    error
		told   bool
	}{
		{"between two events", events, []string{"data: 1\n\n", "data: 2\n\n"}, gone, true},
		{"before the first", events, nil, gone, true},
		{"an end in pieces", events, []string{"data: 1", "\n", "\n"}, gone, true},
		{"lines of CR LF", events, []string{"data: 1\r\n\r", "\n"}, gone, true},
		{"lines of CR", events, []string{"data: 1\r", "\r"}, gone, true},
		{"in an event", events, []string{"data: 1\n\n", "data: 2\n"}, gone, false},
		{"in a line", events, []string{"data: 1\n\nda"}, gone, false},
		{"a clean end", events, []string{"data: 1\n\n"}, nil, false},
		{"packed", with("Content-Encoding", "gzip"), []string{"\n\n"}, gone, false},
		{"of a known length", with("Content-Length", "900"), []string{"\n\n"}, gone, false},
		{"no event stream", message.Header{{Name: "Content-Type", Value: "text/plain"}}, []string{"\n\n"}, gone, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := &taken{}
			g := gate{x: &Exchange{to: to}, who: &policy.Candidate{Provider: "main"}}
			g.tail.open(message.Header{{Name: "Content-Type", Value: "text/event-stream"}}) // an earlier answer of a pooled gate
			g.tail.wrote([]byte("\n\n"))
			g.tail.open(c.header)
			for _, w := range c.writes {
				if err := g.Write([]byte(w)); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.End(c.cut); err != nil {
				t.Fatal(err)
			}
			rest, ok := strings.CutPrefix(to.text, strings.Join(c.writes, ""))
			if !ok || to.cut != c.cut {
				t.Fatalf("the caller has %q, cut %v", to.text, to.cut)
			}
			if told := strings.HasPrefix(rest, `event: error`+"\n"+`data: {"error":{"type":"api_error","code":"segue_stream_cut","message":"main broke`); told != c.told || !told && rest != "" || told && !strings.HasSuffix(rest, "}\n\n") {
				t.Errorf("beyond what the provider sent: %q", rest)
			}
		})
	}
}
