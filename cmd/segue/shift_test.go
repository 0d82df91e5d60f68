package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestShift begins, steers and undoes shifts on a node without agents: nothing moves by itself, for nobody could see how it goes.
func TestShift(t *testing.T) {
	api := control(t)
	segue(t, api, "", "policy", "apply", file(t, document)).want(t, exitFine)
	segue(t, api, "", "shift", "list").want(t, exitFine, "no shift was begun")
	segue(t, api, "", "shift", "stop").want(t, exitError, "no shift is under way")
	var begun shiftList
	out := segue(t, api, "", "shift", "begin", "payments", "local", "main=20", "backup=80", "--reason", "fees", "-o", "json").want(t, exitFine).out
	if err := json.Unmarshal([]byte(out), &begun); err != nil || len(begun.Shifts) != 1 {
		t.Fatal(err, out)
	}
	id := begun.Shifts[0].ID
	segue(t, api, "", "shift", "begin", "payments", "all", "main=20", "backup=80").want(t, exitError, "shift "+id+" of payments in local is under way")
	segue(t, api, "", "shift", "list").want(t, exitFine, id, "shifting", "0 of 4", "main 70 → 20 %, backup 30 → 80 %")
	segue(t, api, "", "shift", "show").want(t, exitFine, "step 0 of 4", "fees", "[5 25 50 100]", "2m0s", "on trouble back")
	for _, form := range []string{"json", "yaml"} {
		segue(t, api, "", "shift", "list", "-o", form).want(t, exitFine, id).parses(t, form)
		segue(t, api, "", "shift", "show", id, "-o", form).want(t, exitFine, id).parses(t, form)
	}
	segue(t, api, "", "shift", "stop").want(t, exitFine, "stopped")
	segue(t, api, "", "shift", "go", id).want(t, exitFine, "step 0 of 4")
	segue(t, api, "", "shift", "finish").want(t, exitFine, "finished", "main 20 %", "backup 80 %")
	segue(t, api, "", "policy", "get").want(t, exitFine, "{main: 20, backup: 80}")
	segue(t, api, "", "shift", "show", id, "--wait").want(t, exitFine, "finished")
	segue(t, api, "", "shift", "back", id, "--reason", "no").want(t, exitFine, "returned")
	segue(t, api, "", "policy", "get").want(t, exitFine, "{main: 70, backup: 30}")
	segue(t, api, "", "shift", "show", id, "--wait").want(t, exitError, "did not finish, it is returned: taken back by")
	segue(t, api, "", "shift", "begin", "payments", "local", "--from", "main", "--to", "backup", "--by", "20", "--steps", "100", "--every", "10s", "--on-trouble", "stay").
		want(t, exitFine, "main 70 → 50 %, backup 30 → 50 %, at [100] % of the way, a step every 10s", "segue shift show|stop|back|finish sh_")
	segue(t, api, "", "weight", "set", "payments", "local", "main=60", "backup=40").want(t, exitFine)
	segue(t, api, "", "shift", "list").want(t, exitFine, "stopped")
	happened(t, api, "that stopped shift sh_")
}

func TestBadShifts(t *testing.T) {
	api := control(t)
	segue(t, api, "", "policy", "apply", file(t, document)).want(t, exitFine)
	begin := func(args string) []string { return append([]string{"shift", "begin"}, strings.Fields(args)...) }
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"payments":       {exitUsage, "at least 2"},
		"payments local": {exitUsage, "--from and --to"},
		"payments local main=20 backup=80 --from main":        {exitUsage, "--from and --to"},
		"payments local main=x":                               {exitUsage, "PROVIDER=PERCENT"},
		"payments local main=20 backup=80 --steps 5,x":        {exitUsage, "--steps"},
		"payments local main=20 backup=80 --steps NaN,100":    {exitUsage, "want numbers"},
		"payments local main=20 backup=80 --steps 50,20,100":  {exitError, "let the steps rise"},
		"payments local main=20 backup=80 --steps 50,120":     {exitError, "at most 100"},
		"payments local main=20 backup=80 --every 9s":         {exitError, "not between 10s"},
		"payments local main=20 backup=80 --every soon":       {exitError, "no length of time"},
		"payments local main=20 backup=80 --on-trouble dance": {exitError, "write back or stay"},
		"payments local main=20 backup=80 --margin 0":         {exitError, "above 0"},
		"payments local main=20 backup=81":                    {exitError, "add up to 101"},
		"payments local mian=20 backup=80":                    {exitError, "did you mean main"},
		"payments mars main=20 backup=80":                     {exitError, `no region "mars"`},
		"paymnts local main=20 backup=80":                     {exitError, `no service "paymnts"`},
		"payments local --from main --to main":                {exitError, "another provider"},
		"payments local --from main --to backup --by 71":      {exitError, "main has 70 %"},
		"payments local main=20 backup=80 --base none":        {exitUsage, "--base"},
		"payments local main=20 backup=80 --base 7":           {exitError, "revision 1 is in force"},
	} {
		segue(t, api, "", begin(args)...).want(t, c.code, c.says)
	}
	segue(t, api, "", "shift", "back", "sh_none").want(t, exitError, `no shift "sh_none"`)
	segue(t, api, "", "shift", "bakc").want(t, exitUsage, "did you mean back")
	segue(t, api, "", "shift", "list").want(t, exitFine, "no shift was begun")
}
