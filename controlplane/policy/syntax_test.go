package policy

import "testing"

// The library counts the lines of some errors from 0 and of others from 1.
func TestParseTellsTheLineOfASyntaxError(t *testing.T) {
	for _, c := range []struct {
		src  string
		line int
	}{
		{"segue: v1\nservices:\n  a: {b: [}\n", 3},
		{"segue: v1\nservices:\n\ta: 1\n", 3},
		{"segue: v1\nservices:\n  a: b: c\n", 3},
		{"segue: v1\na: @x\n", 2},
		{"@x\n", 1},
		{"segue: v1\nb: 'open\n", 2},
		{"segue: v1\nb: *nope\n", 2},
		{"a: 1\nb\n", 2},
	} {
		_, problems := Parse("p.yaml", []byte(c.src))
		if len(problems) != 1 || problems[0].Line != c.line {
			t.Errorf("%q: want line %d: %s", c.src, c.line, problems.Error())
		}
	}
}
