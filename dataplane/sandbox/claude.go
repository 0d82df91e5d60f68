package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// OpClaude is the operation that answers a conversation in Anthropic's API.
const OpClaude = "messages.answer"

func claudeModels() []string {
	return []string{"claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"}
}

// claudeAPI is Anthropic's, v1: https://docs.claude.com/en/api/errors says what its errors are.
func claudeAPI() *dialect {
	return &dialect{
		routes: []*route{
			effect("/v1/messages", OpClaude, answerClaude),
			{method: http.MethodPost, pattern: "/v1/messages/count_tokens", operation: "messages.count_tokens", do: countClaude},
			read("/v1/models", "models.list", listClaude),
			read("/v1/models/{id}", "models.get", getClaude),
		},
		secret: func(r *http.Request) string { return r.Header.Get("X-Api-Key") },
		read: func(c *call, r *http.Request, body []byte) *apiError {
			if r.Header.Get("Anthropic-Version") == "" {
				return claudeTrouble(http.StatusBadRequest, "anthropic-version: header is required")
			}
			if r.Method != http.MethodPost {
				return nil
			}
			if err := json.Unmarshal(body, &c.chat); err != nil {
				return claudeTrouble(http.StatusBadRequest, "The request body is not valid JSON: "+err.Error())
			}
			return nil
		},
		body: func(e *apiError) any {
			return map[string]any{"type": "error", "error": map[string]any{"type": e.Type, "message": e.Message}}
		},
		trouble: claudeTrouble,
		head: func(h http.Header, c *call, id string) {
			h.Set("Request-Id", id)
			c.room.tellClaude(h)
		},
	}
}

func claudeTrouble(status int, detail string) *apiError {
	e := &apiError{Status: status, Type: "invalid_request_error", Message: detail}
	switch {
	case status == http.StatusUnauthorized:
		e.Type, e.Message = "authentication_error", "invalid x-api-key"
	case status == http.StatusForbidden:
		e.Type = "permission_error"
	case status == http.StatusNotFound:
		e.Type, e.Message = "not_found_error", "Not found: "+detail
	case status == http.StatusRequestEntityTooLarge:
		e.Type = "request_too_large"
	case status == http.StatusTooManyRequests:
		e.Type, e.Message = "rate_limit_error", "This request would exceed your account's rate limit."
	case status == 529:
		e.Type, e.Message = "overloaded_error", "Overloaded"
	case status >= 500:
		e.Type, e.Message = "api_error", "Internal server error"
	}
	return e
}

// checkClaude refuses what Anthropic refuses.
func (r *chatRequest) checkClaude() *apiError {
	wrong := func(format string, args ...any) *apiError {
		return claudeTrouble(http.StatusBadRequest, fmt.Sprintf(format, args...))
	}
	switch {
	case r.Model == "":
		return wrong("model: Field required")
	case !slices.Contains(claudeModels(), r.Model):
		return claudeTrouble(http.StatusNotFound, "model: "+r.Model)
	case len(r.Messages) == 0:
		return wrong("messages: at least one message is required")
	case r.words() > contextWords:
		return wrong("prompt is too long: %d tokens > %d maximum", r.words(), contextWords)
	}
	for i, t := range r.Messages {
		if t.Role != "user" && t.Role != "assistant" {
			return wrong("messages.%d.role: Input should be 'user' or 'assistant'", i)
		}
	}
	return nil
}

func answerClaude(b *bank, c *call) (any, *apiError) {
	r := &c.chat
	if bad := r.checkClaude(); bad != nil {
		return nil, bad
	}
	if r.MaxTokens == nil || *r.MaxTokens < 1 {
		return nil, claudeTrouble(http.StatusBadRequest, "max_tokens: Field required")
	}
	words, stop := strings.SplitAfter(r.says(), " "), "end_turn"
	if *r.MaxTokens < len(words) {
		words, stop = words[:*r.MaxTokens], "max_tokens"
	}
	id := b.ids.make("msg")
	b.record(c, id, 0, "", nil, "succeeded")
	said := claudeAnswer{id: id, model: r.Model, stop: stop, words: words, read: r.words()}
	if r.Stream {
		return said.events(), nil
	}
	return said.object(), nil
}

// claudeAnswer is an answer on its way.
type claudeAnswer struct {
	id, model, stop string
	words           []string
	read            int
}

func (a *claudeAnswer) object() map[string]any {
	return a.render([]map[string]any{{"type": "text", "text": strings.Join(a.words, "")}}, a.stop, len(a.words))
}

func (a *claudeAnswer) render(content []map[string]any, stop any, out int) map[string]any {
	return map[string]any{
		"id": a.id, "type": "message", "role": "assistant", "model": a.model, "content": content, "stop_reason": stop, "stop_sequence": nil,
		"usage": map[string]any{"input_tokens": a.read, "output_tokens": out},
	}
}

// events tells the answer word by word; message_stop says that it is whole.
func (a *claudeAnswer) events() stream {
	var out stream
	add := func(kind string, fields map[string]any) {
		fields["type"] = kind
		text, _ := json.Marshal(fields) // maps of texts and numbers: cannot fail
		out = append(out, fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, text))
	}
	add("message_start", map[string]any{"message": a.render([]map[string]any{}, nil, 1)})
	add("content_block_start", map[string]any{"index": 0, "content_block": map[string]any{"type": "text", "text": ""}})
	for _, w := range a.words {
		add("content_block_delta", map[string]any{"index": 0, "delta": map[string]any{"type": "text_delta", "text": w}})
	}
	add("content_block_stop", map[string]any{"index": 0})
	add("message_delta", map[string]any{"delta": map[string]any{"stop_reason": a.stop, "stop_sequence": nil}, "usage": map[string]any{"output_tokens": len(a.words)}})
	add("message_stop", map[string]any{})
	return out
}

func countClaude(_ *bank, c *call) (any, *apiError) {
	if bad := c.chat.checkClaude(); bad != nil {
		return nil, bad
	}
	return map[string]any{"input_tokens": c.chat.words()}, nil
}

func claudeModel(id string) map[string]any {
	return map[string]any{"type": "model", "id": id, "display_name": id, "created_at": "2025-09-29T00:00:00Z"}
}

func listClaude(*bank, *call) (any, *apiError) {
	data := []map[string]any{}
	for _, id := range claudeModels() {
		data = append(data, claudeModel(id))
	}
	return map[string]any{"data": data, "has_more": false, "first_id": claudeModels()[0], "last_id": claudeModels()[len(data)-1]}, nil
}

func getClaude(_ *bank, c *call) (any, *apiError) {
	if !slices.Contains(claudeModels(), c.id) {
		return nil, claudeTrouble(http.StatusNotFound, "model: "+c.id)
	}
	return claudeModel(c.id), nil
}

// tellClaude says the same as tell, under Anthropic's names.
func (a allowance) tellClaude(h http.Header) {
	h.Set("Anthropic-Ratelimit-Requests-Limit", fmt.Sprint(perMinute))
	h.Set("Anthropic-Ratelimit-Requests-Remaining", fmt.Sprint(a.left))
	h.Set("Anthropic-Ratelimit-Requests-Reset", a.until.UTC().Format(time.RFC3339))
}
