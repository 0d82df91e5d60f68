package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What the commands of the cluster say against one real node.
func TestClusterCommands(t *testing.T) {
	api := control(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "segue.backup")
	segue(t, api, document, "policy", "apply", "-", "--reason", "first").want(t, exitFine)
	segue(t, api, "", "cluster", "status").want(t, exitFine, "c1 leads in term", "1 of 1 voters answer", "There is one voter", "LAG")
	for _, form := range []string{"json", "yaml"} {
		segue(t, api, "", "cluster", "status", "-o", form).want(t, exitFine).parses(t, form)
	}
	segue(t, api, "", "cluster", "backup", file).want(t, exitFine, "bytes")
	segue(t, api, "no\n", "cluster", "restore", file).want(t, exitError, "revision 1 is in force", "nothing was restored")
	segue(t, api, "yes\n", "cluster", "restore", file).want(t, exitFine, "revision 1 is in force")
	out := segue(t, api, "", "cluster", "backup", "-").want(t, exitFine).out
	if !strings.HasPrefix(out, `{"Format":"segue-state","Version":1`) {
		t.Errorf("%.80s", out)
	}
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte(strings.Replace(out, "payments", "paymints", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	segue(t, api, "", "cluster", "restore", bad, "--yes").want(t, exitError, "damaged")
	segue(t, api, "", "cluster", "restore", filepath.Join(dir, "none"), "--yes").want(t, exitUsage, "none")
	segue(t, api, "", "cluster", "backup", filepath.Join(dir, "no", "such", "dir")).want(t, exitError, "no such")
	segue(t, api, "", "cluster", "transfer").want(t, exitError, "no other voter")
	segue(t, api, "", "cluster", "remove", "c1").want(t, exitError, "1 are needed")
	segue(t, api, "", "cluster", "remove", "c9").want(t, exitError, "c9")
	segue(t, api, "", "cluster", "add", "c2", "127.0.0.1:1").want(t, exitError, "segue control --id c2")
	segue(t, api, "", "cluster", "add", "c2").want(t, exitUsage)
	segue(t, "http://127.0.0.1:1", "", "cluster", "status").want(t, exitNoLeader, "nobody answers")
}

func TestDoctorSaysWhatToDo(t *testing.T) {
	api := control(t)
	segue(t, api, "", "doctor").want(t, exitFine, "c1 leads", "policy apply", "open")
	segue(t, api, document, "policy", "apply", "-", "--reason", "first").want(t, exitFine)
	segue(t, api, "", "doctor", "--dir", t.TempDir()).want(t, exitError, "no agent is heard", "start an agent", "a durable write takes")
	segue(t, api, "", "doctor", "-o", "json").want(t, exitError)
	segue(t, api, "", "doctor", "--dir", "/no/such/place").want(t, exitError, "name a directory")
	segue(t, "http://127.0.0.1:1", "", "doctor").want(t, exitError, "start a control node")
}

// A clock that is far off is found, whosever it is.
func TestDoctorFindsClocks(t *testing.T) {
	here := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		now  time.Time
		node int64
		want string
	}{
		{here, 0, "fine"}, {here.Add(5 * time.Second), 0, "wrong"}, {here.Add(-5 * time.Second), 0, "wrong"},
		{here, 4000, "wrong"}, {here, -4000, "wrong"}, {here.Add(time.Second), 500, "fine"},
	} {
		d := &doctor{settings: &settings{}}
		d.clocks(clusterView{Now: row.now, Nodes: []clusterNode{{ID: "c2", ClockMS: row.node}}}, here)
		if len(d.found) != 1 || d.found[0].State != row.want {
			t.Errorf("%+v: %+v", row, d.found)
		}
	}
}

func TestJoiningAndEmptyNamesAreUsage(t *testing.T) {
	dir := t.TempDir()
	segue(t, "", "", "control", "--dir", dir, "--join").want(t, exitUsage, "--id")
	segue(t, "", "", "control", "--dir", dir, "--join", "--id", "c4", "--peers", "127.0.0.1:7080").want(t, exitUsage, "--peers")
	segue(t, "", "", "agent", "--region", "", "--dir", dir).want(t, exitUsage, "--region is empty")
	segue(t, "", "", "agent", "--region", "eu", "--dir", "").want(t, exitUsage, "--dir is empty")
}
