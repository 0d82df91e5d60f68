package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is one difference between two policies, by meaning. Old is "" for what is new, New for what is gone; Text says it in one
// line. Region, Service and Provider are "" where the change is not of one.
type Change struct {
	Path     string
	Region   string
	Service  string
	Provider string
	Old, New string
	Text     string
}

// Diff lists what changes from one policy to another, in the order of the newer document, what is gone at the end. Two documents that
// mean the same (a default written out, another order of keys) do not differ.
func Diff(old, new *Policy) []Change {
	return compare(facts(old), facts(new))
}

// DiffWeights is Diff for two policies that differ in the weights of one service in one region alone.
func DiffWeights(old, new *Policy, service, region string) []Change {
	path := join("services", service)
	return compare(steeringFacts(path, old.Service(service), region), steeringFacts(path, new.Service(service), region))
}

func compare(before, after []fact) []Change {
	was := map[string]fact{}
	for _, f := range before {
		was[f.path] = f
	}
	is := map[string]bool{}
	var changes []Change
	for _, f := range after {
		is[f.path] = true
		if o := was[f.path]; o.value != f.value {
			changes = append(changes, f.change(o.value, f.value))
		}
	}
	for _, f := range before {
		if !is[f.path] && f.value != "" {
			changes = append(changes, f.change(f.value, ""))
		}
	}
	return coarse(changes)
}

// fact is one thing that a policy says, with all defaults filled in.
type fact struct {
	path                      string
	region, service, provider string
	label, value, unit        string
	whole                     bool // the thing itself: where it comes or goes, its parts are not told one by one
}

func (f fact) change(old, new string) Change {
	c := Change{Path: f.path, Region: f.region, Service: f.service, Provider: f.provider, Old: old, New: new}
	subject := f.label
	switch {
	case f.service != "" && f.region != "":
		subject = f.service + " / " + f.region + ": " + f.label
	case f.service != "":
		subject = f.service + ": " + f.label
	case f.region != "":
		subject = f.label + " in " + f.region
	}
	switch {
	case f.whole && old == "":
		c.Text = f.label + " is new"
	case f.whole && new == "":
		c.Text = f.label + " is gone"
	case new == "":
		c.Text = fmt.Sprintf("%s %s%s → none", subject, old, f.unit)
	default:
		c.Text = fmt.Sprintf("%s %s → %s%s", subject, orNone(old), new, f.unit)
	}
	return c
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// coarse leaves out the parts of what is new or gone as a whole.
func coarse(changes []Change) []Change {
	var whole []string
	for _, c := range changes {
		if c.Old == "" && c.New == present || c.New == "" && c.Old == present {
			whole = append(whole, c.Path)
		}
	}
	return slices.DeleteFunc(changes, func(c Change) bool {
		return slices.ContainsFunc(whole, func(w string) bool { return c.Path != w && strings.HasPrefix(c.Path, w+".") })
	})
}

// present is the value of a whole thing.
const present = "there"

func facts(p *Policy) []fact {
	var list []fact
	for _, r := range p.Regions {
		path := join("regions", r.Name)
		list = append(list, fact{path: path, label: "region " + r.Name, value: present, whole: true},
			fact{path: path + ".standby", label: "standby of " + r.Name, value: strings.Join(r.Standby, ", ")})
	}
	for i := range p.Services {
		list = append(list, serviceFacts(p, &p.Services[i])...)
	}
	for i := range p.Providers {
		list = append(list, providerFacts(p, &p.Providers[i])...)
	}
	list = append(list, exchangeFacts(p)...)
	for i := range p.Contracts {
		list = append(list, contractFacts(&p.Contracts[i])...)
	}
	return list
}

func serviceFacts(p *Policy, s *ServiceSpec) []fact {
	path := join("services", s.Name)
	a, b := s.Attempts.filled(), s.Breaker.filled()
	list := []fact{{path: path, label: "service " + s.Name, value: present, whole: true}}
	for _, f := range [][2]string{
		{"speaks", s.Speaks},
		{"listen", strings.TrimPrefix(fmt.Sprintf("%s:%d", s.Listen.Host, s.Listen.Port), ":")},
		{"strategy", s.Strategy.String()},
		{"attempts.max", fmt.Sprint(a.Max)},
		{"attempts.per_try", span(a.PerTry)},
		{"attempts.deadline", span(a.Deadline)},
		{"breaker.failures", fmt.Sprint(b.Failures)},
		{"breaker.successes", fmt.Sprint(b.Successes)},
		{"breaker.reset", cmp.Or(spanText(b.Reset), "5s doubling to 20s")},
		{"without_quorum", string(cmp.Or(s.NoQuorum, RefuseEffects))},
	} {
		list = append(list, fact{path: join(path, f[0]), service: s.Name, label: f[0], value: f[1]})
	}
	for _, o := range operationFacts(path, s.Operations) {
		o.service = s.Name
		list = append(list, o)
	}
	list = append(list, planFacts(p, path, s)...)
	list = append(list, sessionFacts(path, s)...)
	for _, r := range p.Regions {
		list = append(list, steeringFacts(path, s, r.Name)...)
	}
	return list
}

// steeringFacts are what a service does in one region, wherever the document says it: for the region, or for all.
func steeringFacts(path string, s *ServiceSpec, region string) []fact {
	if s.Strategy != Weighted {
		key, label := "priority", "order"
		if s.Strategy.listed() {
			key, label = "providers", "providers"
		}
		return []fact{{path: path + "." + key + "." + region, service: s.Name, region: region, label: label,
			value: strings.Join(s.ProvidersIn(region), ", ")}}
	}
	var list []fact
	for _, w := range s.WeightsIn(region) {
		list = append(list, fact{path: path + ".weights." + region + "." + w.Provider, service: s.Name, region: region,
			provider: w.Provider, label: w.Provider, value: percent(w.Percent), unit: " %"})
	}
	return list
}

func operationFacts(path string, ops []OperationSpec) []fact {
	var list []fact
	for i := range ops {
		o := &ops[i]
		rule := "no key"
		if o.Key.Required {
			rule = "key required"
		} else if len(o.Key.Derive) > 0 {
			rule = "key from " + strings.Join(fieldTexts(o.Key.Derive), "+") + " within " + span(o.Key.Within)
		}
		kind := map[bool]string{true: "read", false: "effect"}[o.Read]
		value := strings.Join([]string{o.Match, kind, rule}, ", ")
		if len(o.Follows) > 0 {
			value += ", follows " + strings.Join(fieldTexts(o.Follows), ", ")
		}
		value += o.Leave.text() + o.Pin.text()
		if o.Value.Set() {
			value += ", " + o.Value.String()
		}
		list = append(list, fact{path: path + ".operations." + o.Name, label: "operation " + o.Name, value: fmt.Sprintf("(%d. %s)", i+1, value)})
	}
	return list
}

func (p OfflinePin) text() string {
	if p == (OfflinePin{}) {
		return ""
	}
	text := ", offline at " + p.Provider
	if p.Account != "" {
		text += ", account " + p.Account
	}
	if p.Endpoint != "" {
		text += ", " + p.Endpoint
	}
	return text
}

func (l *Leave) text() string {
	text := ""
	for _, one := range []struct {
		on   bool
		says string
	}{{l.Duplicates, "duplicates accepted"}, {l.Traced, "unknown traced"}, {l.Keep, "request kept"}} {
		if one.on {
			text += ", " + one.says
		}
	}
	if l.ExecuteBy > 0 {
		text += ", executed by " + span(l.ExecuteBy)
	}
	return text
}

func providerFacts(p *Policy, s *ProviderSpec) []fact {
	path := join("providers", s.Name)
	list := []fact{{path: path, provider: s.Name, label: "provider " + s.Name, value: present, whole: true}}
	for _, f := range [][2]string{
		{"contract", s.Contract},
		{"account", s.AccountName()},
		{"limits.in_flight", limitText(float64(s.Limits.InFlight), "")},
		{"limits.rate", limitText(s.Limits.Rate, "/s")},
		{"checks.active", strings.Join(checkTexts(s.Checks.Active), ", ")},
		{"checks.synthetic", strings.Join(runTexts(s.Checks.Synthetic), ", ")},
		{"checks.at_most", s.Checks.AtMost.String()},
	} {
		list = append(list, fact{path: join(path, f[0]), provider: s.Name, label: s.Name + " " + f[0], value: f[1]})
	}
	list = append(list, offerFacts(p, path, s)...)
	for i := range s.Synthetics {
		x := &s.Synthetics[i]
		list = append(list, fact{path: path + ".synthetics." + x.Name, provider: s.Name, label: s.Name + " synthetic " + x.Name, value: x.text()})
	}
	for _, r := range p.Regions {
		list = append(list,
			fact{path: path + ".endpoint." + r.Name, provider: s.Name, region: r.Name, label: s.Name + " endpoint", value: strings.Join(s.EndpointsIn(r.Name), ", ")},
			fact{path: path + ".credential." + r.Name, provider: s.Name, region: r.Name, label: s.Name + " credential", value: s.CredentialIn(r.Name)},
			fact{path: path + ".webhook_secret." + r.Name, provider: s.Name, region: r.Name, label: s.Name + " webhook_secret", value: s.HookSecretIn(r.Name)})
	}
	return list
}

func limitText(n float64, unit string) string {
	if n == 0 {
		return ""
	}
	return percent(n) + unit
}

func contractFacts(c *Contract) []fact {
	path := join("contracts", c.Name)
	enforced := map[bool]string{true: "true"}[c.Keys.Enforced]
	if c.Keys.Ignored {
		enforced = "false"
	}
	list := []fact{{path: path, label: "contract " + c.Name, value: present, whole: true}}
	for _, f := range [][2]string{
		{"like", c.Like},
		{"dialect", string(c.Dialect)},
		{"endpoint", c.Endpoint},
		{"credential", strings.TrimSpace(c.Credential.Header + " " + c.Credential.Value + " " + c.Credential.Path)},
		{"keys.header", c.Keys.Header},
		{"keys.enforced", enforced},
		{"keys.scope", string(c.Keys.Scope)},
		{"keys.life", spanText(c.Keys.Life)},
		{"keys.max", limitText(float64(c.Keys.Max), "")},
		{"keys.syntax", string(c.Keys.Syntax)},
		{"keys.in_use", limitText(float64(c.Keys.InUse), "")},
		{"keys.replay", string(c.Keys.Replay)},
		{"retry_after", c.RetryAfter},
		{"rate_limit", c.RateLimit.text()},
		{"object_id", c.ObjectID},
		{"fees", c.feesText()},
		{"codes", strings.Join(c.Codes, ", ")},
		{"statuses", statusesText(c.Statuses)},
		{"lookup", c.Recourse.Lookup.text()},
		{"cancel", c.Recourse.Cancel.text()},
		{"refund", c.Recourse.Refund},
		{"settle", spanText(c.Recourse.Settle)},
		{"session", passagesText(c.Session)},
		{"webhooks", c.Webhooks.text()},
		{"tests", strings.TrimSpace(c.Tests.Header + " " + c.Tests.Field)},
		{"sources", sourcesText(c.Sources)},
	} {
		list = append(list, fact{path: join(path, f[0]), label: c.Name + " " + f[0], value: f[1]})
	}
	for i := range c.Synthetics {
		x := &c.Synthetics[i]
		list = append(list, fact{path: path + ".synthetics." + x.Name, label: c.Name + " synthetic " + x.Name, value: x.text()})
	}
	list = append(list, spokenFacts(path, c.Name, c.Speaks)...)
	for _, o := range operationFacts(path, c.Operations) {
		o.label = c.Name + " " + o.label
		list = append(list, o)
	}
	return list
}

func spanText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return span(d)
}

func statusesText(rules []StatusRule) string {
	var list []string
	for _, r := range rules {
		text := fmt.Sprintf("%d-%d", r.From, r.To)
		if r.Code != "" {
			text += " " + r.Code
		}
		list = append(list, text+" "+r.Class+"/"+r.Outcome)
	}
	return strings.Join(list, ", ")
}
