package web

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/pmezard/go-difflib/difflib"

	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/web/view"
)

// Bounds of what is shown of the history.
const (
	shownRevisions = 40
	diffLines      = 800 // of a text's difference; more is told, not shown
	diffAround     = 3
)

// changes is the history of revisions, newest first. Older ones follow in pages: before names the revision that they are older than.
func (w *Web) changes(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	before, _ := strconv.ParseUint(c.QueryParam("before"), 10, 64)
	live := ""
	if before == 0 {
		live = "/live/changes"
	}
	f := w.frame(c, "Changes", "changes", live)
	f.Command = "segue policy log"
	rows := revisionRows(s.State, before)
	page := view.Changes{Frame: f, Headline: changesHeadline(s, f.Prefs), Rows: rows}
	if n := len(rows); n > 0 && rows[n-1].Number > s.State.Revisions[0].Number {
		page.More = fmt.Sprintf("/changes?before=%d", rows[n-1].Number)
	}
	if before > 0 {
		page.Newer = "/changes"
	}
	value := map[string]any{"revision": s.State.Current().Number, "revisions": revisionsOf(s.State)}
	return w.answer(c, http.StatusOK, value, view.ChangesPage(page))
}

func (w *Web) changesParts(s scene, p view.Prefs) []part {
	return append(w.statusParts(s), part{"headline", view.HeadlinePart(changesHeadline(s, p))}, part{"changes", view.ChangesPart(revisionRows(s.State, 0), p)})
}

func changesHeadline(s scene, p view.Prefs) view.Headline {
	r := s.State.Current()
	if r.Number == 0 {
		return view.Headline{Level: view.Off, Parts: say("No policy is in force yet.")}
	}
	in, of, lagging := inForce(s)
	h := view.Headline{Level: view.OK, Parts: say(fmt.Sprintf("Policy %d is in force in %d of %s.", r.Number, in, plural(of, "region"))), More: madeBy(r, p)}
	if in < of {
		h.Level, h.More = view.Warn, strings.TrimSpace(sentenceOf(lagging)+" "+h.More)
	}
	return h
}

// madeBy says who made a revision, when and why.
func madeBy(r state.Revision, p view.Prefs) string {
	text := "By " + r.Actor + ", " + p.Day(r.At)
	if r.Reason != "" {
		text += ": “" + r.Reason + "”"
	}
	return text + "."
}

func revisionRows(st *state.State, before uint64) []view.RevisionRow {
	var rows []view.RevisionRow
	current := st.Current().Number
	for i := len(st.Revisions) - 1; i >= 0 && len(rows) < shownRevisions; i-- {
		if r := st.Revisions[i]; before == 0 || r.Number < before {
			rows = append(rows, lineOf(r, current))
		}
	}
	return rows
}

func lineOf(r state.Revision, current uint64) view.RevisionRow {
	return view.RevisionRow{
		Number: r.Number, Href: fmt.Sprintf("/changes/%d", r.Number), At: r.At, Actor: r.Actor, Reason: r.Reason, Summary: r.Summary, Current: r.Number == current, Origin: originText(r),
	}
}

func originText(r state.Revision) string {
	switch {
	case r.Origin == state.FromRollback:
		return fmt.Sprintf("rollback to %d", r.Back)
	case r.Origin != "":
		return string(r.Origin)
	default:
		return "document"
	}
}

// revisionOf finds the revision that an address names.
func revisionOf(s scene, text string) (state.Revision, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return state.Revision{}, refusal(state.NotFound, fmt.Sprintf("revisions are numbers; %q is none", text))
	}
	r, ok := s.State.Revision(n)
	switch {
	case ok:
		return r, nil
	case n > 0 && n <= s.State.Current().Number:
		return r, refusal(state.NotFound, fmt.Sprintf("revision %d is not kept any more; the oldest is %d", n, s.State.Revisions[0].Number))
	default:
		return r, refusal(state.NotFound, fmt.Sprintf("there is no revision %d; %d is in force", n, s.State.Current().Number))
	}
}

// change is one revision. With rollback in the query it reviews the way back to it: a GET, so that it can be sent to somebody.
func (w *Web) change(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	r, err := revisionOf(s, c.Param("revision"))
	if err != nil {
		return err
	}
	page := w.revisionView(c, s, r)
	value := map[string]any{"revision": r.Number, "at": r.At, "actor": r.Actor, "reason": r.Reason, "origin": originText(r), "summary": r.Summary, "source": string(r.Source)}
	if page.Before != nil {
		value["before"] = page.Before.Lines
	}
	if page.Now != nil {
		value["now"] = page.Now.Lines
	}
	if c.QueryParam("rollback") != "" {
		w.reviewRollback(&page, s, r, "")
		value["rollback"] = page.Review
	}
	return w.answer(c, http.StatusOK, value, view.RevisionPage(page))
}

func (w *Web) revisionView(c echo.Context, s scene, r state.Revision) view.Revision {
	current := s.State.Current()
	live := ""
	if r.Number == current.Number {
		live = "/live/changes/" + fmt.Sprint(r.Number)
	}
	f := w.frame(c, fmt.Sprintf("Revision %d · Changes", r.Number), "changes", live)
	f.Command = fmt.Sprintf("segue policy get --revision %d", r.Number)
	page := view.Revision{Frame: f, RevisionRow: lineOf(r, current.Number), Headline: view.Headline{Level: view.Off, Parts: say(fmt.Sprintf("Revision %d: ", r.Number) + firstLine(r))}}
	if r.Reason != "" {
		page.Headline.More = "“" + r.Reason + "”"
	}
	if _, kept := s.State.Revision(r.Number + 1); kept {
		page.Newer = fmt.Sprintf("/changes/%d", r.Number+1)
	}
	before, kept := s.State.Revision(r.Number - 1)
	if kept && r.Number > 1 {
		page.Older = fmt.Sprintf("/changes/%d", before.Number)
		page.Before = &view.Difference{From: before.Number, Lines: texts(policy.Diff(before.Policy, r.Policy)), Note: "Nothing by meaning: only the text differs."}
		f.Command = fmt.Sprintf("segue policy diff %d %d", before.Number, r.Number)
		page.Frame.Command = f.Command
	}
	page.Text = textDiff(before, r)
	base := fmt.Sprint(current.Number)
	if r.Number != current.Number {
		page.Now = &view.Difference{From: current.Number, Lines: texts(policy.Diff(r.Policy, current.Policy)), Note: "Nothing by meaning."}
		page.Rollback = &view.RollbackForm{Action: fmt.Sprintf("/changes/%d", r.Number), Text: fmt.Sprintf("Review rolling back to %d", r.Number), Command: fmt.Sprintf("segue policy rollback %d", r.Number)}
		return page
	}
	rollout := rolloutOf(s, "")
	page.Rollout = &rollout
	if page.Before != nil {
		page.Undo = &view.RollbackForm{
			Action: fmt.Sprintf("/changes/%d/rollback", before.Number), Text: fmt.Sprintf("Undo %d", r.Number), Base: base,
			Request: fmt.Sprintf("undo-%s-%d", s.State.Incarnation, r.Number), Command: fmt.Sprintf("segue policy rollback %d", before.Number),
		}
	}
	return page
}

func firstLine(r state.Revision) string {
	switch len(r.Summary) {
	case 0:
		return "no change by meaning"
	case 1:
		return r.Summary[0]
	default:
		return fmt.Sprintf("%s, and %d more", r.Summary[0], len(r.Summary)-1)
	}
}

// textDiff is what differs in the text; before may be none.
func textDiff(before, r state.Revision) view.TextDiff {
	t := view.TextDiff{From: before.Number, To: r.Number, Href: fmt.Sprintf("/changes/%d/policy.yaml", r.Number)}
	if before.Number == 0 {
		t.Note = "What was before it is not kept."
		if r.Number == 1 {
			t.Note = "It is the first."
		}
		return t
	}
	old, now := strings.Split(string(before.Source), "\n"), strings.Split(string(r.Source), "\n")
	for _, group := range difflib.NewMatcher(old, now).GetGroupedOpCodes(diffAround) {
		t.Lines = append(t.Lines, view.DiffLine{Sign: "@", Text: fmt.Sprintf("line %d", group[0].J1+1)})
		for _, op := range group {
			if op.Tag == 'e' {
				t.Lines = appendLines(t.Lines, " ", now[op.J1:op.J2])
				continue
			}
			t.Lines = appendLines(appendLines(t.Lines, "-", old[op.I1:op.I2]), "+", now[op.J1:op.J2])
		}
	}
	switch n := len(t.Lines); {
	case n == 0:
		t.Note = "The texts are the same."
	case n > diffLines:
		t.Note = fmt.Sprintf("The first %d of %d lines.", diffLines, n)
		t.Lines = t.Lines[:diffLines]
	}
	return t
}

func appendLines(to []view.DiffLine, sign string, lines []string) []view.DiffLine {
	for _, text := range lines {
		to = append(to, view.DiffLine{Sign: sign, Text: text})
	}
	return to
}

// changeText is the document of a revision.
func (w *Web) changeText(c echo.Context) error {
	r, err := revisionOf(w.fresh(c.Request().Context()), c.Param("revision"))
	if err != nil {
		return err
	}
	setTag(c, r.Number)
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", r.Source)
}

// reviewRollback shows what the way back would do, or why it cannot be gone.
func (w *Web) reviewRollback(page *view.Revision, s scene, r state.Revision, reason string) {
	current := s.State.Current()
	v := &view.RollbackReview{
		To: r.Number, Action: fmt.Sprintf("/changes/%d/rollback", r.Number), Base: fmt.Sprint(current.Number), Request: rand.Text(), Reason: reason,
		Discard: fmt.Sprintf("/changes/%d", r.Number), Command: fmt.Sprintf("segue policy rollback %d --base %d --reason '…'", r.Number, current.Number),
	}
	page.Review, page.Rollback, page.Undo, page.Rollout, page.Frame.Live = v, nil, nil, nil, ""
	plan, refused := s.State.Plan(state.ApplyPolicy{Base: current.Number, Back: r.Number})
	if refused != nil {
		v.Problems = append(v.Problems, sentenceOf(refused.Message))
		for _, p := range refused.Problems {
			v.Problems = append(v.Problems, p.String())
		}
		return
	}
	v.Lines, v.Effects = texts(plan.Changes), planEffects(s, plan.Changes)
}

// planEffects is what a change of the document does, by the figures of the last minute.
func planEffects(s scene, changes []policy.Change) []view.Pair {
	current := s.State.Current().Number
	list := []view.Pair{{Name: "revision", Value: fmt.Sprintf("%d → %d", current, current+1)}}
	moves, where := 0.0, []string{}
	for _, ch := range changes {
		old, err1 := strconv.ParseFloat(cmp.Or(ch.Old, "0"), 64)
		now, err2 := strconv.ParseFloat(cmp.Or(ch.New, "0"), 64)
		if !strings.Contains(ch.Path, ".weights.") || ch.Region == "" || err1 != nil || err2 != nil {
			continue
		}
		if now > old {
			moves += (now - old) / 100 * float64(sessionsPerMinute(s.View.World, ch.Service, ch.Region))
		}
		if at := ch.Service + " / " + ch.Region; !slices.Contains(where, at) {
			where = append(where, at)
		}
	}
	if len(where) > 0 {
		list = append(list, view.Pair{Name: "moves", Value: "≈ " + view.Number(moves, 0) + " new sessions/min"}, view.Pair{Name: "in", Value: enumerate(where)})
	}
	return append(list, view.Pair{Name: "stays", Value: "pinned sessions, owned objects, orders in force"})
}

// rollbackPost puts an older document in force again, as a new revision.
func (w *Web) rollbackPost(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	r, err := revisionOf(s, c.Param("revision"))
	if err != nil {
		return err
	}
	base, err := strconv.ParseUint(c.FormValue("base"), 10, 64)
	if err != nil || base == 0 {
		return refusal(state.Invalid, "base: name the revision that was in force when you looked")
	}
	if c.FormValue("undo") != "" && c.FormValue("reason") == "" {
		c.Request().Form.Set("reason", fmt.Sprintf("undo revision %d", base))
	}
	a, err := authorOf(c)
	if err != nil {
		page := w.revisionView(c, s, r)
		w.reviewRollback(&page, s, r, "")
		page.Review.ReasonError = "A reason is needed: the audit keeps it."
		return w.answer(c, http.StatusUnprocessableEntity, w.describe(err), view.RevisionPage(page))
	}
	_, err = w.propose(c.Request().Context(), a, state.Command{ApplyPolicy: &state.ApplyPolicy{Base: base, Back: r.Number}})
	var refused *state.Error
	switch {
	case errors.As(err, &refused) && (refused.Code == state.Stale || refused.Code == state.Invalid) && !wantsJSON(c):
		return w.notRolledBack(c, r, base, a.reason, refused)
	case err != nil:
		return err
	}
	now := w.fresh(c.Request().Context()).State.Current().Number
	return seeOther(c, "/changes/"+url.PathEscape(fmt.Sprint(now)))
}

// notRolledBack shows both sides, or what is wrong.
func (w *Web) notRolledBack(c echo.Context, r state.Revision, base uint64, reason string, refused *state.Error) error {
	s := w.fresh(c.Request().Context())
	page := w.revisionView(c, s, r)
	w.reviewRollback(&page, s, r, reason)
	if refused.Code == state.Invalid {
		page.Review.Problems = append(page.Review.Problems, sentenceOf(refused.Message))
		return w.html(c, http.StatusUnprocessableEntity, view.RevisionPage(page))
	}
	page.Review = nil
	current := s.State.Current()
	page.Conflict = &view.Conflict{Base: base, Current: current.Number, Yours: []string{fmt.Sprintf("back to revision %d", r.Number)}, Again: fmt.Sprintf("/changes/%d?rollback=1", r.Number)}
	if from, kept := s.State.Revision(base); kept {
		theirs, yours := policy.Diff(from.Policy, current.Policy), policy.Diff(from.Policy, r.Policy)
		page.Conflict.Theirs, page.Conflict.Yours, page.Conflict.Fields = texts(theirs), texts(yours), clashes(theirs, yours)
	}
	return w.html(c, http.StatusConflict, view.RevisionPage(page))
}

// clashes are the fields that both sides changed, with what they were.
func clashes(theirs, yours []policy.Change) []view.ConflictField {
	var list []view.ConflictField
	for _, y := range yours {
		for _, t := range theirs {
			if t.Path == y.Path && t.New != y.New {
				list = append(list, view.ConflictField{Path: t.Path, Base: orNone(t.Old), Theirs: orNone(t.New), Yours: orNone(y.New)})
			}
		}
	}
	return list
}

// owned are the same as the State tells them, with who made theirs.
func owned(fields []state.Clash) []view.ConflictField {
	var list []view.ConflictField
	for _, f := range fields {
		one := view.ConflictField{Path: f.Path, Base: orNone(f.Base), Theirs: orNone(f.Theirs), Yours: orNone(f.Yours)}
		if f.Owner.Revision > 0 {
			one.Who = fmt.Sprintf("by %s, revision %d", f.Owner.Actor, f.Owner.Revision)
		}
		list = append(list, one)
	}
	return list
}

func orNone(text string) string { return cmp.Or(text, "none") }
