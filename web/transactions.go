package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/web/view"
)

// Bounds of the list.
const (
	shownTransactions = 50
	mostTransactions  = 500
	askWithin         = 4 * time.Second
)

// wish is what a list is asked for.
type wish struct {
	search string // our id, the provider's id, or a key
	query.Question
}

func wishOf(c echo.Context) (wish, error) {
	q := wish{search: strings.TrimSpace(c.QueryParam("q")), Question: query.Question{
		Kind: query.Transactions, Service: c.QueryParam("service"), Key: c.QueryParam("key"), Provider: c.QueryParam("provider"),
		State: c.QueryParam("state"), Limit: shownTransactions,
	}}
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostTransactions {
			return q, refusal(state.Invalid, fmt.Sprintf("limit: %q is not between 1 and %d", text, mostTransactions))
		}
		q.Limit = n
	}
	if _, ok := stateWords()[q.State]; !ok && q.State != "" {
		return q, refusal(state.Invalid, fmt.Sprintf("state: %q is unknown; there are intent, held, cancelling, succeeded, declined, not_sent", q.State))
	}
	return q, nil
}

// found is what agents answered, put together.
type found struct {
	Transactions []query.Transaction `json:"transactions"`
	Partial      string              `json:"partial,omitempty"` // who did not answer
}

// transactions is the list.
func (w *Web) transactions(c echo.Context) error {
	q, err := wishOf(c)
	if err != nil {
		return err
	}
	got, err := w.find(c.Request().Context(), q)
	if err != nil && wantsJSON(c) {
		return err
	}
	if len(got.Transactions) == 1 && got.Transactions[0].ID == q.search && !wantsJSON(c) {
		return seeOther(c, "/transactions/"+url.PathEscape(q.search))
	}
	return w.answer(c, http.StatusOK, got, view.TransactionsPage(w.transactionsPage(c, q, got, err)))
}

// find asks every agent. A search is a key, or an id among the newest that agents name.
func (w *Web) find(ctx context.Context, q wish) (found, error) {
	if q.search == "" {
		return w.list(ctx, q.Question)
	}
	byKey := q.Question
	byKey.Key = q.search
	keyed, err := w.list(ctx, byKey)
	if err != nil {
		return keyed, err
	}
	newest := q.Question
	newest.Limit = mostTransactions
	all, err := w.list(ctx, newest)
	if err != nil {
		return keyed, err
	}
	for _, t := range all.Transactions {
		if t.ID == q.search || t.Object != "" && t.Object == q.search {
			keyed.Transactions = append(keyed.Transactions, t)
		}
	}
	keyed.Transactions = newestFirst(keyed.Transactions, q.Limit)
	return keyed, nil
}

// list puts the agents' lists together: each transaction once, newest first.
func (w *Web) list(ctx context.Context, q query.Question) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answers, err := w.cfg.Control.Ask(ctx, q)
	if err != nil {
		return found{Transactions: []query.Transaction{}}, fmt.Errorf("web: asking agents: %w", err)
	}
	var rows []query.Transaction
	var silent []string
	for _, a := range answers {
		var some []query.Transaction
		if why := a.read(&some); why != "" {
			silent = append(silent, a.Agent+": "+why)
			continue
		}
		rows = append(rows, some...)
	}
	return found{Transactions: newestFirst(rows, q.Limit), Partial: partial(len(answers), silent)}, nil
}

// read decodes an answer; it says why it cannot.
func (a Answer) read(into any) string {
	if a.Err != "" {
		return a.Err
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return "its answer does not parse"
	}
	return ""
}

// newestFirst keeps the latest copy of each: agents that share a store know the same rows.
func newestFirst(rows []query.Transaction, limit int) []query.Transaction {
	slices.SortStableFunc(rows, func(a, b query.Transaction) int {
		return cmp.Or(-a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID), -a.Updated.Compare(b.Updated))
	})
	rows = slices.CompactFunc(rows, func(a, b query.Transaction) bool { return a.ID == b.ID })
	if rows == nil {
		rows = []query.Transaction{}
	}
	return rows[:min(limit, len(rows))]
}

func partial(asked int, silent []string) string {
	switch {
	case asked == 0:
		return "No agent is connected: nothing can be asked."
	case len(silent) > 0:
		return fmt.Sprintf("%d of %d agents answered. %s.", asked-len(silent), asked, strings.Join(silent, "; "))
	default:
		return ""
	}
}

func (w *Web) transactionsPage(c echo.Context, q wish, got found, err error) view.Transactions {
	live := "/live/transactions?" + c.QueryString()
	page := view.Transactions{Frame: w.frame(c, "Transactions", "transactions", live)}
	page.Frame.Command = listCommand(q)
	doc := w.scene().State.Current().Policy
	f := view.Filter{Search: q.search, Service: q.Service, Provider: q.Provider, State: q.State}
	f.Services, f.Providers, f.States = choices("every service", q.Service), choices("every provider", q.Provider), choices("every state", "")
	for i := range doc.Services {
		f.Services = append(f.Services, option(doc.Services[i].Name, doc.Services[i].Name, q.Service))
	}
	for i := range doc.Providers {
		f.Providers = append(f.Providers, option(doc.Providers[i].Name, doc.Providers[i].Name, q.Provider))
	}
	for _, s := range []string{"succeeded", "declined", "not_sent", "held", "cancelling", "intent"} {
		f.States = append(f.States, option(s, stateWords()[s].Word, q.State))
	}
	page.Filter = f
	w.fillList(&page, q, got, err)
	return page
}

// fillList fills the moving part.
func (w *Web) fillList(page *view.Transactions, q wish, got found, err error) {
	now := w.cfg.Now()
	page.Partial, page.Unknown, page.Request = got.Partial, unknownState(q.State), rand.Text()
	page.AtRisk = atRisk(got.Transactions, now)
	if err != nil {
		page.Partial = sentenceOf(w.describe(err).Detail)
	}
	for _, t := range got.Transactions {
		row := txRow(t, now)
		if row.Held {
			page.Held++
		}
		page.Rows = append(page.Rows, row)
	}
	if page.Unknown && page.Held > 0 {
		page.Again = checkAgain(q, page.Held, len(page.Rows) >= q.Limit)
	}
	switch {
	case len(page.Rows) == 0 && (q.search != "" || q.Service+q.Provider+q.State+q.Key != ""):
		page.Notice = fmt.Sprintf("Nothing matches. A provider’s id is looked up among each agent’s newest %d.", mostTransactions)
	case len(page.Rows) == 0:
		page.Notice = "No transaction yet. Every call with an idempotency key becomes one."
	case len(page.Rows) >= q.Limit:
		page.Notice = fmt.Sprintf("The newest %d. Narrow the list, or search.", q.Limit)
	}
}

// atRisk is what the unknown outcomes of a list are worth, by currency, and how old the oldest is.
func atRisk(list []query.Transaction, now time.Time) string {
	var oldest time.Time
	for _, t := range list {
		if !unknownState(t.State) {
			continue
		}
		if oldest.IsZero() || t.Created.Before(oldest) {
			oldest = t.Created
		}
	}
	if oldest.IsZero() {
		return ""
	}
	text := "The oldest began " + view.Span(now.Sub(oldest)) + " ago."
	if worth := worthOf(list); worth != "" {
		text = worth + " at risk. " + text
	}
	return text
}

// worthOf is what the unknown outcomes of a list are worth, by currency; empty where nobody said.
func worthOf(list []query.Transaction) string {
	sums := map[string]int64{}
	for _, t := range list {
		if unknownState(t.State) && t.Value.Currency != "" {
			sums[t.Value.Currency] += min(t.Value.Minor, policy.MaxMinor)
		}
	}
	var worth []string
	for _, currency := range slices.Sorted(keys(sums)) {
		worth = append(worth, policy.Value{Minor: sums[currency], Currency: currency}.String())
	}
	return enumerate(worth)
}

func choices(all, chosen string) []view.Option {
	return []view.Option{{Value: "", Label: all, Chosen: chosen == ""}}
}

func option(value, label, chosen string) view.Option {
	return view.Option{Value: value, Label: label, Chosen: value == chosen}
}

func listCommand(q wish) string {
	text := "segue tx list"
	key := q.Key
	if q.search != "" {
		key = q.search
	}
	for _, f := range [][2]string{{"service", q.Service}, {"state", q.State}, {"provider", q.Provider}, {"key", key}} {
		if f[1] != "" {
			text += " --" + f[0] + " " + quoted(f[1])
		}
	}
	return text
}

// quoted is a word for a shell.
func quoted(word string) string {
	if strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@=", r))
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// transactionRow is one row, for the API.
func (w *Web) transactionRow(c echo.Context) error {
	why, _, err := w.why(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, why.Transaction)
}

// transaction is one of them, with its attempts and why.
func (w *Web) transaction(c echo.Context) error {
	why, partial, err := w.why(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	return w.answer(c, http.StatusOK, why, view.TransactionPage(w.transactionPage(c, why, partial)))
}

// noSuch is how agents say that they do not have a transaction.
const noSuch = "has no transaction"

// why asks every agent for one transaction: only the one that drove it knows it.
func (w *Web) why(ctx context.Context, id string) (query.Why, string, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answers, err := w.cfg.Control.Ask(ctx, query.Question{Kind: query.One, Transaction: id})
	if err != nil {
		return query.Why{}, "", fmt.Errorf("web: asking agents: %w", err)
	}
	var best query.Why
	var silent []string
	for _, a := range answers {
		var one query.Why
		switch why := a.read(&one); {
		case strings.Contains(why, noSuch):
		case why != "":
			silent = append(silent, a.Agent+": "+why)
		case one.Transaction.ID != "" && (best.Transaction.ID == "" || one.Transaction.Updated.After(best.Transaction.Updated) || len(one.Decisions) > len(best.Decisions)):
			best = one
		}
	}
	missing := partial(len(answers), silent)
	if best.Transaction.ID == "" {
		text := fmt.Sprintf("no agent has a transaction %q", id)
		if missing != "" {
			text += ". " + missing
		}
		return best, missing, refusal(state.NotFound, text)
	}
	return best, missing, nil
}
