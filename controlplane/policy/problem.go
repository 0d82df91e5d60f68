package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a policy: where, what, and what would be right.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // 0: not known (the policy did not come from a document)
	Col     int    `json:"col,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// String renders the problem as compilers do: p.yaml:14:5 services.payments.wieghts: unknown field; did you mean weights?
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 && p.File != "" {
		b.WriteByte(':')
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d", p.Line, p.Col)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// Problems is everything that is wrong with a policy, in the document's order. It is an error only when it is not empty: hand it on
// with Err, because a nil Problems in an error variable is not a nil error.
type Problems []Problem

// Error gives one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems as an error, or nil when there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// sorted brings problems into the document's order and cuts the list at maxProblems: a hostile document must not
// make an answer that is larger than itself.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Path, b.Path))
	})
	if len(ps) <= maxProblems {
		return ps
	}
	more := len(ps) - maxProblems
	last := ps[maxProblems]
	last.Path, last.Message, last.Fix = "", fmt.Sprintf("and %d more problems", more), "mend those above first"
	return append(ps[:maxProblems:maxProblems], last)
}

// nearest returns the known word that a mistyped one is closest to, or "" when none is close: a wrong guess is worse than none.
func nearest(word string, known []string) string {
	best, least := "", min(len(word), 2+len(word)/3)
	for _, k := range known {
		if d := editDistance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// didYouMean is the Fix for an unknown word: the guess, or the list of what is known while that is short.
func didYouMean(word string, known []string) string {
	if guess := nearest(word, known); guess != "" {
		return "did you mean " + guess + "?"
	}
	if len(known) == 0 {
		return ""
	}
	if len(known) > 24 {
		known = append(slices.Clone(known[:24]), "…")
	}
	return "known: " + strings.Join(known, ", ")
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b. Both are cut at
// maxName bytes, so that a hostile document cannot make a guess expensive.
func editDistance(a, b string) int {
	a, b = a[:min(len(a), maxName)], b[:min(len(b), maxName)]
	var rows [3][maxName + 1]int
	for j := 0; j <= len(b); j++ {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := &rows[(i+2)%3], &rows[i%3], &rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
