package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/query"
)

func newTx(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "tx", Short: "Look transactions up, and read why each went where it went",
		Long: `Transactions are kept by the agents. With the embedded store each agent knows its own: a
key that was used at one agent is not known at another.`,
	}
	group.AddCommand(newTxList(s), newTxShow(s), newTxWhy(s), newTxTry(s), newTxVerify(s), newTxResolve(s))
	return group
}

func newTxList(s *settings) *cobra.Command {
	q := query.Question{}
	var since string
	c := &cobra.Command{
		Use: "list", Short: "The newest transactions", Args: cobra.NoArgs,
		Example: "  segue tx list --state held --since 1h\n  segue tx list --service payments --key order-88121",
		RunE: func(c *cobra.Command, _ []string) error {
			if q.State != "" && !slices.Contains(states, q.State) {
				return usageError{fmt.Errorf("--state %q is no state%s; want %s", q.State, guess(q.State, states), strings.Join(states, ", "))}
			}
			if err := checkSince(since); err != nil {
				return err
			}
			var found struct {
				Transactions []query.Transaction `json:"transactions"`
				Partial      string              `json:"partial"`
			}
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/transactions?" + txFilter(q)}, &found); err != nil {
				return explain(err)
			}
			found.Transactions = newer(found.Transactions, since)
			if found.Partial != "" {
				fmt.Fprintln(s.io.err, "segue: not all is shown:", found.Partial)
			}
			return s.print(found.Transactions, func() { s.tellTransactions(found.Transactions) })
		},
	}
	c.Flags().StringVar(&q.Service, "service", "", "of one service")
	c.Flags().StringVar(&q.Key, "key", "", "with this idempotency key")
	c.Flags().StringVar(&q.Provider, "provider", "", "that were sent to this provider")
	c.Flags().StringVar(&q.State, "state", "", "intent, held (outcome unknown), cancelling, succeeded, declined or not_sent")
	c.Flags().StringVar(&since, "since", "", "that began in the last 15m (a length of time), or since a time (2026-11-21T14:02:31Z)")
	c.Flags().IntVar(&q.Limit, "limit", 50, "at most so many, up to 500")
	return c
}

// states are those of a transaction.
var states = []string{"intent", "held", "cancelling", "succeeded", "declined", "not_sent"}

// newer keeps the transactions that began since then; checkSince has passed it.
func newer(list []query.Transaction, since string) []query.Transaction {
	if since == "" {
		return list
	}
	from, err := time.Parse(time.RFC3339, since)
	if ago, e := time.ParseDuration(since); e == nil {
		from, err = time.Now().Add(-ago), nil
	}
	return slices.DeleteFunc(list, func(t query.Transaction) bool { return err == nil && t.Created.Before(from) })
}

func txFilter(q query.Question) string {
	v := url.Values{}
	for name, value := range map[string]string{"service": q.Service, "key": q.Key, "provider": q.Provider, "state": q.State} {
		if value != "" {
			v.Set(name, value)
		}
	}
	v.Set("limit", strconv.Itoa(q.Limit))
	return v.Encode()
}

func (s *settings) tellTransactions(list []query.Transaction) {
	rows := [][]string{{"TRANSACTION", "STATE", "OPERATION", "KEY", "REGION", "ATTEMPTS", "AT"}}
	for _, t := range list {
		rows = append(rows, []string{t.ID, t.State, t.Service + "/" + t.Operation, t.Key, t.Region, chain(t.Attempts), t.Created.Local().Format(time.TimeOnly)})
	}
	s.table(rows)
}

// chain renders attempts as people read them: main not_sent → backup succeeded.
func chain(attempts []query.Attempt) string {
	parts := make([]string, len(attempts))
	for i, a := range attempts {
		parts[i] = a.Provider + " " + a.Outcome
	}
	return strings.Join(parts, " → ")
}

func newTxShow(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "One transaction", Args: cobra.ExactArgs(1), Example: "  segue tx show tx_01J9W2K7QH",
		RunE: func(c *cobra.Command, args []string) error {
			why, err := s.why(c, args[0])
			if err != nil {
				return err
			}
			return s.print(why.Transaction, func() { s.tellTransactions([]query.Transaction{why.Transaction}) })
		},
	}
}

func newTxWhy(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "why ID", Short: "Why a transaction went where it went", Args: cobra.ExactArgs(1), Example: "  segue tx why tx_01J9W2K7QH",
		Long: `Prints what happened, each choice with its candidates and gates, and with -o json the
decision records with all their inputs. Decisions are kept in the agent's memory for the
newest transactions; the attempts are kept with the transaction.`,
		RunE: func(c *cobra.Command, args []string) error {
			why, err := s.why(c, args[0])
			if err != nil {
				return err
			}
			return s.print(why, func() { s.tellWhy(why) })
		},
	}
}

func (s *settings) why(c *cobra.Command, id string) (query.Why, error) {
	var why query.Why
	err := s.request(c.Context(), call{method: http.MethodGet, path: "/transactions/" + url.PathEscape(id) + "/why"}, &why)
	return why, explain(err)
}

func (s *settings) tellWhy(why query.Why) {
	t := why.Transaction
	worth := t.Value.String()
	if worth != "" {
		worth = " · " + worth
	}
	fmt.Fprintf(s.io.out, "%s\n%s · %s/%s · key %s · %s · %s%s\n", why.Sentence, t.ID, t.Service, t.Operation, t.Key, t.Region, t.State, worth)
	for _, m := range why.Timeline {
		fmt.Fprintf(s.io.out, "  +%-9s %-12s %s\n", fmt.Sprintf("%.1fms", float64(m.After)/1e6), m.Word, m.Text)
	}
	for _, d := range why.Decisions {
		fmt.Fprintf(s.io.out, "decided %s (policy %d): %s\n", d.Winner, d.Revision, d.Why)
		for _, cand := range d.Candidates {
			fmt.Fprintf(s.io.out, "  %-12s %-16s %s\n", cand.Provider, cand.Gate, cand.Why)
		}
	}
}
