package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPolicyLife is a night and a day of one policy: somebody moves weights by the API at 3 a.m., git applies its file in the morning. Both
// hold, also at the agents; what both changed is refused and named; each step can be read again and gone back.
func TestPolicyLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{nodes: 1, regions: []string{"us-east", "eu-west"}})
	git := func(pairs ...string) string {
		return w.file("git.yaml", "# kept in git\n"+strings.NewReplacer(pairs...).Replace(w.policy()))
	}
	w.segue("policy", "apply", git()).fine(t)
	w.api(0, http.MethodPatch, "/services/payments/weights/eu-west", "night", "", map[string]float64{mainProvider: 0, backupProvider: 100}).must(t)

	more := []string{"max: 3", "max: 2"}
	file := git(more...)
	if r := w.segue("policy", "plan", file); r.code != 2 || !strings.Contains(r.out, "payments: attempts.max 3 → 2") || !strings.Contains(r.out, "kept: payments / eu-west   main 100 → 0 %   backup 0 → 100 %") ||
		!strings.Contains(r.out, "1 to change. segue policy apply "+file) {
		t.Errorf("plan: exit %d\n%s%s", r.code, r.out, r.err)
	}
	w.segue("policy", "apply", file, "--reason", "fewer tries").fine(t)
	got := w.segue("policy", "get").fine(t).out
	if !strings.HasPrefix(got, "# kept in git\n") || !strings.Contains(got, "max: 2") || !strings.Contains(got, "eu-west: {main: 0, backup: 100, legacy: 0}") {
		t.Errorf("the file and the night are not both in force:\n%s", got)
	}
	if r := w.segue("policy", "plan", file); r.code != exitFine {
		t.Errorf("a plan of what was applied: exit %d\n%s", r.code, r.out)
	}
	eventually(t, 10*time.Second, "eu-west's calls go where the night sent them", func() error {
		order := fmt.Sprintf("o-%d", time.Now().UnixNano())
		w.caller("eu-west").charge(order, "").must(t)
		if w.provider(backupProvider).Books().Executed(order) != 1 {
			return fmt.Errorf("backup was not called")
		}
		return nil
	})

	clash := git(append(more, "eu-west: {main: 100, backup: 0", "eu-west: {main: 50, backup: 50")...)
	r := w.segue("policy", "apply", clash)
	if r.code != exitError {
		t.Errorf("a conflict: exit %d", r.code)
	}
	for _, want := range []string{"services.payments.weights.eu-west.main: yours 50, theirs 0, the file last applied 100", "theirs is by e2e @ loopback in revision 3 (weights)", `"e2e"`} {
		if !strings.Contains(r.err, want) {
			t.Errorf("the refusal does not say %q:\n%s", want, r.err)
		}
	}
	if now := w.segue("policy", "get").fine(t).out; now != got {
		t.Errorf("a conflict changed the policy:\n%s", now)
	}

	w.segue("policy", "rollback", "2", "--reason", "as it was").fine(t)
	if now := w.segue("policy", "diff", "2").fine(t).out; !strings.Contains(now, "say the same") {
		t.Errorf("after the rollback: %s", now)
	}
	log := w.segue("policy", "log").fine(t).out
	for i, want := range []string{"rollback to 2", "file", "weights", "file", "file"} {
		if line := strings.Split(log, "\n")[i+1]; !strings.HasPrefix(line, fmt.Sprint(5-i)) || !strings.Contains(line, want) {
			t.Errorf("line %d is not of %q:\n%s", i+1, want, log)
		}
	}
	w.editPolicy("s/max: 3/max: 4/").fine(t)
	if now := w.segue("policy", "diff", "5", "6").fine(t).out; now != "payments: attempts.max 3 → 4\n" {
		t.Errorf("the edit: %s", now)
	}
	if r := w.editPolicy("s/strategy: weighted/strategy: guess/"); r.code != exitError || !strings.Contains(r.err, "your text is in ") {
		t.Errorf("an edit that is wrong: exit %d: %s", r.code, r.err)
	}
}

// editPolicy runs segue policy edit with sed for an editor.
func (w *world) editPolicy(expression string) ran {
	w.t.Helper()
	editor := filepath.Join(w.dir, "editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\nexec sed -i '"+expression+"' \"$1\"\n"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), binary(w.t), "policy", "edit", "--api", "http://"+w.ports.api[0])
	var out, errs strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, &out, &errs
	cmd.Env = []string{"HOME=" + w.dir, "TMPDIR=" + w.dir, "PATH=/usr/bin:/bin", "EDITOR=" + editor}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// TestInit writes a first policy with the built binary, and runs the commands that it prints.
func TestInit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	said := command(t, dir, "init").fine(t).out
	if !strings.Contains(said, "segue policy validate policy.yaml") || !strings.Contains(said, "segue dev --policy policy.yaml") {
		t.Errorf("says\n%s", said)
	}
	command(t, dir, "policy", "validate", "policy.yaml").fine(t)
	if r := command(t, dir, "init"); r.code != exitError || !strings.Contains(r.err, "is there already") {
		t.Errorf("again: exit %d: %s", r.code, r.err)
	}
}
