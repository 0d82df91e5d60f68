package message_test

import (
	"errors"
	"slices"
	"testing"

	"segue/dataplane/message"
)

func TestHeader(t *testing.T) {
	var h message.Header
	h.Add("Accept", "a")
	h.Add("X-Order", "1")
	h.Add("Accept", "b")
	if h.Get("accept") != "a" || h.Count("ACCEPT") != 2 || !h.Has("x-order") || h.Has("Order") || h.Get("none") != "" {
		t.Fatalf("reading %v", h)
	}
	h.Set("accept", "c")
	if want := (message.Header{{Name: "X-Order", Value: "1"}, {Name: "accept", Value: "c"}}); !slices.Equal(h, want) {
		t.Fatalf("after Set: %v", h)
	}
	h.Del("X-ORDER")
	if len(h) != 1 || h.Has("X-Order") {
		t.Fatalf("after Del: %v", h)
	}
}

// taken writes down what a reply is told, and fails where it is asked to.
type taken struct {
	said   []string
	header message.Header
	fail   string
}

func (r *taken) say(what string) error {
	r.said = append(r.said, what)
	if what == r.fail {
		return errors.New("no more")
	}
	return nil
}

func (r *taken) Begin(_ int, h message.Header) error { r.header = h; return r.say("begin") }
func (r *taken) Write(p []byte) error                { return r.say("write " + string(p)) }
func (r *taken) End(cut error) error                 { return r.say("end") }

func TestAnswerSend(t *testing.T) {
	a := message.Answer{Status: 200, Header: message.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: []byte("hello")}
	to := &taken{}
	if err := a.Send(to); err != nil || !slices.Equal(to.said, []string{"begin", "write hello", "end"}) {
		t.Fatalf("%v %v", to.said, err)
	}
	if to.header.Get("Content-Length") != "5" || len(a.Header) != 1 {
		t.Fatalf("told %v, answer's own %v", to.header, a.Header)
	}
	a.Header.Add("Content-Length", "5")
	if err := a.Send(to); err != nil || to.header.Count("Content-Length") != 1 {
		t.Fatalf("told twice: %v", to.header)
	}
	for i, fail := range []string{"begin", "write hello", "end"} {
		to := &taken{fail: fail}
		if err := a.Send(to); err == nil || len(to.said) != i+1 {
			t.Errorf("fails at %s: %v %v", fail, to.said, err)
		}
	}
}
