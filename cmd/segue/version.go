package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"segue/controlplane"
)

func newVersion(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this binary", Example: "  segue version -o json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := controlplane.Version()
			return s.print(v, func() { fmt.Fprintf(s.io.out, "segue %s (%s)\n", v["version"], v["go"]) })
		},
	}
}
