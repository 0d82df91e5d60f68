package main

import (
	"testing"

	"segue/controlplane/query"
)

// TestSessionCommands asks a real control node that no agent is attached to.
func TestSessionCommands(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-", "--reason", "the first").want(t, 0)
	segue(t, api, "", "session", "show", "ses_1").want(t, 1, "no agent has a session", "No agent is connected")
	segue(t, api, "", "session", "verify", "ses_1").want(t, 1, "no agent has a session")
	segue(t, api, "", "session", "show", "ses_1", "--limit", "0").want(t, 1, "limit")
	for _, bad := range [][]string{{"show"}, {"verify"}, {"show", "a", "b"}, {"drop", "a"}} {
		segue(t, api, "", append([]string{"session"}, bad...)...).want(t, 64)
	}
}

// TestSessionVerdict: the exit code says whether a session is what its history says.
func TestSessionVerdict(t *testing.T) {
	type check = query.SessionCheck
	for _, c := range []struct {
		name    string
		checks  []check
		partial string
		code    int
	}{
		{"sound", []check{{Version: "a"}, {Version: "a"}}, "", 0},
		{"two stores", []check{{Version: "a"}, {Version: "b"}}, "", 0},
		{"differs", []check{{}, {Differs: []query.SessionDiffers{{What: "pin of pay"}}}}, "", 1},
		{"sealed with another key", []check{{Sealed: []string{"pay/card"}}}, "", 1},
		{"written to all the while", []check{{Moving: true, Differs: []query.SessionDiffers{{}}}}, "", 75},
		{"one is silent", []check{{}}, "1 of 2 agents answered.", 75},
	} {
		var all sessionChecks
		all.Partial = c.partial
		for _, one := range c.checks {
			all.Checks = append(all.Checks, sessionChecked{SessionCheck: one})
		}
		err := all.verdict()
		if got := exitCode(err); (err != nil || c.code != 0) && got != c.code {
			t.Errorf("%s: exit %d, want %d", c.name, got, c.code)
		}
	}
}
