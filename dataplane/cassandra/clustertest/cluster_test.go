package clustertest

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestScriptRefuses: what is no command, node, number or offset is told, with an exit code that says whose mistake it was.
func TestScriptRefuses(t *testing.T) {
	script, err := find("deploy/cassandra/cluster")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env, args, says string
		code            int
	}{
		{"", "", "cluster start N", 64}, {"", "explode", "cluster start N", 64}, {"", "start none", `start "none"`, 64}, {"", "start 0", "from 1 to 9 nodes", 64},
		{"", "kill", `"" is no node`, 64}, {"", "kill ../x", "is no node", 64}, {"", "pause 9", "was never started", 1},
		{"SEGUE_CASSANDRA_OFFSET=256", "status", "from 0 to 255", 64}, {"SEGUE_CASSANDRA_OFFSET=x", "status", "from 0 to 255", 64},
	} {
		cmd := exec.Command(script, strings.Fields(c.args)...)
		cmd.Env = append(cmd.Environ(), "SEGUE_CASSANDRA_HOME="+t.TempDir())
		if c.env != "" {
			cmd.Env = append(cmd.Env, c.env)
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%s cluster %s: %v, want %d: %s", c.env, c.args, err, c.code, out)
		}
	}
}
