package main

import (
	"github.com/spf13/cobra"

	"segue/controlplane/policy"
)

func newPolicySchema(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the policy's JSON Schema, for editors", Args: cobra.NoArgs,
		Long: `Prints a JSON Schema (draft 2020-12) of the policy document. An editor with a YAML
language server completes and checks a policy by it when the file begins with
# yaml-language-server: $schema=policy.schema.json
It knows fields and forms; segue policy validate knows all the rules.`,
		Example: "  segue policy schema > policy.schema.json",
		RunE: func(*cobra.Command, []string) error {
			_, err := s.io.out.Write(policy.Schema())
			return err
		},
	}
}
