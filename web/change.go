package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"segue/controlplane/state"
)

// proposeWithin bounds a change: an election passes in less.
const proposeWithin = 8 * time.Second

// localOperator is who changed something, until there is sign-in, when the caller does not say.
const localOperator = "local operator"

// author is who changes what, why, under which request id, and for which revision.
type author struct {
	actor, reason, request string
	match                  uint64 // If-Match: the revision that must be in force; 0: any
}

// requestHeader tells the id of each request, in its answer: the caller's own Idempotency-Key, or one that was made up.
const requestHeader = "Segue-Request"

// authorOf reads them from the headers of the API or the fields of a form. A change without a reason is refused.
func authorOf(c echo.Context) (author, error) {
	a := author{actor: c.Request().Header.Get("Segue-Actor"), reason: c.Request().Header.Get("Segue-Reason"), request: requestID(c)}
	if a.reason == "" && isForm(c) {
		a.reason = c.FormValue("reason")
	}
	if a.actor == "" {
		a.actor = localOperator
	}
	a.actor = strings.TrimSpace(a.actor) + " @ loopback"
	if a.reason = strings.TrimSpace(a.reason); a.reason == "" {
		where := "the header Segue-Reason"
		if isForm(c) {
			where = "the field reason"
		}
		return a, refusal(state.Invalid, "a reason is missing: say why in "+where+"; the audit keeps it")
	}
	if a.request == "" {
		a.request = c.Response().Header().Get(requestHeader)
	}
	if a.request == "" {
		a.request = rand.Text()
	}
	a.reason = strings.Join(strings.Fields(a.reason), " ") // one line of the audit
	if err := a.legible(); err != nil {
		return a, err
	}
	var err error
	a.match, err = base(c)
	return a, err
}

// legible refuses what the log would hold as something else (its JSON has no bytes that are not UTF-8: two ids would become one), and what
// would steer the terminal of whoever reads the audit.
func (a author) legible() error {
	for _, f := range []struct{ name, text string }{{"Segue-Actor", a.actor}, {"Segue-Reason", a.reason}, {"Idempotency-Key", a.request}} {
		if !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unicode.IsControl) {
			return refusal(state.Invalid, fmt.Sprintf("%s is %.100q: it must be UTF-8 text without control characters", f.name, f.text))
		}
	}
	return nil
}

// requestOf is the id under which a request is known, whether its caller gave one or not.
func requestOf(c echo.Context) string {
	if id := requestID(c); id != "" {
		return id
	}
	return c.Response().Header().Get(requestHeader)
}

// requestID is the id under which a repeat does nothing twice: the header of the API, or the hidden field of a form.
func requestID(c echo.Context) string {
	if id := strings.Trim(c.Request().Header.Get("Idempotency-Key"), `"`); id != "" {
		return id
	}
	if isForm(c) {
		return c.FormValue("request")
	}
	return ""
}

// isForm tells whether the body is a form. The API's never is, whatever it is called: curl -d calls everything a form, and reading one
// would eat the body.
func isForm(c echo.Context) bool {
	return !isAPI(c) && strings.HasPrefix(c.Request().Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// propose makes a change; a refusal is an error.
func (w *Web) propose(ctx context.Context, a author, c state.Command) (state.Result, error) {
	if err := a.legible(); err != nil { // the forms of pages name their author themselves
		return state.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, proposeWithin)
	defer cancel()
	c.Version, c.Request, c.Actor, c.Reason, c.At, c.Match = 1, a.request, a.actor, a.reason, w.cfg.Now(), a.match
	if c.SetWeights != nil {
		c.SetWeights.Origin = state.FromWeights
	}
	result, err := w.cfg.Control.Propose(ctx, c)
	if err != nil {
		return result, fmt.Errorf("web: %s: %w", c.Kind(), err)
	}
	if result.Err != nil {
		return result, fmt.Errorf("web: %s: %w", c.Kind(), result.Err)
	}
	return result, nil
}

// base reads the revision that a change starts from: If-Match, "12" or 12; 0 when it is not given.
func base(c echo.Context) (uint64, error) {
	text := strings.Trim(strings.TrimPrefix(c.Request().Header.Get("If-Match"), "W/"), `"`)
	if text == "" || text == "*" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, refusal(state.Invalid, "If-Match does not name a revision: write its number, like \"12\"")
	}
	return n, nil
}

func setTag(c echo.Context, revision uint64) {
	c.Response().Header().Set("ETag", `"`+strconv.FormatUint(revision, 10)+`"`)
}

// changed is the API's answer to a change.
type changed struct {
	Revision uint64    `json:"revision,omitempty"`
	Summary  []string  `json:"summary,omitempty"`
	Order    string    `json:"order,omitempty"`
	Ends     time.Time `json:"ends,omitzero"`
}

// tellChanged answers a change of the policy.
func (w *Web) tellChanged(c echo.Context, result state.Result) error {
	done := changed{Revision: result.Revision, Order: result.Order}
	if st, err := w.read(c.Request().Context()); err == nil {
		if r, ok := st.Revision(result.Revision); ok {
			done.Summary = r.Summary
		}
	}
	setTag(c, result.Revision)
	return c.JSON(http.StatusOK, done)
}

// maxRepeats bounds the request ids that are remembered for what does not pass through the log.
const maxRepeats = 256

// repeats remembers what request ids led to, for the sandbox's faults: the State drops repeats of everything else.
type repeats struct {
	mu    sync.Mutex
	order []string
	done  map[string]repeat
}

// repeat is what was asked for under a request id, and what it led to.
type repeat struct {
	what  string
	fault Fault
}

// once runs do, unless the request led to something already. Two at the same time are one. The same id for another change is refused.
func (r *repeats) once(request, what string, do func() (Fault, error)) (Fault, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, ok := r.done[request]; ok && request != "" {
		if was.what != what {
			return Fault{}, refusal(state.Invalid, fmt.Sprintf("request id %q was used for another change", request))
		}
		return was.fault, nil
	}
	f, err := do()
	if err != nil || request == "" {
		return f, err
	}
	if r.done == nil {
		r.done = map[string]repeat{}
	}
	r.done[request] = repeat{what, f}
	if r.order = append(r.order, request); len(r.order) > maxRepeats {
		delete(r.done, r.order[0])
		r.order = r.order[1:]
	}
	return f, nil
}

// matches refuses what does not pass through the log where another revision is in force than its author names.
func (w *Web) matches(ctx context.Context, a author) error {
	if a.match == 0 {
		return nil
	}
	st, err := w.read(ctx)
	if err != nil {
		return fmt.Errorf("web: revision in force: %w", err)
	}
	if now := st.Current().Number; now != a.match {
		return &state.Error{Code: state.Stale, Message: fmt.Sprintf("made for revision %d, but revision %d is in force", a.match, now), Base: &state.Conflict{Base: a.match, Current: now}}
	}
	return nil
}
