package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func changedTo(main, backup int) string {
	return strings.Replace(document, "{main: 70, backup: 30}", fmt.Sprintf("{main: %d, backup: %d}", main, backup), 1)
}

// Without --base a file is compared with what a file said last; a field that somebody else set otherwise is refused, and the owner is named.
func TestApply(t *testing.T) {
	api := control(t)
	segue(t, api, "", "policy", "get").want(t, exitError, "no policy is in force")
	segue(t, api, document, "policy", "apply", "-").want(t, exitFine, "revision 1 is in force")
	segue(t, api, "", "weight", "set", "payments", "local", "main=40", "backup=60", "--reason", "main is slow").want(t, exitFine, "revision 2", "main 70 → 40 %")
	segue(t, api, "", "policy", "apply", file(t, changedTo(10, 90))).want(t, exitError,
		"services.payments.weights.local.main: yours 10, theirs 40, the base (revision 1) 70", "in revision 2 (weights)", `"main is slow"`, "backup: yours 90", "theirs, now 2", "main 70 → 40 %")
	if got := segue(t, api, "", "policy", "get").want(t, exitFine).out; got != changedTo(40, 60) {
		t.Errorf("a refused file changed the policy:\n%s", got)
	}
	segue(t, api, "", "policy", "apply", file(t, changedTo(10, 90)), "--base", "2").want(t, exitFine, "revision 3 is in force", "main 40 → 10 %")
	segue(t, api, "", "policy", "apply", file(t, changedTo(20, 80)), "--base", "2").want(t, exitError, "theirs, now 3", "main 40 → 10 %", "yours", "main 40 → 20 %")
	segue(t, api, "", "policy", "apply", file(t, changedTo(20, 80)), "--base", "3").want(t, exitFine, "revision 4")
	segue(t, api, "", "weight", "set", "payments", "local", "main=30", "backup=70", "--base", "3").want(t, exitError, "revision 4 is in force")
	segue(t, api, "", "policy", "apply", file(t, changedTo(20, 80)), "--base", "4").want(t, exitFine, "revision 4") // nothing to change
	segue(t, api, "", "policy", "apply", file(t, document), "--base", "4", "--replace").want(t, exitUsage, "--replace")
}

func TestApplyRefuses(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-").want(t, exitFine)
	broken := strings.Replace(document, "services:", "services: [}", 1)
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"10 MB":         {document + strings.Repeat("# filler\n", 10<<20/9), []string{":1:1", "1048576"}},
		"broken YAML":   {broken, []string{":2:"}},
		"a wrong field": {strings.Replace(document, "weights:", "wieghts:", 1), []string{":7:5", "did you mean weights"}},
	} {
		for _, verb := range []string{"validate", "apply"} {
			path := file(t, c.text)
			segue(t, api, "", "policy", verb, path).want(t, exitError, append(c.says, path)...)
			segue(t, api, c.text, "policy", verb, "-").want(t, exitError, append(c.says, "-"+c.says[0])...)
		}
		if got := segue(t, api, "", "policy", "get").want(t, exitFine).out; got != document {
			t.Errorf("%s changed the policy", name)
		}
	}
	segue(t, api, "", "policy", "apply", "/nowhere/p.yaml").want(t, exitError, "/nowhere/p.yaml")
	for _, base := range []string{"x", "0", "-1", "1.5"} {
		segue(t, api, document, "policy", "apply", "-", "--base="+base).want(t, exitUsage, "--base")
		segue(t, api, "", "weight", "set", "payments", "local", "main=100", "--base="+base).want(t, exitUsage, "--base")
	}
	segue(t, api, "", "weight", "set", "pay/ments", "local", "main=100").want(t, exitError, "pay")
	segue(t, api, "", "weight", "set", "payments", "no where", "main=100").want(t, exitError, "no where")
	segue(t, api, "", "weight", "set", "payments", "local", "mian=100").want(t, exitError, "mian", "did you mean main")
}

// A change with a form of output that is not known must not be made before that is told.
func TestTheFormOfOutputIsCheckedFirst(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-").want(t, exitFine)
	segue(t, api, "", "weight", "set", "payments", "local", "main=1", "backup=99", "-o", "xml").want(t, exitUsage, "xml")
	segue(t, api, "", "provider", "drain", "main", "-o", "xml").want(t, exitUsage, "xml")
	if got := segue(t, api, "", "policy", "get").want(t, exitFine).out; got != document {
		t.Errorf("the change was made:\n%s", got)
	}
	if out := segue(t, api, "", "drill", "list", "-o", "json").want(t, exitFine).out; strings.TrimSpace(out) != "[]" {
		t.Errorf("drills: %s", out)
	}
}

// Every command that prints something prints it in each form, and no form shows the name of a secret's place but the policy itself.
func TestForms(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-").want(t, exitFine)
	path := file(t, document)
	for _, form := range []string{"table", "json", "yaml"} {
		for _, args := range [][]string{
			{"version"}, {"policy", "validate", path}, {"policy", "get"}, {"policy", "apply", path}, {"tx", "list"}, {"drill", "list"},
			{"drill", "run", "refuse", "--provider", "main", "--for", "1s"}, {"provider", "drain", "main", "--for", "1m"}, {"drill", "list"}, {"provider", "resume", "main"},
			{"weight", "set", "payments", "local", "main=70", "backup=30"},
		} {
			r := segue(t, api, "", append(args, "-o", form)...).want(t, exitFine)
			r.parses(t, form)
			if r.out == "" {
				t.Errorf("%v -o %s prints nothing", args, form)
			}
			if strings.Contains(r.out, "SECRET_KEY") && args[0] != "policy" {
				t.Errorf("%v -o %s shows where a secret is: %s", args, form, r.out)
			}
		}
	}
	segue(t, api, "", "tx", "show", "tx_nothing").want(t, exitError, "tx_nothing")
	segue(t, api, "", "tx", "why", "tx_nothing").want(t, exitError, "tx_nothing")
	segue(t, api, "", "tx", "list", "--state", "lost").want(t, exitUsage, "held")
	segue(t, api, "", "drill", "stop", "o_1").want(t, exitError, "o_1")
	segue(t, api, "", "drill", "list", "--sandbox").want(t, exitError)
	segue(t, api, "", "drill", "run", "refuse", "--provider", "main", "--share", "0").want(t, exitError, "share")
	segue(t, api, "", "provider", "resume", "nobody").want(t, exitError, "nobody")
	out := segue(t, api, "", "provider", "resume", "main").want(t, exitFine).out
	if !strings.Contains(out, "was not drained") {
		t.Errorf("nothing to resume: %s", out)
	}
}

// Each way in which a change fails has its exit code.
func TestExitCodes(t *testing.T) {
	args := []string{"weight", "set", "payments", "local", "main=100"}
	segue(t, "http://127.0.0.1:1", "", args...).want(t, exitNoLeader, "127.0.0.1:1")
	for _, c := range []struct {
		status int
		body   string
		code   int
	}{
		{503, `{"title":"No","detail":"nobody leads","code":"no-leader"}`, exitNoLeader},
		{504, `{"title":"Unknown","detail":"who knows","code":"outcome-unknown"}`, exitAgain},
		{422, `{"title":"Not valid","detail":"wrong","code":"invalid"}`, exitError},
		{500, `<html>`, exitError},
		{200, `not JSON`, exitError},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		segue(t, s.URL, "", args...).want(t, c.code)
		s.Close()
	}
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	segue(t, cut.URL, "", args...).want(t, exitAgain, "not known whether the change was made")
	segue(t, cut.URL, "", "drill", "list").want(t, exitNoLeader)
}

// A reason of several lines is one in the audit. What no header can carry, and an address that nothing can be sent to, are mistakes in the
// command line: nothing was sent.
func TestReasonsAndAddresses(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-", "--reason", "fees\n\n\tof the quarter\n").want(t, exitFine)
	segue(t, api, "", "policy", "log").want(t, exitFine, "fees of the quarter")
	for _, reason := range []string{"\x1b[31mred", "a\x00b", "\xff"} {
		segue(t, api, changedTo(60, 40), "policy", "apply", "-", "--reason", reason).want(t, exitUsage, "--reason")
	}
	for _, wrong := range []string{"foo", "127.0.0.1:7070", "ftp://127.0.0.1", "http://"} {
		segue(t, wrong, "", "status").want(t, exitUsage, "http://127.0.0.1:7070")
		segue(t, wrong, "", "events").want(t, exitUsage, "http://127.0.0.1:7070")
	}
	segue(t, api, "", "policy", "validate", file(t, document), "-o", "json").want(t, exitFine, `"problems": []`)
}
