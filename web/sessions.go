package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"segue/controlplane/query"
	"segue/controlplane/state"
)

// Bounds of the history that is shown of a session.
const (
	shownEvents = 50
	mostEvents  = 500
	maxSession  = 128 // characters of an id
)

// agentSessions are the sessions in use at one agent, by service.
type agentSessions struct {
	Region   string                `json:"region"`
	Agent    string                `json:"agent"`
	Services []query.SessionsInUse `json:"services"`
}

// sessionsInUse are those of all agents.
type sessionsInUse struct {
	Agents  []agentSessions `json:"agents"`
	Partial string          `json:"partial,omitempty"` // who did not answer
}

// sessionShown is one session, as the agent that has the newest copy tells it.
type sessionShown struct {
	Region  string        `json:"region"`
	Agent   string        `json:"agent"`
	Session query.Session `json:"session"`
	Partial string        `json:"partial,omitempty"` // who did not answer
}

// sessionChecked is one agent's check.
type sessionChecked struct {
	Region string `json:"region"`
	Agent  string `json:"agent"`
	query.SessionCheck
}

// sessionChecks are what agents found of one session.
type sessionChecks struct {
	Checks  []sessionChecked `json:"checks"`
	Same    bool             `json:"same"` // all agents' copies say the same
	Partial string           `json:"partial,omitempty"`
}

// sessions tells which sessions are in use, and which share of them could move.
func (w *Web) sessions(c echo.Context) error {
	all, err := w.askSessions(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, all)
}

func (w *Web) askSessions(ctx context.Context) (sessionsInUse, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	all := sessionsInUse{Agents: []agentSessions{}}
	answers, err := w.cfg.Control.Ask(ctx, query.Question{Kind: query.Sessions})
	if err != nil {
		return all, fmt.Errorf("web: asking agents: %w", err)
	}
	var silent []string
	for _, a := range answers {
		one := agentSessions{Region: a.Region, Agent: a.Agent}
		if why := a.read(&one.Services); why != "" {
			silent = append(silent, a.Agent+": "+why)
			continue
		}
		one.Services = orEmpty(one.Services)
		all.Agents = append(all.Agents, one)
	}
	slices.SortFunc(all.Agents, func(a, b agentSessions) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Agent, b.Agent))
	})
	all.Partial = partial(len(answers), silent)
	return all, nil
}

// sessionRow is one session, for the API.
func (w *Web) sessionRow(c echo.Context) error {
	limit := shownEvents
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostEvents {
			return refusal(state.Invalid, fmt.Sprintf("limit: %.20q is not between 1 and %d", text, mostEvents))
		}
		limit = n
	}
	shown, err := w.askSession(c.Request().Context(), c.Param("id"), limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, shown)
}

// noSession is how agents say that they do not have one.
const noSession = "has no session"

// askSession asks every agent: with a store of its own only the one that served it knows it.
func (w *Web) askSession(ctx context.Context, id string, events int) (sessionShown, error) {
	var best sessionShown
	asked, answers, silent, err := w.ofSession(ctx, query.Question{Kind: query.OneSession, Session: id, Limit: events})
	if err != nil {
		return best, err
	}
	for _, a := range answers {
		one := sessionShown{Region: a.Region, Agent: a.Agent}
		if why := a.read(&one.Session); why != "" {
			silent = append(silent, a.Agent+": "+why)
			continue
		}
		if best.Agent == "" || one.over(&best) > 0 {
			best = one
		}
	}
	best.Partial = partial(asked, silent)
	if best.Agent == "" {
		return best, notHere(id, best.Partial)
	}
	return best, nil
}

// over compares two agents' accounts of a session. The newer one counts; of two as new, that of the agent to which its calls come: where the session
// would go on is told by that region's weights and circuits.
func (s *sessionShown) over(other *sessionShown) int {
	mine, theirs := 0, 0
	if s.wroteLast() {
		mine = 1
	}
	if other.wroteLast() {
		theirs = 1
	}
	return cmp.Or(s.Session.Updated.Compare(other.Session.Updated), cmp.Compare(s.Session.Events, other.Session.Events), cmp.Compare(mine, theirs))
}

func (s *sessionShown) wroteLast() bool {
	for _, e := range s.Session.History {
		if e.By != "" {
			return strings.HasPrefix(e.By, s.Agent+"/")
		}
	}
	return false
}

// ofSession asks all agents of a session, and leaves out those that have none of that name. silent are those that told nothing.
func (w *Web) ofSession(ctx context.Context, q query.Question) (asked int, answers []Answer, silent []string, err error) {
	if q.Session == "" || len(q.Session) > maxSession {
		return 0, nil, nil, refusal(state.NotFound, "no session has such an id: it is of at most 128 letters, digits, dots, - and _")
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	all, err := w.cfg.Control.Ask(ctx, q)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("web: asking agents: %w", err)
	}
	for _, a := range all {
		switch {
		case strings.Contains(a.Err, noSession):
		case a.Err != "":
			silent = append(silent, a.Agent+": "+a.Err)
		default:
			answers = append(answers, a)
		}
	}
	return len(all), answers, silent, nil
}

func notHere(id, missing string) error {
	text := fmt.Sprintf("no agent has a session %q", id)
	if missing != "" {
		text += ". " + missing
	}
	return refusal(state.NotFound, text)
}

// verifySession has every agent that knows a session hold it against its history.
func (w *Web) verifySession(c echo.Context) error {
	checks, err := w.askVerify(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, checks)
}

func (w *Web) askVerify(ctx context.Context, id string) (sessionChecks, error) {
	checks := sessionChecks{Checks: []sessionChecked{}, Same: true}
	asked, answers, silent, err := w.ofSession(ctx, query.Question{Kind: query.SessionVerify, Session: id})
	if err != nil {
		return checks, err
	}
	for _, a := range answers {
		one := sessionChecked{Region: a.Region, Agent: a.Agent}
		if why := a.read(&one.SessionCheck); why != "" {
			silent = append(silent, a.Agent+": "+why)
			continue
		}
		one.Differs, one.Sealed = orEmpty(one.Differs), orEmpty(one.Sealed)
		checks.Checks = append(checks.Checks, one)
		checks.Same = checks.Same && one.Version == checks.Checks[0].Version
	}
	slices.SortFunc(checks.Checks, func(a, b sessionChecked) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Agent, b.Agent))
	})
	checks.Partial = partial(asked, silent)
	if len(checks.Checks) == 0 {
		return checks, notHere(id, checks.Partial)
	}
	return checks, nil
}
