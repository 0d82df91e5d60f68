package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// question is what an SDK sends.
func question(text string, streamed bool) ask {
	body, _ := json.Marshal(map[string]any{ // texts only: cannot fail
		"model": "gpt-4o-mini", "stream": streamed, "messages": []map[string]string{
			{"role": "system", "content": "You are brief."}, {"role": "user", "content": text},
		},
	})
	return ask{method: http.MethodPost, path: "/v1/chat/completions", raw: string(body), header: map[string]string{"Content-Type": "application/json"}}
}

// spoken is the text of an answer, and whether it is whole.
func (a told) spoken() (text string, whole bool) {
	type part struct {
		Choices []struct {
			Message, Delta struct{ Content string }
			Finish         string `json:"finish_reason"`
		}
		Error any
	}
	events := []string{string(a.body)}
	streamed := strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream")
	if streamed {
		events = strings.Split(string(a.body), "\n\n")
	}
	for _, e := range events {
		e = strings.TrimPrefix(e, "data: ")
		if e == "[DONE]" {
			return text, a.err == nil
		}
		var p part
		if json.Unmarshal([]byte(e), &p) != nil || p.Error != nil {
			return text, false
		}
		for _, c := range p.Choices {
			text += c.Message.Content + c.Delta.Content
			whole = !streamed && a.err == nil && c.Finish == "stop"
		}
	}
	return text, whole
}

// TestChatFailsOver lets one provider fail in each way before the first byte of its answer, and then two at once: the caller sends one
// request and gets the whole text, from another provider, at once or streamed.
func TestChatFailsOver(t *testing.T) {
	for n, f := range []sandbox.Fault{
		{Kind: sandbox.Limit}, {Kind: sandbox.Status, Code: 503}, {Kind: sandbox.Status, Code: 500}, {Kind: sandbox.Status, Code: 500, Executed: true},
		{Kind: sandbox.Status, Code: 401}, {Kind: sandbox.Reset}, {Kind: sandbox.Reset, Executed: true}, {Kind: sandbox.Lose}, {Kind: sandbox.Refuse},
		{Kind: sandbox.CutHeaders}, {Kind: sandbox.Hang},
	} {
		w, c, direct := chatting(t) // anew for each: what fails again and again is not asked any more
		for _, streamed := range []bool{false, true} {
			for _, broken := range []int{1, 2} {
				if f.Kind == sandbox.Hang && broken > 1 {
					continue // it takes a time-out each
				}
				failsOver{w, c, direct, f, streamed, broken}.run(fmt.Sprintf("Question %d of %d", n, broken))
			}
		}
	}
	w, c, direct := chatting(t)
	// The whole question goes to the next provider too, also one that is larger than what is kept in memory.
	failsOver{w, c, direct, sandbox.Fault{Kind: sandbox.Status, Code: 503}, true, 2}.run(strings.Repeat("x", 900_000))
	if list := w.transactions(""); len(list) != 0 {
		t.Errorf("what may be repeated is claimed: %d transactions", len(list))
	}
}

// failsOver is a question of which the first providers fail.

// chatting is a world of chat providers, who calls it, and who asks the last provider itself.
func chatting(t *testing.T) (w *world, c, direct *caller) {
	w = newWorld(t, talking())
	direct = newCaller(t, w.provider(chatters[2]).URL())
	direct.slot = credential
	return w, w.chatter(), direct
}

type failsOver struct {
	w         *world
	c, direct *caller
	fault     sandbox.Fault
	streamed  bool
	broken    int
}

func (o failsOver) run(text string) {
	t, w := o.w.t, o.w
	t.Helper()
	what := fmt.Sprintf("%d × %s %d (executed %t), streamed %t", o.broken, o.fault.Kind, o.fault.Code, o.fault.Executed, o.streamed)
	o.ready(0)
	o.ready(1)
	a := question(text, o.streamed)
	want, whole := o.direct.do(a).must(t).spoken()
	if !whole || want == "" {
		t.Fatalf("the provider itself says %q", want)
	}
	for _, name := range chatters[:o.broken] {
		w.faults(name, o.fault)
	}
	got := o.c.do(a)
	for _, name := range chatters[:o.broken] {
		w.faults(name)
	}
	said, whole := got.spoken()
	if got.status != http.StatusOK || said != want || !whole {
		t.Errorf("%s: whole %t, %v", what, whole, got)
	}
	if hops := strings.Count(got.header.Get("Segue-Route"), "attempt="); hops != o.broken+1 || got.via() != chatters[o.broken] {
		t.Errorf("%s: route %s", what, got.header.Get("Segue-Route"))
	}
}

// ready waits until a provider is asked when those before it are gone: one that said when to come back is not asked before.
func (o failsOver) ready(n int) {
	t := o.w.t
	t.Helper()
	for _, name := range chatters[:n] {
		o.w.faults(name, sandbox.Fault{Kind: sandbox.Refuse})
	}
	row, enough := 0, map[bool]int{true: 15, false: 1}[n == 0] // what it does well outweighs what it did not
	eventually(t, 40*time.Second, chatters[n]+" is asked", func() error {
		if got := o.c.do(question("Ready?", false)).must(t); got.via() != chatters[n] {
			row = 0
			return fmt.Errorf("%s answers", got.via())
		}
		if row++; row < enough {
			return fmt.Errorf("%d in a row", row)
		}
		return nil
	})
	for _, name := range chatters[:n] {
		o.w.faults(name)
	}
}

// TestChatIsCut cuts an answer after its first bytes: nothing can be asked of anybody else any more, and the caller must see that the text
// is not whole. The reader of a stream is told so by an event before the connection breaks.
func TestChatIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, talking())
	c := w.chatter()
	for _, end := range []sandbox.Ending{sandbox.Close, sandbox.Abort} {
		for _, streamed := range []bool{false, true} {
			w.faults(chatters[0], sandbox.Fault{Kind: sandbox.CutBody, End: end})
			before := w.requests(chatters[1:]...)
			got := c.do(question("Will this be whole?", streamed))
			w.faults(chatters[0])
			if _, whole := got.spoken(); whole || got.err == nil || strings.Contains(string(got.body), "[DONE]") {
				t.Errorf("cut by %s, streamed %t: a clean end: %s", end, streamed, got.body)
			}
			if got.status != http.StatusOK || len(got.body) == 0 || w.requests(chatters[1:]...) != before {
				t.Errorf("cut by %s, streamed %t: the cut was not behind the first byte: %v", end, streamed, got)
			}
			// An event of ours needs the connection to be whole until then: the provider's bytes end between two events.
			if told := strings.HasSuffix(string(got.body), "\n\n") && strings.Contains(string(got.body), `"code":"segue_answer_cut"`); told != streamed {
				t.Errorf("cut by %s, streamed %t: told by an event %t: %s", end, streamed, told, got.body)
			}
			c.do(question("And now?", streamed)).must(t) // and the agent goes on
		}
	}
}

// TestChatDeclined: a mistake of the caller is answered by the first provider, in its own words, and nobody else is asked.
func TestChatDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t, talking())
	c := w.chatter()
	before := w.requests(chatters...)
	long := c.do(question(strings.Repeat("word ", 9000), false))
	if long.status != http.StatusBadRequest || long.document().Error == nil || long.document().Error.Code != "context_length_exceeded" || long.problem() != "" {
		t.Errorf("%v", long)
	}
	if n := w.requests(chatters...) - before; n != 1 {
		t.Errorf("%d requests", n)
	}
	for _, name := range chatters {
		w.faults(name, sandbox.Fault{Kind: sandbox.Refuse})
	}
	nobody := c.do(question("Anybody?", true))
	if e := nobody.document().Error; nobody.problem() == "" || nobody.status < 500 || e == nil || e.Message == "" || e.Code == "" {
		t.Errorf("nobody answers: %v", nobody)
	}
}
