package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// The times of an order about all open outcomes. Agents ask for one after the other, so it lives longer than anybody waits.
const (
	verifyAllFor  = 10 * time.Minute
	verifyAllWait = 4 * time.Second // and no longer than mostWait
	mostWait      = 8 * time.Second
)

// openWish says which open transactions are meant. What is left out leaves nothing out.
type openWish struct {
	Transactions []string `json:"transactions"`
	Service      string   `json:"service"`
	Provider     string   `json:"provider"`
	State        string   `json:"state"`
	OlderThan    string   `json:"older_than"`
	Limit        int      `json:"limit"`
	DryRun       bool     `json:"dry_run"`
	Wait         string   `json:"wait"`
}

// verifiedAll is what came of a look for all open outcomes, or with dry_run what would be looked for.
type verifiedAll struct {
	Order        string        `json:"order,omitempty"` // none of a dry run
	Done         bool          `json:"done"`            // false: it goes on; ask for the order again
	Found        int           `json:"found"`           // open transactions that are meant
	Closed       int           `json:"closed"`          // their outcome is known now
	Open         int           `json:"open"`            // their provider was asked, and their outcome is not known all the same
	NotAsked     int           `json:"not_asked"`       // their provider was not asked; each says why
	Waiting      int           `json:"waiting"`         // their turn has not come
	Left         int           `json:"left"`            // beyond the limit: ask again for these
	Transactions []verifiedOne `json:"transactions"`
	Silent       []string      `json:"silent"` // regions and agents that told nothing, and why
}

// verifiedOne is one of them.
type verifiedOne struct {
	Transaction string        `json:"transaction"`
	Service     string        `json:"service"`
	Operation   string        `json:"operation"`
	Provider    string        `json:"provider"` // of the last attempt
	Agent       string        `json:"agent"`
	State       string        `json:"state"`
	Created     time.Time     `json:"created"`
	Value       *policy.Value `json:"value,omitempty"` // what it is worth, where anybody said
	Result      string        `json:"result"`          // closed | open | not-asked | waiting
	Why         string        `json:"why,omitempty"`   // what its outcome is, or why it is not known
}

// choice is the wish as an order says it.
func (h *openWish) choice() (policy.Open, error) {
	which := policy.Open{Service: h.Service, Provider: h.Provider, State: h.State, Transactions: h.Transactions, Limit: cmp.Or(h.Limit, policy.MaxOpen)}
	var err error
	which.OlderThan, err = span("older_than", h.OlderThan, 0)
	return which, err
}

// verifyAll has agents look for the outcomes of all open transactions that are meant, or tells which these are.
func (w *Web) verifyAll(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var body openWish
	if err := readJSON(c, &body); err != nil {
		return err
	}
	wait, err := waitOf(body.Wait)
	if err != nil {
		return err
	}
	if body.DryRun {
		would, err := w.wouldVerify(c.Request().Context(), body)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, would)
	}
	order, err := w.verifyNow(c.Request().Context(), a, body)
	if err != nil {
		return err
	}
	done, err := w.verifiedBy(c.Request().Context(), order, wait)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, done)
}

func waitOf(text string) (time.Duration, error) {
	if text == "" {
		return verifyAllWait, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > mostWait {
		return 0, refusal(state.Invalid, fmt.Sprintf("wait: %.20q is not between 0s and %s", text, mostWait))
	}
	return wait, nil
}

// verifiedOrder tells how far such an order came.
func (w *Web) verifiedOrder(c echo.Context) error {
	done, err := w.verifiedBy(c.Request().Context(), c.Param("order"), 0)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, done)
}

// verifyNow gives the order.
func (w *Web) verifyNow(ctx context.Context, a author, h openWish) (string, error) {
	which, err := h.choice()
	if err != nil {
		return "", err
	}
	given, err := w.order(ctx, a, policy.Order{Kind: policy.VerifyAll, Open: &which, For: verifyAllFor})
	return given.Order, err
}

// wouldVerify asks every agent which transactions an order would mean.
func (w *Web) wouldVerify(ctx context.Context, h openWish) (verifiedAll, error) {
	which, err := h.choice()
	if err != nil {
		return verifiedAll{}, err
	}
	if err := which.Check(w.fresh(ctx).State.Current().Policy); err != nil {
		return verifiedAll{}, refusal(state.Invalid, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answers, err := w.cfg.Control.Ask(ctx, query.Question{Kind: query.VerifyAll, Open: &which})
	if err != nil {
		return verifiedAll{}, fmt.Errorf("web: asking agents: %w", err)
	}
	would, _, _ := gatherVerified(answers, false)
	would.Done = true
	return would, nil
}

// verifiedBy collects what an order came to, and waits for its end for a while.
func (w *Web) verifiedBy(ctx context.Context, order string, wait time.Duration) (verifiedAll, error) {
	until := time.NewTimer(wait)
	defer until.Stop()
	tick := time.NewTicker(aboutEvery)
	defer tick.Stop()
	for {
		done, known, err := w.lookAtOrder(ctx, order)
		switch {
		case err != nil:
			return done, err
		case done.Done && !known:
			return done, refusal(state.NotFound, fmt.Sprintf("no agent knows an order %.80q to look for open outcomes: each remembers its last sixteen, until it starts anew", order))
		case done.Done:
			return done, nil
		}
		select {
		case <-tick.C:
		case <-until.C:
			return done, nil
		case <-ctx.Done():
			return done, nil
		}
	}
}

// lookAtOrder asks every agent how far an order came. known: one of them has it.
func (w *Web) lookAtOrder(ctx context.Context, order string) (verifiedAll, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answers, err := w.cfg.Control.Ask(ctx, query.Question{Kind: query.VerifyAll, Order: order})
	if err != nil {
		return verifiedAll{}, false, fmt.Errorf("web: asking agents: %w", err)
	}
	s := w.fresh(ctx)
	inForce := slices.ContainsFunc(s.State.InForce(s.Now), func(o policy.Order) bool { return o.ID == order })
	done, known, waiting := gatherVerified(answers, inForce)
	done.Order, done.Done = order, !waiting
	return done, known || inForce, nil
}

// gatherVerified puts the agents' answers together. coming: the order is in force, so that it will come to agents that do not know it yet.
func gatherVerified(answers []Answer, coming bool) (all verifiedAll, known, waiting bool) {
	all.Transactions, all.Silent = []verifiedOne{}, []string{}
	for _, a := range answers {
		var told query.Verified
		switch why := a.read(&told); {
		case why != "":
			all.Silent = append(all.Silent, a.Agent+": "+why)
		case !told.Known:
			waiting = waiting || coming
			all.Silent = append(all.Silent, a.Agent+": the order has not come to it")
		default:
			known, waiting = true, waiting || !told.Done
			all.Found, all.Left = all.Found+told.Found, all.Left+told.Found-len(told.Rows)
			for i := range told.Rows {
				all.add(a.Agent, &told.Rows[i])
			}
		}
	}
	if len(answers) == 0 {
		all.Silent = append(all.Silent, "no agent is connected: nothing can be asked")
	}
	slices.SortStableFunc(all.Transactions, func(a, b verifiedOne) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Transaction, b.Transaction))
	})
	return all, known, waiting
}

func (v *verifiedAll) add(agent string, r *query.VerifiedOne) {
	one := verifiedOne{
		Transaction: r.Transaction, Service: r.Service, Operation: r.Operation, Provider: r.Provider, Agent: agent, State: r.State, Created: r.Created, Result: r.Result, Why: r.Why,
	}
	if r.Value.Currency != "" {
		one.Value = &r.Value
	}
	switch r.Result {
	case query.VerifyClosed:
		v.Closed++
	case query.VerifyOpen:
		v.Open++
	case query.VerifyLeft:
		v.NotAsked++
	default:
		v.Waiting++
	}
	v.Transactions = append(v.Transactions, one)
}
