package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unit is a systemd template with one instance of it.
type unit struct {
	file, instance string
	lines          map[string][]string // its settings, each as often as it stands there
	env            map[string]string
}

// readUnit reads the template and the environment files that it names, as systemd would for the instance.
func readUnit(t *testing.T, file, instance string) unit {
	t.Helper()
	u := unit{file, instance, map[string][]string{}, map[string]string{}}
	for name, value := range settings(deployed(t, "systemd/"+file)) {
		u.lines[name] = value
	}
	for _, path := range u.lines["EnvironmentFile"] {
		base := filepath.Base(strings.ReplaceAll(path, "%i", instance))
		if filepath.Dir(path) != "/etc/segue" {
			t.Errorf("%s reads %s, which deploy/README.md does not install", file, path)
		}
		for name, values := range settings(deployed(t, "systemd/"+base)) {
			u.env[name] = values[len(values)-1]
		}
	}
	return u
}

func settings(text string) map[string][]string {
	found := map[string][]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			found[name] = append(found[name], value)
		}
	}
	return found
}

// start runs the unit's own command line, with the built binary, below state instead of /var/lib and on ports that are free.
func (u unit) start(t *testing.T, state string, offset int) *process {
	t.Helper()
	command := strings.NewReplacer("%i", u.instance, "%S", state).Replace(u.lines["ExecStart"][0])
	words := strings.Fields(command)
	if words[0] != "/usr/bin/segue" {
		t.Fatalf("%s runs %s", u.file, words[0])
	}
	if _, own := u.env["SEGUE_PORT_OFFSET"]; own {
		n, err := strconv.Atoi(u.env["SEGUE_PORT_OFFSET"])
		if err != nil {
			t.Fatal(err)
		}
		u.env["SEGUE_PORT_OFFSET"] = fmt.Sprint(n + offset)
	}
	for i := range words {
		words[i] = os.Expand(words[i], func(name string) string {
			value, ok := u.env[name]
			if !ok {
				t.Errorf("%s@%s: no environment file has %s", u.file, u.instance, name)
			}
			return shifted(value, offset)
		})
	}
	if words[1] == "control" { // here they share one disk: where it stands still no other can lead, and to end helps nobody
		words = append(words, "--disk-timeout", "2m")
	}
	p := newProcess(t, state, u.instance, words[1:]...)
	for name, value := range u.env {
		p.env = append(p.env, name+"="+value)
	}
	p.start()
	return p
}

func (u unit) seconds(t *testing.T, name string) time.Duration {
	t.Helper()
	if len(u.lines[name]) != 1 {
		t.Fatalf("%s has %v as %s", u.file, u.lines[name], name)
	}
	n, err := strconv.Atoi(u.lines[name][0])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Second
}

// TestDeployUnits runs the units' own command lines with their environment files, as a cluster, and stops each as systemd would.
func TestDeployUnits(t *testing.T) {
	state, offset := t.TempDir(), deployOffset(t)
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+offset) }
	var all []unit
	var running []*process
	run := func(file, instance string) *process {
		u := readUnit(t, file, instance)
		p := u.start(t, state, offset)
		all, running = append(all, u), append(running, p)
		return p
	}
	for i := range 3 {
		run("segue-control@.service", fmt.Sprint("c", i+1))
	}
	for i, p := range running {
		p.ready(at(7070+i), 30*time.Second)
	}
	eventually(t, 30*time.Second, "the policy is in force", func() error {
		policy := filepath.Join(moduleRoot(t), "deploy/example/policy.yaml")
		if r := command(t, state, "policy", "apply", policy, "--reason", "the first", "--api", "http://"+passage(at(7070))); r.code != 0 {
			return fmt.Errorf("exit %d: %s%s", r.code, r.out, r.err)
		}
		return nil
	})
	for i, region := range regionsOfExample {
		run("segue-agent@.service", region).ready(at(7090+i), 30*time.Second)
		eventually(t, 30*time.Second, region+" serves", func() error { return wants(200, "http://"+at(7101+100*i)+"/.segue/region") })
	}
	drain, err := time.ParseDuration(all[3].env["SEGUE_DRAIN"])
	if err != nil || all[3].seconds(t, "TimeoutStopSec") <= drain {
		t.Errorf("an agent is killed after %v, and may drain for %v: %v", all[3].seconds(t, "TimeoutStopSec"), drain, err)
	}
	for i := len(running) - 1; i >= 0; i-- {
		if got := all[i].lines["KillSignal"]; len(got) != 1 || got[0] != "SIGTERM" {
			t.Errorf("%s is stopped by %v", all[i].file, got)
		}
		running[i].signal(syscall.SIGTERM)
		if code := running[i].await(all[i].seconds(t, "TimeoutStopSec")); code != 0 {
			t.Errorf("%s@%s ended with %d", all[i].file, all[i].instance, code)
		}
		if dirs := all[i].lines["StateDirectory"]; len(dirs) != 1 || !exists(filepath.Join(state, strings.ReplaceAll(dirs[0], "%i", all[i].instance))) {
			t.Errorf("%s may write %v, and wrote elsewhere", all[i].file, dirs)
		}
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// worstExposure is what systemd-analyze may say of a unit, of 100; without any protection it says 96.
const worstExposure = 15

// TestDeployUnitsVerify lets systemd read the units. It exits 0 on errors too: what counts is that it says nothing.
func TestDeployUnitsVerify(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("NOT TESTED: systemd-analyze is not installed, so nobody has read the units")
	}
	dir := t.TempDir()
	for name, instance := range map[string]string{"segue-control": "c1", "segue-agent": "eu-west"} {
		text := deployed(t, "systemd/"+name+"@.service")
		file := filepath.Join(dir, name+"@"+instance+".service")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/usr/bin/segue", binary(t))), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) != 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", fmt.Sprint("--threshold=", worstExposure), file).CombinedOutput(); err != nil {
			t.Errorf("%s is more exposed than %d of 100: %v\n%s", name, worstExposure, err, tail(string(out), 3))
		}
	}
}
