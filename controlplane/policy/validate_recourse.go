package policy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// keyFacts refuses what cannot be true of keys together.
func (c *checker) keyFacts(path string, k Keys) {
	c.oneOf(path+".scope", string(k.Scope), scopes())
	c.oneOf(path+".replay", string(k.Replay), storeds())
	c.oneOf(path+".syntax", string(k.Syntax), syntaxes())
	for _, said := range []struct {
		field string
		yes   bool
	}{{"scope", k.Scope != ""}, {"life", k.Life != 0}, {"in_use", k.InUse != 0}, {"replay", k.Replay != ""}, {"syntax", k.Syntax != ""}} {
		if k.Ignored && said.yes {
			c.problem(path+"."+said.field, "leave it out, or write enforced: true", "cannot be: keys that are not enforced are not remembered")
		}
	}
}

// oneOf refuses a word that is none of a closed set; "" is not said.
func (c *checker) oneOf(path, word string, known []string) {
	if word != "" && !slices.Contains(known, word) {
		c.problem(path, didYouMean(word, known), "%q is unknown", clip(word))
	}
}

func (c *checker) rateHeaders(path string, h RateHeaders) {
	seen := map[string]string{}
	for _, one := range [][2]string{{"limit", h.Limit}, {"remaining", h.Remaining}, {"reset", h.Reset}} {
		field, name := one[0], one[1]
		if name == "" {
			continue
		}
		if !token(name) {
			c.problem(path+"."+field, "write one, like X-RateLimit-Remaining", "%q is no header's name", clip(name))
		}
		if first := seen[strings.ToLower(name)]; first != "" {
			c.problem(path+"."+field, "write the header that tells it", "is the header of %s too", first)
		}
		seen[strings.ToLower(name)] = field
	}
}

// recourse checks what a contract itself says of the way out of an unknown outcome.
func (c *checker) recourse(path string, r *Recourse) {
	c.lookup(path+".lookup", &r.Lookup)
	c.cancel(path+".cancel", &r.Cancel)
	if r.Settle < 0 || r.Settle > maxSettle {
		c.problem(path+".settle", "", "%s is not between 0 and %s", span(r.Settle), span(maxSettle))
	}
}

func (c *checker) lookup(path string, l *Lookup) {
	if l.Match == "" {
		if l.By != (Field{}) || l.Wins != "" || len(l.Of) > 0 || l.Horizon != 0 || l.Strong || l.text() != "" || l.Found.text() != "" {
			c.lacks(path+".match", "write the read, like GET /v1/payments?reference={reference}")
		}
		return
	}
	const example = "write one, like GET /v1/payments?reference={reference}"
	switch method, _, _, err := parseAsk(l.Match); {
	case err != nil:
		c.problem(path+".match", example, "%v", err)
	case method != "GET" && method != "HEAD":
		c.problem(path+".match", "write a read", "%s changes something: a lookup must not", method)
	case method == "HEAD":
		c.problem(path+".match", "write the GET", "HEAD has no answer that shows what became of a request")
	case strings.Contains(l.Match, "{"+markID+"}"):
		c.problem(path+".match", example, "cannot be: the id is what a lookup is to find")
	case !strings.Contains(l.Match, "{"+markReference+"}"):
		c.problem(path+".match", example, "does not name our reference")
	}
	if l.By == (Field{}) {
		c.lacks(path+".by", "write where a request carries our reference, like body.reference")
	} else {
		c.carrier(path, l.By, l.Wins)
	}
	if l.Horizon < 0 || l.Horizon > maxHorizon {
		c.problem(path+".horizon", "", "%s is not between 0 and %s", span(l.Horizon), span(maxHorizon))
	}
	c.found(path, l)
}

// found checks how the answer of a lookup is read.
func (c *checker) found(path string, l *Lookup) {
	for _, f := range [][2]string{{"items", l.Items}, {"reference", l.Reference}, {"id", l.ID}} {
		if f[1] != "" && (Field{In: "body", Name: f[1]}).problem() != "" {
			c.problem(path+"."+f[0], "write where it stands in the answer, like data", "%q is no field of a body", clip(f[1]))
		}
	}
	if l.ReferenceIn() == "" && l.By != (Field{}) {
		c.lacks(path+".reference", "write where an item names our reference: what does not name it could be another's")
	}
	if !l.States.say() {
		c.lacks(path+".states", "write which words mean what, like {in: status, succeeded: [paid]}")
	} else {
		c.states(path+".states", &l.States)
		if len(l.States.Succeeded) == 0 {
			c.lacks(path+".states.succeeded", "write the words that mean that it was executed")
		}
	}
	for i, s := range l.Absent {
		if s < 400 || s > 499 {
			c.problem(fmt.Sprintf("%s.absent[%d]", path, i), "write the status of what is not there, like 404", "%d is not between 400 and 499", s)
		}
	}
	if l.Answer != 0 && (l.Answer < 200 || l.Answer > 299) {
		c.problem(path+".answer", "write the status of the create, like 201", "%d is not between 200 and 299", l.Answer)
	}
	if l.Strong && l.Items == "" && len(l.Absent) == 0 {
		c.problem(path+".strong", "write absent: [404], or where the list of items stands", "cannot be: no answer says that nothing is there")
	}
}

// states checks the words: one means one thing.
func (c *checker) states(path string, s *States) {
	if len(s.In) == 0 {
		c.lacks(path+".in", "write the field that says it, like status")
	}
	for i, f := range s.In {
		if (Field{In: "body", Name: f}).problem() != "" {
			at := path + ".in"
			if len(s.In) > 1 {
				at = fmt.Sprintf("%s[%d]", at, i)
			}
			c.problem(at, "write where it stands in the answer, like status", "%q is no field of a body", clip(f))
		}
	}
	seen := map[string]Shown{}
	for _, l := range s.lists() {
		for i, word := range l.Words {
			at := fmt.Sprintf("%s.%s[%d]", path, l.Means, i)
			if first, twice := seen[word]; twice {
				c.problem(at, "keep one of them", "%q means %s already", clip(word), first)
			}
			if strings.ContainsFunc(word, unprintable) {
				c.problem(at, "", "holds unprintable characters")
			}
			seen[word] = l.Means
		}
	}
}

func (c *checker) cancel(path string, k *Cancel) {
	if k.Match == "" {
		if k.State != "" || len(k.Of) > 0 || k.Blocks || k.Body != "" || len(k.Answers) > 0 {
			c.lacks(path+".match", "write the call, like POST /v1/payments/{id}/cancel")
		}
		return
	}
	switch method, _, _, err := parseAsk(k.Match); {
	case err != nil:
		c.problem(path+".match", "write one, like POST /v1/payments/{id}/cancel", "%v", err)
	case method == "GET" || method == "HEAD":
		c.problem(path+".match", "write the call that cancels", "%s changes nothing: it cancels nothing", method)
	case !k.NeedsID() && !strings.Contains(k.Match+k.Body, "{"+markReference+"}"):
		c.problem(path+".match", "write {reference} or {id} into it, or into its body", "does not name what is to be cancelled")
	}
	if what := bodyProblem(k.Body); what != "" {
		c.problem(path+".body", `write one like '{"reference":"{reference}"}'`, "%s", what)
	}
	c.oneOf(path+".state", string(k.State), cancelStates())
	switch {
	case k.State == "":
		c.lacks(path+".state", "write final, or queued")
	case k.State == CancelQueued && k.Blocks:
		c.problem(path+".blocks_late_create", "leave it out, or write state: final", "cannot be: a cancel that only waits in a queue blocks nothing")
	case k.NeedsID() && k.Blocks:
		c.problem(path+".blocks_late_create", "leave it out, or cancel by {reference}", "cannot be: what has no id yet cannot be named by it")
	}
	for i, r := range k.Answers {
		c.cancelRule(fmt.Sprintf("%s.answers[%d]", path, i), k, r)
	}
}

func (c *checker) cancelRule(path string, k *Cancel, r CancelRule) {
	if r.From < 200 || r.To > 599 || r.From > r.To {
		c.problem(path+".status", "write one, like 202, or a range, like 200-299", "%d-%d is no range from 200 to 599", r.From, r.To)
	}
	switch {
	case (r.In == "") != (r.Is == ""):
		c.problem(path, "write both, or neither", "needs both in and is")
	case strings.ContainsFunc(r.Is, unprintable):
		c.problem(path+".is", "", "holds unprintable characters")
	case r.In != "" && (Field{In: "body", Name: r.In}).problem() != "":
		c.problem(path+".in", "write where it stands in the answer, like error.code", "%q is no field of a body", clip(r.In))
	}
	switch {
	case r.Means == ShowsNothing:
		c.lacks(path+".means", "write one of "+strings.Join(cancelMeanings(), ", "))
	case !slices.Contains(cancelMeanings(), string(r.Means)):
		c.problem(path+".means", didYouMean(string(r.Means), cancelMeanings()), "%q is unknown", clip(string(r.Means)))
	case r.Means == ShowsVoided && k.State == CancelQueued:
		c.problem(path+".means", "write queued, or state: final", "cannot be: a cancel that is only queued voided nothing yet")
	}
}

// recourseOf checks the whole: aids name operations that the contract has, and their times fit together.
func (c *checker) recourseOf(path string, full *Contract) {
	var effects, following []string
	for i := range full.Operations {
		o := &full.Operations[i]
		if o.Read {
			continue
		}
		effects = append(effects, o.Name)
		if len(o.Follows) > 0 {
			following = append(following, o.Name)
		}
	}
	c.webhooksOf(path, full, effects)
	r := &full.Recourse
	for _, aid := range []struct {
		field string
		of    []string
	}{{"lookup", r.Lookup.Of}, {"cancel", r.Cancel.Of}} {
		for i, name := range aid.of {
			if !slices.Contains(effects, name) {
				c.problem(fmt.Sprintf("%s.%s.of[%d]", path, aid.field, i), didYouMean(name, effects), "the contract has no effect called %q", clip(name))
			}
		}
	}
	if r.Refund != "" && !slices.Contains(following, r.Refund) {
		c.problem(path+".refund", didYouMean(r.Refund, following), "the contract has no effect called %q that follows an object", clip(r.Refund))
	}
	if r.Cancel.NeedsID() && r.Lookup.Match == "" {
		c.problem(path+".cancel.match", "state a lookup, or cancel by {reference}", "names an {id} that nothing finds")
	}
	if r.Cancel.NeedsID() && r.Lookup.Match != "" && r.Lookup.ID == "" && full.ObjectID == "" {
		c.problem(path+".lookup.id", "write where an item's id stands", "is needed: the cancel names an {id}")
	}
	if h := r.Lookup.Horizon; h > 0 && h <= r.Settle {
		c.problem(path+".lookup.horizon", "write a horizon beyond settle, or take the lookup out",
			"cannot help: after %s nothing is found, and a call may begin until %s after its send", span(h), span(r.Settle))
	}
}

func (c *checker) sources(path string, own *Contract) {
	stated := own.stated()
	seen := map[string]bool{}
	for _, s := range own.Sources {
		at := join(path, clip(s.Fact))
		switch {
		case !slices.Contains(factNames(), s.Fact):
			c.problem(at, didYouMean(s.Fact, factNames()), "is no fact of a contract")
		case !slices.Contains(stated, s.Fact):
			c.problem(at, "state the fact here, or leave its page out", "is a page for a fact that this contract does not state")
		case seen[s.Fact]:
			c.problem(at, "keep one of them", "is there twice")
		}
		seen[s.Fact] = true
		if u, err := url.Parse(s.Page); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsFunc(s.Page, unprintable) {
			c.problem(at, "write the address of the vendor's page, like https://docs.example.com/api", "%q is no address of a page", clip(s.Page))
		}
	}
}
