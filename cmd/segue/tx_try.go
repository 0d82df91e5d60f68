package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"segue/controlplane/query"
)

// testRequest is a request that is decided and not sent, as the API takes it.
type testRequest struct {
	Service string            `json:"service"`
	Region  string            `json:"region"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Value   string            `json:"value,omitempty"`
	Session string            `json:"session,omitempty"`
	Client  string            `json:"client_region,omitempty"`
}

// testDecision is what would be decided of it.
type testDecision struct {
	Region     string          `json:"region"`
	Agent      string          `json:"agent"`
	Service    string          `json:"service"`
	Operation  string          `json:"operation"`
	Read       bool            `json:"read"`
	Policy     uint64          `json:"policy"`
	Provider   string          `json:"provider"`
	Why        string          `json:"why"`
	Sentences  []string        `json:"sentences"`
	Candidates []testCandidate `json:"candidates"`
}

type testCandidate struct {
	Provider string  `json:"provider"`
	Gate     string  `json:"gate"`
	Why      string  `json:"why"`
	Weight   float64 `json:"weight"`
	Score    float64 `json:"score"`
	Unit     string  `json:"unit"`
	Chosen   bool    `json:"chosen"`
}

func (c *testCandidate) score() string {
	as := query.Candidate{Rank: c.Score, Unit: c.Unit}
	return as.Score()
}

func newTxTry(s *settings) *cobra.Command {
	var r testRequest
	var headers []string
	c := &cobra.Command{
		Use: "try SERVICE METHOD PATH", Short: "What would be decided of a request; nothing is sent", Args: cobra.ExactArgs(3),
		Long: `Has an agent decide a request as it would an application's, by the policy in force and by
how providers stand there now, and prints the candidates with their gates and scores.
Nothing is sent, no slot or token is taken, and nothing is written. A key is made up, so
that no earlier call is found by it.`,
		Example: "  segue tx try payments POST /v1/charges --region eu-west --body 'amount=1200&currency=eur'\n  segue tx try chat POST /v1/chat/completions --body @request.json",
		RunE: func(c *cobra.Command, args []string) error {
			r.Service, r.Method, r.Path = args[0], args[1], args[2]
			if name, file := strings.CutPrefix(r.Body, "@"); file {
				text, err := os.ReadFile(name)
				if err != nil {
					return usageError{fmt.Errorf("--body: %w", err)}
				}
				r.Body = string(text)
			}
			r.Headers = map[string]string{}
			for _, line := range headers {
				name, value, ok := strings.Cut(line, ":")
				if !ok {
					return usageError{fmt.Errorf("--header %q: write 'Name: value'", line)}
				}
				r.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
			}
			body, err := json.Marshal(r)
			if err != nil {
				return err
			}
			var d testDecision
			if err := s.request(c.Context(), call{method: http.MethodPost, path: "/decisions", body: body, kind: "application/json"}, &d); err != nil {
				return explain(err)
			}
			return s.print(d, func() { s.tellTried(d) })
		},
	}
	f := c.Flags()
	f.StringVar(&r.Region, "region", "", "whose agent decides (default: the policy's first region)")
	f.StringArrayVar(&headers, "header", nil, "a header of the application, 'Name: value'; again for more")
	f.StringVar(&r.Body, "body", "", "the body, or @FILE")
	f.StringVar(&r.Value, "value", "", "what the call is worth, in minor units: '12900;cur=EUR'")
	f.StringVar(&r.Session, "session", "", "the session that it belongs to")
	f.StringVar(&r.Client, "client-region", "", "the user's region")
	return c
}

func (s *settings) tellTried(d testDecision) {
	what := "effect"
	if d.Read {
		what = "read"
	}
	winner := d.Provider
	if winner == "" {
		winner = "nobody"
	}
	fmt.Fprintf(s.io.out, "%s: %s\n%s/%s (%s) · %s · policy %d · decided by %s · nothing was sent\n", winner, d.Why, d.Service, d.Operation, what, d.Region, d.Policy, d.Agent)
	rows := [][]string{{"", "PROVIDER", "GATE", "WEIGHT", "SCORE", "WHY"}}
	weighed := slices.ContainsFunc(d.Candidates, func(c testCandidate) bool { return c.Weight > 0 }) // other strategies have no weights
	for _, c := range d.Candidates {
		mark, weight := "", "–"
		if c.Chosen {
			mark = "→"
		}
		if weighed {
			weight = percentText(c.Weight)
		}
		rows = append(rows, []string{mark, c.Provider, c.Gate, weight, c.score(), c.Why})
	}
	s.table(rows)
}
