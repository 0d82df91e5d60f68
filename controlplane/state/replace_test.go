package state

import (
	"strings"
	"testing"
)

// What replaces whatever is in force names no base: it is not stale after another change, and its repeat is the same change still.
func TestReplaceFollowsWhateverIsInForce(t *testing.T) {
	w := newWorld(t)
	replace := func(src string) Command {
		return Command{ApplyPolicy: &ApplyPolicy{Replace: true, Source: []byte(src)}}
	}
	if r := w.must("a", replace(document)); r.Revision != 1 {
		t.Fatalf("on nothing: %+v", r)
	}
	w.must("b", weights(0, "eu-west", 10, 90))
	if r := w.must("c", replace(document)); r.Revision != 3 || string(w.s.Current().Source) != document {
		t.Fatalf("after another change: %+v", r)
	}
	w.must("d", weights(0, "eu-west", 20, 80))
	if r := w.must("c", replace(document)); r.Revision != 3 || w.s.Current().Number != 4 {
		t.Fatalf("the repeat: %+v, in force %d", r, w.s.Current().Number)
	}
	w.refused(Invalid, "another change", "c", apply(0, document))
	w.refused(Invalid, "problem", "e", replace(strings.Replace(document, "weights:", "wieghts:", 1)))
	w.refused(Stale, "revision 4 is in force", "f", apply(0, strings.Replace(document, "main: 70, backup: 30", "main: 60, backup: 40", 1)))
}
