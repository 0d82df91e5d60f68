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
	At       string // only this contract is driven by it: what simulators are made to do differs
	Request  func(n string) Request
	Then     func(id string) Request // what is asked of the object that Request makes: this is what counts
	Fail     int                     // the simulator is made to answer so
	NotSent  bool
	Status   int
	Fields   [][2]string // of the answer: a dotted name, and a text that its value begins with, or a number that it is
	Books    string      // what a simulator has executed then
	Header   string      // that the answer has
	Shaped   string      // of the first field: how many letters and digits stand between its dashes
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
			if d.hasty && Failed(d.checks) > 0 {
				return
			}
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
	if r.At != "" && r.At != d.Specimen.Contract {
		return
	}
	q, op, why := d.begin(ctx, svc, r)
	if why != "" {
		d.leave("speaks", name, why)
		return
	}
	if op == nil {
		d.say("speaks", name, false, "what it is about could not be made")
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
	if wrong == "" && r.Books != "" && d.World != nil && d.World.Booked() != r.Books {
		wrong = fmt.Sprintf("%s was executed, and %s was asked for", d.World.Booked(), r.Books)
	}
	d.say("speaks", name, wrong == "", "%s%s", g, unless(wrong == "", wrong))
}

// begin is the request that a round is about. What it is about is made first.
func (d *driver) begin(ctx context.Context, svc *policy.Service, r Round) (q Request, op *policy.Operation, why string) {
	const unmapped = "the operation is not mapped"
	to := svc.Candidates[0]
	d.n++
	q = r.Request(fmt.Sprintf("%s-%d", d.run, d.n))
	op, ok := svc.Match(q.Method, q.Path)
	if !ok || to.Mapped(op.Name) == nil {
		return q, op, unmapped
	}
	if r.Then == nil {
		return q, op, ""
	}
	then := r.Then("x")
	if op, ok := svc.Match(then.Method, then.Path); !ok || to.Mapped(op.Name) == nil {
		return q, op, unmapped
	}
	made := d.sendMapped(ctx, to, op, q)
	if made.status != 200 || made.field("id") == "" {
		return q, nil, ""
	}
	q = r.Then(made.field("id"))
	op, _ = svc.Match(q.Method, q.Path)
	return q, op, ""
}

// sendMapped is one send through the mapping, as an agent's.
func (d *driver) sendMapped(ctx context.Context, to *policy.Candidate, op *policy.Operation, r Request) *got {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g := &got{}
	q := &message.Request{Method: r.Method, Path: r.Path, Header: r.header(), Body: []byte(r.Body)}
	call := &provider.Call{Candidate: to, Service: "spoken", Operation: op.Name, Request: q, Read: op.Read, Key: d.key(), PerTry: patience, Mapping: to.Mapped(op.Name)}
	if provider.Refers(to, op.Name, q) {
		call.Reference = "tx_" + call.Key
	}
	g.Result = d.client.Send(ctx, call, g)
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
	if r.Header != "" && g.header.Get(r.Header) == "" {
		return "the answer has no header " + r.Header
	}
	for i, f := range r.Fields {
		value := ""
		if r.Streamed && i == 0 {
			value = g.streamed()
		} else {
			value = g.field(f[0])
		}
		if value == "" || !strings.HasPrefix(value, f[1]) || number(f[1]) && value != f[1] {
			return fmt.Sprintf("%s is %.80q, and an application expects %q", f[0], value, f[1])
		}
		if i == 0 && r.Shaped != "" && shape(value) != r.Shaped {
			return fmt.Sprintf("%s is %.80q, and an application expects the form %s", f[0], value, r.Shaped)
		}
	}
	return ""
}

func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// shape is how long the parts of a text are that dashes divide.
func shape(value string) string {
	parts := strings.Split(value, "-")
	for i := range parts {
		parts[i] = text(len(parts[i]))
	}
	return strings.Join(parts, "-")
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
