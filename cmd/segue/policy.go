package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// maxPolicy bounds what is read before it is parsed: Parse refuses larger documents with a clear problem.
const maxPolicy = 11 << 20

func newPolicy(s *settings) *cobra.Command {
	group := &cobra.Command{Use: "policy", Short: "Check, plan, apply and read the policy, and go back"}
	group.AddCommand(
		newPolicyValidate(s), newPolicyPlan(s), newPolicyApply(s), newPolicyGet(s), newPolicyEdit(s),
		newPolicyLog(s), newPolicyDiff(s), newPolicyRollback(s), newPolicySchema(s),
	)
	return group
}

func newPolicyValidate(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE", Short: "Check a policy file; needs no control plane", Args: cobra.ExactArgs(1),
		Long:    "Checks a policy file (- for standard input) and prints every problem with file, line, column and the fix.",
		Example: "  segue policy validate p.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			src, err := s.readFile(args[0])
			if err != nil {
				return err
			}
			p, problems := policy.Parse(args[0], src)
			if err := s.print(validity(problems), func() { s.tellValidity(args[0], p, problems) }); err != nil {
				return err
			}
			if len(problems) > 0 {
				return fmt.Errorf("%s is not valid: %d to mend", args[0], len(problems))
			}
			return nil
		},
	}
}

func validity(problems policy.Problems) any {
	return struct {
		Valid    bool            `json:"valid"`
		Problems policy.Problems `json:"problems"`
	}{len(problems) == 0, append(policy.Problems{}, problems...)}
}

func (s *settings) tellValidity(file string, p *policy.Policy, problems policy.Problems) {
	for _, problem := range problems {
		fmt.Fprintln(s.io.out, problem)
	}
	if len(problems) == 0 {
		fmt.Fprintf(s.io.out, "%s is valid: %d regions, %d services, %d providers\n", file, len(p.Regions), len(p.Services), len(p.Providers))
	}
}

// named puts the file's name into problems that the API found in it.
func named(err error, file string) error {
	if refused, ok := err.(*state.Error); ok {
		for i := range refused.Problems {
			refused.Problems[i].File = file
		}
	}
	return err
}

// changed is the API's answer to a change.
type changed struct {
	Revision uint64   `json:"revision"`
	Summary  []string `json:"summary,omitempty"`
	Order    string   `json:"order,omitempty"`
}

func (s *settings) tellRevision(done changed) {
	fmt.Fprintf(s.io.out, "revision %d is in force\n", done.Revision)
	for _, line := range done.Summary {
		fmt.Fprintln(s.io.out, "  "+line)
	}
}

func newWeight(s *settings) *cobra.Command {
	group := &cobra.Command{Use: "weight", Short: "Steer new sessions between providers"}
	var base string
	set := &cobra.Command{
		Use: "set SERVICE REGION PROVIDER=PERCENT ...", Short: "Set a service's weights in one region", Args: cobra.MinimumNArgs(3),
		Long: `Sets the share of new sessions that each provider gets, in percent, in one region.
Name every provider that is to have a weight; the others get 0 (fallback only).
The sum must be 100. No other region changes.`,
		Example: "  segue weight set payments eu-west main=20 backup=80 --reason fees",
		RunE: func(c *cobra.Command, args []string) error {
			body, err := weightsBody(args[2:])
			if err != nil {
				return err
			}
			if err := checkBase(base); err != nil {
				return err
			}
			var done changed
			err = s.request(c.Context(), call{
				method: http.MethodPatch, path: "/services/" + url.PathEscape(args[0]) + "/weights/" + url.PathEscape(args[1]), body: body,
				kind: "application/json", match: base, reason: s.because("weights by command"),
			}, &done)
			if err != nil {
				return explain(err)
			}
			return s.print(done, func() { s.tellRevision(done) })
		},
	}
	set.Flags().StringVar(&base, "base", "", "refuse if another revision is in force")
	group.AddCommand(set)
	return group
}

// weightsBody reads a=40 b=60 into {"a":40,"b":60}.
func weightsBody(args []string) ([]byte, error) {
	weights := map[string]float64{}
	for _, arg := range args {
		name, percent, ok := strings.Cut(arg, "=")
		value, err := strconv.ParseFloat(percent, 64)
		if !ok || name == "" || err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return nil, usageError{fmt.Errorf("%q: want PROVIDER=PERCENT, such as main=40", arg)}
		}
		if _, twice := weights[name]; twice {
			return nil, usageError{fmt.Errorf("%q: %s has a weight already", arg, name)}
		}
		weights[name] = value
	}
	return json.Marshal(weights)
}

// checkBase refuses what is no revision before anything is sent.
func checkBase(base string) error {
	if n, err := strconv.ParseUint(base, 10, 64); base != "" && (err != nil || n == 0) {
		return usageError{fmt.Errorf("--base %q: want the number of a revision, such as 12", base)}
	}
	return nil
}

// because is the reason that was given, or what the command itself says.
func (s *settings) because(otherwise string) string {
	if s.reason != "" {
		return s.reason
	}
	return otherwise
}

func (s *settings) readFile(name string) ([]byte, error) {
	r := s.io.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	return io.ReadAll(io.LimitReader(r, maxPolicy))
}
