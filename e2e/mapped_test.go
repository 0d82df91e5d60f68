package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"segue/dataplane/sandbox"
)

// TestChatGoesOnAtAnotherAPI: an application that speaks OpenAI's API is answered in it, streams too, when the provider that goes on has
// Anthropic's. A completion is an effect here: it is executed once, and a repeat is told the same bytes.
func TestChatGoesOnAtAnotherAPI(t *testing.T) {
	t.Parallel()
	const other = "anthropic"
	box := others(t, sandbox.ProviderConfig{Name: other, API: sandbox.Claude})
	p := talking()
	p.edit = func(policy string) string {
		return replaceAll(t, policy, "complete: {match: POST /v1/chat/completions, semantics: read}", "complete: {match: POST /v1/chat/completions, key: required}",
			"priority: ["+strings.Join(chatters, ", ")+"]", "priority: [openai-a, anthropic]",
			"providers:\n", fmt.Sprintf("providers:\n  anthropic: {contract: anthropic/v1, endpoint: \"%s\", credential: \"%s\"}\n", box.Provider(other).URL(), secretFile(policy)))
	}
	w := newWorld(t, p)
	c := w.chatter()
	executed := func() (n uint64) {
		for _, of := range box.Provider(other).Books().Totals().Executed {
			n += of
		}
		return n
	}
	w.faults("openai-a", sandbox.Fault{Kind: sandbox.Refuse})
	for i, streamed := range []bool{false, true} {
		a := question(fmt.Sprintf("Question %d", i), streamed)
		a.key = fmt.Sprintf("question-%d", i)
		before := executed()
		got := c.do(a)
		text, whole := got.spoken()
		if got.status != http.StatusOK || !whole || !strings.HasPrefix(text, fmt.Sprintf(`You said "Question %d"`, i)) || got.via() != other {
			t.Fatalf("streamed %t: %v via %s\n%s", streamed, got, got.via(), got.body)
		}
		if n := executed() - before; n != 1 {
			t.Errorf("streamed %t: executed %d times", streamed, n)
		}
		again := c.do(a)
		if again.status != http.StatusOK || !bytes.Equal(again.body, got.body) || again.header.Get("Idempotent-Replayed") != "true" || executed()-before != 1 {
			t.Errorf("a repeat is told %v\n%s", again, again.body)
		}
	}
	wrong := question("x", false)
	wrong.key, wrong.raw = "wrong", strings.Replace(wrong.raw, "gpt-4o-mini", "claude-0", 1)
	if got := c.do(wrong); got.status != http.StatusNotFound || !strings.Contains(string(got.body), `"code":"model_not_found"`) {
		t.Errorf("a refusal is told as %v\n%s", got, got.body)
	}
	unsaid := question("x", false)
	unsaid.key, unsaid.raw = "unsaid", strings.Replace(unsaid.raw, `"model"`, `"n":2,"model"`, 1)
	before := executed()
	if got := c.do(unsaid); got.status != http.StatusServiceUnavailable || !strings.Contains(string(got.body), "request_not_mapped") || !strings.Contains(string(got.body), `"executed":"no"`) || executed() != before {
		t.Errorf("what cannot be mapped is told as %v\n%s", got, got.body)
	}
	models := ask{method: http.MethodGet, path: "/v1/models"}
	if got := c.do(models); got.status != http.StatusOK || !strings.Contains(string(got.body), `"object":"list"`) || got.via() != other {
		t.Errorf("the models are %v\n%s", got, got.body)
	}
}
