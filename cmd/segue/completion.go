package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
)

func newCompletion(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print the completion script of a shell", Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		Long: `Prints the script that lets a shell complete commands and flags, and the names of services,
regions and providers as the control plane knows them now. SHELL is bash, zsh, fish or
powershell.`,
		Example: `  source <(segue completion bash)
  segue completion zsh > "${fpath[1]}/_segue"
  segue completion fish > ~/.config/fish/completions/segue.fish
  segue completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(c *cobra.Command, args []string) error {
			switch root := c.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(s.io.out, true)
			case "zsh":
				return root.GenZshCompletion(s.io.out)
			case "fish":
				return root.GenFishCompletion(s.io.out, true)
			default:
				return root.GenPowerShellCompletionWithDesc(s.io.out)
			}
		},
	}
}

// offerNames completes what names something that the control plane knows.
func (s *settings) offerNames(root *cobra.Command) {
	for path, of := range map[string][]names{
		"connect": {s.serviceNames}, "weight set": {s.serviceNames, s.regionNames}, "shift begin": {s.serviceNames, s.regionNames}, "provider show": {s.providerNames},
		"provider drain": {s.providerNames}, "provider resume": {s.providerNames}, "provider probe": {s.providerNames}, "contract show": {s.contractNames}, "contract test": {s.contractNames},
	} {
		if c, _, err := root.Find(strings.Fields(path)); err == nil {
			c.ValidArgsFunction = s.completes(0, of...)
		}
	}
	s.offerFlags(root, map[string]names{
		"service": s.serviceNames, "region": s.regionNames, "provider": s.providerNames,
		"output": fixed("table", "json", "yaml"), "sdk": fixed(sdkNames(sdks)...), "log": fixed("debug", "info", "warn", "error"),
		"state": fixed(states...),
	})
}

func (s *settings) offerFlags(c *cobra.Command, of map[string]names) {
	for flag, list := range of {
		if c.Flags().Lookup(flag) != nil || c.PersistentFlags().Lookup(flag) != nil {
			_ = c.RegisterFlagCompletionFunc(flag, s.completes(-1, list)) // the flag is there
		}
	}
	for _, sub := range c.Commands() {
		s.offerFlags(sub, of)
	}
}

// fixed are names that nobody has to be asked for.
func fixed(list ...string) names {
	return func(context.Context) ([]string, error) { return append([]string{}, list...), nil }
}
