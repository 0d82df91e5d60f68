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
	for _, said := range []struct {
		field string
		yes   bool
	}{{"scope", k.Scope != ""}, {"life", k.Life != 0}, {"in_use", k.InUse != 0}, {"replay", k.Replay != ""}} {
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
		if l.By != (Field{}) || len(l.Of) > 0 || l.Horizon != 0 || l.Strong {
			c.lacks(path+".match", "write the read, like GET /v1/payments")
		}
		return
	}
	p, err := parsePattern(l.Match)
	switch {
	case err != nil:
		c.problem(path+".match", "write one, like GET /v1/payments", "%v", err)
	case p.method != "GET" && p.method != "HEAD":
		c.problem(path+".match", "write a read", "%s changes something: a lookup must not", p.method)
	}
	switch what := l.By.problem(); {
	case l.By == (Field{}):
		c.lacks(path+".by", "write where a request carries our reference, like body.reference")
	case what != "":
		c.problem(path+".by", "write one like body.reference", "%q %s", clip(l.By.String()), what)
	}
	if l.Horizon < 0 || l.Horizon > maxHorizon {
		c.problem(path+".horizon", "", "%s is not between 0 and %s", span(l.Horizon), span(maxHorizon))
	}
}

func (c *checker) cancel(path string, k *Cancel) {
	if k.Match == "" {
		if k.State != "" || len(k.Of) > 0 || k.Blocks {
			c.lacks(path+".match", "write the call, like POST /v1/payments/{id}/cancel")
		}
		return
	}
	p, err := parsePattern(k.Match)
	switch {
	case err != nil:
		c.problem(path+".match", "write one, like POST /v1/payments/{id}/cancel", "%v", err)
	case p.method == "GET" || p.method == "HEAD":
		c.problem(path+".match", "write the call that cancels", "%s changes nothing: it cancels nothing", p.method)
	}
	c.oneOf(path+".state", string(k.State), cancelStates())
	switch {
	case k.State == "":
		c.lacks(path+".state", "write final, or queued")
	case k.State == CancelQueued && k.Blocks:
		c.problem(path+".blocks_late_create", "leave it out, or write state: final", "cannot be: a cancel that only waits in a queue blocks nothing")
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
