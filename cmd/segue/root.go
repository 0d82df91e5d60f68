package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// streams are where a command reads and writes.
type streams struct {
	out, err io.Writer
	in       io.Reader
}

// settings are the flags that every command has.
type settings struct {
	io     streams
	api    string
	output string
	reason string
	yes    bool

	elsewhere bool // api was given in the command line
}

func newRoot(io streams) *cobra.Command {
	s := &settings{io: io}
	root := &cobra.Command{
		Use:   "segue",
		Short: "Keeps calls to external providers going, and never does anything twice",
		Long: `Segue keeps an application's calls to external providers (payment gateways and
other third-party HTTP APIs) going when a provider, a path or a region fails,
without losing the conversation and without doing anything twice.

Start with "segue dev": it runs everything on this machine and prints what to try.`,
		Example:       "  segue dev\n  segue weight set payments eu-west main=20 backup=80 --reason fees\n  segue tx list --state held",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	flags := root.PersistentFlags()
	flags.StringVar(&s.api, "api", envOr("SEGUE_API", "http://127.0.0.1:7070"), "where the control plane's API is ($SEGUE_API)")
	flags.StringVarP(&s.output, "output", "o", "table", "table, json or yaml")
	flags.StringVar(&s.reason, "reason", "", "why the change is made; recorded in the audit")
	flags.BoolVar(&s.yes, "yes", false, "do not ask")
	root.AddCommand(
		newDev(s), newControl(s), newAgent(s),
		newInit(s), newConnect(s), newStatus(s), newEvents(s), newRegion(s), newPolicy(s), newWeight(s), newShift(s), newProvider(s), newContract(s), newHint(s), newDrill(s), newTx(s), newSession(s), newCluster(s), newDoctor(s), newSimulate(s), newCompletion(s), newMan(s), newVersion(s),
	)
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { // before a change is made, not after
		s.elsewhere = c.Flags().Changed("api")
		return errors.Join(s.checkOutput(), s.checkReason())
	}
	root.Args = cobra.ArbitraryArgs // else cobra itself answers an unknown command, and not as a usage error
	strictArgs(root)
	s.offerNames(root)
	return root
}

// strictArgs turns cobra's complaints about arguments and missing flags into usage errors, and a group called without a command into its
// help.
func strictArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := errors.Join(check(c, args), c.ValidateRequiredFlags()); err != nil {
				return usageError{fmt.Errorf("%w\nusage: %s\nexample:\n%s", err, c.UseLine(), c.Example)}
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%q is no command of %q%s; see %s --help", args[0], c.CommandPath(), guess(args[0], commandNames(c)), c.CommandPath())}
			}
			return c.Help()
		}
	}
	for _, sub := range c.Commands() {
		strictArgs(sub)
	}
}

func commandNames(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return names
}

// checkAPI refuses an address that nothing can be sent to.
func (s *settings) checkAPI() error {
	if u, err := url.Parse(s.api); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usageError{fmt.Errorf("--api %q: want an address like http://127.0.0.1:7070", s.api)}
	}
	return nil
}

// checkReason puts a reason on one line, as the audit shows it (a commit's message has several), and refuses what no header can carry.
func (s *settings) checkReason() error {
	s.reason = strings.Join(strings.Fields(s.reason), " ")
	if !utf8.ValidString(s.reason) || strings.ContainsFunc(s.reason, unicode.IsControl) {
		return usageError{fmt.Errorf("--reason %q: want text without control characters", s.reason)}
	}
	return nil
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// newLog makes the process's logger: text for people, to standard error.
func newLog(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		return nil, usageError{fmt.Errorf("--log %q: want debug, info, warn or error", level)}
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})), nil
}
