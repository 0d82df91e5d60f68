package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/policy"
	"segue/dataplane/contract"
)

// contractTrial is what `segue contract test` is asked.
type contractTrial struct {
	file, url, credential string
}

// trialTime bounds a whole test.
const trialTime = 5 * time.Minute

func newContractTest(s *settings) *cobra.Command {
	var t contractTrial
	c := &cobra.Command{
		Use: "test CONTRACT", Short: "Hold a contract against its API, fact by fact", Args: cobra.ExactArgs(1),
		Long: `Sends what agents send, by the client that they send by, and says of each stated fact whether
the API bears it out: credential, the same key twice, another request under it, a key in
use, errors under it, how long it is remembered, what refusals, breakdowns and 429 are
read as, ids, headers, operations.

Without --url it is the simulator of the API that the contract is, or is like, started on
this machine. It keeps that API's own rules: a contract of yours that differs from it on
purpose shows the difference as wrong. With --url it is a real one: it gets real requests
(about fifteen charges, messages or completions), so give it a test account; what no API can
be made to do is not driven.

The contract is a built-in one, one of --file, or one of the policy in force.
Exits 1 if something is wrong.`,
		Example: "  segue contract test stripe/v1\n  segue contract test acme/v1 --file p.yaml -o json\n  segue contract test keyless/v1 --url http://127.0.0.1:7603 --credential env:TEST_KEY",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), trialTime)
			defer cancel()
			checks, err := s.tryContract(ctx, args[0], &t)
			if err != nil {
				return err
			}
			if err := s.print(checks, func() { s.tellChecks(args[0], checks) }); err != nil {
				return err
			}
			if n := contract.Failed(checks); n > 0 {
				return fmt.Errorf("%s says what its API does not bear out: %d of %d checks are wrong", args[0], n, len(checks))
			}
			return nil
		},
	}
	contractFile(c, &t.file)
	c.Flags().StringVar(&t.url, "url", "", "the base URL of an API, in place of a simulator; it gets real requests")
	c.Flags().StringVar(&t.credential, "credential", "", "with --url: where its credential is, env:NAME or file:PATH")
	return c
}

func (s *settings) tryContract(ctx context.Context, name string, t *contractTrial) ([]contract.Check, error) {
	doc, err := s.policyWith(ctx, name, t.file)
	if err != nil {
		return nil, err
	}
	specimen, ok := contract.SpecimenFor(doc, name)
	if !ok {
		return nil, fmt.Errorf("nobody here knows how to ask an API of %s for anything: it is not like a contract that comes with Segue, nor does it speak a dialect of one", name)
	}
	plan := contract.Plan{Policy: doc, Contract: name, Specimen: specimen, URL: t.url, Secret: specimen.Secret}
	if t.url == "" {
		if t.credential != "" {
			return nil, usageError{errors.New("--credential is for --url: a simulator has its own")}
		}
		sim, err := contract.Simulate(specimen)
		if err != nil {
			return nil, err
		}
		defer func() { _ = sim.Stop(context.WithoutCancel(ctx)) }() // it ends with the process at the latest
		plan.URL, plan.World = sim.URL(), sim
	} else if plan.Secret, err = s.realAPI(t); err != nil {
		return nil, err
	}
	return contract.Drive(ctx, plan, strings.ToLower(rand.Text()[:10]))
}

// policyWith is the policy that has a contract: a file, none at all for one that comes with Segue, or the one in force.
func (s *settings) policyWith(ctx context.Context, name, file string) (*policy.Policy, error) {
	doc := &policy.Policy{}
	_, builtin := policy.Builtin(name)
	switch {
	case file != "":
		var err error
		if doc, err = policyOf(file); err != nil {
			return nil, err
		}
	case !builtin:
		var got struct {
			Source string `json:"source"`
		}
		if err := s.request(ctx, call{method: http.MethodGet, path: "/policy"}, &got); err != nil {
			return nil, explain(err)
		}
		var problems policy.Problems
		if doc, problems = policy.Parse("the policy in force", []byte(got.Source)); problems != nil {
			return nil, problems
		}
	}
	if _, err := doc.Contract(name); err != nil {
		var known []string
		for _, sheet := range doc.Sheets() {
			known = append(known, sheet.Name)
		}
		return nil, fmt.Errorf("%w%s; there are: %s", err, guess(name, known), strings.Join(known, ", "))
	}
	return doc, nil
}

// realAPI reads the credential for an API, and asks whether it may be called.
func (s *settings) realAPI(t *contractTrial) (secret string, err error) {
	u, err := url.Parse(t.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usageError{fmt.Errorf("--url %q: want an address like https://api.example.com", t.url)}
	}
	kind, ref, _ := strings.Cut(t.credential, ":")
	switch {
	case kind == "env" && ref != "":
		secret = os.Getenv(ref)
	case kind == "file" && ref != "":
		var text []byte
		if text, err = os.ReadFile(ref); err != nil {
			return "", err
		}
		secret = strings.TrimRight(string(text), "\r\n")
	default:
		return "", usageError{errors.New("--url needs --credential env:NAME or file:PATH: where the credential for it is")}
	}
	if secret == "" {
		return "", fmt.Errorf("%s holds no credential", t.credential)
	}
	if !s.yes && !s.confirmed(u.Host+" gets real requests: charges, messages or completions, about fifteen. Go on? yes/no ") {
		return "", errors.New("nothing was sent: answer yes, or give --yes")
	}
	return secret, nil
}

func (s *settings) tellChecks(name string, checks []contract.Check) {
	rows := [][]string{{"", "FACT", "CHECK", "FOUND"}}
	count := map[contract.State]int{}
	for _, c := range checks {
		count[c.State]++
		rows = append(rows, []string{string(c.State), c.Fact, c.Check, c.Says})
	}
	s.table(rows)
	fmt.Fprintf(s.io.out, "%s: %d fine, %d wrong, %d not driven\n", name, count[contract.Fine], count[contract.Wrong], count[contract.Left])
}
