package contract

import (
	"slices"
	"strings"

	"segue/controlplane/policy"
)

// mappingMutants change each program of a contract once, its tables, and what carries an operation out.
func mappingMutants(of policy.Contract) []mutant {
	var list []mutant
	for i := range of.Speaks {
		s := &of.Speaks[i]
		if spoken, ok := SpecimenFor(&policy.Policy{}, s.API); !ok || len(spoken.Rounds) == 0 {
			continue
		}
		change := func(f func(*policy.Spoken)) func(*policy.Contract) {
			return func(c *policy.Contract) {
				c.Speaks = slices.Clone(c.Speaks)
				one := c.Speaks[i]
				one.Operations = slices.Clone(one.Operations)
				f(&one)
				c.Speaks[i] = one
			}
		}
		add := func(name string, f func(*policy.Spoken)) {
			list = append(list, mutant{"speaks " + s.API + ": " + name, change(f)})
		}
		add("no tables", func(s *policy.Spoken) {
			s.Tables = []policy.Table{{Name: "models", Entries: []policy.TableEntry{{From: "x", To: "y"}}}}
		})
		add("error gone", func(s *policy.Spoken) { s.Error = "{status: 418, body: {}}" })
		for j := range s.Operations {
			m := s.Operations[j]
			at := func(f func(*policy.Mapping)) func(*policy.Spoken) {
				return func(s *policy.Spoken) { f(&s.Operations[j]) }
			}
			add(m.Operation+": request gone", at(func(m *policy.Mapping) { m.Request = "{}" }))
			add(m.Operation+": answer gone", at(func(m *policy.Mapping) { m.Answer = "{body: {}}" }))
			if m.Event != "" {
				add(m.Operation+": event gone", at(func(m *policy.Mapping) { m.Event = "{}" }))
			}
			add(m.Operation+": to another", at(func(m *policy.Mapping) {
				m.To = of.Operations[(slices.IndexFunc(of.Operations, func(o policy.OperationSpec) bool { return o.Name == m.To })+1)%len(of.Operations)].Name
			}))
		}
		for _, w := range [][2]string{
			{"$b.max_completion_tokens // $b.max_tokens // 4096", "4096"}, {`select(.role != "system" and .role != "developer")`, `select(.role == "system") | .role = "x"`},
			{`select(.role != "system" and .role != "developer")`, `select(.role == "assistant")`},
			{"if .status == 529 then 503 else .status end", ".status"}, {`["requests", "rate_limit_exceeded"]`, `["requests", null]`}, {`["invalid_request_error", "model_not_found"]`, `["x", "model_not_found"]`},
			{`object: "chat.completion", created`, `object: "completion", created`}, {`finish_reason: ($b.stop_reason | reason)`, `finish_reason: "stop"`}, {`"chatcmpl-" + ltrimstr("msg_")`, "."},
			{"usage($b.usage | read; $b.usage.output_tokens // 0)", "usage(0; 0)"}, {`$texts | join("")`, `$texts[1]`}, {`["[DONE]"]`, "[]"}, {"{end: true, send", "{send"}, {"{content: $d.delta.text}", "{}"},
			{`if ($b.n // 1) != 1 then`, "if false then"}, {`object: "model"`, `object: "x"`}, {`"/v1/models/" + (.[3] | model)`, `"/v1/models"`},
		} {
			if programs := textOf(s); strings.Contains(programs, w[0]) {
				add(w[0]+" becomes "+w[1], func(s *policy.Spoken) { replaceIn(s, w[0], w[1]) })
			}
		}
	}
	return list
}

func textOf(s *policy.Spoken) string {
	text := s.Define + s.Error
	for _, m := range s.Operations {
		text += m.Request + m.Answer + m.Error + m.Event
	}
	return text
}

func replaceIn(s *policy.Spoken, old, with string) {
	for _, at := range []*string{&s.Define, &s.Error} {
		*at = strings.ReplaceAll(*at, old, with)
	}
	for i := range s.Operations {
		m := &s.Operations[i]
		for _, at := range []*string{&m.Request, &m.Answer, &m.Error, &m.Event} {
			*at = strings.ReplaceAll(*at, old, with)
		}
	}
}
