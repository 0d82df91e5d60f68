package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/web/view"
)

// sessionsPage is the sessions in use. With an id it leads to that one.
func (w *Web) sessionsPage(c echo.Context) error {
	ctx, id := c.Request().Context(), strings.TrimSpace(c.QueryParam("id"))
	problem := ""
	if id != "" {
		_, err := w.askSession(ctx, id, 1)
		if err == nil {
			return seeOther(c, "/sessions/"+url.PathEscape(id))
		}
		if wantsJSON(c) {
			return err
		}
		problem = sentenceOf(w.describe(err).Detail)
	}
	all, err := w.askSessions(ctx)
	if err != nil && wantsJSON(c) {
		return err
	}
	f := w.frame(c, "Sessions", "sessions", "/live/sessions")
	f.Path, f.Command = "/sessions", "segue session show ID"
	page := view.Sessions{Frame: f, Search: id, Problem: problem, Fields: declared(w.scene().State.Current().Policy)}
	w.fillSessions(&page, all, err)
	return w.answer(c, http.StatusOK, all, view.SessionsPage(page))
}

// declared are the fields that the policy gives sessions.
func declared(doc *policy.Policy) (list []view.DeclaredField) {
	for i := range doc.Services {
		svc := &doc.Services[i]
		for j := range svc.Session {
			rule := &svc.Session[j]
			list = append(list, view.DeclaredField{Service: svc.Name, Name: rule.Name, Class: string(rule.Class), Rule: ruleOf(rule.Text(), string(rule.Class))})
		}
	}
	return list
}

// ruleOf is what the policy says of a field, without the class that stands beside it.
func ruleOf(text, class string) string { return strings.TrimPrefix(text, class+", ") }

// fillSessions fills the moving part.
func (w *Web) fillSessions(page *view.Sessions, all sessionsInUse, err error) {
	page.Partial = all.Partial
	if err != nil {
		page.Partial = sentenceOf(w.describe(err).Detail)
	}
	sums := summed(all)
	page.Headline = coverageHeadline(sums, err != nil || len(all.Agents) == 0)
	for _, svc := range sums {
		if svc.InUse > 0 || svc.Moved != (query.SessionsMoved{}) {
			page.Services = append(page.Services, shareRow(svc))
		}
	}
}

// summed are all agents' figures together, by service and provider.
func summed(all sessionsInUse) (sums []query.SessionsInUse) {
	for _, a := range all.Agents {
		for _, svc := range a.Services {
			i := slices.IndexFunc(sums, func(s query.SessionsInUse) bool { return s.Service == svc.Service })
			if i < 0 {
				i = len(sums)
				sums = append(sums, query.SessionsInUse{Service: svc.Service})
			}
			addSessions(&sums[i], svc)
		}
	}
	for i := range sums {
		slices.SortFunc(sums[i].Providers, func(a, b query.SessionsAt) int { return strings.Compare(a.Provider, b.Provider) })
	}
	slices.SortFunc(sums, func(a, b query.SessionsInUse) int { return strings.Compare(a.Service, b.Service) })
	return sums
}

func addSessions(sum *query.SessionsInUse, more query.SessionsInUse) {
	sum.InUse, sum.Could = sum.InUse+more.InUse, sum.Could+more.Could
	m := more.Moved
	sum.Moved.Plain, sum.Moved.Carried, sum.Moved.Rebuilt = sum.Moved.Plain+m.Plain, sum.Moved.Carried+m.Carried, sum.Moved.Rebuilt+m.Rebuilt
	sum.Moved.Lost, sum.Moved.Refused = sum.Moved.Lost+m.Lost, sum.Moved.Refused+m.Refused
	for _, p := range more.Providers {
		i := slices.IndexFunc(sum.Providers, func(s query.SessionsAt) bool { return s.Provider == p.Provider })
		if i < 0 {
			sum.Providers = append(sum.Providers, p)
			continue
		}
		sum.Providers[i].InUse, sum.Providers[i].Could = sum.Providers[i].InUse+p.InUse, sum.Providers[i].Could+p.Could
	}
}

func coverageHeadline(sums []query.SessionsInUse, nobody bool) view.Headline {
	more := "A session can go on where its state is, or can be brought, at a provider that takes new calls. The others would be refused, or lose what is declared as lost."
	inUse, could := 0, 0
	var short []string
	for _, s := range sums {
		inUse, could = inUse+s.InUse, could+s.Could
		if s.Could < s.InUse {
			short = append(short, s.Service)
		}
	}
	switch {
	case nobody:
		return view.Headline{Level: view.Off, Parts: say("No agent tells which sessions are in use."), More: more}
	case inUse == 0:
		return view.Headline{Level: view.Off, Parts: say("No session is in use."), More: more}
	case could == inUse && inUse == 1:
		return view.Headline{Level: view.OK, Parts: say("The one session in use could go on at another provider now."), More: more}
	case could == inUse:
		return view.Headline{Level: view.OK, Parts: say(fmt.Sprintf("All %s sessions in use could go on at another provider now.", view.Count(inUse))), More: more}
	default:
		return view.Headline{Level: view.Warn, Parts: []view.Part{
			{Text: fmt.Sprintf("%s of %s sessions in use", view.Count(inUse-could), view.Count(inUse)), Level: view.Warn},
			{Text: " could not go on at another provider now, in " + enumerate(short) + "."},
		}, More: more}
	}
}

func shareRow(svc query.SessionsInUse) view.SessionShare {
	level, share, percent := shareOf(svc.InUse, svc.Could)
	row := view.SessionShare{Name: svc.Service, InUse: view.Count(svc.InUse), Could: view.Count(svc.Could), Share: share, Percent: percent, Level: level, Moved: movedPairs(svc.Moved)}
	for _, p := range svc.Providers {
		level, share, percent := shareOf(p.InUse, p.Could)
		row.Providers = append(row.Providers, view.SessionShareAt{
			Name: p.Provider, Href: "/providers/" + url.PathEscape(p.Provider), InUse: view.Count(p.InUse), Could: view.Count(p.Could), Share: share, Percent: percent, Level: level,
		})
	}
	return row
}

// shareOf is a share and how it stands; under 0 where there is nothing to have a share of.
func shareOf(inUse, could int) (view.Level, string, float64) {
	if inUse == 0 {
		return view.Off, "none in use", -1
	}
	percent := 100 * float64(could) / float64(inUse)
	if could == inUse {
		return view.OK, "100 %", percent
	}
	return view.Warn, view.Percent(percent) + " %", percent
}

func movedPairs(m query.SessionsMoved) (list []view.Pair) {
	for _, one := range []struct {
		n    uint64
		what string
	}{
		{m.Plain, "moved, without fields"}, {m.Carried, "moved, with what was brought there"}, {m.Rebuilt, "moved, with what stays in the session"},
		{m.Lost, "moved, and left a pinned field behind"}, {m.Refused, "calls refused: a field was pinned"},
	} {
		if one.n > 0 {
			list = append(list, view.Pair{Name: one.what, Value: view.Count(one.n)})
		}
	}
	return list
}

// sessionsParts ask the agents every other beat.
func (w *Web) sessionsParts(ctx context.Context, p view.Prefs) func(int) []part {
	return func(beat int) []part {
		parts := w.statusParts(w.scene())
		if beat%listEvery != 0 {
			return parts
		}
		page := view.Sessions{Frame: view.Frame{Prefs: p}}
		all, err := w.askSessions(ctx)
		w.fillSessions(&page, all, err)
		return append(parts, part{"headline", view.HeadlinePart(page.Headline)}, part{"coverage", view.CoveragePart(page)})
	}
}

// sessionPage is one session; with verify, held against its history.
func (w *Web) sessionPage(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("id")
	shown, err := w.askSession(ctx, id, shownEvents)
	if err != nil {
		return err
	}
	page := w.sessionView(c, &shown)
	if c.QueryParam("verify") != "" {
		checks, err := w.askVerify(ctx, id)
		page.Checks = checkLines(checks)
		if err != nil {
			page.Checks = []view.ProbeLine{{Where: "Not held against its history", Level: view.Warn, Icon: "warn", Word: w.describe(err).Detail}}
		}
	}
	return w.answer(c, http.StatusOK, shown, view.SessionPage(page))
}

func (w *Web) sessionView(c echo.Context, shown *sessionShown) view.Session {
	one, now := &shown.Session, w.cfg.Now()
	f := w.frame(c, "Session", "sessions", "")
	f.Command = "segue session show " + quoted(one.ID)
	here := "/sessions/" + url.PathEscape(one.ID)
	page := view.Session{Frame: f, ID: one.ID, Partial: shown.Partial, Problem: sentenceOf(one.Problem), Verify: here, Total: plural(one.Events, "event")}
	if len(one.History) < one.Events {
		page.Total += fmt.Sprintf(", the newest %d of them", len(one.History))
	}
	page.Level, page.Icon, page.Sentence = sessionSentence(one.Services)
	page.Facts = []string{
		"application " + one.App, "began " + view.Span(now.Sub(one.Created)) + " ago", "last written " + view.Span(now.Sub(one.Updated)) + " ago", "told by " + shown.Agent + " in " + shown.Region,
	}
	for i := range one.Services {
		page.Services = append(page.Services, sessionServiceView(&one.Services[i], i, now))
	}
	for _, e := range one.History {
		by := e.By
		if by == "" {
			by = "–"
		}
		page.Events = append(page.Events, view.SessionEvent{At: e.At, Service: e.Service, Text: e.Text, By: by})
	}
	return page
}

// sessionSentence says whether the session would survive its providers.
func sessionSentence(services []query.SessionService) (view.Level, string, string) {
	var pinned, stuck []string
	for _, svc := range services {
		if svc.Provider != "" {
			pinned = append(pinned, svc.Service)
			if svc.Goes == "" {
				stuck = append(stuck, svc.Service)
			}
		}
	}
	switch {
	case len(pinned) == 0:
		return view.Off, "off", "It is pinned to no provider yet."
	case len(stuck) > 0:
		return view.Warn, "warn", "It could not go on at another provider now, for " + enumerate(stuck) + "."
	default:
		return view.OK, "ok", "It could go on at another provider now."
	}
}

func sessionServiceView(svc *query.SessionService, n int, now time.Time) view.SessionService {
	row := view.SessionService{Name: svc.Service, ID: "service-" + strconv.Itoa(n), Where: "not pinned yet", Since: svc.Since, Level: view.OK, Icon: "ok", Next: sentenceOf(svc.Next)}
	if svc.Provider != "" {
		row.Where, row.Next = "at "+svc.Provider, fmt.Sprintf("If %s fails now: %s.", svc.Provider, svc.Next)
	}
	if svc.Goes == "" {
		row.Level, row.Icon = view.Warn, "warn"
	}
	for i := range svc.Fields {
		row.Fields = append(row.Fields, fieldView(&svc.Fields[i], now))
	}
	for i := range svc.Ways {
		if way := &svc.Ways[i]; way.Provider == svc.Goes && len(way.Loses) > 0 {
			row.Level, row.Icon = view.Warn, "warn"
		}
		row.Ways = append(row.Ways, wayView(&svc.Ways[i]))
	}
	return row
}

func fieldView(f *query.SessionField, now time.Time) view.SessionField {
	row := view.SessionField{Name: f.Name, Class: f.Class, Rule: ruleOf(f.Rule, f.Class), Level: view.Off, Icon: "lock", Holds: plural(f.Bytes, "byte") + ", sealed", At: strings.Join(f.At, ", "), Written: f.Written, By: f.By}
	if f.Class == "" {
		row.Class = "none"
	}
	if row.At == "" {
		row.At = "–"
	}
	if !f.Written.IsZero() {
		row.Age = view.Span(now.Sub(f.Written))
	}
	switch {
	case !f.Set:
		row.Icon, row.Holds = "off", "nothing"
	case f.Kind == string(policy.KindCounter):
		row.Icon, row.Holds = "ok", strconv.FormatInt(f.Sum, 10)
		if f.Floor != nil {
			row.Holds += fmt.Sprintf(", never below %d", *f.Floor)
		}
	case f.Kind == string(policy.KindSet):
		row.Holds = plural(f.Items, "item") + ", sealed"
	case f.Kind == string(policy.KindTokens):
		row.Holds = tokensHeld(f, now)
	case f.Bytes == 0:
		row.Holds = "names at providers, sealed"
	}
	if f.Fetched != nil {
		row.Holds += fetchedFrom(f.Fetched, now)
	}
	return row
}

// fetchedFrom says from where a value is, and whether it is old.
func fetchedFrom(f *query.SessionFetch, now time.Time) string {
	text := ""
	if f.From != "" {
		text = ", fetched from " + f.From + " " + view.Span(now.Sub(f.At)) + " ago"
	}
	if f.Old {
		text += ", changed there since"
	}
	return text
}

// tokensHeld says until when tokens live, and never what they are.
func tokensHeld(f *query.SessionField, now time.Time) string {
	list := make([]string, len(f.Tokens))
	for i, t := range f.Tokens {
		switch {
		case t.Until.IsZero():
			list[i] = t.Provider + " for ever"
		case t.Until.After(now):
			list[i] = t.Provider + " for another " + view.Span(t.Until.Sub(now))
		default:
			list[i] = t.Provider + ", ended"
		}
	}
	return "tokens, sealed: " + strings.Join(list, ", ")
}

func wayView(way *query.SessionWay) view.SessionWay {
	row := view.SessionWay{Provider: way.Provider, Href: "/providers/" + url.PathEscape(way.Provider), Level: view.OK, Icon: "ok", Word: "yes"}
	why := []string{}
	switch {
	case way.Here && way.Open:
		row.Word = "it is here"
	case way.Here:
		row.Level, row.Icon, row.Word = view.Warn, "warn", "it is here, and new calls do not come here now"
	case !way.Can || !way.Open:
		row.Level, row.Icon, row.Word = view.Warn, "warn", "no"
	}
	if way.Why != "" {
		why = append(why, way.Why)
	}
	if len(way.Carries) > 0 {
		why = append(why, "brings "+enumerate(way.Carries))
	}
	if len(way.Loses) > 0 {
		why = append(why, "leaves "+enumerate(way.Loses)+" behind")
	}
	row.Why = strings.Join(why, "; ")
	return row
}

func checkLines(checks sessionChecks) (lines []view.ProbeLine) {
	for i := range checks.Checks {
		one := &checks.Checks[i]
		line := view.ProbeLine{Where: one.Region + " · " + one.Agent, Level: view.OK, Icon: "ok", Word: "it is what its history says", Detail: plural(one.Events, "event") + ", " + plural(one.Fields, "field")}
		var parts []string
		for _, d := range one.Differs {
			parts = append(parts, fmt.Sprintf("%s: stored %s, by its history %s", d.What, d.Stored, d.History))
		}
		switch {
		case one.Moving:
			line.Level, line.Icon, line.Word = view.Warn, "under-way", "it was written to all the while; ask again"
		case len(one.Differs) > 0:
			line.Level, line.Icon, line.Word, line.Detail = view.Bad, "bad", "it is not what its history says", strings.Join(parts, "; ")
		case len(one.Sealed) > 0:
			line.Level, line.Icon, line.Word, line.Detail = view.Bad, "bad", enumerate(one.Sealed)+" cannot be opened with its keys", ""
		}
		lines = append(lines, line)
	}
	if !checks.Same {
		lines = append(lines, view.ProbeLine{Where: "All", Level: view.Warn, Icon: "warn", Word: "the agents’ copies are not the same", Detail: "each has its own store, or one is cut off from the store that they share; what that one wrote waits on its disk and goes to the store by itself: the page Hints and repair shows it"})
	}
	if checks.Partial != "" {
		lines = append(lines, view.ProbeLine{Where: "All", Level: view.Warn, Icon: "warn", Word: checks.Partial})
	}
	return lines
}
