package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// starter is the smallest policy that works, with what to change next beside it.
const starter = `# yaml-language-server: $schema=policy.schema.json
# Made by segue init. For completion in editors: segue policy schema > policy.schema.json

segue: v1

# Where agents run. Without this part there is one region, called local.
# regions:
#   us-east: {standby: [eu-west]} # where callers go when it is lost
#   eu-west: {standby: [us-east]}

services:
  payments: # what your application calls
    speaks: stripe/v1 # the API that its SDK talks
    listen: 7101 # where agents take its calls
    strategy: priority
    priority: [main, backup] # the first that is well gets the call
    # Or share new sessions out, in percent; 0 = fallback only:
    # strategy: weighted
    # weights: {main: 70, backup: 30}
    # attempts: {max: 2, per_try: 4s, deadline: 10s} # as it is when this line is left out
    # breaker: {failures: 5, successes: 5, reset: 30s}

providers:
  main:
    contract: stripe/v1
    credential: caller # forwards the key that the application shows
    # endpoint: https://api.example.com # when it is not the contract's own
    # limits: {in_flight: 200, rate: 100/s}
    # checks: {active: GET /v1/balance every 10s}
  backup:
    contract: stripe/v1
    credential: env:BACKUP_KEY # each agent takes it from its environment
`

func newInit(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "init [DIR]", Short: "Write a first policy, with comments", Args: cobra.MaximumNArgs(1),
		Long: `Writes policy.yaml into DIR (default: here): the smallest policy that works, with what to
change next as comments. A file that is there already stays as it is.`,
		Example: "  segue init\n  segue init payments-policy",
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			file, err := writeStarter(dir)
			if err != nil {
				return err
			}
			next := []string{"segue policy validate " + quoted(file), "BACKUP_KEY=sk_test_… segue dev --policy " + quoted(file)}
			return s.print(map[string]any{"file": file, "next": next}, func() {
				fmt.Fprintf(s.io.out, "%s is written. Next:\n  %s\n  %s\n", file, next[0], next[1])
			})
		},
	}
}

// writeStarter writes the first policy and never over another.
func writeStarter(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("init: %w", err)
	}
	file := filepath.Join(dir, "policy.yaml")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("init: %s is there already, and stays as it is; name another directory", file)
	}
	if err != nil {
		return "", fmt.Errorf("init: %w", err)
	}
	_, err = f.WriteString(starter)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("init: %w", err)
	}
	return file, nil
}
