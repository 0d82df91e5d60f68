package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/web/view"
)

// problem is what went wrong, as RFC 9457 writes it, with our members beside.
type problem struct {
	Type     string          `json:"type"`
	Title    string          `json:"title"`
	Status   int             `json:"status"`
	Detail   string          `json:"detail"`
	Code     state.Code      `json:"code"`
	Request  string          `json:"request,omitempty"`
	Problems policy.Problems `json:"problems,omitempty"`
	Conflict *conflict       `json:"conflict,omitempty"`
}

// conflict shows both sides of a stale base.
type conflict struct {
	Base    uint64        `json:"base"`
	Current uint64        `json:"current"`
	Theirs  []string      `json:"theirs"`
	Yours   []string      `json:"yours"`
	Fields  []state.Clash `json:"fields,omitempty"` // what both changed, to different values, and who made the other change
}

// status maps the border's codes to HTTP, in one place. A code that nobody knows is our own mistake.
func status(code state.Code) (int, string) {
	switch code {
	case state.Invalid:
		return http.StatusUnprocessableEntity, "Not valid"
	case state.Stale:
		return http.StatusConflict, "Somebody was faster"
	case state.NotFound:
		return http.StatusNotFound, "Not found"
	case state.NoLeader:
		return http.StatusServiceUnavailable, "No control node leads"
	case state.Unknown:
		return http.StatusGatewayTimeout, "Outcome unknown"
	case state.Unsupported:
		return http.StatusNotImplemented, "Not supported"
	case forbidden:
		return http.StatusForbidden, "Not allowed"
	case wrongMethod:
		return http.StatusMethodNotAllowed, "Not that method"
	case notAcceptable:
		return http.StatusNotAcceptable, "Not to be had in that form"
	case tooLarge:
		return http.StatusRequestEntityTooLarge, "Too large"
	case wrongMedia:
		return http.StatusUnsupportedMediaType, "Not read in that form"
	case overloaded:
		return http.StatusServiceUnavailable, "Too much at once"
	default:
		return http.StatusInternalServerError, "Something failed here"
	}
}

// Codes of what only pages and API refuse.
const (
	forbidden     state.Code = "forbidden"
	wrongMethod   state.Code = "method-not-allowed"
	notAcceptable state.Code = "not-acceptable"
	tooLarge      state.Code = "too-large"
	wrongMedia    state.Code = "unsupported-media-type"
	overloaded    state.Code = "overloaded"
	internal      state.Code = "internal"
)

// codes are all of them; the API's document names each, and so does docs/api.md.
func codes() []state.Code {
	return []state.Code{
		state.Invalid, state.Stale, state.NotFound, state.NoLeader, state.Unknown, state.Unsupported,
		forbidden, wrongMethod, notAcceptable, tooLarge, wrongMedia, overloaded, internal,
	}
}

func refusal(code state.Code, text string) *state.Error {
	return &state.Error{Code: code, Message: text}
}

// describe turns any error into a problem. What is not meant for people is logged and not shown.
func (w *Web) describe(err error) problem {
	var refused *state.Error
	var web *echo.HTTPError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &refused):
		code, title := status(refused.Code)
		p := problem{Status: code, Title: title, Detail: refused.Message, Code: refused.Code, Problems: refused.Problems}
		if c := refused.Base; c != nil {
			p.Conflict = &conflict{Base: c.Base, Current: c.Current, Theirs: orEmpty(c.Theirs), Yours: orEmpty(c.Yours), Fields: c.Fields}
		}
		return p
	case errors.As(err, &large):
		return problem{Status: http.StatusRequestEntityTooLarge, Title: "Too large", Code: tooLarge, Detail: "the request's body is over " + strconv.FormatInt(large.Limit, 10) + " bytes"}
	case errors.As(err, &web):
		return problem{Status: web.Code, Title: http.StatusText(web.Code), Code: webCode(web.Code), Detail: webDetail(web)}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem{Status: http.StatusServiceUnavailable, Title: "No answer in time", Code: state.NoLeader, Detail: "the control plane did not answer in time; agents go on with what they have"}
	default:
		w.cfg.Log.Error("a request failed", "error", err)
		return problem{Status: http.StatusInternalServerError, Title: "Something failed here", Code: internal, Detail: "the reason is in the log of this process"}
	}
}

// orEmpty makes a list that is never null in JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func webCode(status int) state.Code {
	switch status {
	case http.StatusNotFound:
		return state.NotFound
	case http.StatusMethodNotAllowed:
		return wrongMethod
	case http.StatusForbidden, http.StatusMisdirectedRequest:
		return forbidden
	default:
		return state.Invalid
	}
}

func webDetail(e *echo.HTTPError) string {
	switch e.Code {
	case http.StatusNotFound:
		return "there is nothing under this address"
	case http.StatusMethodNotAllowed:
		return "this address does not take that method"
	}
	if text, ok := e.Message.(string); ok {
		return text
	}
	return http.StatusText(e.Code)
}

// failed answers every error of a handler: a problem document, or a page that says the same.
func (w *Web) failed(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := w.describe(err)
	p.Type, p.Request = "/problems/"+string(p.Code), requestOf(c)
	if p.Code == state.Stale && c.Request().Header.Get("If-Match") != "" {
		p.Status, p.Title = http.StatusPreconditionFailed, "Another revision is in force"
	}
	if p.Status == http.StatusServiceUnavailable {
		c.Response().Header().Set("Retry-After", "1")
	}
	if wantsJSON(c) {
		w.sent(writeProblem(c.Response(), p))
		return
	}
	page := view.Problem{Frame: w.frame(c, "Problem", "", ""), Status: p.Status, Heading: p.Title, Detail: sentenceOf(p.Detail), Holds: holds(p.Status), Request: p.Request, Back: back(c)}
	for _, q := range p.Problems {
		page.Lines = append(page.Lines, q.String())
	}
	w.sent(w.html(c, p.Status, view.ProblemPage(page)))
}

// sent logs what could not be sent: mostly somebody who left.
func (w *Web) sent(err error) {
	if err != nil {
		w.cfg.Log.Debug("an answer was not sent", "error", err)
	}
}

// refuse answers what never reaches a handler.
func (w *Web) refuse(rw http.ResponseWriter, _ *http.Request, status int, detail string) {
	p := problem{Type: "/problems/" + string(forbidden), Title: http.StatusText(status), Status: status, Detail: detail, Code: forbidden}
	p.Request = rw.Header().Get(requestHeader)
	w.sent(writeProblem(rw, p))
}

func writeProblem(rw http.ResponseWriter, p problem) error {
	rw.Header().Set("Content-Type", "application/problem+json")
	rw.WriteHeader(p.Status)
	return json.NewEncoder(rw).Encode(p)
}

// holds says what goes on although something failed.
func holds(status int) string {
	if status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout {
		return "Calls are not touched by this: agents go on with the last good policy. Try again in a moment; a form that is sent again does nothing twice."
	}
	return ""
}

// back is the page that a form was on, as far as it says so itself.
func back(c echo.Context) string {
	if path := c.Request().URL.Path; c.Request().Method == http.MethodGet && len(path) > 1 {
		return "/"
	}
	return ownPath(c.Request().Header.Get("Referer"), c.Request().Host)
}
