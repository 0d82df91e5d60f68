package policy

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

func (c *checker) passages(path string, list []Passage) {
	seen := map[string]bool{}
	if len(list) > maxPassages {
		c.problem(path, "take some out", "has %d names, more than %d", len(list), maxPassages)
	}
	for i := range list {
		p := &list[i]
		at := join(path, clip(p.Map))
		if what := contractNameProblem(p.Map); what != "" {
			c.problem(at, "names are like vault/cards", "%s", what)
		}
		if seen[p.Map] {
			c.problem(at, "keep one of them", "is there twice")
		}
		seen[p.Map] = true
		if p.empty() {
			c.problem(at, "write import: {match: POST /v1/vault/cards, put: body.card, id: id}, export or tokens", "says nothing")
		}
		if (p.Import != Import{}) {
			c.importCall(at+".import", p.Import)
		}
		if p.Export.say() {
			c.exportCall(at+".export", &p.Export)
		}
		if (p.Tokens != Tokens{}) {
			c.tokens(at+".tokens", &p.Tokens)
		}
	}
}

func (c *checker) importCall(path string, i Import) {
	if i.Match == "" {
		c.lacks(path, "write {match: POST /v1/vault/cards, put: body.card, id: id}")
		return
	}
	p, err := parsePattern(i.Match)
	switch {
	case err != nil:
		c.problem(path+".match", "write one, like POST /v1/vault/cards", "%v", err)
	case p.method == "GET" || p.method == "HEAD" || p.fixed() < len(p.segments):
		c.problem(path+".match", "write one, like POST /v1/vault/cards", "%q is not one plain path to write to", clip(i.Match))
	}
	if i.Put.In != "body" || i.Put.problem() != "" {
		c.problem(path+".put", "write where the value goes, like body.card", "%q is no place in a body", clip(i.Put.String()))
	}
	if (Field{In: "body", Name: i.ID}).problem() != "" {
		c.problem(path+".id", "write where the answer says what it is called there, like id", "%q is no field of a body", clip(i.ID))
	}
	if i.Form != "" && i.Form != importForm {
		c.problem(path+".form", "write json or form", "%q is unknown", clip(i.Form))
	}
}

func exportMarks() []string { return []string{markID, markSession, markAccount} }

func (c *checker) exportCall(path string, e *Export) {
	const example = "write one, like GET /v1/vault/cards/{id}"
	method, _, _, err := parseAskFor(e.Match, exportMarks())
	switch {
	case e.Match == "":
		c.lacks(path+".match", "write the read, like GET /v1/vault/cards/{id}")
	case err != nil:
		c.problem(path+".match", example, "%v", err)
	case method != "GET":
		c.problem(path+".match", "write a read", "%s is no read that has an answer: nothing is changed by fetching", method)
	case !strings.Contains(e.Match, "{"+markID+"}") && !strings.Contains(e.Match, "{"+markSession+"}"):
		c.problem(path+".match", "write {id}, what the field is called there, or {session} into it", "does not name what is fetched: it would be the same for every session")
	}
	c.answer(path+".answer", e.Answer, "write the jq program that makes the field's value of the answer, like .card")
	if e.ID != "" && (Field{In: "body", Name: e.ID}).problem() != "" {
		c.problem(path+".id", "write where the answer says what it is called there, like id", "%q is no field of a body", clip(e.ID))
	}
	if e.ID != "" && len(e.After) == 0 {
		c.problem(path+".id", "name the operations with after", "does nothing without after")
	}
	for i, s := range e.Absent {
		if s < 400 || s > 499 {
			c.problem(fmt.Sprintf("%s.absent[%d]", path, i), "write the status of what is not there, like 404", "%d is not between 400 and 499", s)
		}
	}
	if e.Life < 0 || e.Life > maxCopy {
		c.problem(path+".life", "", "%s is not between 0 and %s", span(e.Life), span(maxCopy))
	}
	if e.Max < 0 || e.Max > maxExport {
		c.problem(path+".max", "", "%d is not between 1 and %d", e.Max, maxExport)
	}
}

// answer checks a program that reads answers. One that explodes does so on an empty answer already, or is stopped when it does.
func (c *checker) answer(path, text, fix string) {
	if text == "" {
		c.lacks(path, fix)
		return
	}
	before := len(c.problems)
	if c.program(path, text, "", text, nil); len(c.problems) > before {
		return
	}
	c.ends(path, "", text, nil, map[string]any{}, "an empty answer")
}

// answerTime bounds one run of a program that reads an answer.
const answerTime = 500 * time.Millisecond

func (c *checker) tokens(path string, t *Tokens) {
	c.tokensPut(path, t)
	c.answer(path+".answer", t.Answer, "write the jq program that finds the tokens, like {access: .access_token, refresh: .refresh_token, life: .expires_in}")
	if t.Issue.Match == "" && t.Refresh.Match == "" {
		c.lacks(path+".refresh", "write {match: POST /v1/tokens, body: 'grant_type=refresh_token&refresh_token={refresh}'}, or issue")
	}
	if (t.Issue != TokenCall{}) {
		c.tokenCall(path+".issue", t.Issue, issueMarks())
		if t.Issue.Match != "" && !strings.Contains(t.Issue.Match+t.Issue.Body, "{"+markSession+"}") {
			c.problem(path+".issue.body", `write {session} into it, like {"conversation":"{session}"}`, "does not name whom the tokens are for")
		}
	}
	if (t.Refresh != TokenCall{}) {
		c.tokenCall(path+".refresh", t.Refresh, append(issueMarks(), markRefresh))
		if t.Refresh.Match != "" && !strings.Contains(t.Refresh.Body, "{"+markRefresh+"}") {
			c.problem(path+".refresh.body", "write {refresh} into it, like grant_type=refresh_token&refresh_token={refresh}", "does not hold the refresh token")
		}
	}
	switch {
	case t.Early < 0 || t.Early > maxEarly:
		c.problem(path+".early", "", "%s is not between 0 and %s", span(t.Early), span(maxEarly))
	case t.Early != 0 && t.Refresh.Match == "":
		c.problem(path+".early", "write refresh, or leave it out", "does nothing without refresh")
	}
}

func issueMarks() []string { return []string{markSession, markAccount} }

func (c *checker) tokensPut(path string, t *Tokens) {
	const example = "write one, like header.X-Session-Token or body.session_token"
	switch {
	case t.Put == Field{}:
		c.lacks(path+".put", example)
	case t.Put.problem() != "":
		c.problem(path+".put", example, "%q %s", clip(t.Put.String()), t.Put.problem())
	case t.Put.In == "path":
		c.problem(path+".put", example, "%s: tokens stand in no path, where every log on the way would have them", t.Put)
	case t.Put.In == "header" && !putHeader(t.Put.Name):
		c.problem(path+".put", example, "%q is no header that can be set", clip(t.Put.Name))
	}
	if t.Value != "" && (strings.Count(t.Value, "{"+markAccess+"}") != 1 || strings.ContainsFunc(t.Value, unprintable)) {
		c.problem(path+".value", `write one, like "Bearer {access}"`, "must hold {access} once")
	}
}

func (c *checker) tokenCall(path string, t TokenCall, known []string) {
	const example = "write one, like POST /v1/tokens"
	method, _, _, err := parseAskFor(t.Match, known)
	switch {
	case t.Match == "":
		c.lacks(path+".match", example)
	case err != nil:
		c.problem(path+".match", example, "%v", err)
	case method == "GET" || method == "HEAD" || method == "OPTIONS":
		c.problem(path+".match", example, "%s changes nothing: tokens are made", method)
	case strings.Contains(t.Match, "{"+markRefresh+"}"):
		c.problem(path+".match", "write it into the body", "holds the refresh token: addresses are logged on the way")
	}
	if what := tokenBodyProblem(t.Body, known); what != "" {
		c.problem(path+".body", "write JSON, or a form like grant_type=refresh_token&refresh_token={refresh}", "%s", what)
	}
}

func tokenBodyProblem(body string, known []string) string {
	example := TokenMarks{Session: "s", Account: "a", Refresh: "r"}
	switch {
	case body == "":
	case strings.ContainsFunc(body, unprintable):
		return "holds unprintable characters"
	case body[0] == '{':
		for rest := body; ; { // braces are JSON's too: what is left of a mark that is not known makes no JSON, or is a text
			_, after, open := strings.Cut(rest, "{")
			if !open {
				break
			}
			if name, _, closed := strings.Cut(after, "}"); closed && nameProblem(name) == "" && !slices.Contains(known, name) {
				return unknownMark(name, known).Error()
			}
			rest = after
		}
		if !json.Valid([]byte(example.fill(body, inJSON))) {
			return "is no JSON once its marks are filled in"
		}
	default:
		if err := checkMarks(body, known); err != nil {
			return err.Error()
		}
		if _, err := url.ParseQuery(example.fill(body, url.QueryEscape)); err != nil {
			return "is neither JSON nor a form"
		}
	}
	return ""
}

// passagesOf checks what a contract says of its operations once like has been followed.
func (c *checker) passagesOf(path string, own, full *Contract) {
	names := namesOf(full.Operations, func(o OperationSpec) string { return o.Name })
	for i := range own.Session {
		p := &own.Session[i]
		at := join(path+".session", clip(p.Map))
		for j, name := range p.Export.After {
			if !slices.Contains(names, name) {
				c.problem(fmt.Sprintf("%s.export.after[%d]", at, j), didYouMean(name, names), "the contract has no operation called %q", clip(name))
			}
		}
		if put := p.Tokens.Put; put.In == "header" && full.Keys.Header != "" && strings.EqualFold(put.Name, full.Keys.Header) {
			c.problem(at+".tokens.put", "write another", "is the header of idempotency keys")
		}
	}
}

// tokensOf checks that some provider asks for the tokens that a service's field names: a name that nobody knows would send none.
func (c *checker) tokensOf(path string, s *ServiceSpec) {
	for i := range s.Session {
		f := &s.Session[i]
		if f.Kind != KindTokens || f.Map == "" {
			continue
		}
		var known []string
		for _, region := range c.Regions.Names() {
			known = append(known, c.tokensIn(c.catalog, s, region)...)
		}
		if slices.Sort(known); !slices.Contains(known, f.Map) {
			c.problem(join(path, clip(f.Name))+".map", didYouMean(f.Map, slices.Compact(known)), "no provider of the service asks for tokens called %q", clip(f.Map))
		}
	}
}

// tokensIn lists the names of the tokens that a service's providers ask for in a region.
func (p *Policy) tokensIn(all catalog, s *ServiceSpec, region string) (maps []string) {
	for _, name := range s.ProvidersIn(region) {
		provider := p.Provider(name)
		if provider == nil {
			continue // it is told where it is named
		}
		contract, _, err := all.resolve(provider.Contract)
		if err != nil {
			continue // the same
		}
		for i := range contract.Session {
			if t := &contract.Session[i]; (t.Tokens != Tokens{}) {
				maps = append(maps, t.Map)
			}
		}
	}
	return maps
}

// sessionIn are the fields of a service's sessions in a region: tokens that nobody there asks for are none of its.
func (p *Policy) sessionIn(all catalog, s *ServiceSpec, region string) []SessionField {
	if !slices.ContainsFunc(s.Session, func(f SessionField) bool { return f.Kind == KindTokens }) {
		return s.Session
	}
	asked := p.tokensIn(all, s, region)
	var kept []SessionField
	for _, f := range s.Session {
		if f.Kind != KindTokens || slices.Contains(asked, f.Map) {
			kept = append(kept, f)
		}
	}
	return kept
}
