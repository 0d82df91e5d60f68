package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"crypto/rand"

	"segue/controlplane/state"
	"segue/web/view"
)

// Naive is the client beside Segue that sends a charge to the next provider when no answer came.
type Naive struct {
	On        bool      `json:"on"`
	Ends      time.Time `json:"ends,omitzero"` // when it ends by itself, while it is on
	Charges   int       `json:"charges"`       // that it asked for since the start
	Twice     int       `json:"twice"`         // of those, executed more than once, by the providers' own books
	Providers []string  `json:"providers"`     // where it charges
}

// naive tells how the naive client stands.
func (w *Web) naive(c echo.Context) error { return c.JSON(http.StatusOK, w.cfg.Sandbox.Naive()) }

func (w *Web) naiveOn(c echo.Context) error { return w.naiveByAPI(c, true) }

func (w *Web) naiveOff(c echo.Context) error { return w.naiveByAPI(c, false) }

func (w *Web) naiveByAPI(c echo.Context, on bool) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	if err := w.switchNaive(c.Request().Context(), a, on); err != nil {
		return err
	}
	return w.naive(c)
}

// switchNaive switches it on or off, once per request id.
func (w *Web) switchNaive(ctx context.Context, a author, on bool) error {
	_, err := w.repeat.once(a.request, fmt.Sprintf("naive client on: %t", on), func() (Fault, error) {
		if err := w.matches(ctx, a); err != nil {
			return Fault{}, err
		}
		return Fault{}, w.cfg.Sandbox.SwitchNaive(on)
	})
	var refused *state.Error
	if err != nil && !errors.As(err, &refused) {
		return refusal(state.Invalid, err.Error())
	}
	return err
}

// naiveForm is the switch of the overview.
func (w *Web) naiveForm(c echo.Context) error {
	if w.cfg.Sandbox == nil {
		return echo.ErrNotFound
	}
	to := c.FormValue("switch")
	if to != "on" && to != "off" {
		return refusal(state.Invalid, fmt.Sprintf("switch: %.40q is neither on nor off", to))
	}
	a := author{actor: localOperator + " @ loopback", reason: "switched on the overview", request: rand.Text()}
	if err := w.switchNaive(c.Request().Context(), a, to == "on"); err != nil {
		return err
	}
	return seeOther(c, "/#naive-title")
}

// naiveCard shows it beside Segue; nil where there are no simulated providers.
func (w *Web) naiveCard(band *view.Band) *view.Naive {
	if w.cfg.Sandbox == nil {
		return nil
	}
	n := w.cfg.Sandbox.Naive()
	return &view.Naive{On: n.On, Ends: n.Ends, Charges: n.Charges, Twice: n.Twice, Providers: alternatives(n.Providers), Segue: band}
}

// alternatives are names with "or" before the last.
func alternatives(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
