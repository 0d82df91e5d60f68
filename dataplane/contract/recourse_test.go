package contract

import (
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
)

// statesMutants take each word out of the states, and turn each list into another.
func statesMutants(name string, of policy.States, in func(*policy.Contract) *policy.States) []mutant {
	list := []mutant{{name + ".in", func(c *policy.Contract) { in(c).In = []string{"elsewhere"} }}}
	for _, l := range []struct {
		word string
		at   func(*policy.States) *[]string
	}{
		{"succeeded", func(s *policy.States) *[]string { return &s.Succeeded }}, {"declined", func(s *policy.States) *[]string { return &s.Declined }},
		{"voided", func(s *policy.States) *[]string { return &s.Voided }}, {"in_progress", func(s *policy.States) *[]string { return &s.InProgress }},
	} {
		for i, word := range *l.at(&of) {
			list = append(list, mutant{name + "." + l.word + " without " + word, func(c *policy.Contract) {
				at := l.at(in(c))
				*at = slices.Delete(slices.Clone(*at), i, i+1)
			}})
		}
	}
	return list
}

func recourseMutants(of policy.Contract) []mutant {
	lookup := func(change func(*policy.Lookup)) func(*policy.Contract) {
		return func(c *policy.Contract) { change(&c.Recourse.Lookup) }
	}
	cancel := func(change func(*policy.Cancel)) func(*policy.Contract) {
		return func(c *policy.Contract) { change(&c.Recourse.Cancel) }
	}
	var list []mutant
	if l := of.Recourse.Lookup; l.Match != "" {
		list = append(list,
			mutant{"lookup.match", lookup(func(l *policy.Lookup) { l.Match = strings.Replace(l.Match, " /", " /x/", 1) })},
			mutant{"lookup.match, another parameter", lookup(func(l *policy.Lookup) { l.Match = strings.Replace(l.Match, "reference=", "ref=", 1) })},
			mutant{"lookup.by", lookup(func(l *policy.Lookup) { l.By.Name = "elsewhere" })},
			mutant{"lookup.of", lookup(func(l *policy.Lookup) { l.Of = []string{of.Recourse.Refund} })},
			mutant{"lookup.strong", lookup(func(l *policy.Lookup) { l.Strong = !l.Strong })},
			mutant{"lookup.items", lookup(func(l *policy.Lookup) { l.Items = "elsewhere" })},
			mutant{"lookup.reference", lookup(func(l *policy.Lookup) { l.Reference = "id" })},
			mutant{"lookup.id", lookup(func(l *policy.Lookup) { l.ID = "currency" })},
			mutant{"lookup.answer", lookup(func(l *policy.Lookup) { l.Answer = 299 })})
		list = append(list, statesMutants("lookup.states", l.States, func(c *policy.Contract) *policy.States { return &c.Recourse.Lookup.States })...)
	}
	if k := of.Recourse.Cancel; k.Match != "" {
		list = append(list,
			mutant{"cancel.match", cancel(func(k *policy.Cancel) { k.Match = strings.Replace(k.Match, " /", " /x/", 1) })},
			mutant{"cancel.of", cancel(func(k *policy.Cancel) { k.Of = []string{of.Recourse.Refund} })},
			mutant{"cancel.state", cancel(func(k *policy.Cancel) { k.State = policy.CancelFinal })})
		if k.Body != "" {
			list = append(list, mutant{"cancel.body", cancel(func(k *policy.Cancel) { k.Body = `{"x":"{reference}"}` })})
		}
		for i := range k.Answers {
			list = append(list, mutant{"cancel.answers", cancel(func(k *policy.Cancel) { k.Answers = slices.Delete(slices.Clone(k.Answers), i, i+1) })})
		}
	}
	return list
}

func webhookMutants(of policy.Contract) []mutant {
	if of.Webhooks.Signature.Scheme == "" {
		return nil
	}
	hooks := func(change func(*policy.Webhooks)) func(*policy.Contract) {
		return func(c *policy.Contract) { change(&c.Webhooks) }
	}
	sign := func(change func(*policy.Signature)) func(*policy.Contract) {
		return func(c *policy.Contract) { change(&c.Webhooks.Signature) }
	}
	s := of.Webhooks.Signature
	list := []mutant{
		{"webhooks.reference", hooks(func(h *policy.Webhooks) { h.Reference = "elsewhere" })},
		{"webhooks.id", hooks(func(h *policy.Webhooks) { h.ID = "elsewhere" })},
		{"webhooks.items", hooks(func(h *policy.Webhooks) { h.Items = "elsewhere" })},
		{"webhooks.signature.secret", sign(func(s *policy.Signature) {
			if s.Secret = policy.InBase64; of.Webhooks.Signature.Secret == policy.InHex {
				s.Secret = ""
			}
		})},
	}
	add := func(stated bool, name string, change func(*policy.Contract)) {
		if stated {
			list = append(list, mutant{name, change})
		}
	}
	add(of.Webhooks.By != policy.Field{}, "webhooks.by", hooks(func(h *policy.Webhooks) { h.By.Name = "elsewhere" }))
	add(len(of.Webhooks.Of) > 0, "webhooks.of", hooks(func(h *policy.Webhooks) { h.Of = []string{of.Recourse.Refund} }))
	add(of.Webhooks.Item != "", "webhooks.item", hooks(func(h *policy.Webhooks) { h.Item = "elsewhere" }))
	add(s.Header != "", "webhooks.signature.header", sign(func(s *policy.Signature) { s.Header = "X-Elsewhere" }))
	add(s.In != "", "webhooks.signature.in", sign(func(s *policy.Signature) { s.In = "elsewhere" }))
	add(len(s.Fields) > 0, "webhooks.signature.fields", sign(func(s *policy.Signature) { s.Fields = s.Fields[1:] }))
	add(s.Encoding != "", "webhooks.signature.encoding", sign(func(s *policy.Signature) {
		s.Encoding = map[policy.Encoding]policy.Encoding{policy.InHex: policy.InBase64, policy.InBase64: policy.InHex}[s.Encoding]
	}))
	add(s.Tolerance != 0, "webhooks.signature.tolerance, longer", sign(func(s *policy.Signature) { s.Tolerance = 20 * time.Minute }))
	add(s.Tolerance != 0, "webhooks.signature.tolerance, shorter", sign(func(s *policy.Signature) { s.Tolerance = time.Minute }))
	return append(list, statesMutants("webhooks.states", of.Webhooks.States, func(c *policy.Contract) *policy.States { return &c.Webhooks.States })...)
}
