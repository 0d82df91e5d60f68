package storm

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// defect is a product that is broken in one place, and what the judge must say of it.
type defect struct {
	name    string
	changes []change
	says    []string // beginnings of complaints, any of which will do
}

var defects = []defect{
	{"an unknown outcome is taken for not sent, and repeated elsewhere", []change{
		{"dataplane/ledger/next.go", "	default:\n		return Unknown\n	}\n}\n\n// once", "	default:\n		return NotSent\n	}\n}\n\n// once"},
	}, []string{"TWICE", "GUESSED"}},
	{"the final write is left out", []change{
		{"dataplane/settle/write.go", "	// killpoint: final.before\n	err = w.write(ctx)\n", "	err = error(nil)\n"},
	}, []string{"LOST"}},
	{"a restart takes what was under way for not sent", []change{
		{"dataplane/settle/keeper.go", "	t.TakeOver(d.RunID(), now)\n", "	t.TakeOver(d.RunID(), now)\n	t.State, t.Current().Outcome = ledger.Refused, ledger.NotSent\n"},
	}, []string{"GUESSED", "TWICE"}},
}

// TestDefects proves the judge: a product with a seeded defect must not pass. The clean product is TestStorm.
func TestDefects(t *testing.T) {
	if os.Getenv("SEGUE_MUTANTS") == "" {
		t.Skip("takes minutes: make mutants")
	}
	for i, d := range defects {
		made, err := buildWith(fmt.Sprintf("segue-defect-%d", i+1), d.changes...)
		if err != nil {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		r, err := run(t, made, seed(t), plan{quiet: true, length: 20 * time.Second, agents: 3, customers: 12, pause: time.Second, gap: 2 * time.Second})
		if err != nil {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		caught := ""
		for _, wrong := range r.verdict.wrongs() {
			for _, says := range d.says {
				if strings.HasPrefix(wrong, says) && caught == "" {
					caught = wrong
				}
			}
		}
		fmt.Printf("%-66s %s\n", d.name, r.verdict)
		if caught == "" {
			t.Errorf("%s: the judge found %v", d.name, r.verdict)
		}
	}
}

// TestDefectsFit holds the table against the sources: each defect has its place.
func TestDefectsFit(t *testing.T) {
	for _, d := range defects {
		for _, c := range d.changes {
			text, err := os.ReadFile("../../" + c.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), c.old); n != 1 {
				t.Errorf("%s: its place is %d times in %s", d.name, n, c.file)
			}
		}
	}
}
