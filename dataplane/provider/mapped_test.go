package provider

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// mappedCall is a completion for a provider of Anthropic's API.
func mappedCall(t testing.TB, endpoint, body string, read bool) *Call {
	t.Helper()
	src := fmt.Sprintf(`segue: v1
services:
  chat: {speaks: openai/v1, listen: 7103, strategy: priority, priority: [anthropic]}
providers:
  anthropic: {contract: anthropic/v1, endpoint: "%s", credential: "env:KEY"}
`, endpoint)
	doc, problems := policy.Parse("p.yaml", []byte(src))
	if problems != nil {
		t.Fatal(problems.Error())
	}
	snap, err := policy.Compile(doc, "local", 1)
	if err != nil {
		t.Fatal(err)
	}
	c := snap.Services[0].Candidates[0]
	return &Call{
		Candidate: c, Service: "chat", Operation: "complete", Mapping: c.Mapped("complete"), Read: read, PerTry: 5 * time.Second, Key: "key-1",
		Request: &message.Request{Method: "POST", Path: "/v1/chat/completions", RawQuery: "a=b", Body: []byte(body), Header: message.Header{
			{Name: "Authorization", Value: "Bearer application"}, {Name: "Content-Type", Value: "application/json"}, {Name: "X-Stainless-Lang", Value: "go"}, {Name: "Cookie", Value: "c"},
		}},
	}
}

const asks = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"canary 4242424242424242"}]}`

func mappedWorld(t testing.TB) *world {
	return newWorld(t, func(c *Config) {
		c.Env = func(string) (string, bool) { return "sk-ant", true }
	})
}

// answering is a provider that gives one answer, and remembers what it was asked.
type answering struct {
	*httptest.Server
	mu     sync.Mutex
	header http.Header
	path   string
	bodies []string
}

func newAnswering(t testing.TB, status int, header map[string]string, body string) *answering {
	a := &answering{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.header, a.path, a.bodies = r.Header, r.Method+" "+r.URL.RequestURI(), append(a.bodies, string(b))
		a.mu.Unlock()
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(a.Close)
	return a
}

const claudeSays = `{"id":"msg_7","type":"message","model":"claude-haiku","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`

// TestAMappedCall: the provider is asked in its own words, with its own credential and nothing of the application's; the application is
// answered in its words, and a second send is the same bytes.
func TestAMappedCall(t *testing.T) {
	s := newAnswering(t, 200, map[string]string{"Content-Type": "application/json", "Request-Id": "req_1"}, claudeSays)
	w := mappedWorld(t)
	for range 2 {
		to := &taker{}
		r := w.Send(t.Context(), mappedCall(t, s.URL, asks, false), to)
		if r.Outcome != ledger.Succeeded || r.Theirs != "msg_7" || !to.clean() || to.status != 200 || r.Error != "" {
			t.Fatalf("%+v %d", r, to.status)
		}
		if id, _ := policy.BodyField(to.header.Get("Content-Type"), to.body.Bytes(), "id"); id != "chatcmpl-7" {
			t.Errorf("%s", to.body.String())
		}
		if to.header.Has("Request-Id") {
			t.Error("what speaks of the other API passes")
		}
	}
	if len(s.bodies) != 2 || s.bodies[0] != s.bodies[1] || s.path != "POST /v1/messages" {
		t.Errorf("%q %s", s.bodies, s.path)
	}
	if s.header.Get("X-Api-Key") != "sk-ant" || s.header.Get("Anthropic-Version") != "2023-06-01" || s.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", s.header)
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Stainless-Lang", "Idempotency-Key"} {
		if s.header.Get(name) != "" {
			t.Errorf("%s goes to the provider", name)
		}
	}
}

// TestWhatAMappedAnswerProves: the provider's own answer decides, whatever its words become.
func TestWhatAMappedAnswerProves(t *testing.T) {
	js := map[string]string{"Content-Type": "application/json", "Retry-After": "7"}
	for _, c := range []struct {
		name    string
		status  int
		body    string
		outcome ledger.Outcome
		class   health.Class
		token   string
		told    int
		says    string
	}{
		{"a success", 200, claudeSays, ledger.Succeeded, health.OK, "", 200, "chat.completion"},
		{"a refusal", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"too long"}}`, ledger.Declined, health.OK, "", 400, `"message":"too long"`},
		{"a limit", 429, `{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}`, ledger.NotSent, health.Limited, "", 429, "rate_limit_exceeded"},
		{"overload", 529, `{"type":"error","error":{"type":"overloaded_error","message":"busy"}}`, ledger.Unknown, health.Failure, "", 503, `"message":"busy"`},
		{"a page", 502, `<html>`, ledger.Unknown, health.Failure, "", 502, "server_error"},
		{"another success", 200, `{"fine":true}`, ledger.Succeeded, health.OK, answerNotMapped, 0, ""},
		{"no JSON", 200, `<html>`, ledger.Succeeded, health.OK, answerNotMapped, 0, ""},
		{"a large one", 200, `{"a":"` + strings.Repeat("x", policy.MaxTree) + `"}`, ledger.Succeeded, health.OK, answerNotMapped, 0, ""},
		{"a deep one", 200, strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), ledger.Succeeded, health.OK, answerNotMapped, 0, ""},
		{"a name twice", 200, `{"id":"a","id":"b"}`, ledger.Succeeded, health.OK, answerNotMapped, 0, ""},
		{"no UTF-8", 200, "{\"id\":\"\xff\"}", ledger.Succeeded, health.OK, answerNotMapped, 0, ""},
		{"a huge number", 200, `{"id":1e99999999999999999999}`, ledger.Succeeded, health.OK, answerNotMapped, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newAnswering(t, c.status, js, c.body)
			w := mappedWorld(t)
			to := &taker{}
			r := w.Send(t.Context(), mappedCall(t, s.URL, asks, false), to)
			if r.Outcome != c.outcome || r.Sample.Class != c.class || r.Error != c.token || r.Status != c.status || to.status != c.told {
				t.Fatalf("%+v, told %d %s", r, to.status, to.body.String())
			}
			if c.told == 0 && (r.Begun || len(to.ends) != 0) || c.told != 0 && !to.clean() || !strings.Contains(to.body.String(), c.says) {
				t.Errorf("%+v %s", r, to.body.String())
			}
			if c.status == 429 && to.header.Get("Retry-After") != "7" {
				t.Errorf("%v", to.header)
			}
		})
	}
}

// TestWhatCannotBeMappedIsNotSent: the provider gets no byte, and is not blamed.
func TestWhatCannotBeMappedIsNotSent(t *testing.T) {
	s := newAnswering(t, 200, nil, claudeSays)
	for name, change := range map[string]func(*Call){
		"a program's refusal": func(c *Call) { c.Request.Body = []byte(`{"model":"gpt-4o","n":2,"messages":["4242424242424242"]}`) },
		"no JSON":             func(c *Call) { c.Request.Body = []byte(`4242424242424242 {`) },
		"another kind":        func(c *Call) { c.Request.Header.Set("Content-Type", "multipart/form-data; boundary=x") },
		"an encoding":         func(c *Call) { c.Request.Header.Add("Content-Encoding", "gzip") },
		"an account":          func(c *Call) { c.Request.Header.Add("Stripe-Account", "acct_1") },
		"a tunnel":            func(c *Call) { c.Request.Upgrade = "websocket" },
		"a large body":        func(c *Call) { c.Request.Large = largeText(strings.Repeat("x", policy.MaxTree+1)) },
		"a wrong query":       func(c *Call) { c.Request.RawQuery = "a[=1" },
		"deep nesting":        func(c *Call) { c.Request.Body = []byte(strings.Repeat("[", 100000)) },
	} {
		w := mappedWorld(t)
		call := mappedCall(t, s.URL, asks, false)
		change(call)
		to := &taker{}
		r := w.Send(t.Context(), call, to)
		if r.Outcome != ledger.NotSent || r.Kind != ledger.FromAnswer || r.Error != requestNotMapped || r.Sample.Class != health.None || r.Err == nil || to.status != 0 {
			t.Errorf("%s: %+v", name, r)
		}
		if r.Err != nil && strings.Contains(r.Err.Error(), "4242") {
			t.Errorf("%s: what is logged holds the body: %v", name, r.Err)
		}
	}
	if len(s.bodies) != 0 {
		t.Errorf("sent: %q", s.bodies)
	}
}

type largeText string

func (l largeText) Size() int64              { return int64(len(l)) }
func (l largeText) Sum() [32]byte            { return [32]byte{} }
func (l largeText) Open() (io.Reader, error) { return strings.NewReader(string(l)), nil }

func claudeEvent(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

func claudeStream(words ...string) []string {
	list := []string{claudeEvent("message_start", `{"message":{"id":"msg_7","model":"m","usage":{"input_tokens":1}}}`), ": comment\n\n", claudeEvent("ping", `{}`)}
	for _, w := range words {
		list = append(list, claudeEvent("content_block_delta", `{"delta":{"type":"text_delta","text":"`+w+`"}}`))
	}
	return append(list, claudeEvent("message_delta", `{"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`), claudeEvent("message_stop", `{}`))
}

const asksStream = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}`

// TestMappedEventsPassOneByOne: what comes of an event is with the caller before the provider sends the next.
func TestMappedEventsPassOneByOne(t *testing.T) {
	taken := make(chan string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, e := range claudeStream("Hel", "lo") {
			for _, part := range []string{e[:len(e)/2], e[len(e)/2:]} { // events come in pieces
				io.WriteString(w, part)
				w.(http.Flusher).Flush()
			}
			if strings.Contains(e, "comment") || strings.Contains(e, "ping") {
				continue
			}
			<-taken
		}
	}))
	defer s.Close()
	w := mappedWorld(t)
	to := &taker{onWrite: func(p []byte) { taken <- string(p) }}
	r := w.Send(t.Context(), mappedCall(t, s.URL, asksStream, true), to)
	if r.Outcome != ledger.Succeeded || !to.clean() || to.status != 200 || !strings.HasPrefix(to.header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%+v %v", r, to.ends)
	}
	text := to.body.String()
	if !strings.HasSuffix(text, "data: [DONE]\n\n") || strings.Count(text, "data: ") != 5 || !strings.Contains(text, `"content":"Hel"`) {
		t.Error(text)
	}
}

// TestMappedStreamsAreCut: a cut stays a cut, wherever it comes from; nothing of it looks like an end.
func TestMappedStreamsAreCut(t *testing.T) {
	whole := claudeStream("Hello")
	for name, c := range map[string]struct {
		events  []string
		drop    bool
		read    bool
		begun   bool
		outcome ledger.Outcome
	}{
		"the connection, in the middle": {whole[:4], true, true, true, ledger.Unknown},
		"the connection, in an effect":  {whole[:4], true, false, true, ledger.Unknown},
		"the connection, before a word": {[]string{": x\n\n"}, true, true, false, ledger.Unknown},
		"no last event":                 {whole[:5], false, true, true, ledger.Succeeded},
		"no event at all":               {nil, false, true, false, ledger.Succeeded},
		"an error":                      {append(whole[:4:4], claudeEvent("error", `{"error":{"type":"overloaded_error","message":"busy"}}`)), false, false, true, ledger.Succeeded},
		"an event of another kind":      {append(whole[:4:4], claudeEvent("content_block_delta", `{"delta":{"type":"text_delta","text":{"a":1}}}`), claudeEvent("message_delta", `[]`)), false, false, true, ledger.Succeeded},
		"an event without an end":       {append(whole[:4:4], "data: "+strings.Repeat("x", policy.MaxEvent+1)), false, false, true, ledger.Succeeded},
		"an event after the end":        {append(whole[:len(whole):len(whole)], whole[3]), false, false, true, ledger.Succeeded},
		"words before the beginning":    {whole[3:4], false, false, true, ledger.Succeeded},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, strings.Join(c.events, ""))
			w.(http.Flusher).Flush()
			if c.drop {
				panic(http.ErrAbortHandler)
			}
		}))
		w := mappedWorld(t)
		to := &taker{}
		r := w.Send(t.Context(), mappedCall(t, s.URL, asksStream, c.read), to)
		s.Close()
		if to.clean() || c.begun && !to.cut() || !c.begun && to.status != 0 && !to.cut() {
			t.Errorf("%s: told as %v (%d) %s", name, to.ends, to.status, to.body.String())
		}
		if r.Outcome != c.outcome && !(c.read && r.Outcome == ledger.Unknown) {
			t.Errorf("%s: %+v", name, r)
		}
		if strings.Contains(to.body.String(), "[DONE]") != (name == "an event after the end") {
			t.Errorf("%s: %s", name, to.body.String())
		}
	}
}

// TestADrillIsMapped: a status that a drill answers with is told as the provider's would be.
func TestADrillIsMapped(t *testing.T) {
	w := mappedWorld(t)
	w.Drills([]policy.Order{{ID: "1", Kind: policy.Drill, Provider: "anthropic", At: time.Now(), For: time.Minute, Fault: policy.Fault{Kind: policy.FaultStatus, Status: 500, Share: 1}}})
	to := &taker{}
	r := w.Send(t.Context(), mappedCall(t, "http://127.0.0.1:1", asks, false), to)
	if r.Outcome != ledger.Unknown || to.status != 500 || !strings.Contains(to.body.String(), `"type":"server_error"`) {
		t.Errorf("%+v %d %s", r, to.status, to.body.String())
	}
}
