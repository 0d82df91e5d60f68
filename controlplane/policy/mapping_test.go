package policy

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const chatByTwo = `segue: v1
services:
  chat:
    speaks: openai/v1
    listen: 7103
    strategy: priority
    priority: [openai, anthropic]
providers:
  openai: {contract: openai/v1, credential: "env:A"}
  anthropic: {contract: anthropic/v1, credential: "env:B"}
`

// serviceOf compiles a policy's only service.
func serviceOf(t testing.TB, src string) *Service {
	t.Helper()
	p, problems := Parse("p.yaml", []byte(src))
	if problems != nil {
		t.Fatal(problems.Error())
	}
	s, err := Compile(p, "local", 1)
	if err != nil {
		t.Fatal(err)
	}
	return s.Services[0]
}

func noHeader(string) string { return "" }

func askedJSON(path, body string) *Heard {
	return &Heard{Method: "POST", Path: path, Header: noHeader, Type: "application/json", Body: []byte(body), Reference: "tx_1-0", Key: "k"}
}

func treeAt(t testing.TB, text []byte) any {
	t.Helper()
	v, err := ReadTree(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// same compares two JSON texts by what they say.
func same(t testing.TB, what string, got []byte, want string) {
	t.Helper()
	a, errA := WriteTree(treeAt(t, got))
	b, errB := WriteTree(treeAt(t, []byte(want)))
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("%s:\n got  %s\n want %s (%v %v)", what, a, b, errA, errB)
	}
}

func TestOpenAIIsMappedToAnthropic(t *testing.T) {
	svc := serviceOf(t, chatByTwo)
	if svc.Candidates[0].Mapped("complete") != nil || svc.Candidates[1].Mapped("complete") == nil || svc.Operations[0].Unmapped != 0 {
		t.Fatal("what speaks another API is mapped, and nothing else")
	}
	m := svc.Candidates[1].Mapped("complete")
	for body, want := range map[string]string{
		`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}`: `{"model":"claude-haiku-4-5-20251001","max_tokens":4096,"messages":[{"role":"user","content":"hi"}]}`,
		`{"model":"claude-x","max_tokens":7,"temperature":0.5,"stop":"x","stream":true,"user":"u1","messages":[{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"b"}]},{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAA"}},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}`: `{"model":"claude-x","max_tokens":7,"temperature":0.5,"stop_sequences":["x"],"stream":true,"metadata":{"user_id":"u1"},"system":"a\nb","messages":[{"role":"user","content":[{"type":"text","text":"see"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAA"}},{"type":"image","source":{"type":"url","url":"https://x/y.png"}}]}]}`,
		`{"model":"gpt-4o","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"required","messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"42"}]}`:                              `{"model":"claude-sonnet-4-5-20250929","max_tokens":4096,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"},"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"42"}]}]}`,
	} {
		made, err := m.Request(context.Background(), askedJSON("/v1/chat/completions", body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		same(t, body, made.Body, want)
		if made.Method != "POST" || made.Path != "/v1/messages" || len(made.Header) != 1 || made.Header[0] != [2]string{"Anthropic-Version", "2023-06-01"} || made.Type != "application/json" {
			t.Errorf("%+v", made)
		}
	}
	for body, want := range map[string]string{
		`{"model":"gpt-4o","n":2,"messages":[]}`:                               "n above 1",
		`{"model":"gpt-0","messages":[]}`:                                      "the model gpt-0",
		`{"model":"gpt-4o","messages":[],"audio":{}}`:                          "audio",
		`{"model":"gpt-4o","messages":[],"response_format":{"type":"json"}}`:   "a format of the answer",
		`{"model":"gpt-4o","messages":[],"temperature":1.5}`:                   "a temperature above 1",
		`{"model":"gpt-4o","messages":[{"role":"owner","content":"x"}]}`:       "the role owner",
		`{"model":"gpt-4o","messages":7}`:                                      "not of the kind",
		`{"model":"gpt-4o","model":"gpt-5","messages":[]}`:                     "a name is there twice",
		`{"model":"gpt-4o","messages":[{"role":"user","content":"4242424242"}`: "not whole",
		`[]`: "no object",
	} {
		_, err := m.Request(context.Background(), askedJSON("/v1/chat/completions", body))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "4242") {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

func TestAnswersOfAnthropicAreMappedBack(t *testing.T) {
	m := serviceOf(t, chatByTwo).Candidates[1].Mapped("complete")
	ask := func() *Heard {
		return askedJSON("/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`)
	}
	tell := func(status int, body string) *Told {
		return &Told{Status: status, Header: noHeader, Type: "application/json", Body: []byte(body), Succeeded: status < 300, At: 7}
	}
	said, err := m.Answer(context.Background(), ask(), tell(200, `{"id":"msg_1","type":"message","model":"claude-x","content":[{"type":"text","text":"Hello"},{"type":"tool_use","id":"t1","name":"f","input":{"a":[1,2.50]}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":5}}`))
	if err != nil || said.Status != 200 {
		t.Fatal(said, err)
	}
	same(t, "answer", said.Body, `{"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"claude-x","usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8},
		"choices":[{"index":0,"logprobs":null,"finish_reason":"tool_calls","message":{"role":"assistant","content":"Hello","refusal":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"a\":[1,2.50]}"}}]}}]}`)
	for _, c := range []struct {
		status int
		body   string
		want   int
		says   string
	}{
		{404, `{"type":"error","error":{"type":"not_found_error","message":"model: x"}}`, 404, `{"error":{"message":"model: x","type":"invalid_request_error","param":null,"code":"model_not_found"}}`},
		{529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, 503, `{"error":{"message":"Overloaded","type":"server_error","param":null,"code":null}}`},
		{429, `{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`, 429, `{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}`},
		{502, `<html>`, 502, `{"error":{"message":"The provider answered 502.","type":"server_error","param":null,"code":null}}`},
	} {
		said, err := m.Answer(context.Background(), ask(), tell(c.status, c.body))
		if err != nil || said.Status != c.want {
			t.Errorf("%s: %+v %v", c.body, said, err)
			continue
		}
		same(t, c.body, said.Body, c.says)
	}
	for _, body := range []string{`{"id":"msg_1"}`, `<html>`, `[]`, `{"id":"msg_1","content":[],"stop_reason":{},"usage":{}}`} {
		if said, err := m.Answer(context.Background(), ask(), tell(200, body)); err == nil {
			t.Errorf("%s is told as %s", body, said.Body)
		}
	}
}

func TestEventsOfAnthropicAreMapped(t *testing.T) {
	m := serviceOf(t, chatByTwo).Candidates[1].Mapped("complete")
	asked := askedJSON("/v1/chat/completions", `{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}`)
	s, err := m.Events(asked, &Told{Status: 200, Header: noHeader, At: 7})
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, e := range [][2]string{
		{"message_start", `{"type":"message_start","message":{"id":"msg_1","model":"claude-x","usage":{"input_tokens":3}}}`},
		{"ping", `{"type":"ping"}`},
		{"content_block_start", `{"index":0,"content_block":{"type":"text","text":""}}`},
		{"content_block_delta", `{"index":0,"delta":{"type":"text_delta","text":"Hel"}}`},
		{"content_block_delta", `{"index":0,"delta":{"type":"text_delta","text":"lo"}}`},
		{"content_block_stop", `{"index":0}`},
		{"content_block_start", `{"index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}`},
		{"content_block_delta", `{"index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}`},
		{"message_delta", `{"delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}`},
		{"message_stop", `{"type":"message_stop"}`},
	} {
		if s.Ended() {
			t.Fatal("ended early")
		}
		if out, err = s.Event(context.Background(), e[0], []byte(e[1]), out); err != nil {
			t.Fatalf("%s: %v", e[0], err)
		}
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n\n"), "\n\n")
	if !s.Ended() || len(lines) != 8 || lines[7] != "data: [DONE]" {
		t.Fatalf("%t %d\n%s", s.Ended(), len(lines), out)
	}
	text := ""
	for _, l := range lines[:7] {
		var c struct {
			ID      string
			Object  string
			Choices []struct {
				Delta struct{ Content string }
			}
			Usage *struct {
				Total int `json:"total_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(l, "data: ")), &c); err != nil || c.ID != "chatcmpl-1" || c.Object != "chat.completion.chunk" {
			t.Errorf("%v: %s", err, l)
		}
		if len(c.Choices) == 1 {
			text += c.Choices[0].Delta.Content
		}
		if c.Usage != nil && c.Usage.Total != 8 {
			t.Errorf("usage: %s", l)
		}
	}
	if text != "Hello" || !strings.Contains(lines[5], `"finish_reason":"tool_calls"`) || !strings.Contains(lines[3], `"name":"f"`) {
		t.Errorf("%q\n%s", text, out)
	}
	if _, err := s.Event(context.Background(), "ping", nil, nil); err == nil {
		t.Error("an event after the end is taken")
	}
	s, _ = m.Events(asked, &Told{Status: 200, Header: noHeader, At: 7})
	out, err = s.Event(context.Background(), "error", []byte(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), nil)
	if err == nil || !strings.Contains(string(out), `"message":"Overloaded"`) || s.Ended() {
		t.Errorf("an error in a stream: %v %s", err, out)
	}
}

// A re-drive under another mapping would be another request: all of it is in the digest that stands in the ledger.
func TestDigestSeesEveryFieldOfAMapping(t *testing.T) {
	of := func() *Contract {
		return &Contract{Name: "a/v1", Bridge: Bridge{Speaks: []Spoken{{
			API: "b/v1", Headers: []string{"A"}, Tables: []Table{{"t", []TableEntry{{"x", "y"}, {"z", "w"}}}}, Define: "d", Error: "e",
			Operations: []Mapping{{Operation: "o", To: "p", Request: "r", Answer: "a", Error: "f", Event: "v"}},
		}}}}
	}
	before := of().Digest()
	for name, change := range map[string]func(*Spoken){
		"API": func(s *Spoken) { s.API += "x" }, "Headers": func(s *Spoken) { s.Headers[0] = "B" }, "Define": func(s *Spoken) { s.Define += "x" },
		"Error": func(s *Spoken) { s.Error += "x" }, "Tables": func(s *Spoken) { s.Tables[0].Entries[0].To = "q" },
		"Tables.name": func(s *Spoken) { s.Tables[0].Name = "q" }, "Tables.from": func(s *Spoken) { s.Tables[0].Entries[0].From = "q" },
		"Operation": func(s *Spoken) { s.Operations[0].Operation += "x" }, "To": func(s *Spoken) { s.Operations[0].To += "x" },
		"Request": func(s *Spoken) { s.Operations[0].Request += "x" }, "Answer": func(s *Spoken) { s.Operations[0].Answer += "x" },
		"Mapping.Error": func(s *Spoken) { s.Operations[0].Error += "x" }, "Event": func(s *Spoken) { s.Operations[0].Event += "x" },
	} {
		c := of()
		change(&c.Speaks[0])
		if c.Digest() == before {
			t.Errorf("%s changed and the digest did not", name)
		}
	}
	turned := of()
	e := turned.Speaks[0].Tables[0].Entries
	e[0], e[1] = e[1], e[0]
	if turned.Digest() != before {
		t.Error("the order of a table's entries says nothing")
	}
	if a, b, c := reflect.TypeFor[Spoken]().NumField(), reflect.TypeFor[Mapping]().NumField(), reflect.TypeFor[Table]().NumField(); a != 6 || b != 6 || c != 2 {
		t.Errorf("%d, %d and %d fields: this test and the digest know 6, 6 and 2", a, b, c)
	}
}

// The examples of docs/contracts.md are policies, and do what the page says.
func TestTheMappingsInTheDocumentsWork(t *testing.T) {
	page, err := os.ReadFile("../../docs/contracts.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")
	if len(blocks) != 4 {
		t.Fatalf("%d examples", len(blocks)-1)
	}
	passages, _, _ := strings.Cut(blocks[1], "```") // of what a session has at a provider
	if _, problems := Parse("p.yaml", []byte(`segue: v1
services:
  pay: {speaks: stripe/v1, listen: 7101, strategy: priority, priority: [one]}
providers:
  one: {contract: acme/v1, endpoint: "https://one.example", credential: "env:K"}
`+passages)); problems != nil {
		t.Errorf("what a session has at a provider: %v", problems)
	}
	first, _, _ := strings.Cut(blocks[2], "```")
	second, _, _ := strings.Cut(blocks[3], "```")
	m := serviceOf(t, first).Candidates[1].Mapped("complete")
	made, err := m.Request(context.Background(), askedJSON("/v1/chat/completions", `{"model":"our-tuned-model","messages":[]}`))
	if err != nil || !strings.Contains(string(made.Body), "claude-haiku") {
		t.Errorf("%+v %v", made, err)
	}
	const rest = `services:
  pay: {speaks: stripe/v1, listen: 7101, strategy: priority, priority: [main, other]}
providers:
  main: {contract: stripe/v1, credential: caller}
  other: {contract: plain/v1, endpoint: "https://other.example", credential: "env:K"}
`
	svc := serviceOf(t, "segue: v1\n"+rest+second)
	other := svc.Candidates[1]
	charge := &Heard{Method: "POST", Path: "/v1/charges", Header: noHeader, Type: "application/x-www-form-urlencoded", Body: []byte("amount=1290&currency=eur"), Reference: "tx_1-0"}
	made, err = other.Mapped("charge").Request(context.Background(), charge)
	if err != nil || made.Path != "/pay" || string(made.Body) != `{"cents":1290,"currency":"EUR","reference":"tx_1-0"}` {
		t.Fatalf("%+v %v", made, err)
	}
	said, err := other.Mapped("charge").Answer(context.Background(), charge, &Told{Status: 201, Header: noHeader, Type: "application/json", Body: []byte(`{"number":7,"cents":1290}`), Succeeded: true})
	if err != nil || said.Status != 201 {
		t.Fatal(said, err)
	}
	same(t, "charge", said.Body, `{"id":"ch_7","object":"charge","amount":1290,"currency":"eur","status":"succeeded"}`)
	refund := &Heard{Method: "POST", Path: "/v1/refunds", Header: noHeader, Type: "application/x-www-form-urlencoded", Body: []byte("charge=ch_7"), Object: "7"}
	if made, err = other.Mapped("refund").Request(context.Background(), refund); err != nil || made.Path != "/pay/7/back" {
		t.Errorf("%+v %v", made, err)
	}
	refund = &Heard{Method: "POST", Path: "/v1/refunds", Header: noHeader, Type: "application/x-www-form-urlencoded", Body: []byte("charge=ch_0")}
	if made, err = other.Mapped("refund").Request(context.Background(), refund); err == nil {
		t.Errorf("an object that nobody knows there: %+v", made)
	}
	for _, op := range svc.Operations {
		if maps := op.Name == "charge" || op.Name == "refund"; op.Unmapped.Has(1) == maps || op.Maps != maps || op.Unmapped.Has(0) {
			t.Errorf("%s: %v %t", op.Name, op.Unmapped, op.Maps)
		}
	}
}

// A region that has a provider whose contract maps an API of the operator's own is given that API too, though nobody speaks it there.
func TestACutKeepsWhatIsMapped(t *testing.T) {
	good := string(read(t, "testdata/good/flat.yaml"))
	src := good + `contracts:
  base/v1: {like: stripe/v1}
  own/v1: {like: base/v1}
  spare/v1: {like: stripe/v1}
  mine/v1:
    like: stripe/v1
    speaks:
      own/v1:
        error: "{}"
        operations:
          charge: {to: charge, request: "{form: .body}", answer: "{body}"}
`
	src = strings.Replace(src, "contract: stripe/v1", "contract: mine/v1", 1)
	p, problems := Parse("p.yaml", []byte(src))
	if problems != nil {
		t.Fatal(problems.Error())
	}
	cut := Cut(p, p.Regions[0].Name)
	if names := namesOf(cut.Contracts, func(c Contract) string { return c.Name }); !slices.Equal(names, []string{"base/v1", "own/v1", "mine/v1"}) {
		t.Errorf("the cut has %v", names)
	}
	if _, err := Compile(cut, p.Regions[0].Name, 1); err != nil {
		t.Error(err)
	}
}
