package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

// TestReference holds docs/commands.md against the commands.
func TestReference(t *testing.T) {
	t.Setenv("SEGUE_API", "")
	page := filepath.Join("..", "..", "docs", "commands.md")
	want := reference(newRoot(streams{}))
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("docs/commands.md is not what the commands say (%v): go test ./cmd/segue -run TestReference -update", err)
	}
}

// twice finds a word that stands twice in a row.
func twice(text string) string {
	last := ""
	for _, w := range regexp.MustCompile(`[A-Za-z]+|[^A-Za-z\s]+`).FindAllString(text, -1) {
		if w == last && len(w) > 1 && w[0] >= 'A' {
			return w
		}
		last = w
	}
	return ""
}

// TestEveryCommandExplainsItself walks the tree: what each command is for, an example, its flags, and no word twice.
func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(c *cobra.Command)
	seen := 0
	walk = func(c *cobra.Command) {
		seen++
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || !c.HasSubCommands() && c.Long == "" && c.Example == "" {
			t.Errorf("%s: short %q, long %q, example %q", c.CommandPath(), c.Short, c.Long, c.Example)
		}
		for _, text := range []string{c.Short, c.Long} {
			if w := twice(text); w != "" {
				t.Errorf("%s says %q twice in a row", c.CommandPath(), w)
			}
		}
		for line := range strings.SplitSeq(c.Long, "\n") {
			if len(line) > 120 {
				t.Errorf("%s: a line of %d characters", c.CommandPath(), len(line))
			}
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			if line != "" && !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: example %q is not indented", c.CommandPath(), line)
			}
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || twice(f.Usage) != "" {
				t.Errorf("%s --%s: %q", c.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(streams{}))
	if seen < 40 {
		t.Errorf("%d commands", seen)
	}
}

// TestExamplesParse: what the examples show are commands with flags that exist.
func TestExamplesParse(t *testing.T) {
	root := newRoot(streams{})
	var walk func(c *cobra.Command)
	tried := 0
	walk = func(c *cobra.Command) {
		for line := range strings.SplitSeq(c.Example, "\n") {
			line = strings.TrimSpace(line)
			words := strings.Fields(regexp.MustCompile(`'[^']*'|"[^"]*"`).ReplaceAllString(line, "text"))
			if len(words) == 0 || words[0] != "segue" {
				continue
			}
			tried++
			found, rest, err := newRoot(streams{}).Find(words[1:])
			if err != nil || found.CommandPath() == "segue" {
				t.Errorf("%q: %v", line, err)
				continue
			}
			for i, w := range rest {
				if strings.ContainsAny(w[:1], "|>&;") {
					rest = rest[:i]
					break
				}
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if tried < 40 {
		t.Errorf("%d examples", tried)
	}
}

func TestManualPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795269600")
	dir := filepath.Join(t.TempDir(), "man1")
	segue(t, "", "", "man", dir).want(t, exitFine)
	for _, page := range []string{"segue.1", "segue-connect.1", "segue-provider-probe.1"} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(text), ".TH") || !strings.Contains(string(text), "Nov 2026") {
			t.Errorf("%s: %v: %.200s", page, err, text)
		}
	}
	segue(t, "", "", "man", "/dev/null/x").want(t, exitError, "/dev/null")
	if out := segue(t, "", "", "--help").want(t, exitFine).out; strings.Contains(out, "\n  man ") {
		t.Error("man is shown to everybody")
	}
}
