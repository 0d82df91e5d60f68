package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"segue/controlplane/policy"
)

// basis says what a document is compared with, to find what its author changed.
type basis struct {
	base    string
	replace bool
}

func (b *basis) flags(c *cobra.Command) {
	c.Flags().StringVar(&b.base, "base", "", "the revision that the file was made from (default: what was last applied from a file)")
	c.Flags().BoolVar(&b.replace, "replace", false, "merge nothing: undo whatever others changed that the file does not say")
}

func (b *basis) check() error {
	if b.replace && b.base != "" {
		return usageError{errors.New("--base and --replace do not go together: with --replace nothing is compared")}
	}
	return checkBase(b.base)
}

func (b *basis) match() string {
	if b.replace {
		return "*"
	}
	return b.base
}

func newPolicyApply(s *settings) *cobra.Command {
	var b basis
	c := &cobra.Command{
		Use: "apply FILE", Short: "Put a policy file in force", Args: cobra.ExactArgs(1),
		Long: `Puts a policy file (- for standard input) in force in all regions.

What others changed since the file was last applied (weights set in the pages or by
command, an edit, a rollback) stays: the file is merged with it, field by field. Where
both changed one field to different values nothing is applied, and every such field is
named with its values and with who changed it. --base N says that the file was made
from revision N, for instance by policy get. --replace merges nothing and asks first.`,
		Example: "  segue policy apply p.yaml --reason 'new fees'\n  segue policy apply p.yaml --base 12",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.check(); err != nil {
				return err
			}
			src, err := s.readFile(args[0])
			if err != nil {
				return err
			}
			if b.replace && !s.yes {
				if err := s.confirmReplace(c.Context(), args[0], src); err != nil {
					return err
				}
			}
			var done changed
			err = s.request(c.Context(), call{method: http.MethodPut, path: "/policy", body: src, kind: "application/yaml", match: b.match(), reason: s.because("apply " + args[0])}, &done)
			if err != nil {
				return explain(named(err, args[0]))
			}
			return s.print(done, func() { s.tellRevision(done); s.tellKept(c.Context(), src, done.Revision) })
		},
	}
	b.flags(c)
	return c
}

// tellKept says where what is in force is not what the file says. The change is made: where this cannot be found out, nothing is said.
func (s *settings) tellKept(ctx context.Context, src []byte, revision uint64) {
	there, err := s.document(ctx, fmt.Sprint(revision))
	if err != nil {
		return
	}
	file, problems := policy.Parse("", src)
	if problems != nil || len(policy.Diff(file, there.policy)) == 0 {
		return
	}
	fmt.Fprintln(s.io.out, "kept, because others changed it and the file did not (segue policy get shows the whole):")
	for _, line := range planLines(changesOf(policy.Diff(file, there.policy))) {
		fmt.Fprintln(s.io.out, "  "+line)
	}
}

// confirmReplace shows what a replacement does, and asks.
func (s *settings) confirmReplace(ctx context.Context, file string, src []byte) error {
	if file == "-" {
		return usageError{errors.New("--replace with - cannot ask, because standard input is the policy: add --yes")}
	}
	p, err := s.plan(ctx, src, "*", 0)
	if err != nil {
		return explain(named(err, file))
	}
	if len(p.Changes) == 0 {
		return nil
	}
	for _, line := range planLines(p.Changes) {
		fmt.Fprintln(s.io.err, line)
	}
	fmt.Fprintf(s.io.err, "Replace revision %d, with all that others changed in it? [y/N] ", p.Revision)
	answer, _ := bufio.NewReader(s.io.in).ReadString('\n') // an end without an answer is a no
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was applied")
	}
	return nil
}
