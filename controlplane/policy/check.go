package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Checks are how Segue itself asks a provider whether it is well, beside the calls that pass through.
type Checks struct {
	Active    []Check
	Synthetic []SyntheticRun
	AtMost    Value // what one effect of a synthetic may be worth; zero: one main unit of its currency
}

// Any tells whether there is something to ask.
func (c *Checks) Any() bool { return len(c.Active)+len(c.Synthetic) > 0 }

// Probes are the checks of a compiled provider.
type Probes struct {
	Checks     []Check
	Synthetics []Planned
}

// Check is an active check, made every Every: one HTTP request (2xx and 3xx are good), a TCP connection, or a TLS handshake that looks
// at the days for which the certificate still holds.
type Check struct {
	Method, Path string // of an HTTP check
	Every        time.Duration
	Kind         CheckKind
	Warn, Bad    int // tls: days left below which it warns, and is bad; 0: the default
}

// planned are a provider's synthetics as agents run them.
func planned(p *ProviderSpec, c *Contract) []Planned {
	var list []Planned
	known := syntheticsOver(c.Synthetics, p.Synthetics)
	for _, r := range p.Checks.Synthetic {
		if i := slices.IndexFunc(known, func(s Synthetic) bool { return s.Name == r.Name }); i >= 0 {
			list = append(list, Planned{Synthetic: known[i], Every: r.Every, Marks: c.Tests, AtMost: p.Checks.AtMost})
		}
	}
	return list
}

// CheckKind is what an active check looks at.
type CheckKind string

// The kinds. The zero value is an HTTP request.
const (
	CheckHTTP CheckKind = ""
	CheckTCP  CheckKind = "tcp"
	CheckTLS  CheckKind = "tls"
)

// The days left of a certificate from which on a tls check warns, and is bad.
const (
	DefaultWarnDays = 21
	DefaultBadDays  = 7
	maxDays         = 398 // no public certificate is issued for longer
)

// Name is what people call a check: GET /v1/balance, tcp or tls. A provider has no two of one name.
func (c Check) Name() string {
	if c.Kind == CheckHTTP {
		return c.Method + " " + c.Path
	}
	return string(c.Kind)
}

// String is the check as the document writes it.
func (c Check) String() string {
	text := c.Name() + " every " + span(c.Every)
	if c.Warn != 0 {
		text += fmt.Sprintf(" warn %dd", c.Warn)
	}
	if c.Bad != 0 {
		text += fmt.Sprintf(" bad %dd", c.Bad)
	}
	return text
}

// Days are the bounds of a tls check.
func (c Check) Days() (warn, bad int) {
	warn, bad = DefaultWarnDays, DefaultBadDays
	set(&warn, c.Warn)
	set(&bad, c.Bad)
	return warn, bad
}

func (r *reader) checks(v value) Checks {
	var c Checks
	r.object(v, fields{known: map[string]func(value){
		"active":    func(v value) { c.Active = r.active(v) },
		"synthetic": func(v value) { c.Synthetic = r.syntheticRuns(v) },
		"at_most":   func(v value) { c.AtMost = r.atMost(v) },
	}, later: []string{"passive"}})
	return c
}

// active reads one check, or a list of them.
func (r *reader) active(v value) []Check {
	if kindOf(v.node) != "a list" {
		if one, ok := r.check(v); ok {
			return []Check{one}
		}
		return nil
	}
	var found []Check
	for _, e := range r.list(v, maxChecks) {
		if one, ok := r.check(e); ok {
			found = append(found, one)
		}
	}
	return found
}

// check reads "GET /v1/balance every 10s", "tcp every 5s" or "tls every 1h warn 30d bad 10d".
func (r *reader) check(v value) (Check, bool) {
	text := r.text(v)
	if text == "" {
		return Check{}, false
	}
	if c, ok := parseCheck(strings.Fields(text)); ok {
		return c, true
	}
	r.problem(v, strconv.Quote(clip(text))+" is not a check", "write what and how often: GET /v1/balance every 10s, tcp every 5s or tls every 1h")
	return Check{}, false
}

func parseCheck(words []string) (Check, bool) {
	at := slices.Index(words, "every")
	if at < 1 || at > 2 || len(words) < at+2 {
		return Check{}, false
	}
	var c Check
	var err error
	if c.Every, err = time.ParseDuration(words[at+1]); err != nil || c.Every <= 0 {
		return Check{}, false
	}
	more := words[at+2:]
	if at == 2 {
		c.Method, c.Path = words[0], words[1]
		return c, len(more) == 0
	}
	switch c.Kind = CheckKind(words[0]); c.Kind {
	case CheckTCP:
		return c, len(more) == 0
	case CheckTLS:
		return c, c.bounds(more)
	default:
		return Check{}, false
	}
}

// bounds reads "warn 30d bad 10d", or one of them.
func (c *Check) bounds(words []string) bool {
	for ; len(words) >= 2; words = words[2:] {
		number, days := strings.CutSuffix(words[1], "d")
		n, err := strconv.Atoi(number)
		at := &c.Warn
		if words[0] == "bad" {
			at = &c.Bad
		} else if words[0] != "warn" {
			return false
		}
		if !days || err != nil || n < 1 || n > maxDays || *at != 0 {
			return false
		}
		*at = n
	}
	return len(words) == 0
}

func writeChecks(w writer, c *Checks) {
	if !c.Any() {
		return
	}
	m := w.below("checks", yaml.FlowStyle)
	m.one("active", checkTexts(c.Active))
	m.one("synthetic", runTexts(c.Synthetic))
	m.text("at_most", c.AtMost.String())
}

// one writes a list, or its only entry.
func (w writer) one(key string, list []string) {
	if len(list) == 1 {
		w.text(key, list[0])
		return
	}
	w.texts(key, list)
}

func checkTexts(list []Check) []string {
	texts := make([]string, len(list))
	for i, c := range list {
		texts[i] = c.String()
	}
	return texts
}

// checksOf checks the checks of one provider.
func (c *checker) checksOf(path string, p *ProviderSpec, contract *Contract) {
	checks := &p.Checks
	plain := func(r RegionValue) bool { return strings.Contains(" "+r.Value, " http://") }
	bare := slices.ContainsFunc(p.Endpoint, plain) || len(p.Endpoint) == 0 && plain(RegionValue{Value: contract.Endpoint})
	for i, a := range checks.Active {
		at := path + ".active"
		if len(checks.Active) > 1 {
			at = fmt.Sprintf("%s[%d]", at, i)
		}
		c.activeCheck(at, a)
		if a.Kind == CheckTLS && bare {
			c.problem(at, "leave it out, or write an https endpoint", "there is no certificate where the endpoint is plain http")
		}
		if slices.ContainsFunc(checks.Active[:i], func(b Check) bool { return b.Name() == a.Name() }) {
			c.problem(at, "name each once", "%s is there twice", clip(a.Name()))
		}
	}
	if len(checks.Active) > maxChecks {
		c.problem(path+".active", "shorten the list", "has %d checks, more than %d", len(checks.Active), maxChecks)
	}
}

func (c *checker) activeCheck(path string, a Check) {
	longest := maxCheckEvery
	switch a.Kind {
	case CheckHTTP:
		c.httpCheck(path, a)
	case CheckTCP:
	case CheckTLS:
		longest = maxTLSEvery
		if warn, bad := a.Days(); warn < bad {
			c.problem(path, fmt.Sprintf("write bounds like warn %dd bad %dd", DefaultWarnDays, DefaultBadDays), "warns below %d days, when it is bad below %d already", warn, bad)
		}
	default:
		c.problem(path, "write a request, tcp or tls", "%q is no kind of check", clip(string(a.Kind)))
	}
	if a.Kind != CheckTLS && (a.Warn != 0 || a.Bad != 0) || a.Kind != CheckHTTP && (a.Method != "" || a.Path != "") {
		c.problem(path, "write one of GET /v1/balance every 10s, tcp every 5s, tls every 1h", "mixes kinds of checks")
	}
	if a.Warn < 0 || a.Warn > maxDays || a.Bad < 0 || a.Bad > maxDays {
		c.problem(path, "", "warns and is bad at 1 to %d days", maxDays)
	}
	if a.Every < minCheckEvery || a.Every > longest {
		c.problem(path, "", "every %s is not between %s and %s", span(a.Every), span(minCheckEvery), span(longest))
	}
}

func (c *checker) httpCheck(path string, a Check) {
	if a.Method != "GET" && a.Method != "HEAD" {
		c.problem(path, "check with GET or HEAD", "%q is no method that changes nothing", clip(a.Method))
	}
	bare, _, _ := strings.Cut(a.Path, "?")
	if bare != "/" && !safePath(bare) || len(a.Path) > maxText || strings.ContainsFunc(a.Path, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) {
		c.problem(path, "write a path, like /v1/balance", "%q is no path", clip(a.Path))
	}
}
