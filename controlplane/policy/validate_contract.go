package policy

import (
	"fmt"
	"slices"
	"strings"
)

func (c *checker) contracts() {
	names := make([]string, len(c.Contracts))
	for i := range c.Contracts {
		names[i] = c.Contracts[i].Name
	}
	c.unique("contracts", names, contractNameProblem)
	for i := range c.Contracts {
		c.contract(&c.Contracts[i])
	}
}

func (c *checker) contract(own *Contract) {
	path := join("contracts", clip(own.Name))
	if c.catalog.builtin(own.Name) {
		c.problem(path, "choose another name and write like: "+own.Name, "is the name of a contract that comes with Segue")
		return
	}
	if own.Dialect != "" && !slices.Contains(dialects(), string(own.Dialect)) {
		c.problem(path+".dialect", didYouMean(string(own.Dialect), dialects()), "%q is unknown", clip(string(own.Dialect)))
	}
	if what, fix := endpointProblem(own.Endpoint); own.Endpoint != "" && what != "" {
		c.problem(path+".endpoint", fix, "%s", what)
	}
	c.slot(path+".credential", own.Credential)
	c.texts(path, own)
	c.recourse(path, &own.Recourse)
	c.webhooks(path+".webhooks", &own.Webhooks)
	c.sources(path+".sources", own)
	c.passages(path+".session", own.Session)
	for i, s := range own.Statuses {
		c.status(fmt.Sprintf("%s.statuses[%d]", path, i), s)
	}
	c.operations(path+".operations", own.Operations)
	c.unpinned(path+".operations", own.Operations)
	full, _, err := c.catalog.resolve(own.Name)
	if err != nil {
		c.problem(path+".like", didYouMean(own.Like, c.catalog.names()), "%v", err)
		return
	}
	c.resolved(path, own, &full)
	c.passagesOf(path, own, &full)
	c.speaks(path+".speaks", own, &full)
}

// texts checks the single values that must be headers or fields.
func (c *checker) texts(path string, own *Contract) {
	if own.RetryAfter != "" && !token(own.RetryAfter) {
		c.problem(path+".retry_after", "", "%q is no header's name", clip(own.RetryAfter))
	}
	if own.ObjectID != "" && (Field{In: "body", Name: own.ObjectID}).problem() != "" {
		c.problem(path+".object_id", "write where the id stands, like id", "%q is no field of a body", clip(own.ObjectID))
	}
	for i, f := range own.Codes {
		at := path + ".codes"
		if len(own.Codes) > 1 {
			at = fmt.Sprintf("%s[%d]", at, i)
		}
		if (Field{In: "body", Name: f}).problem() != "" {
			c.problem(at, "write where the code stands, like error_code", "%q is no field of a body", clip(f))
		}
	}
	if own.Keys.Header != "" && !putHeader(own.Keys.Header) {
		c.problem(path+".keys.header", "write one, like Idempotency-Key", "%q is no header that can be set", clip(own.Keys.Header))
	}
	if own.Keys.Enforced && own.Keys.Ignored {
		c.problem(path+".keys.enforced", "write true or false", "is both enforced and not")
	}
	c.tellsIn(path, own)
	c.keyNumbers(path+".keys", own.Keys)
	c.keyFacts(path+".keys", own.Keys)
	c.rateHeaders(path+".rate_limit", own.RateLimit)
	c.testMarks(path+".tests", own.Tests)
}

func (c *checker) keyNumbers(path string, k Keys) {
	if k.Life < 0 || k.Life > maxKeyLife {
		c.problem(path+".life", "", "%s is not between 0 and %s", span(k.Life), span(maxKeyLife))
	}
	if k.Max < 0 || k.Max > maxKeyLength {
		c.problem(path+".max", "", "%d is not between 1 and %d", k.Max, maxKeyLength)
	}
	if k.InUse != 0 && (k.InUse < 400 || k.InUse > 499) {
		c.problem(path+".in_use", "", "%d is not between 400 and 499", k.InUse)
	}
}

// putHeader tells whether an agent may put something into a header: not into those that frame the message or steer it.
func putHeader(name string) bool {
	frame := []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Keep-Alive",
		"Proxy-Connection", "Expect", "Content-Type", "Content-Encoding"}
	return token(name) && !slices.ContainsFunc(frame, func(f string) bool { return strings.EqualFold(f, name) })
}

func (c *checker) slot(path string, s Slot) {
	const example = `write {header: Authorization, value: "Bearer {credential}"}`
	switch {
	case s == Slot{}:
	case s.Header == "" || s.Value == "":
		c.problem(path, example, "needs both header and value")
	case !putHeader(s.Header):
		c.problem(path+".header", example, "%q is no header that can be set", clip(s.Header))
	case strings.Count(s.Value, secretMark)+strings.Count(s.Value, basicMark) != 1 || strings.ContainsFunc(s.Value, unprintable):
		c.problem(path+".value", example, "must hold {credential}, or {basic}, once")
	case s.Path != "":
		if _, err := parseSlotPath(s.Path); err != nil {
			c.problem(path+".path", "write the pattern of the paths that name the user, like /2010-04-01/Accounts/{user}/**", "%v", err)
		}
	}
}

func (c *checker) status(path string, s StatusRule) {
	if s.From < 100 || s.To > 599 || s.From > s.To {
		c.problem(path+".status", "write one, like 429, or a range, like 500-599", "%d-%d is no range from 100 to 599", s.From, s.To)
	}
	if strings.ContainsFunc(s.Code, unprintable) {
		c.problem(path+".code", "write the code in the answer's body", "holds unprintable characters")
	}
	if s.Class == "" || s.Outcome == "" {
		c.problem(path, "write what the answer says of the provider and of the call", "needs both class and outcome")
		return
	}
	if !slices.Contains(classes(), s.Class) {
		c.problem(path+".class", didYouMean(s.Class, classes()), "%q is unknown", clip(s.Class))
	}
	if !slices.Contains(outcomes(), s.Outcome) {
		c.problem(path+".outcome", didYouMean(s.Outcome, outcomes()), "%q is unknown", clip(s.Outcome))
	}
}

// resolved checks what a contract says once like has been followed.
func (c *checker) resolved(path string, own, full *Contract) {
	rules := Contract{Statuses: full.Statuses} // without in_use, which is told where it stands
	if _, outcome := rules.Classify(200, ""); outcome == OutcomeUnknown {
		c.lacks(path+".statuses", "write like, or rules for answers, like {status: 200-299, class: ok, outcome: succeeded}")
	}
	if len(full.Statuses) > maxStatuses {
		c.problem(path+".statuses", "take some out", "are %d rules together with those of %s, more than %d", len(full.Statuses), own.Like, maxStatuses)
	}
	if full.Keys.Enforced && (full.Keys.Header == "" || full.Keys.Life == 0) {
		c.problem(path+".keys", "write {header: Idempotency-Key, enforced: true, life: 24h}", "are enforced, but without a header or a life")
	}
	if k := full.Keys; k.Enforced && k.Max > 0 && k.Max < k.shortest() {
		c.problem(path+".keys.max", "write enforced: false if the provider takes no longer keys", "%d bytes hold no key that nobody else makes: at least %d are needed", k.Max, k.shortest())
	}
	if full.Keys.Header != "" && strings.EqualFold(full.Keys.Header, full.Credential.Header) {
		c.problem(path+".keys.header", "write another", "is the header of the credential")
	}
	c.recourseOf(path, full)
	c.synthetics(path+".synthetics", own.Synthetics, full)
}

// operations checks a list of operations, of a service or of a contract.
func (c *checker) operations(path string, ops []OperationSpec) {
	names := make([]string, len(ops))
	for i := range ops {
		names[i] = ops[i].Name
	}
	c.unique(path, names, nameProblem)
	if len(ops) > maxOperations {
		c.problem(path, "take some out", "has %d operations, more than %d", len(ops), maxOperations)
	}
	compiled := make([]pattern, 0, len(ops))
	for i := range ops {
		at := join(path, clip(ops[i].Name))
		p, err := parsePattern(ops[i].Match)
		if err != nil {
			c.problem(at+".match", "write one, like POST /v1/charges/{id}", "%v", err)
			continue
		}
		c.operation(at, &ops[i], &p)
		for j := range compiled {
			if compiled[j].covers(&p) {
				c.problem(at+".match", "list it earlier", "is never reached: the operation with %s %s comes first",
					compiled[j].method, compiled[j].path())
				break
			}
		}
		compiled = append(compiled, p)
	}
}

func (c *checker) operation(path string, o *OperationSpec, p *pattern) {
	keyed := o.Key.Required || len(o.Key.Derive) > 0
	switch {
	case o.Read && keyed:
		c.problem(path+".key", "leave it out, or write semantics: effect", "a read needs no key: it can be sent again")
	case !o.Read && !keyed:
		c.missing[path+".key"] = true
		c.problem(path+".key", "write key: required, or {derive: [body.order], within: 5m}, or semantics: read",
			"is missing: an effect without a key could happen twice")
	case o.Key.Required && len(o.Key.Derive) > 0:
		c.problem(path+".key", "choose one", "is both required and derived")
	case len(o.Key.Derive) > 0 && (o.Key.Within <= 0 || o.Key.Within > maxWithin):
		c.problem(path+".key.within", "", "%s is not between 0 and %s", span(o.Key.Within), span(maxWithin))
	case len(o.Key.Derive) == 0 && o.Key.Within != 0:
		c.problem(path+".key.within", "name the fields with derive", "does nothing without derive")
	}
	c.leave(path, o)
	c.fields(path+".key.derive", o.Key.Derive, p, false)
	c.fields(path+".follows", o.Follows, p, true)
	if o.Value.Set() {
		c.fields(path+".value", []Field{o.Value.Amount, o.Value.Currency}, p, false)
	}
}

// leave checks what may be done with an unknown outcome.
func (c *checker) leave(path string, o *OperationSpec) {
	l := &o.Leave
	switch {
	case *l == (Leave{}):
	case o.Read:
		c.problem(path, "leave duplicates, unknown, keep and execute_by out", "is a read: it is sent again without leave")
	case l.Duplicates && (l.Traced || l.Keep):
		c.problem(path+".duplicates", "choose one", "is accept: what is unknown is sent again at once, nothing is traced and no request is kept for later")
	case l.Traced && !l.TracedValue && o.Value.Set():
		c.problem(path+".unknown", "write unknown: trace-value to take that risk, or leave it out: then a person decides",
			"is trace, and the call is worth something: it would go elsewhere on the silence of a lookup")
	case l.TracedValue && !o.Value.Set():
		c.problem(path+".unknown", "write trace", "is trace-value, and the operation declares no value")
	case l.ExecuteBy != 0 && !l.Keep:
		c.problem(path+".execute_by", "write keep: request, or leave it out", "does nothing without keep: request")
	case l.ExecuteBy < 0 || l.ExecuteBy > maxWithin:
		c.problem(path+".execute_by", "", "%s is not between 0 and %s", span(l.ExecuteBy), span(maxWithin))
	}
}

// fields checks fields of a call. An id may be looked for in the whole path (ids); any other must have its place in the pattern.
func (c *checker) fields(path string, list []Field, p *pattern, ids bool) {
	if len(list) > maxFields {
		c.problem(path, "take some out", "has %d fields, more than %d", len(list), maxFields)
	}
	for _, f := range list {
		switch what := f.problem(); {
		case what != "":
			c.problem(path, "write one like body.charge, path.id or header.X-Order", "%q %s", clip(f.String()), what)
		case f.In == "path" && p.place(f.Name) < 0 && !(ids && f.Name == "id" && p.fixed() < len(p.segments)):
			c.problem(path, "write {"+f.Name+"} in match", "%s has no place in the path", f)
		}
	}
}
