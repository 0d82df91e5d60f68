package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// verifyEvery is how often it is asked how far a look for all outcomes came.
const verifyEvery = 250 * time.Millisecond

// openFlags say which open transactions are meant.
type openFlags struct {
	Service   string        `json:"service,omitempty"`
	Provider  string        `json:"provider,omitempty"`
	State     string        `json:"state,omitempty"`
	OlderThan string        `json:"older_than,omitempty"`
	Limit     int           `json:"limit,omitempty"`
	Dry       bool          `json:"dry_run,omitempty"`
	Wait      string        `json:"wait,omitempty"`
	age       time.Duration // OlderThan
	all       bool
}

// txVerified is how far a look for all open outcomes came.
type txVerified struct {
	Order        string          `json:"order,omitempty"`
	Done         bool            `json:"done"`
	Found        int             `json:"found"`
	Closed       int             `json:"closed"`
	Open         int             `json:"open"`
	NotAsked     int             `json:"not_asked"`
	Waiting      int             `json:"waiting"`
	Left         int             `json:"left"`
	Transactions []txVerifiedOne `json:"transactions"`
	Silent       []string        `json:"silent"`
}

type txVerifiedOne struct {
	Transaction string        `json:"transaction"`
	Service     string        `json:"service"`
	Operation   string        `json:"operation"`
	Provider    string        `json:"provider"`
	Agent       string        `json:"agent"`
	State       string        `json:"state"`
	Created     time.Time     `json:"created"`
	Value       *policy.Value `json:"value,omitempty"`
	Result      string        `json:"result"`
	Why         string        `json:"why,omitempty"`
}

func newTxVerify(s *settings) *cobra.Command {
	f := openFlags{}
	c := &cobra.Command{
		Use: "verify ID|--all", Short: "Look for the outcome of an open transaction now, or of all of them", Args: cobra.MaximumNArgs(1),
		Long: `Has the agent that drives the transaction ask its provider now, instead of at the next check.
Exit code 75 if the outcome is still not known.

With --all each agent looks for all of its own that are meant, oldest first, one after the other
at each provider, at most ten a second and a tenth of the provider's limit. Three questions in a
row without an answer, and the rest at that provider is not asked. It concludes and sends nothing
that a look at a single one would not. --dry-run tells which are meant, and asks nobody.
Interrupted, it goes on at the agents, for ten minutes at most. Exit code 75 if some are still
not known.`,
		Example: "  segue tx verify tx_01J9W2K7QH\n  segue tx verify --all --provider main --dry-run\n  segue tx verify --all --service payments --older-than 10m --reason 'main is back'",
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(c, args); err != nil {
				return usageError{err}
			}
			if !f.all {
				return s.txDecide(c, args[0], "verify", nil)
			}
			return s.txVerifyAll(c.Context(), f)
		},
	}
	c.Flags().BoolVar(&f.all, "all", false, "all open transactions that the other flags mean")
	c.Flags().StringVar(&f.Service, "service", "", "with --all: of one service")
	c.Flags().StringVar(&f.Provider, "provider", "", "with --all: whose last attempt is at this provider")
	c.Flags().StringVar(&f.State, "state", "", "with --all: held or cancelling; both where nothing is said")
	c.Flags().DurationVar(&f.age, "older-than", 0, "with --all: that began so long ago, or longer")
	c.Flags().IntVar(&f.Limit, "limit", policy.MaxOpen, "with --all: at most so many of each agent, the oldest first")
	c.Flags().BoolVar(&f.Dry, "dry-run", false, "with --all: only tell which are meant")
	return c
}

// check holds the flags against each other.
func (f *openFlags) check(c *cobra.Command, args []string) error {
	switch {
	case f.all && len(args) > 0:
		return fmt.Errorf("%s and --all: name one transaction, or mean all", args[0])
	case !f.all && len(args) == 0:
		return errors.New("name a transaction, or mean all open ones with --all")
	case f.all && f.State != "" && !slices.Contains(policy.OpenStates(), f.State):
		return fmt.Errorf("--state %q is no state of an open transaction%s; want %s", f.State, guess(f.State, policy.OpenStates()), strings.Join(policy.OpenStates(), ", "))
	case f.all && (f.Limit < 1 || f.Limit > policy.MaxOpen):
		return fmt.Errorf("--limit %d is not between 1 and %d", f.Limit, policy.MaxOpen)
	case f.all && f.age < 0:
		return fmt.Errorf("--older-than %s is before it began", f.age)
	}
	for _, name := range []string{"service", "provider", "state", "older-than", "limit", "dry-run"} {
		if !f.all && c.Flags().Changed(name) {
			return fmt.Errorf("--%s belongs to --all: leave it out, or mean all open ones", name)
		}
	}
	return nil
}

// txVerifyAll gives the order, follows it to its end, and tells what came of each.
func (s *settings) txVerifyAll(ctx context.Context, f openFlags) error {
	f.Wait = "0s"
	if f.age > 0 {
		f.OlderThan = f.age.String()
	}
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	var done txVerified
	if err := s.request(ctx, call{method: http.MethodPost, path: "/transactions/verify", body: body, kind: "application/json", reason: s.because("checked again by command")}, &done); err != nil {
		return explain(err)
	}
	if done, err = s.followVerified(ctx, done); err != nil {
		return err
	}
	if err := s.print(done, func() { s.tellVerified(&done, f.Dry) }); err != nil {
		return err
	}
	return done.verdict(f.Dry)
}

// followVerified asks until all is done; on a terminal a bar shows how many were looked for.
func (s *settings) followVerified(ctx context.Context, done txVerified) (txVerified, error) {
	var bar *progressbar.ProgressBar
	tick := time.NewTicker(verifyEvery)
	defer tick.Stop()
	for !done.Done {
		if n := len(done.Transactions); n > 0 && terminal(s.io.err) {
			if bar == nil || bar.GetMax() != n {
				bar = progressbar.NewOptions(n, progressbar.OptionSetWriter(s.io.err), progressbar.OptionSetDescription("outcomes looked for"),
					progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
			}
			_ = bar.Set(min(n-done.Waiting, n-1)) // a bar that cannot be drawn is no reason to stop
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return done, &state.Error{Code: state.Unknown, Message: fmt.Sprintf("%d of %d looked for so far; the agents go on", len(done.Transactions)-done.Waiting, len(done.Transactions))}
		}
		if err := s.request(ctx, call{method: http.MethodGet, path: "/transactions/verify/" + url.PathEscape(done.Order)}, &done); err != nil {
			return done, explain(err)
		}
	}
	if bar != nil {
		_ = bar.Finish()
	}
	return done, nil
}

func (s *settings) tellVerified(done *txVerified, dry bool) {
	rows := [][]string{{"TRANSACTION", "RESULT", "STATE", "OPERATION", "PROVIDER", "VALUE", "BEGAN", "WHY"}}
	for i := range done.Transactions {
		t := &done.Transactions[i]
		worth, result := "-", t.Result
		if t.Value != nil {
			worth = t.Value.String()
		}
		if dry {
			result = "would be asked"
		}
		rows = append(rows, []string{t.Transaction, result, t.State, t.Service + "/" + t.Operation, t.Provider, worth, t.Created.Local().Format(time.DateTime), orDash(t.Why)})
	}
	if len(rows) > 1 {
		s.table(rows)
	}
	fmt.Fprintln(s.io.out, done.summary(dry))
	for _, text := range done.Silent {
		fmt.Fprintln(s.io.out, text)
	}
}

// summary is the last line.
func (v *txVerified) summary(dry bool) string {
	text := fmt.Sprintf("%d of %d outcomes are known now, %d still unknown, %d not asked", v.Closed, len(v.Transactions), v.Open, v.NotAsked)
	switch {
	case v.Found == 0:
		text = "nothing is open of what is meant"
	case dry:
		text = strconv.Itoa(v.Waiting) + " would be asked for; nobody was asked"
	}
	if v.Left > 0 {
		text += fmt.Sprintf("; %d more lie beyond the limit: ask again for these", v.Left)
	}
	return text
}

// verdict is the exit code in words.
func (v *txVerified) verdict(dry bool) error {
	unknown := v.Left
	for i := range v.Transactions {
		if v.Transactions[i].Result != query.VerifyClosed {
			unknown++
		}
	}
	switch {
	case unknown > 0 && !dry:
		return &state.Error{Code: state.Unknown, Message: fmt.Sprintf("%s still not known: segue tx list --state held", counted(unknown, "outcome"))}
	case len(v.Silent) > 0:
		return &state.Error{Code: state.Unknown, Message: "not all agents told: " + strings.Join(v.Silent, "; ")}
	}
	return nil
}
