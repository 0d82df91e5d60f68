package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"segue/controlplane/policy"
)

// limited is the document with another change than weights.
func limited(doc string) string {
	return strings.Replace(doc, "credential: caller}", "credential: caller, limits: {in_flight: 9}}", 1)
}

func TestAFileKeepsTheWeightsOfTheNight(t *testing.T) {
	api := control(t)
	path := file(t, document)
	segue(t, api, "", "policy", "apply", path).want(t, exitFine)
	segue(t, api, "", "weight", "set", "payments", "local", "main=5", "backup=95").want(t, exitFine)
	if err := os.WriteFile(path, []byte(limited(document)), 0o600); err != nil {
		t.Fatal(err)
	}
	segue(t, api, "", "policy", "plan", path).want(t, exitChanges, "main limits.in_flight none → 9",
		"kept: payments / local   main 70 → 5 %   backup 30 → 95 % (changed by others since revision 1; the file did not change it)", "1 to change. segue policy apply "+path+" --api "+api+"\n")
	segue(t, api, "", "policy", "apply", path).want(t, exitFine, "revision 3 is in force", "kept, because others changed it", "payments / local   main 70 → 5 %   backup 30 → 95 %")
	if got := segue(t, api, "", "policy", "get").want(t, exitFine).out; got != limited(changedTo(5, 95)) {
		t.Errorf("in force:\n%s", got)
	}
	segue(t, api, "", "policy", "plan", path).want(t, exitFine, "nothing to change: revision 3", "changed by others before the file was last applied;")

	// The file led to revision 3, which has 5: that revision is no base in which it was 70.
	other := strings.Replace(string(mustRead(t, path)), "main: 70, backup: 30", "main: 60, backup: 40", 1)
	said := segue(t, api, other, "policy", "apply", "-").want(t, exitError, "yours 60, theirs 5, the file last applied 70", "theirs is by", "in revision 2", "others changed services.payments.weights.local.main")
	if strings.Contains(said.err, "since revision 3") {
		t.Error(said.err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPlan(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "plan", "-").want(t, exitChanges, "service payments is new", "segue policy apply - --api "+api+"\n")
	segue(t, api, document, "policy", "apply", "-").want(t, exitFine)
	path := file(t, changedTo(100, 0))
	segue(t, api, "", "policy", "plan", path).want(t, exitChanges, "payments / local   main 70 → 100 %   backup 30 → 0 %\n",
		"mind: provider backup is left with nothing", "1 to change. segue policy apply "+path+" --base 1 --api "+api+"\n")
	t.Setenv("SEGUE_API", api)
	segue(t, "", "", "policy", "plan", path).want(t, exitChanges, "1 to change. segue policy apply "+path+" --base 1\n")
	segue(t, api, "", "policy", "plan", path, "--replace").want(t, exitChanges, "--replace --api ")
	segue(t, api, "", "policy", "plan", path, "--base", "7").want(t, exitError, "revision 7 is not kept")
	segue(t, api, "", "policy", "plan", path, "--base", "x").want(t, exitUsage)
	segue(t, api, "", "policy", "plan", file(t, document)).want(t, exitFine, "nothing to change")
	segue(t, api, "", "policy", "plan", file(t, "segue: v2\n")).want(t, exitError, "p.yaml:1:8")
	for _, form := range []string{"json", "yaml"} {
		segue(t, api, "", "policy", "plan", path, "-o", form).want(t, exitChanges, "services.payments.weights.local.main").parses(t, form)
	}
	segue(t, api, "", "weight", "set", "payments", "local", "main=50", "backup=50").want(t, exitFine)
	segue(t, api, "", "policy", "plan", path).want(t, exitError, "services.payments.weights.local.main", "theirs is by")
	if got := segue(t, api, "", "policy", "get").want(t, exitFine).out; got != changedTo(50, 50) {
		t.Errorf("a plan changed the policy:\n%s", got)
	}
}

func TestReplaceAsks(t *testing.T) {
	api := control(t)
	path := file(t, document)
	segue(t, api, "", "policy", "apply", path).want(t, exitFine)
	segue(t, api, "", "weight", "set", "payments", "local", "main=5", "backup=95").want(t, exitFine)
	for _, answer := range []string{"", "n\n", "what\n"} {
		segue(t, api, answer, "policy", "apply", path, "--replace").want(t, exitError, "main 5 → 70 %", "[y/N]", "nothing was applied")
	}
	segue(t, api, document, "policy", "apply", "-", "--replace").want(t, exitUsage, "--yes")
	segue(t, api, "y\n", "policy", "apply", path, "--replace").want(t, exitFine, "revision 3 is in force")
	segue(t, api, "", "policy", "apply", path, "--replace").want(t, exitFine, "revision 3") // nothing to ask about
	segue(t, api, "", "weight", "set", "payments", "local", "main=5", "backup=95").want(t, exitFine)
	segue(t, api, document, "policy", "apply", "-", "--replace", "--yes").want(t, exitFine, "revision 5 is in force")
}

func TestLogDiffAndRollback(t *testing.T) {
	api := control(t)
	segue(t, api, "", "policy", "log").want(t, exitFine, "no policy is in force yet")
	segue(t, api, "", "policy", "rollback", "1").want(t, exitError, "no policy is in force")
	segue(t, api, document, "policy", "apply", "-", "--reason", "the first").want(t, exitFine)
	segue(t, api, "", "weight", "set", "payments", "local", "main=5", "backup=95", "--reason", "night").want(t, exitFine)
	segue(t, api, "", "policy", "diff", "1").want(t, exitFine, "payments / local   main 70 → 5 %   backup 30 → 95 %\n")
	segue(t, api, "", "policy", "diff", "2", "1").want(t, exitFine, "main 5 → 70 %")
	segue(t, api, "", "policy", "diff", "2", "2").want(t, exitFine, "say the same")
	segue(t, api, "", "policy", "diff", "1", "2", "--text").want(t, exitFine, "--- revision 1\n+++ revision 2\n", "-    weights: {main: 70, backup: 30}\n+    weights: {main: 5, backup: 95}\n")
	segue(t, api, "", "policy", "diff", "9").want(t, exitError, "revision 9 is not kept; revisions 1 to 2 are")
	segue(t, api, "", "policy", "diff", "x").want(t, exitUsage)
	segue(t, api, "", "policy", "rollback", "1", "--base", "1").want(t, exitError, "based on revision 1, but revision 2")
	segue(t, api, "", "policy", "rollback", "x").want(t, exitUsage)
	segue(t, api, "", "policy", "rollback", "9").want(t, exitError, "revision 9 is not kept")
	segue(t, api, "", "policy", "rollback", "1", "--base", "2", "--reason", "day").want(t, exitFine, "revision 3 is in force", "main 5 → 70 %")
	log := segue(t, api, "", "policy", "log").want(t, exitFine, "the first").out
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "3 ") || !strings.Contains(lines[1], "rollback to 1") || !strings.Contains(lines[1], "day") ||
		!strings.Contains(lines[2], "weights") || !strings.Contains(lines[2], "main 70 → 5 %, and 1 more") || !strings.Contains(lines[3], "file") {
		t.Errorf("log:\n%s", log)
	}
	for _, form := range []string{"json", "yaml"} {
		segue(t, api, "", "policy", "log", "-o", form).want(t, exitFine, "rollback").parses(t, form)
		segue(t, api, "", "policy", "diff", "1", "2", "-o", form).want(t, exitFine, "main 70 → 5 %").parses(t, form)
	}
	if got := segue(t, api, "", "policy", "get", "--revision", "2").want(t, exitFine).out; got != changedTo(5, 95) {
		t.Errorf("revision 2:\n%s", got)
	}
	segue(t, api, "", "policy", "get", "--revision", "2", "-o", "json").want(t, exitFine, `"origin":"weights"`).parses(t, "json")
	segue(t, api, "", "policy", "get", "--revision", "0").want(t, exitUsage)
}

// script makes an editor of a few lines of sh; $1 is the file. It counts how often it is opened, in $n.
func script(t *testing.T, lines string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "editor")
	text := "#!/bin/sh\nn=$(cat " + dir + "/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > " + dir + "/n\ncp \"$1\" " + dir + "/seen$n\n" + lines + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", path)
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"seen1", "seen2", "seen3"} {
				b, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s:\n%s", name, b)
			}
		}
	})
}

func seen(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(os.Getenv("EDITOR")), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEdit(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-").want(t, exitFine)
	script(t, "true")
	segue(t, api, "", "policy", "edit").want(t, exitFine, "nothing was changed")
	script(t, `sed -i 's/{main: 70, backup: 30}/{main: 60, backup: 40}/' "$1"`)
	segue(t, api, "", "policy", "edit", "--reason", "by hand").want(t, exitFine, "revision 2 is in force", "main 70 → 60 %")
	segue(t, api, "", "policy", "log").want(t, exitFine, "edit", "by hand")

	script(t, `if [ $n = 1 ]; then sed -i 's/weights:/wieghts:/' "$1"; else sed -i 's/wieghts:/weights:/; s/{main: 60, backup: 40}/{main: 50, backup: 50}/' "$1"; fi`)
	segue(t, api, "", "policy", "edit").want(t, exitFine, "revision 3 is in force")
	if again := seen(t, "seen2"); !strings.HasPrefix(again, "# segue: ") || !strings.Contains(again, "# segue:   policy:7:5") || !strings.Contains(again, "did you mean weights") {
		t.Errorf("the second time the editor was given\n%s", again)
	}
	if got := segue(t, api, "", "policy", "get").want(t, exitFine).out; got != changedTo(50, 50) {
		t.Errorf("in force:\n%s", got)
	}

	script(t, `sed -i 's/weights:/wieghts:/' "$1"`)
	said := segue(t, api, "", "policy", "edit").want(t, exitError, "given up", "nothing was applied; your text is in ")
	_, path, _ := strings.Cut(strings.TrimSpace(said.err), "your text is in ")
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "wieghts") {
		t.Errorf("the text is not in %s: %v", path, err)
	}
	script(t, "exit 3")
	segue(t, api, "", "policy", "edit").want(t, exitError, "failed", "your text is in")

	segue(t, api, "# segue: our own comment\n"+changedTo(50, 50), "policy", "apply", "-", "--replace", "--yes").want(t, exitFine)
	script(t, "true")
	segue(t, api, "", "policy", "edit").want(t, exitFine, "nothing was changed")
	script(t, `if [ $n = 1 ]; then sed -i 's/weights:/wieghts:/' "$1"; else sed -i 's/wieghts:/weights:/; s/{main: 50, backup: 50}/{main: 40, backup: 60}/' "$1"; fi`)
	segue(t, api, "", "policy", "edit").want(t, exitFine, "main 50 → 40 %")
	if got := segue(t, api, "", "policy", "get").want(t, exitFine).out; got != "# segue: our own comment\n"+changedTo(40, 60) {
		t.Errorf("in force:\n%s", got)
	}
}

// Whoever does not hear the end of an edit is not told that nothing was applied.
func TestEditUnanswered(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-").want(t, exitFine)
	at, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(at)
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host = at.Host; r.Method == http.MethodPut {
			panic(http.ErrAbortHandler)
		}
		pass.ServeHTTP(w, r)
	}))
	defer cut.Close()
	script(t, `sed -i 's/{main: 70, backup: 30}/{main: 60, backup: 40}/' "$1"`)
	said := segue(t, cut.URL, "", "policy", "edit").want(t, exitAgain, "not known whether the change was made", "your text is in ")
	if strings.Contains(said.err, "nothing was applied") {
		t.Error(said.err)
	}
}

// What somebody else changes while the editor is open is merged; the same field is not, and the editor opens again with both values.
func TestEditMerges(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-").want(t, exitFine)
	bin := os.Args[0]
	set := func(main, backup string) string {
		return "SEGUE_TEST_RUN='weight set payments local main=" + main + " backup=" + backup + " --api " + api + "' " + bin + " >/dev/null 2>&1\n"
	}
	script(t, set("5", "95")+`sed -i 's/credential: caller}/credential: caller, limits: {in_flight: 9}}/' "$1"`)
	segue(t, api, "", "policy", "edit").want(t, exitFine, "revision 3 is in force")
	if got := segue(t, api, "", "policy", "get").want(t, exitFine).out; got != limited(changedTo(5, 95)) {
		t.Errorf("in force:\n%s", got)
	}
	script(t, "if [ $n = 1 ]; then "+set("6", "94")+`sed -i 's/main: 5, backup: 95/main: 1, backup: 99/' "$1"; fi`)
	segue(t, api, "", "policy", "edit").want(t, exitError, "nothing was applied")
	if again := seen(t, "seen2"); !strings.Contains(again, "# segue:   services.payments.weights.local.main: yours 1, theirs 6, the base (revision 3) 5") {
		t.Errorf("the second time the editor was given\n%s", again)
	}
}

func TestSchemaCommand(t *testing.T) {
	out := segue(t, "", "", "policy", "schema").want(t, exitFine, "https://json-schema.org/draft/2020-12/schema").out
	if !json.Valid([]byte(out)) {
		t.Error("not JSON")
	}
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b")
	path := filepath.Join(dir, "policy.yaml")
	out := segue(t, "", "", "init", dir).want(t, exitFine, "segue policy validate '"+path+"'", "segue dev --policy '"+path+"'").out
	if strings.Count(out, "\n") != 3 {
		t.Errorf("says\n%s", out)
	}
	src, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(src), "# yaml-language-server: $schema=") {
		t.Fatalf("%v %s", err, src)
	}
	segue(t, "", "", "policy", "validate", path).want(t, exitFine, "is valid")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	segue(t, "", "", "init", dir).want(t, exitError, "is there already")
	if again, err := os.ReadFile(path); err != nil || string(again) != "mine" {
		t.Errorf("%v %s", err, again)
	}
	segue(t, "", "", "init", "/dev/null/x").want(t, exitError)
	segue(t, "", "", "init", "a", "b").want(t, exitUsage)
}

// What the first policy offers in comments must be right too: each line that is a field is taken in alone.
func TestInitsCommentsAreRight(t *testing.T) {
	lines := strings.Split(starter, "\n")
	offered := 0
	for i, line := range lines {
		text := strings.TrimLeft(line, " ")
		field, isField := strings.CutPrefix(text, "# ")
		if word, _, ok := strings.Cut(field, ":"); !isField || !ok || strings.Contains(word, " ") || word == "regions" || word == "yaml-language-server" {
			continue
		}
		offered++
		changed := append([]string{}, lines...)
		changed[i] = line[:len(line)-len(text)] + field
		doc := strings.Join(changed, "\n")
		switch {
		case strings.HasPrefix(field, "strategy:"):
			continue // goes with the weights
		case strings.HasPrefix(field, "weights:"):
			doc = strings.NewReplacer("    strategy: priority\n", "    strategy: weighted\n", "    priority: [main, backup]", "    #").Replace(doc)
		}
		if _, problems := policy.Parse("policy.yaml", []byte(doc)); problems != nil {
			t.Errorf("%q: %v", field, problems)
		}
	}
	doc := strings.NewReplacer("# regions:", "regions:", "#   us-east", "  us-east", "#   eu-west", "  eu-west").Replace(starter)
	if p, problems := policy.Parse("policy.yaml", []byte(doc)); problems != nil || len(p.Regions) != 2 {
		t.Errorf("regions: %v", problems)
	}
	if offered < 7 {
		t.Errorf("only %d comments were tried", offered)
	}
}
