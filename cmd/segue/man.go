package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"segue/controlplane"
)

func newMan(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a directory", Args: cobra.ExactArgs(1), Hidden: true,
		Long:    "Writes a manual page for each command. $SOURCE_DATE_EPOCH sets their date, for packages that are built twice alike.",
		Example: "  segue man /usr/local/share/man/man1",
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("man: %w", err)
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			head := &doc.GenManHeader{Title: "SEGUE", Section: "1", Source: "segue " + controlplane.Version()["version"], Manual: "Segue"}
			if err := doc.GenManTree(root, head, args[0]); err != nil {
				return fmt.Errorf("man: %w", err)
			}
			return s.print(map[string]string{"dir": args[0]}, func() { fmt.Fprintf(s.io.out, "manual pages are in %s\n", args[0]) })
		},
	}
}

// reference is docs/commands.md: every command on one page. A test holds the page against it.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the commands themselves by `go test ./cmd/segue -run TestReference -update`; `segue COMMAND --help` says the same.\n\n" +
		"Exit codes: 0 fine, 1 error, 2 the plan has changes, 64 usage, 69 no leader or nobody answers, 75 it is not known whether it was done: try again.\n\n" +
		"Every command takes:\n\n```\n" + root.PersistentFlags().FlagUsages() + "```\n")
	refer(&b, root)
	return b.String()
}

func refer(b *strings.Builder, c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" {
			continue
		}
		fmt.Fprintf(b, "\n%s %s\n\n%s.\n", strings.Repeat("#", 2+strings.Count(sub.CommandPath(), " ")-1), sub.CommandPath(), strings.TrimSuffix(sub.Short, "."))
		if sub.Long != "" {
			fmt.Fprintf(b, "\n%s\n", sub.Long)
		}
		if sub.Runnable() && !sub.HasSubCommands() {
			fmt.Fprintf(b, "\n```\n%s\n```\n", sub.UseLine())
			if sub.Example != "" {
				fmt.Fprintf(b, "\nFor example:\n\n```\n%s\n```\n", strings.TrimRight(sub.Example, "\n"))
			}
			if own := sub.NonInheritedFlags(); own.HasAvailableFlags() {
				fmt.Fprintf(b, "\n```\n%s```\n", own.FlagUsages())
			}
		}
		refer(b, sub)
	}
}
