package policy

import (
	"bytes"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Marshal writes a policy in its canonical form, which Parse reads back to an equal one. What was not said is not written.
func Marshal(p *Policy) []byte {
	root := mapping()
	root.text("segue", "v1")
	regions := root.below("regions", 0)
	for _, r := range p.Regions {
		regions.below(r.Name, yaml.FlowStyle).texts("standby", r.Standby)
	}
	services := root.below("services", 0)
	for i := range p.Services {
		writeService(services.below(p.Services[i].Name, 0), &p.Services[i])
	}
	writeExchange(root, p.Exchange)
	if len(p.Providers) > 0 {
		providers := root.below("providers", 0)
		for i := range p.Providers {
			writeProvider(providers.below(p.Providers[i].Name, 0), &p.Providers[i])
		}
	}
	if len(p.Contracts) > 0 {
		contracts := root.below("contracts", 0)
		for i := range p.Contracts {
			writeContract(contracts.below(p.Contracts[i].Name, 0), &p.Contracts[i])
		}
	}
	return encode(root.node)
}

func encode(root *yaml.Node) []byte {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil { // only for nodes that no code here makes; Parse refuses what is left
		return nil
	}
	_ = e.Close() // the same
	return b.Bytes()
}

// writer adds entries to a mapping. Entries at their zero value are left out.
type writer struct{ node *yaml.Node }

func mapping() writer { return writer{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}} }

func (w writer) add(key string, n *yaml.Node) {
	w.node.Content = append(w.node.Content, scalar(key), n)
}

// below adds a mapping and returns its writer.
func (w writer) below(key string, style yaml.Style) writer {
	m := mapping()
	m.node.Style = style
	w.add(key, m.node)
	return m
}

func (w writer) text(key, v string) {
	if v != "" {
		w.add(key, scalar(v))
	}
}

func (w writer) count(key string, n int) {
	if n != 0 {
		w.add(key, plain("!!int", strconv.Itoa(n)))
	}
}

func (w writer) yes(key string, v bool) {
	if v {
		w.add(key, plain("!!bool", "true"))
	}
}

func (w writer) texts(key string, list []string) {
	if len(list) > 0 {
		w.add(key, sequence(list))
	}
}

// scalar is a text; the encoder quotes what would be read as something else.
func scalar(v string) *yaml.Node { return plain("!!str", v) }

func plain(tag, v string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v} }

func sequence(list []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, v := range list {
		n.Content = append(n.Content, scalar(v))
	}
	return n
}

func writeService(w writer, s *ServiceSpec) {
	w.text("speaks", s.Speaks)
	if s.Listen.Host == "" {
		w.count("listen", s.Listen.Port)
	} else {
		l := w.below("listen", yaml.FlowStyle)
		l.count("port", s.Listen.Port)
		l.text("host", s.Listen.Host)
	}
	writeOperations(w, s.Operations)
	w.text("strategy", s.Strategy.String())
	writeWeights(w, s.Weights)
	writeOrder(w, "priority", s.Priority)
	writePlan(w, &s.Plan)
	if a := s.Attempts; a != (Attempts{}) {
		m := w.below("attempts", yaml.FlowStyle)
		m.count("max", a.Max)
		m.span("per_try", a.PerTry)
		m.span("deadline", a.Deadline)
		writeRetryBudget(m, a.Budget)
	}
	if b := s.Breaker; b != (Breaker{}) {
		m := w.below("breaker", yaml.FlowStyle)
		m.count("failures", b.Failures)
		m.count("successes", b.Successes)
		m.span("reset", b.Reset)
		m.number("percent", b.Percent)
		m.span("window", b.Window)
		m.count("calls", b.Calls)
	}
	writeSession(w, s.Session)
	w.text("without_quorum", string(s.NoQuorum))
}

func writeOperations(w writer, ops []OperationSpec) {
	if len(ops) == 0 {
		return
	}
	m := w.below("operations", 0)
	for i := range ops {
		writeOperation(m.below(ops[i].Name, yaml.FlowStyle), &ops[i])
	}
}

func writeOperation(w writer, o *OperationSpec) {
	w.text("match", o.Match)
	switch {
	case o.Key.Required:
		w.text("key", "required")
	case len(o.Key.Derive) > 0:
		k := w.below("key", yaml.FlowStyle)
		k.texts("derive", fieldTexts(o.Key.Derive))
		k.span("within", o.Key.Within)
	}
	if o.Read != readsByMethod(o.Match) {
		w.text("semantics", map[bool]string{true: "read", false: "effect"}[o.Read])
	}
	if len(o.Follows) == 1 {
		w.text("follows", o.Follows[0].String())
	} else {
		w.texts("follows", fieldTexts(o.Follows))
	}
	writeValue(w, o.Value)
	writeLeave(w, &o.Leave)
	if p := o.Pin; p != (OfflinePin{}) {
		m := w.below("offline_pin", yaml.FlowStyle)
		m.text("provider", p.Provider)
		m.text("account", p.Account)
		m.text("endpoint", p.Endpoint)
	}
}

func writeLeave(w writer, l *Leave) {
	if l.Duplicates {
		w.text("duplicates", acceptWord)
	}
	switch {
	case l.TracedValue:
		w.text("unknown", traceValueWord)
	case l.Traced:
		w.text("unknown", traceWord)
	}
	if l.Keep {
		w.text("keep", requestWord)
	}
	w.span("execute_by", l.ExecuteBy)
}

func fieldTexts(list []Field) []string {
	texts := make([]string, len(list))
	for i, f := range list {
		texts[i] = f.String()
	}
	return texts
}

func writeWeights(w writer, weights []RegionWeights) {
	if len(weights) == 1 && weights[0].Region == "" {
		w.add("weights", sharesNode(weights[0].Weights))
		return
	}
	if len(weights) > 0 {
		m := w.below("weights", 0)
		for _, r := range weights {
			m.add(regionKey(r.Region), sharesNode(r.Weights))
		}
	}
}

func regionKey(region string) string {
	if region == "" {
		return Default
	}
	return region
}

func sharesNode(weights []Weight) *yaml.Node {
	m := mapping()
	m.node.Style = yaml.FlowStyle
	for _, w := range weights {
		m.add(w.Provider, numberNode(w.Percent))
	}
	return m.node
}

// numberNode says the tag that the text is read as: with another one the encoder would write the tag out.
func numberNode(f float64) *yaml.Node {
	text := percent(f)
	if _, err := strconv.Atoi(text); err == nil {
		return plain("!!int", text)
	}
	return plain("!!float", text)
}

func writeOrder(w writer, key string, order []RegionPriority) {
	if len(order) == 1 && order[0].Region == "" {
		w.texts(key, order[0].Providers)
		return
	}
	if len(order) > 0 {
		m := w.below(key, 0)
		for _, r := range order {
			m.texts(regionKey(r.Region), r.Providers)
		}
	}
}

func writeProvider(w writer, p *ProviderSpec) {
	w.text("contract", p.Contract)
	writeEndpoints(w, p.Endpoint)
	writeByRegion(w, "credential", p.Credential)
	writeByRegion(w, "webhook_secret", p.HookSecret)
	w.text("account", p.Account)
	if l := p.Limits; l != (Limits{}) {
		m := w.below("limits", yaml.FlowStyle)
		m.count("in_flight", l.InFlight)
		if l.Rate != 0 {
			m.text("rate", percent(l.Rate)+"/s")
		}
	}
	writeChecks(w, &p.Checks)
	writeSynthetics(w, p.Synthetics)
	writeCosts(w, p.Cost)
	w.texts("features", p.Features)
	w.texts("near", p.Near)
}

func writeByRegion(w writer, key string, values []RegionValue) {
	if len(values) == 1 && values[0].Region == "" {
		w.text(key, values[0].Value)
		return
	}
	if len(values) > 0 {
		m := w.below(key, 0)
		for _, v := range values {
			m.text(regionKey(v.Region), v.Value)
		}
	}
}

func writeContract(w writer, c *Contract) {
	w.text("like", c.Like)
	w.text("dialect", string(c.Dialect))
	w.text("endpoint", c.Endpoint)
	if c.Credential != (Slot{}) {
		m := w.below("credential", yaml.FlowStyle)
		m.text("header", c.Credential.Header)
		m.text("value", c.Credential.Value)
		m.text("path", c.Credential.Path)
	}
	if k := c.Keys; k != (Keys{}) {
		writeKeys(w.below("keys", yaml.FlowStyle), k)
	}
	w.text("retry_after", c.RetryAfter)
	if h := c.RateLimit; h != (RateHeaders{}) {
		m := w.below("rate_limit", yaml.FlowStyle)
		m.text("limit", h.Limit)
		m.text("remaining", h.Remaining)
		m.text("reset", h.Reset)
	}
	if w.text("object_id", c.ObjectID); len(c.Codes) == 1 {
		w.text("codes", c.Codes[0])
	} else {
		w.texts("codes", c.Codes)
	}
	writeFees(w, c.Fees)
	writeStatuses(w, c.Statuses)
	writeRecourse(w, &c.Recourse)
	writeWebhooks(w, &c.Webhooks)
	writeOperations(w, c.Operations)
	writePassages(w, c.Session)
	writeSpoken(w, c.Speaks)
	if m := c.Tests; m != (TestMarks{}) {
		t := w.below("tests", yaml.FlowStyle)
		t.text("header", m.Header)
		t.text("field", m.Field)
	}
	writeSynthetics(w, c.Synthetics)
	if len(c.Sources) > 0 {
		m := w.below("sources", 0)
		for _, s := range c.Sources {
			m.text(s.Fact, s.Page)
		}
	}
}

func writeKeys(w writer, k Keys) {
	w.text("header", k.Header)
	if k.Enforced || k.Ignored {
		w.add("enforced", plain("!!bool", strconv.FormatBool(k.Enforced)))
	}
	w.text("scope", string(k.Scope))
	w.span("life", k.Life)
	w.count("max", k.Max)
	w.text("syntax", string(k.Syntax))
	w.count("in_use", k.InUse)
	w.text("replay", string(k.Replay))
}

// rangeText is 429, or 500-599.
func rangeText(from, to int) string {
	if from == to {
		return strconv.Itoa(from)
	}
	return strconv.Itoa(from) + "-" + strconv.Itoa(to)
}

func writeStatuses(w writer, rules []StatusRule) {
	if len(rules) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, r := range rules {
		m := mapping()
		m.node.Style = yaml.FlowStyle
		if r.From == r.To {
			m.count("status", r.From)
		} else {
			m.text("status", rangeText(r.From, r.To))
		}
		m.text("code", r.Code)
		m.text("class", r.Class)
		m.text("outcome", r.Outcome)
		list.Content = append(list.Content, m.node)
	}
	w.add("statuses", list)
}
