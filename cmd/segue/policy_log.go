package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/spf13/cobra"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// revision is one as the API shows it.
type revision struct {
	Revision uint64       `json:"revision"`
	At       time.Time    `json:"at"`
	Actor    string       `json:"actor"`
	Reason   string       `json:"reason"`
	Origin   state.Origin `json:"origin"`
	Back     uint64       `json:"back,omitempty"`
	Summary  []string     `json:"summary"`
	InForce  bool         `json:"in_force"`
}

// documented is a revision with its document.
type documented struct {
	revision
	Source string `json:"source"`
	policy *policy.Policy
}

// revisionPath is where the API has a revision; empty is the one in force.
func revisionPath(number string) string {
	if number == "" {
		return "/policy"
	}
	return "/policy/revisions/" + number
}

// document fetches a revision and reads what it says.
func (s *settings) document(ctx context.Context, number string) (documented, error) {
	var d documented
	if err := s.request(ctx, call{method: http.MethodGet, path: revisionPath(number)}, &d); err != nil {
		return d, err
	}
	p, problems := policy.Parse(fmt.Sprintf("revision %d", d.Revision), []byte(d.Source))
	if problems != nil {
		return d, fmt.Errorf("revision %d is not a policy any more: %w", d.Revision, problems)
	}
	d.policy = p
	return d, nil
}

func newPolicyGet(s *settings) *cobra.Command {
	var number string
	c := &cobra.Command{
		Use: "get", Short: "Print the policy in force, or an older revision", Args: cobra.NoArgs,
		Long:    "Prints the document of the policy in force, or of revision N, with its comments. -o json prints what surrounds it too.",
		Example: "  segue policy get > p.yaml\n  segue policy get --revision 12",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkRevision("--revision", number); number != "" && err != nil {
				return err
			}
			accept := "application/yaml"
			if s.output == "json" {
				accept = "application/json"
			}
			body, err := s.fetch(c.Context(), call{method: http.MethodGet, path: revisionPath(number)}, accept)
			if err != nil {
				return err
			}
			_, err = s.io.out.Write(body)
			return err
		},
	}
	c.Flags().StringVar(&number, "revision", "", "an older revision")
	return c
}

// checkRevision refuses what is no revision before anything is asked.
func checkRevision(what, text string) error {
	if n, err := strconv.ParseUint(text, 10, 64); err != nil || n == 0 {
		return usageError{fmt.Errorf("%s %q: want the number of a revision, such as 12; segue policy log lists them", what, text)}
	}
	return nil
}

func newPolicyLog(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "log", Short: "List the revisions: who changed what, when and why", Args: cobra.NoArgs,
		Long: `Lists the revisions that are kept, the newest first: number, time (UTC), who, where it
came from (file, weights, edit, rollback), why, and what changed.`,
		Example: "  segue policy log",
		RunE: func(c *cobra.Command, _ []string) error {
			list := []revision{}
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/policy/revisions"}, &list); err != nil {
				return err
			}
			return s.print(list, func() { s.tellRevisions(list) })
		},
	}
}

func (s *settings) tellRevisions(list []revision) {
	if len(list) == 0 {
		fmt.Fprintln(s.io.out, "no policy is in force yet; segue policy apply FILE puts one in force")
		return
	}
	rows := [][]string{{"REVISION", "AT", "BY", "FROM", "REASON", "CHANGED"}}
	for _, r := range list {
		rows = append(rows, []string{strconv.FormatUint(r.Revision, 10), r.At.UTC().Format(time.RFC3339), r.Actor, originText(r), oneLine(r.Reason), summaryText(r.Summary)})
	}
	s.table(rows)
}

func originText(r revision) string {
	switch {
	case r.Origin == state.FromRollback:
		return fmt.Sprintf("rollback to %d", r.Back)
	case r.Origin == "":
		return "-"
	default:
		return string(r.Origin)
	}
}

// oneLine keeps a reason from breaking the table.
func oneLine(text string) string {
	line := []rune{}
	for _, r := range text {
		if r < ' ' {
			r = ' '
		}
		line = append(line, r)
	}
	if len(line) > 60 {
		return string(line[:59]) + "…"
	}
	return string(line)
}

func summaryText(summary []string) string {
	switch len(summary) {
	case 0:
		return "only the text"
	case 1:
		return summary[0]
	default:
		return fmt.Sprintf("%s, and %d more", summary[0], len(summary)-1)
	}
}

func newPolicyDiff(s *settings) *cobra.Command {
	var text bool
	c := &cobra.Command{
		Use: "diff A [B]", Short: "Show what changed from revision A to B, or to what is in force", Args: cobra.RangeArgs(1, 2),
		Long: `Shows what changed from revision A to revision B (default: the one in force), by meaning:
a default that is written out or another order of keys is no change. --text compares the
documents line by line instead.`,
		Example: "  segue policy diff 11\n  segue policy diff 11 12 --text",
		RunE: func(c *cobra.Command, args []string) error {
			for _, arg := range args {
				if err := checkRevision("diff", arg); err != nil {
					return err
				}
			}
			return s.diff(c.Context(), append(args, "")[:2], text)
		},
	}
	c.Flags().BoolVar(&text, "text", false, "compare the documents line by line")
	return c
}

// diff compares two revisions; the second may be "", the one in force.
func (s *settings) diff(ctx context.Context, numbers []string, text bool) error {
	a, errA := s.document(ctx, numbers[0])
	b, errB := s.document(ctx, numbers[1])
	var problems policy.Problems
	if err := errors.Join(errA, errB); err != nil && !(text && errors.As(err, &problems)) { // texts can be compared whatever they say
		return err
	}
	if text {
		return difflib.WriteUnifiedDiff(s.io.out, difflib.UnifiedDiff{
			A: difflib.SplitLines(a.Source), B: difflib.SplitLines(b.Source), Context: 3,
			FromFile: fmt.Sprintf("revision %d", a.Revision), ToFile: fmt.Sprintf("revision %d", b.Revision),
		})
	}
	changes := changesOf(policy.Diff(a.policy, b.policy))
	return s.print(changes, func() {
		for _, line := range planLines(changes) {
			fmt.Fprintln(s.io.out, line)
		}
		if len(changes) == 0 {
			fmt.Fprintf(s.io.out, "revisions %d and %d say the same\n", a.Revision, b.Revision)
		}
	})
}

func newPolicyRollback(s *settings) *cobra.Command {
	var base string
	c := &cobra.Command{
		Use: "rollback N", Short: "Put an older revision's document in force again", Args: cobra.ExactArgs(1),
		Long: `Puts the document of revision N in force again, as a new revision: everything that was
changed since is undone, by whomever. It is refused when N is not kept any more or does
not fit today's rules. segue policy diff N shows beforehand what would be undone.`,
		Example: "  segue policy rollback 11 --reason 'the new fees were wrong'",
		RunE: func(c *cobra.Command, args []string) error {
			if err := errors.Join(checkRevision("rollback", args[0]), checkBase(base)); err != nil {
				return err
			}
			var done changed
			err := s.request(c.Context(), call{
				method: http.MethodPost, path: "/policy/rollback", body: fmt.Appendf(nil, `{"revision": %s}`, args[0]), kind: "application/json",
				match: base, reason: s.because("rollback to " + args[0]),
			}, &done)
			if err != nil {
				return explain(err)
			}
			return s.print(done, func() { s.tellRevision(done) })
		},
	}
	c.Flags().StringVar(&base, "base", "", "refuse if another revision is in force")
	return c
}
