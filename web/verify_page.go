package web

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/web/view"
)

// shownVerified is how many transactions the page of a look shows; the API tells all.
const shownVerified = 100

// unknownTab is where open outcomes stand.
const unknownTab = "/transactions?state=held"

// openWishOf reads what is meant from a link or a form.
func openWishOf(c echo.Context) openWish {
	get := c.QueryParam
	if isForm(c) {
		get = c.FormValue
	}
	return openWish{Service: get("service"), Provider: get("provider"), State: get("state"), OlderThan: get("older_than")}
}

// fields are what a link or a form says of a wish.
func (h *openWish) fields() []view.Pair {
	var list []view.Pair
	for _, p := range [...]view.Pair{{Name: "service", Value: h.Service}, {Name: "provider", Value: h.Provider}, {Name: "state", Value: h.State}, {Name: "older_than", Value: h.OlderThan}} {
		if p.Value != "" {
			list = append(list, p)
		}
	}
	return list
}

func (h *openWish) command() string {
	text := "segue tx verify --all"
	for _, p := range h.fields() {
		text += " --" + strings.ReplaceAll(p.Name, "_", "-") + " " + quoted(p.Value)
	}
	return text
}

// checkAgain is the way from the list of unknown outcomes to a look for all of them.
func checkAgain(q wish, shown int, cut bool) view.Action {
	h := openWish{Service: q.Service, Provider: q.Provider, State: q.State}
	v := url.Values{}
	for _, p := range h.fields() {
		v.Set(p.Name, p.Value)
	}
	label := fmt.Sprintf("Check all %d again…", shown)
	switch {
	case cut:
		label = "Check all again…"
	case shown == 1:
		label = "Check it again…"
	}
	return view.Action{Label: label, Href: "/transactions/verify?" + v.Encode()}
}

// verifyReview shows which outcomes would be looked for.
func (w *Web) verifyReview(c echo.Context) error {
	h := openWishOf(c)
	would, err := w.wouldVerify(c.Request().Context(), h)
	if err != nil {
		return err
	}
	f := w.frame(c, "Check unknown outcomes again", "transactions", "")
	f.Command = h.command() + " --dry-run"
	page := view.VerifyReview{Frame: f, Groups: verifyGroups(would, w.cfg.Now()), Notes: would.Silent, Hidden: h.fields(), Request: rand.Text(), Back: unknownTab}
	page.Headline = view.Headline{Level: view.OK, Parts: say("Nothing is open."), More: "No outcome that is meant here is unknown."}
	if n := would.Waiting; n > 0 {
		page.Act = "Check " + plural(n, "outcome") + " again"
		page.Headline = view.Headline{Level: view.Warn, Parts: []view.Part{{Text: plural(n, "outcome") + " can be looked for again now.", Level: view.Warn}}, More: "They are looked for by themselves too, less often the longer nothing shows."}
	}
	if would.Left > 0 {
		page.Notes = append(page.Notes, fmt.Sprintf("%d more are open: an order looks for %d of each agent at most, the oldest first. Ask again for the rest.", would.Left, policy.MaxOpen))
	}
	return w.answer(c, http.StatusOK, would, view.VerifyReviewPage(page))
}

func verifyGroups(would verifiedAll, now time.Time) []view.VerifyGroup {
	type place struct{ service, provider string }
	of := map[place][]query.Transaction{}
	for i := range would.Transactions {
		t := &would.Transactions[i]
		one := query.Transaction{State: t.State, Created: t.Created}
		if t.Value != nil {
			one.Value = *t.Value
		}
		of[place{t.Service, t.Provider}] = append(of[place{t.Service, t.Provider}], one)
	}
	var list []view.VerifyGroup
	for _, p := range slices.SortedFunc(maps.Keys(of), func(a, b place) int {
		return cmp.Or(cmp.Compare(len(of[b]), len(of[a])), cmp.Compare(a.service, b.service), cmp.Compare(a.provider, b.provider))
	}) {
		open := of[p] // the oldest first
		list = append(list, view.VerifyGroup{
			Service: p.service, Provider: p.provider, Href: "/providers/" + url.PathEscape(p.provider), Count: view.Count(len(open)), Worth: orDash(worthOf(open)),
			Oldest: view.Span(now.Sub(open[0].Created)),
		})
	}
	return list
}

// verifyPost gives the order and leads to what comes of it. The same form again leads to the same.
func (w *Web) verifyPost(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	order, err := w.verifyNow(c.Request().Context(), a, openWishOf(c))
	if err != nil {
		return err
	}
	if _, err := w.verifiedBy(c.Request().Context(), order, verifyAllWait); err != nil {
		return err
	}
	return seeOther(c, "/transactions/verify/"+url.PathEscape(order))
}

// verifiedPage shows what came of it.
func (w *Web) verifiedPage(c echo.Context) error {
	order := c.Param("order")
	done, err := w.verifiedBy(c.Request().Context(), order, 0)
	if err != nil {
		return err
	}
	live := ""
	if !done.Done {
		live = "/live/verified/" + url.PathEscape(order)
	}
	page := verifiedView(done, order)
	page.Frame = w.frame(c, "Unknown outcomes, checked again", "transactions", live)
	page.Frame.Command = "segue tx verify --all"
	return w.answer(c, http.StatusOK, done, view.VerifiedPage(page))
}

// verifiedParts is the moving part of that page.
func (w *Web) verifiedParts(c echo.Context, p view.Prefs) func(int) []part {
	order, ctx := c.Param("service"), c.Request().Context()
	return func(int) []part {
		parts := w.statusParts(w.scene())
		done, err := w.verifiedBy(ctx, order, 0)
		if err != nil {
			return parts
		}
		page := verifiedView(done, order)
		page.Frame = view.Frame{Prefs: p, Command: "segue tx verify --all"}
		return append(parts, part{"verified", view.VerifiedPart(page)})
	}
}

func verifiedView(done verifiedAll, order string) view.Verified {
	page := view.Verified{Done: done.Done, Headline: verifiedHeadline(done), Notes: done.Silent, Here: "/transactions/verify/" + url.PathEscape(order), Back: unknownTab}
	rank := map[string]int{query.VerifyOpen: 0, query.VerifyLeft: 1, query.VerifyWaits: 2, query.VerifyClosed: 3}
	list := slices.Clone(done.Transactions)
	slices.SortStableFunc(list, func(a, b verifiedOne) int { return rank[a.Result] - rank[b.Result] })
	for i := range list {
		if i == shownVerified {
			page.Notes = append(page.Notes, fmt.Sprintf("The first %d are shown, of %d.", i, len(list)))
			break
		}
		page.Rows = append(page.Rows, verifiedRow(&list[i]))
	}
	if done.Left > 0 {
		page.Notes = append(page.Notes, fmt.Sprintf("%d more are open, beyond %d of each agent: ask again for these.", done.Left, policy.MaxOpen))
	}
	return page
}

func verifiedRow(t *verifiedOne) view.VerifiedRow {
	row := view.VerifiedRow{
		ID: t.Transaction, Href: "/transactions/" + url.PathEscape(t.Transaction), Where: t.Service + " · " + t.Operation + ", at " + t.Provider, Agent: t.Agent, Why: sentenceOf(t.Why),
	}
	switch t.Result {
	case query.VerifyClosed:
		s := stateWord(t.State)
		row.Level, row.Icon, row.Word = s.Level, s.Icon, s.Word
	case query.VerifyOpen:
		row.Level, row.Icon, row.Word, row.Resolve = view.Warn, "unknown", "still unknown", row.Href+"#resolve"
	case query.VerifyLeft:
		row.Level, row.Icon, row.Word, row.Resolve = view.Warn, "unknown", "not asked", row.Href+"#resolve"
	default:
		row.Level, row.Icon, row.Word = view.Off, "under-way", "waits for its turn"
	}
	return row
}

func verifiedHeadline(v verifiedAll) view.Headline {
	all, open := len(v.Transactions), v.Open+v.NotAsked
	h := view.Headline{Level: view.OK}
	switch {
	case !v.Done && all == 0:
		h.Level, h.Parts = view.Off, say("The agents begin to look.")
	case !v.Done:
		h.Level, h.Parts = view.Off, say(fmt.Sprintf("%d of %s looked for.", all-v.Waiting, plural(all, "outcome")))
		h.More = "Agents go on by themselves, and this page follows them."
	case all == 0:
		h.Parts = say("Nothing was open.")
	case open == 0:
		h.Parts = say(map[bool]string{true: "Its outcome is known now.", false: fmt.Sprintf("All %d outcomes are known now.", all)}[all == 1])
	default:
		h.Level, h.Parts = view.Warn, []view.Part{{Text: fmt.Sprintf("%d of %d outcomes are known now; ", v.Closed, all)}, {Text: fmt.Sprintf("%d still unknown.", open), Level: view.Warn}}
		h.More = "What is still unknown is looked for again by itself; where nothing can be asked, a person resolves it, with evidence."
	}
	return h
}
