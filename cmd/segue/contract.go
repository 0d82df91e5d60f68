package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"segue/controlplane/policy"
)

func newContract(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "contract", Short: "See what is true of providers' APIs, and what can be promised of them",
		Long: `A contract says what is true of a provider's API: where its credential goes, what it does
with idempotency keys, what its answers prove. What is promised for an operation after an
outcome that is not known follows from it:

  G     it enforces keys: the same request is sent there again, and executes once
  F     a lookup and a final cancel rule out that it still executes: then it goes elsewhere
  T     a lookup shows it; elsewhere only where the policy takes the silence of one for proof
  N     it is sent at most once; what is unknown waits for a person
  D     the policy accepts that it happens twice: what is unknown is sent elsewhere
  read  it changes nothing: it may be sent again`,
	}
	group.AddCommand(newContractList(s), newContractShow(s), newContractTest(s))
	return group
}

// contractFile is the flag that names a policy whose contracts are meant, instead of those in force.
func contractFile(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "file", "f", "", "take the contracts of this policy, not of the one in force")
}

// sheetsOf are the contracts of a file.
func sheetsOf(file string) ([]policy.Sheet, error) {
	doc, err := policyOf(file)
	if err != nil {
		return nil, err
	}
	return doc.Sheets(), nil
}

func policyOf(file string) (*policy.Policy, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	doc, problems := policy.Parse(file, src)
	if problems != nil {
		return nil, problems
	}
	return doc, nil
}

func newContractList(s *settings) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "list", Short: "Every contract that the policy can name, and its classes", Args: cobra.NoArgs,
		Example: "  segue contract list\n  segue contract list --file p.yaml -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			var list []policy.Sheet
			var err error
			if file != "" {
				list, err = sheetsOf(file)
			} else {
				err = explain(s.request(c.Context(), call{method: http.MethodGet, path: "/contracts"}, &list))
			}
			if err != nil {
				return err
			}
			return s.print(list, func() { s.tellContracts(list) })
		},
	}
	contractFile(c, &file)
	return c
}

func (s *settings) tellContracts(list []policy.Sheet) {
	rows := [][]string{{"CONTRACT", "FROM", "KEYS", "CLASSES"}}
	for i := range list {
		sheet := &list[i]
		from := sheet.Like
		switch {
		case sheet.Builtin:
			from = "segue"
		case from == "":
			from = "policy"
		default:
			from = "like " + from
		}
		keys := ""
		for _, f := range sheet.Facts {
			if f.Fact == "keys" {
				keys, _, _ = strings.Cut(f.Says, ";")
			}
		}
		rows = append(rows, []string{sheet.Name, from, keys, classesOf(sheet.Operations)})
	}
	s.table(rows)
}

// classesOf counts operations by class: "G 11, read 1".
func classesOf(list []policy.Promise) string {
	var order []policy.Class
	count := map[policy.Class]int{}
	for _, p := range list {
		if count[p.Class]++; count[p.Class] == 1 {
			order = append(order, p.Class)
		}
	}
	texts := make([]string, len(order))
	for i, class := range order {
		texts[i] = fmt.Sprintf("%s %d", class, count[class])
	}
	return strings.Join(texts, ", ")
}

func newContractShow(s *settings) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "show CONTRACT", Short: "What a contract says, where the vendor says so, and what is promised", Args: cobra.ExactArgs(1),
		Example: "  segue contract show stripe/v1\n  segue contract show acme/v1 --file p.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			var sheet policy.Sheet
			var err error
			if file != "" {
				sheet, err = sheetIn(file, args[0])
			} else if err = s.request(c.Context(), call{method: http.MethodGet, path: "/contracts/" + url.PathEscape(args[0])}, &sheet); err != nil {
				err = s.unknownName(c.Context(), err, args[0], s.contractNames)
			}
			if err != nil {
				return err
			}
			return s.print(sheet, func() { s.tellContract(&sheet) })
		},
	}
	contractFile(c, &file)
	return c
}

func sheetIn(file, name string) (policy.Sheet, error) {
	list, err := sheetsOf(file)
	if err != nil {
		return policy.Sheet{}, err
	}
	if i := slices.IndexFunc(list, func(s policy.Sheet) bool { return s.Name == name }); i >= 0 {
		return list[i], nil
	}
	known := make([]string, len(list))
	for i := range list {
		known[i] = list[i].Name
	}
	return policy.Sheet{}, fmt.Errorf("%s has no contract %q%s; there are: %s", file, name, guess(name, known), strings.Join(known, ", "))
}

func (s *settings) contractNames(ctx context.Context) ([]string, error) {
	return s.named(ctx, "/contracts", "name")
}

func (s *settings) tellContract(sheet *policy.Sheet) {
	from := ""
	switch {
	case sheet.Builtin:
		from = " · comes with Segue"
	case sheet.Like != "":
		from = " · like " + sheet.Like
	}
	fmt.Fprintf(s.io.out, "%s%s\n\n", sheet.Name, from)
	rows := [][]string{{"FACT", "SAYS", "SOURCE"}}
	for _, f := range sheet.Facts {
		for i, says := range strings.Split(f.Says, "; ") {
			row := []string{"", says, ""}
			if i == 0 {
				row = []string{f.Fact, says, f.Source}
			}
			rows = append(rows, row)
		}
	}
	s.table(rows)
	s.tellPromises(sheet.Operations)
}

// tellPromises shows operations with their classes, and each class's sentence once.
func (s *settings) tellPromises(list []policy.Promise) {
	if len(list) == 0 {
		return
	}
	rows := [][]string{{"OPERATION", "MATCH", "CLASS"}}
	var sentences []string
	for _, p := range list {
		match := p.Match
		if p.To != "" {
			match += " → " + p.To
		}
		rows = append(rows, []string{p.Operation, match, string(p.Class)})
		if says := string(p.Class) + ": " + p.Why; !slices.Contains(sentences, says) {
			sentences = append(sentences, says)
		}
	}
	fmt.Fprintln(s.io.out)
	s.table(rows)
	for _, says := range sentences {
		fmt.Fprintln(s.io.out, says)
	}
}
