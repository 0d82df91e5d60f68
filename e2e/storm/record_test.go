package storm

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// record is what came of one storm.
type record struct {
	seed     uint64
	store    string
	length   time.Duration
	done     map[string]int // what was done, by name
	points   map[string]int // kills by named point
	replayed int            // keys that were asked again in the end
	rested   time.Duration  // from the faults' end until nothing was under way
	verdict  *verdict
	wrongs   []string // beside the verdict: crashes, answers that changed
}

// kills are those of agents, at points and between them.
func (r *record) kills() int {
	n := r.done[string(kill)]
	for _, k := range r.points {
		n += k
	}
	return n
}

func (r *record) String() string {
	return fmt.Sprintf("%v, %d kills of agents (%s), %s; %v; %d unknown at first, %d asked again; at rest after %v", r.length, r.kills(), listed(r.points),
		listed(r.done), r.verdict, r.verdict.Unknown, r.replayed, r.rested.Round(time.Millisecond*100))
}

func listed(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

// header is how docs/storms.md begins.
const header = `# Storms

Each line is one run of ` + "`make storm`" + `: separate processes on real sockets, faults by a schedule that its seed makes, judged by what customers were told, by the
providers' own books and by Segue's answers. Lines are appended by the runs themselves. A run is repeated by its seed: ` + "`SEGUE_SEED=N SEGUE_STORM_MINUTES=M make storm`" + `.

- *kills*: agents ended by kill -9, at named points of the path and between them; *1 min*: SIGSTOPs of a minute among the freezes
- *twice*: orders executed more than once, in the classes G (keys at the provider), F (a final cancel) and N (nothing: sent at most once); *lost*: told succeeded, and not so; *guessed*: told not executed
  or declined, and executed; *open*: neither resolved nor in an operator's list 60 s after the last fault; *held*: with an operator
- *rest*: from the last fault's end until nothing was under way

| when | commit | store | seed | min | operations | kills | of them at points | freezes | 1 min | other faults | twice | lost | guessed | open | held | rest |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
`

// write appends the run to the file.
func (r *record) write(file string) error {
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		text, err = []byte(header), nil
	}
	if err != nil {
		return err
	}
	commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return fmt.Errorf("the commit: %w", err)
	}
	others := maps.Clone(r.done)
	for _, name := range []deed{kill, freeze, freezeAt, "freeze of a minute"} {
		delete(others, string(name))
	}
	v := r.verdict
	line := fmt.Sprintf("| %s | %s | %s | %d | %.0f | %d | %d | %s | %d | %d | %s | %d | %d | %d | %d | %d | %.1f s |\n",
		time.Now().UTC().Format("2006-01-02 15:04"), strings.TrimSpace(string(commit)), r.store, r.seed, r.length.Minutes(), v.Operations,
		r.kills(), listed(r.points), r.done[string(freeze)]+r.done[string(freezeAt)], r.done["freeze of a minute"], listed(others),
		len(v.Twice), len(v.Lost), len(v.Guessed), len(v.Open), v.Held, r.rested.Seconds())
	return os.WriteFile(file, []byte(below(string(text), line)), 0o644)
}

// below puts a line under the last one of the table; what is written under the table stays there.
func below(text, line string) string {
	at := strings.LastIndex(text, "\n| ")
	if at < 0 {
		return text + line
	}
	end := at + 1 + strings.IndexByte(text[at+1:]+"\n", '\n') + 1
	return text[:min(end, len(text))] + line + text[min(end, len(text)):]
}

func TestBelow(t *testing.T) {
	for _, c := range [][2]string{
		{"# S\n\n|---|\n", "# S\n\n|---|\nL\n"}, {"|---|\n| 1 |\n", "|---|\n| 1 |\nL\n"}, {"|---|\n| 1 |\n| 2 |\n\nA | b.\n", "|---|\n| 1 |\n| 2 |\nL\n\nA | b.\n"},
	} {
		if got := below(c[0], "L\n"); got != c[1] {
			t.Errorf("%q: %q", c[0], got)
		}
	}
}
