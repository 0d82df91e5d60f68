package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/provider"
)

// Round is a call that an application makes in the API of a specimen, and what it expects there, whoever carries it out.
type Round struct {
	Name     string
	Request  func(n string) Request
	Fail     int // the simulator is made to answer so
	NotSent  bool
	Status   int
	Fields   [][2]string // of the answer: a dotted name, and a text that its value begins with
	Streamed bool        // the answer comes in events: their contents together begin as the first field says
}

// rounds drives each API that the contract maps: what an application speaks, through the programs, to the provider and back.
func (d *driver) rounds(ctx context.Context) {
	for i := range d.contract.Speaks {
		api := d.contract.Speaks[i].API
		spoken, ok := SpecimenFor(d.Policy, api)
		if !ok || len(spoken.Rounds) == 0 {
			d.leave("speaks", api, "nobody knows what an application says in it")
			continue
		}
		svc, err := d.speaking(api)
		if err != nil {
			d.say("speaks", api, false, "%v", err)
			continue
		}
		for _, r := range spoken.Rounds {
			d.round(ctx, svc, api+": "+r.Name, r)
		}
	}
}

// speaking is a service of another API, with the driven provider behind it.
func (d *driver) speaking(api string) (*policy.Service, error) {
	doc := &policy.Policy{
		Contracts: d.Policy.Contracts,
		Providers: []policy.ProviderSpec{{Name: "mapped", Contract: d.Contract, Endpoint: []policy.RegionValue{{Value: d.URL}}, Credential: []policy.RegionValue{{Value: "env:RIGHT"}}}},
		Services: []policy.ServiceSpec{{Name: "spoken", Speaks: api, Listen: policy.Listen{Port: 1}, Strategy: policy.Priority,
			Priority: []policy.RegionPriority{{Providers: []string{"mapped"}}}}},
	}
	doc.Regions = append(doc.Regions, region())
	s, err := policy.Compile(doc, policy.Local, 1)
	if err != nil {
		return nil, err
	}
	return s.Services[0], nil
}

func (d *driver) round(ctx context.Context, svc *policy.Service, name string, r Round) {
	d.n++
	q := r.Request(fmt.Sprintf("%s-%d", d.run, d.n))
	op, ok := svc.Match(q.Method, q.Path)
	if !ok || svc.Candidates[0].Mapped(op.Name) == nil {
		d.leave("speaks", name, "the operation is not mapped")
		return
	}
	if r.Fail != 0 {
		if d.World == nil {
			d.leave("speaks", name, simulatorOnly)
			return
		}
		if err := d.World.Fail(r.Fail, false); err != nil {
			d.say("speaks", name, false, "%v", err)
			return
		}
	}
	before := d.count()
	g := d.sendMapped(ctx, svc.Candidates[0], op, q)
	if r.Fail != 0 {
		_ = d.World.Let() // it was taken, or is not wanted any more
	}
	executed := d.executed(before)
	if r.NotSent {
		d.say("speaks", name, g.told() == policy.OutcomeNotSent && executed <= 0 && g.Error == "request_not_mapped", "not sent: %s", g.Error)
		return
	}
	wrong := g.lacks(r)
	if wrong == "" && executed >= 0 && (executed == 1) != (r.Status < 300 && !op.Read) {
		wrong = fmt.Sprintf("%d effects were executed", executed)
	}
	d.say("speaks", name, wrong == "", "%s%s", g, unless(wrong == "", wrong))
}

// sendMapped is one send through the mapping, as an agent's.
func (d *driver) sendMapped(ctx context.Context, to *policy.Candidate, op *policy.Operation, r Request) *got {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g := &got{}
	q := &message.Request{Method: r.Method, Path: r.Path, Header: r.header(), Body: []byte(r.Body)}
	g.Result = d.client.Send(ctx, &provider.Call{
		Candidate: to, Service: "spoken", Operation: op.Name, Request: q, Read: op.Read, Key: d.key(), PerTry: patience, Mapping: to.Mapped(op.Name),
	}, g)
	return g
}

// lacks says what an application would miss in an answer, "" where it has all that it expects.
func (g *got) lacks(r Round) string {
	if g.Err != nil {
		return g.Err.Error()
	}
	if g.status != r.Status {
		return fmt.Sprintf("the application is told %d, and expects %d", g.status, r.Status)
	}
	for i, f := range r.Fields {
		value := ""
		if r.Streamed && i == 0 {
			value = g.streamed()
		} else {
			value = g.field(f[0])
		}
		if value == "" || !strings.HasPrefix(value, f[1]) {
			return fmt.Sprintf("%s is %.80q, and an application expects %q", f[0], value, f[1])
		}
	}
	return ""
}

// streamed is the text of a stream of completions, "" where it has no end.
func (g *got) streamed() string {
	text := ""
	for _, e := range strings.Split(string(g.body), "\n\n") {
		data := strings.TrimPrefix(e, "data: ")
		if data == "[DONE]" {
			return text
		}
		var chunk struct {
			Object  string
			Choices []struct{ Delta struct{ Content string } }
		}
		if json.Unmarshal([]byte(data), &chunk) != nil || chunk.Object != "chat.completion.chunk" || len(chunk.Choices) != 1 {
			return ""
		}
		text += chunk.Choices[0].Delta.Content
	}
	return ""
}

// chatRounds are what applications say to OpenAI's API: https://platform.openai.com/docs/api-reference/chat.
func chatRounds() []Round {
	ask := func(more string) func(string) Request {
		return func(n string) Request {
			return Request{Method: "POST", Path: "/v1/chat/completions", Type: "application/json",
				Body: `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"round ` + n + `"}]` + more + `}`}
		}
	}
	model := func(name string) func(string) Request {
		return func(n string) Request {
			r := ask("")(n)
			r.Body = strings.Replace(r.Body, "gpt-4o-mini", name, 1)
			return r
		}
	}
	fails := func(status, told int, field, value string) Round {
		return Round{Name: "a provider that answers " + text(status), Request: ask(""), Fail: status, Status: told, Fields: [][2]string{{field, value}, {"error.message", ""}}}
	}
	return []Round{
		{Name: "a completion", Request: ask(""), Status: 200, Fields: [][2]string{{"object", "chat.completion"}, {"id", "chatcmpl-"}, {"choices.0.message.role", "assistant"},
			{"choices.0.message.content", `You said "round `}, {"choices.0.finish_reason", "stop"}, {"created", ""}, {"model", ""}, {"usage.prompt_tokens", ""}, {"usage.total_tokens", ""}}},
		{Name: "a short one", Request: ask(`,"max_tokens":2`), Status: 200, Fields: [][2]string{{"choices.0.message.content", "You said"}, {"choices.0.finish_reason", "length"}, {"usage.completion_tokens", "2"}}},
		{Name: "a stream", Request: ask(`,"stream":true`), Status: 200, Streamed: true, Fields: [][2]string{{"the stream", `You said "round `}}},
		{Name: "a model that the provider does not have", Request: model("claude-0"), Status: 404, Fields: [][2]string{{"error.code", "model_not_found"}, {"error.type", "invalid_request_error"}, {"error.message", ""}}},
		{Name: "a model that nothing stands for", Request: model("gpt-0"), NotSent: true},
		{Name: "what the provider cannot be asked", Request: ask(`,"n":2`), NotSent: true},
		fails(429, 429, "error.code", "rate_limit_exceeded"), fails(500, 500, "error.type", "server_error"), fails(529, 503, "error.type", "server_error"),
		{Name: "the models", Request: func(string) Request { return get("/v1/models") }, Status: 200, Fields: [][2]string{{"object", "list"}, {"data.0.object", "model"}, {"data.0.id", ""}, {"data.0.created", ""}}},
		{Name: "one model", Request: func(string) Request { return get("/v1/models/gpt-4o") }, Status: 200, Fields: [][2]string{{"object", "model"}, {"id", "claude-"}}},
	}
}
