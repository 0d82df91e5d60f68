package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// The times of an order about a transaction: agents that come back in time act on it, and whoever asked waits a little for what came of it.
const (
	aboutFor    = 5 * time.Minute
	aboutWithin = 4 * time.Second
	aboutEvery  = 200 * time.Millisecond
)

// decided is what came of an order about a transaction, as far as it is known yet.
type decided struct {
	Transaction string `json:"transaction"`
	Order       string `json:"order"`
	State       string `json:"state"`
	Sentence    string `json:"sentence"`
}

// verify has a transaction's driver look for its outcome now.
func (w *Web) verify(c echo.Context) error {
	return w.decide(c, func(echo.Context) (policy.Order, error) {
		return policy.Order{Kind: policy.Verify, About: &policy.About{Transaction: c.Param("id")}, For: aboutFor}, nil
	})
}

// resolve takes a person's word on a transaction, with evidence.
func (w *Web) resolve(c echo.Context) error {
	return w.decide(c, func(c echo.Context) (policy.Order, error) {
		var body struct {
			Outcome  string `json:"outcome"`
			Evidence string `json:"evidence"`
		}
		if isForm(c) {
			body.Outcome, body.Evidence = c.FormValue("outcome"), c.FormValue("evidence")
		} else if err := readJSON(c, &body); err != nil {
			return policy.Order{}, err
		}
		return policy.Order{Kind: policy.Resolve, About: &policy.About{Transaction: c.Param("id"), Outcome: body.Outcome, Evidence: body.Evidence}, For: aboutFor}, nil
	})
}

// decide gives an order about a transaction that is open, and tells what came of it. A form comes back to the transaction's page.
func (w *Web) decide(c echo.Context, read func(echo.Context) (policy.Order, error)) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	o, err := read(c)
	if err != nil {
		return err
	}
	ctx, id := c.Request().Context(), c.Param("id")
	why, _, err := w.why(ctx, id)
	if err != nil {
		return err
	}
	if t := why.Transaction; !unknownState(t.State) && t.State != "intent" {
		return refusal(state.Invalid, fmt.Sprintf("%s has its outcome (%s): there is nothing to %s", id, stateWord(t.State).Word, o.Kind))
	}
	given, err := w.order(ctx, a, o)
	if err != nil {
		return err
	}
	done := w.outcome(ctx, id, given.Order)
	if isForm(c) {
		return seeOther(c, "/transactions/"+url.PathEscape(id))
	}
	return c.JSON(http.StatusOK, done)
}

// outcome waits a little for what came of an order.
func (w *Web) outcome(ctx context.Context, id, order string) decided {
	ctx, cancel := context.WithTimeout(ctx, aboutWithin)
	defer cancel()
	tick := time.NewTicker(aboutEvery)
	defer tick.Stop()
	done := decided{Transaction: id, Order: order}
	for {
		if why, _, err := w.why(ctx, id); err == nil {
			done.State, done.Sentence = why.Transaction.State, why.Sentence
			if !unknownState(done.State) && done.State != "intent" {
				return done
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return done
		}
	}
}
