package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"
)

// print writes v in the form that -o asks for; table is what people get.
func (s *settings) print(v any, table func()) error {
	switch s.output {
	case "table":
		table()
		return nil
	case "json":
		e := json.NewEncoder(s.io.out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "yaml":
		return s.printYAML(v)
	default:
		return s.checkOutput()
	}
}

func (s *settings) checkOutput() error {
	switch s.output {
	case "table", "json", "yaml":
		return nil
	default:
		return usageError{fmt.Errorf("-o %q: want table, json or yaml", s.output)}
	}
}

// printYAML goes by way of JSON, so that both forms have the same names.
func (s *settings) printYAML(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	e := yaml.NewEncoder(s.io.out)
	e.SetIndent(2)
	defer e.Close()
	return e.Encode(plain)
}

// table writes rows of cells in columns.
func (s *settings) table(rows [][]string) { tableTo(s.io.out, rows) }

func tableTo(out io.Writer, rows [][]string) {
	w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	_ = w.Flush()
}
