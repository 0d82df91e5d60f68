package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// maxEvidenceFile bounds what is read of a file with evidence; the server refuses less.
const maxEvidenceFile = 64 << 10

// txDecided is what came of a verification or a resolution.
type txDecided struct {
	Transaction string `json:"transaction"`
	Order       string `json:"order"`
	State       string `json:"state"`
	Sentence    string `json:"sentence"`
}

func newTxResolve(s *settings) *cobra.Command {
	var outcome, evidence string
	c := &cobra.Command{
		Use: "resolve ID", Short: "Say what became of an open transaction, with evidence", Args: cobra.ExactArgs(1),
		Long: `For what no lookup can show: a person found out, from the provider's own records, what
happened. Evidence and reason are kept with the transaction and in the audit. It is never a
guess: without evidence it is refused. not_sent means that it is proven not executed; the
caller's next request under the key is then made anew.`,
		Example: "  segue tx resolve tx_01J9W2K7QH --outcome succeeded --evidence statement.txt --reason 'found in the statement of the 21st'",
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(policy.ResolveOutcomes(), outcome) {
				return usageError{fmt.Errorf("--outcome %q is none%s; want %s", outcome, guess(outcome, policy.ResolveOutcomes()), strings.Join(policy.ResolveOutcomes(), ", "))}
			}
			if evidence == "" {
				return usageError{errors.New("--evidence is missing: name a file that shows the outcome; nothing is resolved on a guess")}
			}
			if s.reason == "" {
				return usageError{errors.New("--reason is missing: say why a person decides")}
			}
			text, err := readEvidence(evidence, c.InOrStdin())
			if err != nil {
				return err
			}
			body, err := json.Marshal(map[string]string{"outcome": outcome, "evidence": text})
			if err != nil {
				return err
			}
			return s.txDecide(c, args[0], "resolve", body)
		},
	}
	c.Flags().StringVar(&outcome, "outcome", "", strings.Join(policy.ResolveOutcomes(), ", "))
	c.Flags().StringVar(&evidence, "evidence", "", "file with what shows it; - is standard input")
	return c
}

func readEvidence(path string, stdin io.Reader) (string, error) {
	from := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("evidence: %w", err)
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxEvidenceFile))
	if err != nil {
		return "", fmt.Errorf("evidence: %w", err)
	}
	return string(b), nil
}

func (s *settings) txDecide(c *cobra.Command, id, what string, body []byte) error {
	var done txDecided
	if err := s.request(c.Context(), call{method: http.MethodPost, path: "/transactions/" + url.PathEscape(id) + "/" + what, body: body, kind: "application/json", reason: s.because("verified by command")}, &done); err != nil {
		return explain(err)
	}
	if err := s.print(done, func() { fmt.Fprintf(s.io.out, "%s: %s\n%s\n", done.Transaction, done.State, done.Sentence) }); err != nil {
		return err
	}
	if slices.Contains([]string{"intent", "held", "cancelling", ""}, done.State) {
		return &state.Error{Code: state.Unknown, Message: done.Transaction + ": its outcome is still not known"}
	}
	return nil
}
