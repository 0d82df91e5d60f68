package policy

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

func writeRecourse(w writer, r *Recourse) {
	if l := &r.Lookup; l.Match != "" {
		writeLookup(w.below("lookup", yaml.FlowStyle), l)
	}
	if c := &r.Cancel; c.Match != "" {
		m := w.below("cancel", yaml.FlowStyle)
		m.text("match", c.Match)
		m.text("body", c.Body)
		m.texts("of", c.Of)
		m.text("state", string(c.State))
		m.yes("blocks_late_create", c.Blocks)
		writeCancelRules(m, c.Answers)
	}
	w.text("refund", r.Refund)
	w.span("settle", r.Settle)
}

func writeLookup(m writer, l *Lookup) {
	m.text("match", l.Match)
	if l.By != (Field{}) {
		m.text("by", l.By.String())
	}
	m.text("wins", string(l.Wins))
	m.texts("of", l.Of)
	m.span("horizon", l.Horizon)
	m.yes("strong", l.Strong)
	m.text("items", l.Items)
	m.text("reference", l.Reference)
	m.text("id", l.ID)
	writeStates(m, &l.States)
	if len(l.Absent) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, n := range l.Absent {
			list.Content = append(list.Content, plain("!!int", strconv.Itoa(n)))
		}
		m.add("absent", list)
	}
	m.count("answer", l.Answer)
}

func writeStates(w writer, s *States) {
	if !s.say() {
		return
	}
	m := w.below("states", yaml.FlowStyle)
	if len(s.In) == 1 {
		m.text("in", s.In[0])
	} else {
		m.texts("in", s.In)
	}
	for _, l := range s.lists() {
		m.texts(string(l.Means), l.Words)
	}
}

func writeCancelRules(w writer, rules []CancelRule) {
	if len(rules) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, r := range rules {
		m := mapping()
		m.node.Style = yaml.FlowStyle
		if r.From == r.To {
			m.count("status", r.From)
		} else {
			m.text("status", rangeText(r.From, r.To))
		}
		m.text("in", r.In)
		m.text("is", r.Is)
		m.text("means", string(r.Means))
		list.Content = append(list.Content, m.node)
	}
	w.add("answers", list)
}
