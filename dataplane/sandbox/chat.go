package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
)

// OpChat is the operation that completes a conversation. It may be repeated: an answer twice does no harm but its cost.
const OpChat = "chat.completions.create"

// models are those that every chat provider has.
func models() []string { return []string{"gpt-4o", "gpt-4o-mini", "gpt-5-mini"} }

// contextWords is how much a model reads.
const contextWords = 8192

func chatAPI() *dialect {
	return &dialect{
		routes: []*route{
			effect("/v1/chat/completions", OpChat, complete),
			read("/v1/models", "models.list", listModels),
			read("/v1/models/{id}", "models.get", getModel),
		},
		secret: bearer,
		read: func(c *call, _ *http.Request, body []byte) *apiError {
			if !c.effect {
				return nil
			}
			if err := json.Unmarshal(body, &c.chat); err != nil {
				return wrongChat("", "", "We could not parse the JSON body of your request: "+err.Error())
			}
			return nil
		},
		body: func(e *apiError) any {
			return map[string]any{"error": map[string]any{
				"message": e.Message, "type": e.Type, "param": orNull(e.Param), "code": orNull(e.Code),
			}}
		},
		trouble: openAITrouble,
		head: func(h http.Header, c *call, id string) {
			h.Set("X-Request-Id", id)
			h.Set("Openai-Version", "2020-10-01")
			c.room.tell(h)
		},
	}
}

func openAITrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Type: "invalid_request_error", Message: detail}
	switch {
	case status == http.StatusUnauthorized:
		e.Code, e.Message = "invalid_api_key", "Incorrect API key provided."
	case status == http.StatusNotFound:
		e.Message = "Invalid URL (" + detail + ")"
	case status == http.StatusTooManyRequests:
		e.Type, e.Code, e.Message = "requests", "rate_limit_exceeded", "Rate limit reached for requests."
	case status >= 500:
		e.Type, e.Message = "server_error", "The server had an error while processing your request. Sorry about that!"
	}
	return e
}

func wrongChat(param, code, message string) *apiError {
	return &apiError{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: param, Code: code, Message: message}
}

// chatRequest is what a caller asks of a model.
type chatRequest struct {
	Model    string `json:"model"`
	Messages []turn `json:"messages"`
	Stream   bool   `json:"stream"`
	Options  struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens *int              `json:"max_tokens"`
	MaxNew    *int              `json:"max_completion_tokens"`
	N         *int              `json:"n"`
	Metadata  map[string]string `json:"metadata"`
}

// turn is one message of a conversation.
type turn struct {
	Role    string `json:"role"`
	Content spoken `json:"content"`
}

// spoken is a text, or a list of parts of which the texts count.
type spoken string

// UnmarshalJSON reads either form.
func (s *spoken) UnmarshalJSON(data []byte) error {
	var parts []struct{ Text string }
	if json.Unmarshal(data, &parts) == nil {
		texts := make([]string, len(parts))
		for i := range parts {
			texts[i] = parts[i].Text
		}
		*s = spoken(strings.Join(texts, " "))
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	*s = spoken(text)
	return nil
}

func (r *chatRequest) words() int {
	n := 0
	for _, t := range r.Messages {
		n += len(strings.Fields(string(t.Content)))
	}
	return n
}

func (r *chatRequest) check() *apiError {
	switch {
	case r.Model == "":
		return wrongChat("", "", "you must provide a model parameter")
	case !slices.Contains(models(), r.Model):
		e := wrongChat("", "model_not_found", "The model `"+r.Model+"` does not exist or you do not have access to it.")
		e.Status = http.StatusNotFound
		return e
	case len(r.Messages) == 0:
		return wrongChat("messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1.")
	case r.N != nil && *r.N != 1:
		return wrongChat("n", "unsupported_value", "Unsupported value: 'n' is 1 here.")
	case r.words() > contextWords:
		return wrongChat("messages", "context_length_exceeded",
			fmt.Sprintf("This model's maximum context length is %d tokens. However, your messages resulted in %d tokens.", contextWords, r.words()))
	}
	for i, t := range r.Messages {
		if !slices.Contains([]string{"system", "developer", "user", "assistant", "tool"}, t.Role) {
			return wrongChat(fmt.Sprintf("messages[%d].role", i), "invalid_value", "Invalid value: '"+t.Role+"'.")
		}
	}
	return nil
}

// says is the model's answer: the same words for the same conversation, at every provider, so that it can be seen whether a text is whole
// and whether the whole conversation arrived.
func (r *chatRequest) says() string {
	last, all := "", fnv.New32a()
	for _, t := range r.Messages {
		fmt.Fprintf(all, "%q%q", t.Role, string(t.Content))
		if t.Role == "user" {
			last = string(t.Content)
		}
	}
	return fmt.Sprintf("You said %q. I have read %d messages with %d words, and this is what I make of them: %08x. Ask me anything else.",
		last, len(r.Messages), r.words(), all.Sum32())
}

// completion is an answer on its way: its words, and how it ends.
type completion struct {
	id, model, print, finish string
	made                     int64
	words                    []string // each with the space before it
	prompt                   int      // words read
}

func complete(b *bank, c *call) (any, *apiError) {
	r := &c.chat
	if bad := r.check(); bad != nil {
		return nil, bad
	}
	done := &completion{
		id: strings.Replace(b.ids.make("chatcmpl"), "_", "-", 1), model: r.Model, print: "fp_" + b.books.Name(), finish: "stop",
		made: b.now().Unix(), prompt: r.words(), words: strings.SplitAfter(r.says(), " "),
	}
	for _, most := range []*int{r.MaxTokens, r.MaxNew} {
		if most != nil && *most >= 0 && *most < len(done.words) {
			done.words, done.finish = done.words[:*most], "length"
		}
	}
	b.record(c, done.id, 0, "", r.Metadata, "succeeded")
	if r.Stream {
		return done.events(r.Options.Usage), nil
	}
	return done.object(), nil
}

func (c *completion) usage() map[string]any {
	return map[string]any{"prompt_tokens": c.prompt, "completion_tokens": len(c.words), "total_tokens": c.prompt + len(c.words)}
}

func (c *completion) object() map[string]any {
	return map[string]any{
		"id": c.id, "object": "chat.completion", "created": c.made, "model": c.model, "system_fingerprint": c.print, "usage": c.usage(),
		"choices": []map[string]any{{
			"index": 0, "finish_reason": c.finish, "logprobs": nil,
			"message": map[string]any{"role": "assistant", "content": strings.Join(c.words, ""), "refusal": nil},
		}},
	}
}

// stream is an answer told in server-sent events, each written apart.
type stream [][]byte

// events tells the completion word by word, and ends with the mark that says that it is whole.
func (c *completion) events(usage bool) stream {
	var out stream
	add := func(choices []map[string]any, usage any) {
		chunk := map[string]any{
			"id": c.id, "object": "chat.completion.chunk", "created": c.made, "model": c.model, "system_fingerprint": c.print, "choices": choices,
		}
		if usage != nil {
			chunk["usage"] = usage
		}
		text, _ := json.Marshal(chunk) // maps of texts and numbers: cannot fail
		out = append(out, fmt.Appendf(nil, "data: %s\n\n", text))
	}
	delta := func(d map[string]any, finish any) []map[string]any {
		return []map[string]any{{"index": 0, "delta": d, "logprobs": nil, "finish_reason": finish}}
	}
	add(delta(map[string]any{"role": "assistant", "content": ""}, nil), nil)
	for _, w := range c.words {
		add(delta(map[string]any{"content": w}, nil), nil)
	}
	add(delta(map[string]any{}, c.finish), nil)
	if usage {
		add([]map[string]any{}, c.usage())
	}
	return append(out, []byte("data: [DONE]\n\n"))
}

func model(id string) map[string]any {
	return map[string]any{"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "sandbox"}
}

func listModels(*bank, *call) (any, *apiError) {
	data := []map[string]any{}
	for _, id := range models() {
		data = append(data, model(id))
	}
	return map[string]any{"object": "list", "data": data}, nil
}

func getModel(_ *bank, c *call) (any, *apiError) {
	if !slices.Contains(models(), c.id) {
		return nil, &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found",
			Message: "The model '" + c.id + "' does not exist"}
	}
	return model(c.id), nil
}
