package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/web/view"
)

// frame is what every page shows around its own part. live is the page's stream.
func (w *Web) frame(c echo.Context, title, active, live string) view.Frame {
	return view.Frame{
		Title: title, Active: active, Live: live, Path: ownPath(c.Request().URL.RequestURI(), c.Request().Host),
		Assets: w.assets.view(), Prefs: prefs(c), Status: statusOf(w.scene(), w.cfg.Env),
	}
}

// statusOf is the strip at the top.
func statusOf(s scene, env string) view.Status {
	st := view.Status{Env: env, Leader: s.Leader, Term: s.Term, Revision: s.State.Current().Number, Known: s.Seen}
	if s.Seen {
		st.AgeMS = max(s.Now.Sub(s.View.World.At).Milliseconds(), 0)
		st.Figures = s.View.World.At.UnixMilli()
	}
	st.In, st.Of, st.Lagging = inForce(s)
	st.Alarm = alarm(st)
	return st
}

// alarm says why nothing can be changed now, and what goes on.
func alarm(st view.Status) string {
	goesOn := fmt.Sprintf("agents go on with policy %d", st.Revision)
	if st.Revision == 0 {
		goesOn = "agents go on with what they have"
	}
	switch {
	case st.Leader == "":
		return "No control node leads: nothing can be changed now. Calls are not touched; " + goesOn + "."
	case st.Known && st.AgeMS > view.OldMS:
		return fmt.Sprintf("These figures are %d s old: nothing can be steered by them. Calls are not touched; %s.", st.AgeMS/1000, goesOn)
	default:
		return ""
	}
}

// inForce counts the regions whose agents have acknowledged the revision, and names those that have not.
func inForce(s scene) (in, of int, lagging string) {
	current := s.State.Current()
	var late []string
	for _, region := range current.Policy.Regions.Names() {
		of++
		switch why := regionLags(s, region, current.Number); why {
		case "":
			in++
		default:
			late = append(late, region+": "+why)
		}
	}
	return in, of, strings.Join(late, "; ")
}

// regionLags says why a revision is not in force in a region, "" where it is.
func regionLags(s scene, region string, revision uint64) string {
	heard := 0
	for _, a := range s.View.Acks {
		if a.Region == region && a.Revision >= revision && a.Reason != "" {
			return fmt.Sprintf("%s refused it: %s", a.Agent, a.Reason)
		}
	}
	for _, a := range s.View.World.Agents {
		if a.Region != region || !a.Heard {
			continue
		}
		heard++
		if _, acked := s.Acked[a.ID]; a.Revision < revision && !(acked && s.Of == revision) {
			return fmt.Sprintf("%s has revision %d", a.ID, a.Revision)
		}
	}
	if heard == 0 {
		return "no agent is heard"
	}
	return ""
}

// prefs are read from cookies: they are this browser's.
func prefs(c echo.Context) view.Prefs {
	var p view.Prefs
	if theme, err := c.Cookie("theme"); err == nil && (theme.Value == "light" || theme.Value == "dark") {
		p.Theme = theme.Value
	}
	name, err := c.Cookie("zone")
	if err != nil {
		return p
	}
	text, err := url.QueryUnescape(name.Value)
	if err != nil || len(text) > 64 || text == "" || text == "UTC" || text == "Local" {
		return p
	}
	if zone, err := time.LoadLocation(text); err == nil {
		p.Zone, p.Local = zone, true
	}
	return p
}

// preferences remembers a choice. The browser's zone comes from its script: the button is hidden without one.
func (w *Web) preferences(c echo.Context) error {
	switch theme := c.FormValue("theme"); theme {
	case "light", "dark":
		remember(c, "theme", theme)
	case "auto":
		remember(c, "theme", "")
	}
	switch zone := c.FormValue("zone"); zone {
	case "":
	case "UTC":
		remember(c, "zone", "")
	default:
		remember(c, "zone", url.QueryEscape(zone))
	}
	return seeOther(c, ownPath(c.FormValue("back"), c.Request().Host))
}

func remember(c echo.Context, name, value string) {
	cookie := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if value == "" {
		cookie.MaxAge = -1
	}
	c.SetCookie(cookie)
}
