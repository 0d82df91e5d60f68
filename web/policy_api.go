package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// policy is the document in force: as its author wrote it, or as JSON with what surrounds it.
func (w *Web) policy(c echo.Context) error {
	st, err := w.read(c.Request().Context())
	if err != nil {
		return fmt.Errorf("web: policy: %w", err)
	}
	r := st.Current()
	if r.Number == 0 {
		return refusal(state.NotFound, "no policy is in force yet")
	}
	return showRevision(c, st, r)
}

// revisionLine is a revision as lists show it.
type revisionLine struct {
	Revision uint64       `json:"revision"`
	At       time.Time    `json:"at"`
	Actor    string       `json:"actor"`
	Reason   string       `json:"reason"`
	Origin   state.Origin `json:"origin"`         // file, weights, edit, rollback; empty where nobody said
	Back     uint64       `json:"back,omitempty"` // of a rollback: whose document it is
	Summary  []string     `json:"summary"`
	InForce  bool         `json:"in_force"`
}

// revisionsOf lists what is kept, the one in force first.
func revisionsOf(st *state.State) []revisionLine {
	list := []revisionLine{}
	for _, r := range slices.Backward(st.Revisions) {
		list = append(list, rowOf(st, r))
	}
	return list
}

func rowOf(st *state.State, r state.Revision) revisionLine {
	return revisionLine{
		Revision: r.Number, At: r.At, Actor: r.Actor, Reason: r.Reason, Origin: r.Origin, Back: r.Back, Summary: orEmpty(r.Summary),
		InForce: r.Number == st.Current().Number,
	}
}

// revisionShown is a revision with its document.
type revisionShown struct {
	revisionLine
	Policy *policy.Policy `json:"policy"`
	Source string         `json:"source"`
}

func showRevision(c echo.Context, st *state.State, r state.Revision) error {
	setTag(c, r.Number)
	if strings.Contains(c.Request().Header.Get("Accept"), "yaml") {
		return c.Blob(http.StatusOK, "application/yaml", r.Source)
	}
	return c.JSON(http.StatusOK, revisionShown{rowOf(st, r), r.Policy, string(r.Source)})
}

func (w *Web) revisions(c echo.Context) error {
	st, err := w.read(c.Request().Context())
	if err != nil {
		return fmt.Errorf("web: revisions: %w", err)
	}
	return c.JSON(http.StatusOK, revisionsOf(st))
}

func (w *Web) revision(c echo.Context) error {
	number, err := strconv.ParseUint(c.Param("revision"), 10, 64)
	if err != nil || number == 0 {
		return refusal(state.Invalid, fmt.Sprintf("%.40q is no revision: write its number, like 12", c.Param("revision")))
	}
	st, err := w.read(c.Request().Context())
	if err != nil {
		return fmt.Errorf("web: revision: %w", err)
	}
	r, ok := st.Revision(number)
	if !ok {
		return refusal(state.NotFound, fmt.Sprintf("revision %d is not kept%s", number, kept(st)))
	}
	return showRevision(c, st, r)
}

// kept says which revisions there are.
func kept(st *state.State) string {
	if len(st.Revisions) == 0 {
		return ": no policy is in force yet"
	}
	return fmt.Sprintf("; revisions %d to %d are", st.Revisions[0].Number, st.Current().Number)
}

// putPolicy makes the body the next revision, with what others changed since its base merged into it. The base is the revision that
// If-Match names, or what a file said last; with If-Match: * nothing is merged, and the body replaces what is in force.
func (w *Web) putPolicy(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	change, err := documentOf(c)
	if err != nil {
		return err
	}
	a.match = 0 // a stale base is merged, not refused
	if _, refused := new(state.State).Plan(state.ApplyPolicy{Source: change.Source}); refused != nil {
		return refused // before it stands in any log: what is no policy may hold a secret
	}
	result, err := w.propose(c.Request().Context(), a, state.Command{ApplyPolicy: &change})
	if err != nil {
		return err
	}
	return w.tellChanged(c, result)
}

// documentOf reads a policy that is to be applied or planned. The header Segue-Origin says file, which is also what no header says, or edit:
// an edit is of the revision that it was made from, and leaves alone what the file said last.
func documentOf(c echo.Context) (state.ApplyPolicy, error) {
	change := state.ApplyPolicy{Origin: state.FromFile}
	var err error
	if change.Base, err = base(c); err != nil {
		return change, err
	}
	change.Replace = strings.Trim(c.Request().Header.Get("If-Match"), `"`) == "*"
	switch origin := state.Origin(c.Request().Header.Get("Segue-Origin")); origin {
	case "", state.FromFile:
	case state.FromEdit:
		change.Origin = origin
	default:
		return change, refusal(state.Invalid, fmt.Sprintf("Segue-Origin: %.40q: a document comes from a file or from an edit", origin))
	}
	change.Source, err = readPolicy(c)
	return change, err
}

// readPolicy reads the document; JSON is YAML too. All of an oversize body is read, so that its sender hears why it is refused.
func readPolicy(c echo.Context) ([]byte, error) {
	source, err := io.ReadAll(io.LimitReader(c.Request().Body, policy.MaxDocument+1))
	if err == nil && len(source) > policy.MaxDocument {
		_, err = io.Copy(io.Discard, c.Request().Body)
		if err == nil {
			large := policy.Problem{Line: 1, Col: 1, Message: fmt.Sprintf("the document has more than %d bytes", policy.MaxDocument), Fix: "split the policy"}
			return nil, &state.Error{Code: state.Invalid, Message: "the policy is larger than what is kept", Problems: policy.Problems{large}}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("web: policy: %w", err)
	}
	return source, nil
}

// planned is what a document would lead to.
type planned struct {
	Revision uint64   `json:"revision"` // in force now; 0: none
	Base     uint64   `json:"base"`     // whose document this one was compared with, to find what its author changed
	Changes  []change `json:"changes"`  // from what is in force
	Kept     []change `json:"kept"`     // what others changed since the base: it stays, though the document says otherwise
	Warnings []string `json:"warnings"`
	Source   string   `json:"source"`           // what would be in force
	Replay   *whatIf  `json:"replay,omitempty"` // with ?replay=: what recorded traffic would have come to
}

// change is one difference, by meaning.
type change struct {
	Path     string `json:"path"`
	Service  string `json:"service,omitempty"`
	Region   string `json:"region,omitempty"`
	Provider string `json:"provider,omitempty"`
	Old      string `json:"old,omitempty"` // empty: it is new
	New      string `json:"new,omitempty"` // empty: it goes
	Text     string `json:"text"`
}

// planOf finds what a change would lead to. A conflict and an unfit document are errors, as they would be for the change itself.
func planOf(st *state.State, a state.ApplyPolicy) (planned, error) {
	p, refused := st.Plan(a)
	if refused != nil {
		return planned{}, refused
	}
	return planned{
		Revision: p.Current, Base: p.Base, Changes: changesOf(p.Changes), Kept: changesOf(p.Kept),
		Warnings: orEmpty(policy.Warnings(st.Current().Policy, p.Document.Policy)), Source: string(p.Document.Source),
	}, nil
}

func changesOf(list []policy.Change) []change {
	out := make([]change, len(list))
	for i, c := range list {
		out[i] = change{c.Path, c.Service, c.Region, c.Provider, c.Old, c.New, c.Text}
	}
	return out
}

// planPolicy answers what putPolicy would do with the same headers and body, and does nothing.
func (w *Web) planPolicy(c echo.Context) error {
	window, err := windowOf(c.QueryParam("replay"))
	if err != nil {
		return err
	}
	change, err := documentOf(c)
	if err != nil {
		return err
	}
	st, err := w.read(c.Request().Context())
	if err != nil {
		return fmt.Errorf("web: plan: %w", err)
	}
	p, err := planOf(st, change)
	if err != nil {
		return err
	}
	if window > 0 {
		doc, problems := policy.Parse("plan", []byte(p.Source))
		if err := problems.Err(); err != nil { // planOf has parsed it
			return fmt.Errorf("web: plan: %w", err)
		}
		f := w.replay(c.Request().Context(), doc, window)
		p.Replay = &f
	}
	setTag(c, p.Revision)
	return c.JSON(http.StatusOK, p)
}

// rollBack puts an old revision's document in force again, as a new revision.
func (w *Web) rollBack(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var body struct {
		Revision uint64 `json:"revision"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Revision == 0 {
		return refusal(state.Invalid, `revision is missing: name the one whose document is to be in force again, like {"revision": 12}`)
	}
	result, err := w.rollBackTo(c.Request().Context(), a, body.Revision)
	if err != nil {
		return err
	}
	return w.tellChanged(c, result)
}

// rollBackTo is what the API and the pages do. A base that is stale is refused with both sides.
func (w *Web) rollBackTo(ctx context.Context, a author, revision uint64) (state.Result, error) {
	change := &state.ApplyPolicy{Base: a.match, Back: revision}
	a.match = 0
	return w.propose(ctx, a, state.Command{ApplyPolicy: change})
}
