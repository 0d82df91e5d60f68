package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/policy"
	"segue/controlplane/query"
)

// planned is what a file would lead to, as the API says it, and the command that does it.
type planned struct {
	Revision uint64   `json:"revision"`
	Base     uint64   `json:"base"`
	Changes  []change `json:"changes"`
	Kept     []change `json:"kept"`
	Warnings []string `json:"warnings"`
	Source   string   `json:"source"`
	Replay   *whatIf  `json:"replay,omitempty"`
	Next     string   `json:"next,omitempty"`
}

// change is one difference, by meaning.
type change struct {
	Path     string `json:"path"`
	Service  string `json:"service,omitempty"`
	Region   string `json:"region,omitempty"`
	Provider string `json:"provider,omitempty"`
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
	Text     string `json:"text"`
}

func changesOf(list []policy.Change) []change {
	out := make([]change, len(list))
	for i, c := range list {
		out[i] = change{c.Path, c.Service, c.Region, c.Provider, c.Old, c.New, c.Text}
	}
	return out
}

func newPolicyPlan(s *settings) *cobra.Command {
	var b basis
	var back time.Duration
	c := &cobra.Command{
		Use: "plan FILE", Short: "Show what a policy file would change", Args: cobra.ExactArgs(1),
		Long: `Shows, by meaning, what apply would change with the same file and flags, and what it
would keep because others changed it. Changes nothing. The exit code is 0 when there is
nothing to change, 2 when there is, and 1 when apply would refuse the file.

With --replay the agents make the decisions of their last hour, or less, again under the
planned policy: how many calls go elsewhere, which shares providers get, what success and
cost are to be expected, and how near each comes to its limits. Nothing is sent.`,
		Example: "  segue policy plan p.yaml\n  segue policy plan p.yaml --replay 1h",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.check(); err != nil {
				return err
			}
			src, err := s.readFile(args[0])
			if err != nil {
				return err
			}
			if c.Flags().Changed("replay") && (back < time.Minute || back > query.MaxReplay) {
				return usageError{fmt.Errorf("--replay %v: agents keep the decisions of the last hour; want 1m to 1h", back)}
			}
			var p planned
			err = watched(s.io.err, "agents decide again", back > 0, func() error {
				p, err = s.plan(c.Context(), src, b.match(), back)
				return err
			})
			if err != nil {
				return explain(named(err, args[0]))
			}
			if len(p.Changes) > 0 {
				p.Next = nextCommand(args[0], b, p) + s.there()
			}
			if err := s.print(p, func() { s.tellPlan(p) }); err != nil {
				return err
			}
			if len(p.Changes) > 0 {
				return errChanges
			}
			return nil
		},
	}
	b.flags(c)
	c.Flags().DurationVar(&back, "replay", 0, "make the recorded decisions of so long, up to 1h, again under it")
	return c
}

func (s *settings) plan(ctx context.Context, src []byte, match string, back time.Duration) (planned, error) {
	var p planned
	path := "/policy/plan"
	if back > 0 {
		path += "?replay=" + back.String()
	}
	err := s.request(ctx, call{method: http.MethodPost, path: path, body: src, kind: "application/yaml", match: match}, &p)
	return p, err
}

// nextCommand does what was planned. Where nothing of others is kept, the file is made from the revision in force; else what was compared
// with must stay the same.
func nextCommand(file string, b basis, p planned) string {
	command := "segue policy apply " + quoted(file)
	switch {
	case b.replace:
		return command + " --replace"
	case len(p.Kept) == 0 && p.Revision > 0:
		return command + fmt.Sprintf(" --base %d", p.Revision)
	case b.base != "":
		return command + " --base " + b.base
	default:
		return command
	}
}

// there sends a command that is printed to where this one was sent: elsewhere it would change another control plane.
func (s *settings) there() string {
	if !s.elsewhere {
		return ""
	}
	return " --api " + quoted(s.api)
}

// quoted is a word as a shell takes it.
func quoted(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("-_./+:@%,", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

func (s *settings) tellPlan(p planned) {
	lines := planLines(p.Changes)
	for _, line := range lines {
		fmt.Fprintln(s.io.out, line)
	}
	since := fmt.Sprintf("since revision %d", p.Base)
	if p.Base == p.Revision { // the file led to it, and this was kept then too
		since = "before the file was last applied"
	}
	for _, line := range planLines(p.Kept) {
		fmt.Fprintf(s.io.out, "kept: %s (changed by others %s; the file did not change it)\n", line, since)
	}
	for _, text := range p.Warnings {
		fmt.Fprintln(s.io.out, "mind: "+text)
	}
	if p.Replay != nil {
		s.tellWhatIf(p.Replay)
	}
	if len(lines) == 0 {
		fmt.Fprintf(s.io.out, "nothing to change: revision %d says the same\n", p.Revision)
		return
	}
	fmt.Fprintf(s.io.out, "%d to change. %s\n", len(lines), p.Next)
}

// planLines writes changes as people read them: the weights of one service in one region are one line.
func planLines(changes []change) []string {
	var lines []string
	last := ""
	for _, c := range changes {
		if !isWeight(c) {
			lines, last = append(lines, c.Text), ""
			continue
		}
		place := c.Service + " / " + c.Region
		if place != last {
			lines, last = append(lines, place), place
		}
		lines[len(lines)-1] += fmt.Sprintf("   %s %s → %s %%", c.Provider, orNone(c.Old), orNone(c.New))
	}
	return lines
}

func isWeight(c change) bool {
	return c.Service != "" && c.Region != "" && strings.HasPrefix(c.Path, "services."+c.Service+".weights."+c.Region+".")
}
