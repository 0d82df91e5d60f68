package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func chatBody(streamed bool, words ...string) string {
	r := chatRequest{Model: "gpt-4o", Stream: streamed, Metadata: map[string]string{"order": "q-1"}}
	for _, w := range words {
		r.Messages = append(r.Messages, turn{"user", spoken(w)})
	}
	body, _ := json.Marshal(r)
	return string(body)
}

func completed(t *testing.T, p *Provider, body string) got {
	t.Helper()
	g, err := request(t, "POST", p.URL()+"/v1/chat/completions", "sk-test", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// listen reads a completion as it comes.
func listen(t *testing.T, p *Provider, body string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequest("POST", p.URL()+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk-test")
	resp, err := web(t).Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp, raw, err
}

func choice(g got) map[string]any {
	list, _ := g.at("choices").([]any)
	if len(list) != 1 {
		return nil
	}
	c, _ := list[0].(map[string]any)
	return c
}

func TestChat(t *testing.T) {
	s := speaking(t, ProviderConfig{Name: "a", API: Chat, Credential: "sk-test"}, ProviderConfig{Name: "b", API: Chat})
	a, b := s.Provider("a"), s.Provider("b")
	first := completed(t, a, chatBody(false, "hello", "are you there?"))
	c := choice(first)
	said := got{body: c}.at("message.content")
	if first.status != 200 || !strings.HasPrefix(first.id(), "chatcmpl-") || c["finish_reason"] != "stop" || !strings.Contains(said.(string), `"are you there?"`) ||
		first.at("system_fingerprint") != "fp_a" || first.header.Get("X-Request-Id") == "" || first.header.Get("X-Ratelimit-Remaining-Requests") != "9999" {
		t.Errorf("%d %v %v", first.status, first.body, first.header)
	}
	if other := (got{body: choice(completed(t, b, chatBody(false, "hello", "are you there?")))}).at("message.content"); other != said {
		t.Errorf("two providers say other things to one conversation: %q, %q", said, other)
	}
	if other := (got{body: choice(completed(t, b, chatBody(false, "hullo", "are you there?")))}).at("message.content"); other == said {
		t.Error("another conversation, and the same answer")
	}
	equal(t, "executed", a.Books().Executed("q-1"), 1)
	completed(t, a, chatBody(false, "hello", "are you there?"))
	if twice := Twice(a.Books(), b.Books()); len(twice) != 0 {
		t.Errorf("a completion may be repeated: %v", twice)
	}
	resp, raw, err := listen(t, a, chatBody(true, "hello", "are you there?"))
	if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%v %v", resp, err)
	}
	if text, whole := heard(resp, raw); !whole || text != said {
		t.Errorf("streamed %q, whole %t; at once %q", text, whole, said)
	}
	if n := bytes.Count(raw, []byte("data: {")); n < 10 || !bytes.HasSuffix(raw, []byte("\n\ndata: [DONE]\n\n")) {
		t.Errorf("%d events:\n%s", n, raw)
	}
}

func TestChatDetails(t *testing.T) {
	p := speaking(t, ProviderConfig{Name: "a", API: Chat}).Provider("a")
	short := completed(t, p, `{"model":"gpt-4o","max_completion_tokens":3,"messages":[{"role":"user","content":[{"type":"text","text":"one two"}]}]}`)
	if c := choice(short); c["finish_reason"] != "length" || short.at("usage.completion_tokens") != 3.0 || short.at("usage.prompt_tokens") != 2.0 {
		t.Errorf("%v", short.body)
	}
	_, raw, err := listen(t, p, `{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`)
	if err != nil || !bytes.Contains(raw, []byte(`"total_tokens"`)) {
		t.Errorf("%v %s", err, raw)
	}
	for body, want := range map[string]string{
		`{"messages":[{"role":"user","content":"x"}]}`:                        "400 ",
		`{"model":"gpt-4o","messages":[]}`:                                    "400 empty_array",
		`{"model":"gpt-4o","n":2,"messages":[{"role":"user","content":"x"}]}`: "400 unsupported_value",
		`{"model":"gpt-1","messages":[{"role":"user","content":"x"}]}`:        "404 model_not_found",
		`{"model":"gpt-4o","messages":[{"role":"me","content":"x"}]}`:         "400 invalid_value",
		`{"model":"gpt-4o","messages":[{"role":"user","content":7}]}`:         "400 ",
		`no JSON`: "400 ",
		chatBody(false, strings.Repeat("word ", contextWords+1)): "400 context_length_exceeded",
	} {
		g := completed(t, p, body)
		code, _ := g.at("error.code").(string)
		if status, wanted, _ := strings.Cut(want, " "); status != strconv.Itoa(g.status) || code != wanted || g.at("error.message") == "" {
			t.Errorf("%.80s: got %d %v, want %s", body, g.status, g.body, want)
		}
	}
	list, err := request(t, "GET", p.URL()+"/v1/models", "sk", "", "")
	if models, _ := list.at("data").([]any); err != nil || len(models) != 3 {
		t.Errorf("%v %v", list.body, err)
	}
	one, _ := request(t, "GET", p.URL()+"/v1/models/gpt-4o", "sk", "", "")
	none, _ := request(t, "GET", p.URL()+"/v1/models/gpt-1", "sk", "", "")
	lost, _ := request(t, "GET", p.URL()+"/v1/nothing", "sk", "", "")
	if one.id() != "gpt-4o" || none.status != 404 || lost.status != 404 {
		t.Errorf("%v %v %v", one.body, none.body, lost.body)
	}
}

// A stream that is cut ends without its mark, whichever way the connection ends.
func TestChatIsCut(t *testing.T) {
	p := speaking(t, ProviderConfig{Name: "a", API: Chat}).Provider("a")
	for _, f := range []Fault{
		{Kind: CutBody, End: Close}, {Kind: CutBody, End: Abort}, {Kind: CutHeaders}, {Kind: Lose}, {Kind: Reset}, {Kind: Reset, Executed: true},
	} {
		for _, streamed := range []bool{true, false} {
			if err := p.SetFaults(f); err != nil {
				t.Fatal(err)
			}
			_, raw, err := listen(t, p, chatBody(streamed, "hello"))
			if err == nil || bytes.Contains(raw, []byte("[DONE]")) {
				t.Errorf("%+v, streamed %t: %v\n%s", f, streamed, err, raw)
			}
			if f.Kind == CutBody && streamed && !bytes.Contains(raw, []byte(`"delta"`)) {
				t.Errorf("nothing came before the cut: %s", raw)
			}
		}
	}
	if n := p.Books().Totals().Executed[OpChat]; n != 10 {
		t.Errorf("executed %d times: all but the two resets before the work", n)
	}
}

// The words of a stream come one by one: the first is here while the provider can still die before the last.
func TestChatStreams(t *testing.T) {
	p := speaking(t, ProviderConfig{Name: "a", API: Chat}).Provider("a")
	if err := p.SetFaults(Fault{Kind: Slow, Delay: 800 * time.Millisecond}); err != nil { // a word each 50 ms
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", p.URL()+"/v1/chat/completions", strings.NewReader(chatBody(true, "hello")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk-test")
	resp, err := web(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	first := make([]byte, 10)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if rest, err := io.ReadAll(resp.Body); err == nil || bytes.Contains(rest, []byte("[DONE]")) {
		t.Errorf("the provider died after the first word, and the stream ended well: %v\n%s", err, rest)
	}
}

func TestShopperTalks(t *testing.T) {
	s := speaking(t, ProviderConfig{Name: "pay"}, ProviderConfig{Name: "sms", API: Messages}, ProviderConfig{Name: "chat", API: Chat})
	shopper := shop(t, ShopperConfig{Seed: 5, Backoff: time.Millisecond, Targets: []Target{{
		Region: "east", URL: s.Provider("pay").URL(), Rate: 300, Messages: s.Provider("sms").URL(), Chat: s.Provider("chat").URL(),
	}}})
	until(t, "messages and answers", func() bool {
		st := shopper.Stats()
		return st.Texts[Succeeded] >= 20 && st.Chats[Succeeded] >= 20
	})
	closeShop(t, shopper)
	st, v := shopper.Stats(), Audit(shopper, s.Books()...)
	if v.Twice+v.Lost+v.Unknown+v.Guessed != 0 || st.Calls != st.OK || st.FailedReads != 0 {
		t.Errorf("%+v %+v", v, st)
	}
	equal(t, "messages", s.Provider("sms").Books().Totals().Executed[OpMessage], st.Texts[Succeeded])
	equal(t, "answers", s.Provider("chat").Books().Totals().Executed[OpChat], st.Chats[Succeeded])
	without := []*Books{s.Provider("pay").Books(), s.Provider("sms").Books()}
	equal(t, "lost without the chat's books", Audit(shopper, without...).Lost, int(st.Chats[Succeeded]))
}

// Whoever sends a message again after losing the reply, without anybody between, sends it twice: the books must show that.
func TestBooksShowAMessageThatWasSentTwice(t *testing.T) {
	s := speaking(t, ProviderConfig{Name: "pay"}, ProviderConfig{Name: "sms", API: Messages})
	if err := s.Provider("sms").SetFaults(Fault{Kind: Lose, Share: 0.5}); err != nil {
		t.Fatal(err)
	}
	shopper := shop(t, ShopperConfig{Seed: 5, Backoff: time.Millisecond, Targets: []Target{{
		Region: "east", URL: s.Provider("pay").URL(), Rate: 300, Messages: s.Provider("sms").URL(),
	}}})
	until(t, "messages", func() bool { return shopper.Stats().Texts[Succeeded] >= 20 })
	closeShop(t, shopper)
	if v := Audit(shopper, s.Books()...); v.Twice == 0 {
		t.Errorf("%+v", v)
	}
}
