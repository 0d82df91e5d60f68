package dataplane

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"segue/dataplane/sandbox"
)

const chatDocument = `segue: v1
regions: {here: }
services:
  chat:
    speaks: openai/v1
    listen: 7103
    strategy: priority
    priority: [first, second]
    operations:
      complete: {match: POST /v1/chat/completions, semantics: read}
    session:
      turns: {class: rebuilt, kind: counter}
providers:
  first: {contract: openai/v1, endpoint: %q, credential: caller}
  second: {contract: openai/v1, endpoint: %q, credential: caller}
`

// TestTwentyTurns: the provider of a chat dies in the midst of twenty turns. The requests carry the conversation, so that the next one
// has read all of it; what the session holds beside it stays.
func TestTwentyTurns(t *testing.T) {
	box, err := sandbox.New(sandbox.Config{Providers: []sandbox.ProviderConfig{
		{Name: "first", API: sandbox.Chat, Latency: sandbox.Latency{Median: -1}}, {Name: "second", API: sandbox.Chat, Latency: sandbox.Latency{Median: -1}},
	}})
	must(t, err)
	must(t, box.Start())
	w := newWorld(t)
	t.Cleanup(func() { must(t, box.Stop(context.Background())) })
	must(t, w.agent.Apply(w.update(2, fmt.Sprintf(chatDocument, box.Provider("first").URL(), box.Provider("second").URL()))))
	type turn struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var said []turn
	addr := w.agent.Addr("chat")
	for n := range 20 {
		if n == 11 {
			box.Provider("first").Kill()
		}
		said = append(said, turn{"user", fmt.Sprint("question ", n)})
		body, err := json.Marshal(map[string]any{"model": "gpt-4o", "messages": said})
		must(t, err)
		a, err := w.callAt(t.Context(), addr, "POST", "/v1/chat/completions", string(body), "Content-Type", "application/json", "Session-Id", "ses_1")
		must(t, err)
		at := map[bool]string{true: "second", false: "first"}[n >= 11]
		if a.status != 200 || !strings.Contains(a.header.Get("Segue-Decision"), at+";") {
			t.Fatalf("turn %d: %d %s %s, want it answered by %s", n, a.status, a.header.Get("Segue-Decision"), a.body, at)
		}
		var answer struct{ Choices []struct{ Message turn } }
		must(t, json.Unmarshal([]byte(a.body), &answer))
		text := answer.Choices[0].Message.Content
		if want := fmt.Sprintf("You said \"question %d\". I have read %d messages", n, len(said)); !strings.HasPrefix(text, want) {
			t.Fatalf("turn %d: %s, want %s", n, text, want)
		}
		said = append(said, answer.Choices[0].Message)
		if a, err = w.callAt(t.Context(), addr, "PUT", fieldsPath+"ses_1/fields/turns", `{"add": 1}`); err != nil || a.status != 204 {
			t.Fatalf("%d %s, %v", a.status, a.body, err)
		}
	}
	if a, err := w.callAt(t.Context(), addr, "GET", fieldsPath+"ses_1/fields/turns", ""); err != nil || a.body != `{"value":20}` {
		t.Errorf("%s, %v", a.body, err)
	}
	if n := w.moved("chat", "rebuilt"); n != 1 {
		t.Errorf("%v sessions went on as rebuilt", n)
	}
}
