package main

import (
	"testing"

	"segue/controlplane/query"
)

// TestHintCommands asks a real control node that no agent is attached to, and gives it orders.
func TestHintCommands(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-", "--reason", "the first").want(t, 0)
	segue(t, api, "", "hint", "list").want(t, 0, "AGENT", "WAITING", "not all is shown")
	segue(t, api, "", "hint", "list", "-o", "json").want(t, 0).parses(t, "json")
	segue(t, api, "", "hint", "list", "--limit", "0").want(t, 1, "limit")
	segue(t, api, "", "hint", "replay", "--dry-run").want(t, 75, "no agent told")
	segue(t, api, "", "hint", "throttle", "50/s", "--for", "10m").want(t, 0, "held back (50/s) until", "segue hint throttle none")
	segue(t, api, "", "hint", "throttle", "pause", "--region", "nowhere").want(t, 1, "regions")
	for _, bad := range [][]string{{"fast"}, {"0/s"}, {"-3"}, {"none", "--region", "local"}, {}} {
		segue(t, api, "", append([]string{"hint", "throttle"}, bad...)...).want(t, 64)
	}
	segue(t, api, "", "hint", "throttle", "none").want(t, 0, "goes on by itself")
	segue(t, api, "", "hint", "throttle", "none").want(t, 0, "nothing held the replay back")
}

// TestHintVerdict: the exit code says whether somebody must look, and whether all told.
func TestHintVerdict(t *testing.T) {
	for _, c := range []struct {
		name string
		done hintReplay
		dry  bool
		code int
	}{
		{"all done", hintReplay{Results: []hintReplayed{{Done: true, Ended: 3}}, Silent: []string{"b: it keeps no hints"}}, false, 0},
		{"held", hintReplay{Results: []hintReplayed{{Done: true, Held: 1}}}, false, 1},
		{"a dry run that finds held ones", hintReplay{Results: []hintReplayed{{Done: true, Held: 1, Hints: []query.Hint{{Replays: "held"}}}}}, true, 0},
		{"ended early", hintReplay{Results: []hintReplayed{{Done: true, Problem: "the store is out of reach"}}}, false, 1},
		{"goes on", hintReplay{Results: []hintReplayed{{Left: 9}}}, false, 75},
		{"nobody told", hintReplay{Silent: []string{"eu: no agent is attached"}}, false, 75},
		{"nobody keeps any", hintReplay{Silent: []string{"a: it keeps no hints: its store is its own"}}, false, 0},
	} {
		err := c.done.verdict(c.dry)
		if got := exitCode(err); (err != nil || c.code != 0) && got != c.code {
			t.Errorf("%s: exit %d, want %d", c.name, got, c.code)
		}
	}
}
