package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// Bounds of pulling.
const (
	longestWait = time.Minute
	maxReport   = 1 << 20 // of one report: 256 rows and 64 events take a third of it
)

// update is what a region's agents are to have, as the API shows it.
type update struct {
	Incarnation string           `json:"incarnation"`
	Index       uint64           `json:"index"`
	Revision    uint64           `json:"revision"`
	Policy      string           `json:"policy"` // the region's cut, as YAML
	Orders      []policy.Order   `json:"orders"`
	Verdicts    []health.Verdict `json:"verdicts,omitempty"` // whose fault what is: hints, which end by themselves
	Now         time.Time        `json:"now"`                // the node's clock: an order's end becomes time left
}

// positionTag is the entity tag of an Update: its position. It is weak: orders in it end by themselves, and the clock in it goes on.
func positionTag(p state.Position) string {
	return `W/"` + url.QueryEscape(p.Incarnation) + "." + strconv.FormatUint(p.Index, 10) + `"`
}

// position reads it again. What is no position of ours names nothing that is known.
func position(tag string) (p state.Position) {
	text := strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return p
	}
	index, err := strconv.ParseUint(text[i+1:], 10, 64)
	incarnation, bad := url.QueryUnescape(text[:i])
	if err != nil || bad != nil {
		return p
	}
	return state.Position{Incarnation: incarnation, Index: index}
}

// pull answers what a region's agents are to have: at once, or with If-None-Match as soon as it is newer than that, for as long as wait
// says. Any node answers, from its own copy; none goes back behind the position that the caller has.
func (w *Web) pull(c echo.Context) error {
	wait, err := span("wait", c.QueryParam("wait"), 0)
	if err != nil {
		return err
	}
	if wait < 0 || wait > longestWait {
		return refusal(state.Invalid, fmt.Sprintf("wait: %s is not between 0s and %s", wait, longestWait))
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), wait)
	defer cancel()
	stop := context.AfterFunc(w.ends, cancel)
	defer stop()
	u, fresh, err := w.cfg.Control.Pull(ctx, c.Param("region"), position(c.Request().Header.Get("If-None-Match")))
	if err != nil {
		return fmt.Errorf("web: feed: %w", err)
	}
	c.Response().Header().Set("ETag", positionTag(u.Position))
	if !fresh {
		return c.NoContent(http.StatusNotModified)
	}
	if u.Orders == nil {
		u.Orders = []policy.Order{}
	}
	return c.JSON(http.StatusOK, update{
		Incarnation: u.Incarnation, Index: u.Index, Revision: u.Revision, Policy: string(u.Policy), Orders: u.Orders, Verdicts: u.Verdicts, Now: u.Now,
	})
}

// takeReport takes what an agent measured. Its run and number make a repeat harmless: what comes twice is dropped.
func (w *Web) takeReport(c echo.Context) error {
	var r health.Report
	if err := readJSON(c, &r); err != nil {
		return err
	}
	if field, why := r.Check(); field != "" {
		e := refusal(state.Invalid, field+": "+why)
		e.Problems = policy.Problems{{Path: field, Message: why}}
		return e
	}
	st := w.scene().State
	if _, ok := st.Current().Policy.Regions.Find(r.Region); !ok {
		return refusal(state.NotFound, fmt.Sprintf("Region: the policy has no region %q", r.Region))
	}
	if err := w.cfg.Control.Report(r); err != nil {
		return fmt.Errorf("web: report: %w", err)
	}
	return c.JSON(http.StatusAccepted, map[string]any{"agent": r.Agent, "run": r.Run, "seq": r.Seq})
}
