package contract

import (
	"context"
	"slices"
	"strings"
	"testing"

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
		if len(s.Tables) > 0 {
			add("no tables", func(s *policy.Spoken) {
				s.Tables = []policy.Table{{Name: "models", Entries: []policy.TableEntry{{From: "x", To: "y"}}}}
			})
		}
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
			if len(of.Operations) == 1 {
				continue
			}
			add(m.Operation+": to another", at(func(m *policy.Mapping) {
				m.To = of.Operations[(slices.IndexFunc(of.Operations, func(o policy.OperationSpec) bool { return o.Name == m.To })+1)%len(of.Operations)].Name
			}))
		}
		for _, w := range mutantWords() {
			if programs := textOf(s); strings.Contains(programs, w[0]) {
				add(w[0]+" becomes "+w[1], func(s *policy.Spoken) { replaceIn(s, w[0], w[1]) })
			}
		}
	}
	return list
}

// mutantWords are pieces of the shipped programs, and what each becomes once.
func mutantWords() [][2]string {
	return [][2]string{
		{"$b.max_completion_tokens // $b.max_tokens // 4096", "4096"}, {`select(.role != "system" and .role != "developer")`, `select(.role == "system") | .role = "x"`},
		{`select(.role != "system" and .role != "developer")`, `select(.role == "assistant")`},
		{"if .status == 529 then 503 else .status end", ".status"}, {`["requests", "rate_limit_exceeded"]`, `["requests", null]`}, {`["invalid_request_error", "model_not_found"]`, `["x", "model_not_found"]`},
		{`object: "chat.completion", created`, `object: "completion", created`}, {`finish_reason: ($b.stop_reason | reason)`, `finish_reason: "stop"`}, {`"chatcmpl-" + ltrimstr("msg_")`, "."},
		{"usage($b.usage | read; $b.usage.output_tokens // 0)", "usage(0; 0)"}, {`$texts | join("")`, `$texts[1]`}, {`["[DONE]"]`, "[]"}, {"{end: true, send", "{send"}, {"{content: $d.delta.text}", "{}"},
		{`if ($b.n // 1) != 1 then`, "if false then"}, {`object: "model"`, `object: "x"`}, {`"/v1/models/" + (.[3] | model)`, `"/v1/models"`},
		// payments
		{`. as $n | counted($currency) as $c | $n | moved($c[0]; $c[1])`, `. * 10`}, {`. as $n | counted($currency) as $c | $n | moved($c[1]; $c[0])`, `. * 10`}, {`if .confirm != "true" then`, "if false then"},
		{`(keys - $known) as $more | if $more != []`, `(keys - $known) as $more | if false`}, {`then "m" else "a" end`, `then "a" else "a" end`}, {`"pi_ady_\\($theirs)`, `"\\($theirs)`},
		{`if $status == "succeeded" then $amount else 0 end`, "0"}, {`object: "payment_intent"`, `object: "intent"`}, {`object: "refund", amount: $amount`, `object: "refund", amount: 1`}, {`status: 402`, `status: 400`},
		{`type: "card_error"`, `type: "api_error"`}, {`$tables.declines[`, `$tables.pages[`}, {`if $card | startswith("pm_")`, `if $card | startswith("zz_")`}, {`if .status == 422 or`, `if true or`},
		{`metadata: ($ask.metadata // {})`, "metadata: {}"}, {`refuse("a card of Stripe's: it is not there")`, `{type: "id", id: "x", vault_id: "x"}`}, {`captureDelayHours`, `merchantAccount`},
		{`"\\((. - $rest) / $p).`, `"\\(. - $rest).`}, {`payment_intent: $ask.payment_intent`, `payment_intent: null`}, {`"pending"; $`, `"failed"; $`}, {`COMPLETED: "succeeded"`, `COMPLETED: "pending"`}, {`CREATED: "requires_capture"`, `CREATED: "succeeded"`},
		{`{Prefer: "return=representation"}`, "{}"}, {`currency: ($c | ascii_upcase)`, `currency: "E"`}, {`id: ($p[3] | known | .theirs)`, `id: $p[3]`}, {`{param: {id: $k.theirs}`, `{param: {id: $k.tail}`},
		// messages and mail
		{`"SM" + (`, `"XX" + (`}, {`then "+" + . else`, "then . else"}, {`[.[0:8], .[8:12], .[12:16], .[16:20], .[20:32]]`, `[.]`}, {`if .status == 400 then 422 else .status end`, ".status"},
		{`if .status == 401 then 20003 else 20000 + .status end`, `7`}, {`message_type: "text"`, `message_type: "x"`}, {`$b.channel != "sms"`, "false"}, {`or contains(":")`, "or false"}, {`if startswith("+") then .[1:] else . end`, "."},
		{`{"X-Message-Id": (.body.id | ltrimstr("<") | rtrimstr(">"))}`, `{}`}, {`"<\\(.header["x-message-id"]`, `"\\(.header["x-message-id"]`}, {`{email: ($p[1] | rtrimstr(">"))`, `{email: ($p[0] | rtrimstr(">"))`},
		{`("text/plain")`, `("x")`}, {`if ($b.personalizations | length) != 1`, "if false"}, {`map(.message) | map(strings)`, `map(.x) | map(strings)`}, {`{domain: ($tables.domains[$sender] // $sender)}`, `{domain: $sender}`},
	}
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

// TestEachMappingCounts changes each program of each shipped contract, and wants the calls of an application to show it.
func TestEachMappingCounts(t *testing.T) {
	for _, builtin := range policy.Builtins() {
		specimen, _ := SpecimenFor(&policy.Policy{}, builtin.Name)
		whole := resolved(t, builtin.Name)
		mutants := mappingMutants(whole)
		if len(mutants) == 0 {
			continue
		}
		sim := simulated(t, specimen)
		for i, m := range mutants {
			if testing.Short() && i%8 != 0 {
				continue // a part of them: the race detector learns nothing from the rest
			}
			t.Run(builtin.Name+"/"+m.name, func(t *testing.T) {
				c := whole
				m.change(&c)
				checks, err := driveAt(t, sim, specimen, c, func(d *driver, ctx context.Context) { d.hasty = true; d.rounds(ctx) })
				if err != nil {
					t.Log("Validate refuses it:", err)
					return
				}
				if Failed(checks) == 0 {
					t.Error("nothing contradicts it")
				}
			})
		}
	}
}
