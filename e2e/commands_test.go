package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tryout is a `segue dev` of the built binary, and commands that talk to it.
type tryout struct {
	t   *testing.T
	dir string
	api string
	dev *process
}

func newTryout(t *testing.T) *tryout {
	t.Helper()
	binary(t)
	offset := devOffset(t)
	d := &tryout{t: t, dir: t.TempDir(), api: fmt.Sprintf("http://127.0.0.1:%d", 7070+offset)}
	d.dev = newProcess(t, d.dir, "dev", "dev", "--port-offset", fmt.Sprint(offset), "--seed", fmt.Sprint(seed(t)))
	d.dev.start()
	eventually(t, 20*time.Second, "calls are served", func() error {
		if r := d.segue("status"); r.code != 0 || !strings.Contains(r.out, "calls are served") && !strings.Contains(r.out, "All calls") {
			return fmt.Errorf("exit %d: %.200s%s", r.code, r.out, r.err)
		}
		return nil
	})
	eventually(t, 20*time.Second, "each region's agent told where it serves", func() error {
		if out := d.segue("connect", "-o", "json").out; strings.Contains(out, `"heard": false`) || !strings.Contains(out, `"heard": true`) {
			return fmt.Errorf("%.300s", out)
		}
		return nil
	})
	return d
}

func (d *tryout) segue(args ...string) ran {
	d.t.Helper()
	return command(d.t, d.dir, append(args, "--api", d.api)...)
}

// refused wants an exit code, one line that says what and why, and the texts.
func (d *tryout) refused(code int, args []string, texts ...string) {
	d.t.Helper()
	r := d.segue(args...)
	if r.code != code || !strings.HasPrefix(r.err, "segue: ") {
		d.t.Errorf("segue %s: exit %d, want %d: %s", strings.Join(args, " "), r.code, code, r.err)
	}
	for _, text := range texts {
		if !strings.Contains(r.err, text) {
			d.t.Errorf("segue %s does not say %q: %s", strings.Join(args, " "), text, r.err)
		}
	}
}

// TestCommands runs what an operator and a developer run first, each well and each wrongly, against `segue dev`.
func TestCommands(t *testing.T) {
	d := newTryout(t)
	t.Run("connect", func(t *testing.T) { d.t = t; d.connects() })
	t.Run("status", func(t *testing.T) { d.t = t; d.statuses() })
	t.Run("provider", func(t *testing.T) { d.t = t; d.providers() })
	t.Run("contract", func(t *testing.T) { d.t = t; d.contracts() })
	t.Run("tx", func(t *testing.T) { d.t = t; d.transactions() })
	t.Run("events", func(t *testing.T) { d.t = t; d.events() })
	t.Run("tables are the documents", func(t *testing.T) { d.t = t; d.sameData() })
}

// connects runs the programs that need nothing but a shell, twice under the same key: it happens once.
func (d *tryout) connects() {
	for _, c := range []struct{ service, says string }{{"payments", `"succeeded"`}, {"sms", `"sid"`}, {"chat", `"content"`}} {
		program := d.segue("connect", c.service, "--sdk", "curl", "--region", "eu-west").fine(d.t).out
		var answers [2][]byte
		for i := range answers {
			sh := exec.CommandContext(d.t.Context(), "sh", "-s", "e2e-connect-"+c.service)
			sh.Stdin = strings.NewReader(program)
			var errs bytes.Buffer
			sh.Stderr = &errs
			var err error
			if answers[i], err = sh.Output(); err != nil || !bytes.Contains(answers[i], []byte(c.says)) {
				d.t.Fatalf("%s: %v: %s%s\n%s", c.service, err, answers[i], errs.String(), program)
			}
		}
		if c.service != "chat" && !bytes.Equal(answers[0], answers[1]) {
			d.t.Errorf("%s: the same call again was another: %s\n%s", c.service, answers[0], answers[1])
		}
	}
	d.refused(exitUsage, []string{"connect", "payments", "--sdk", "twilio-go"}, "does not speak stripe/v1", "stripe-node")
	d.refused(exitError, []string{"connect", "payment", "--sdk", "curl"}, "did you mean payments?")
	d.refused(exitUsage, []string{"connect", "a", "b"})
}

func (d *tryout) statuses() {
	var s struct {
		Headline  struct{ Text string }
		Revision  int
		In, Of    int
		Providers []struct{ Region, Service, Provider string }
		Agents    []struct{ ID string }
	}
	d.segue("status", "-o", "json").decode(d.t, &s)
	if s.Headline.Text == "" || s.Revision == 0 || s.Of != 3 || len(s.Agents) != 3 || len(s.Providers) != 27 {
		d.t.Errorf("%+v", s)
	}
	watch := exec.Command(binary(d.t), "status", "-w", "-o", "json", "--api", d.api)
	out, err := watch.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		d.t.Fatal(err)
	}
	lines := json.NewDecoder(out)
	for range 2 {
		var one struct{ Revision int }
		if err := lines.Decode(&one); err != nil || one.Revision == 0 {
			d.t.Errorf("%+v, %v", one, err)
		}
	}
	if err := watch.Process.Signal(syscall.SIGINT); err != nil {
		d.t.Error(err)
	}
	if err := watch.Wait(); err != nil {
		d.t.Errorf("interrupted: %v", err)
	}
	if plain := d.segue("status").fine(d.t).out; strings.Contains(plain, "\x1b") {
		d.t.Errorf("colour in a pipe: %q", plain)
	}
	d.refused(exitUsage, []string{"status", "now"})
	if r := command(d.t, d.dir, "status", "--api", "http://127.0.0.1:1"); r.code != exitNoLeader {
		d.t.Errorf("nobody there: exit %d", r.code)
	}
}

func (d *tryout) providers() {
	var seen struct {
		Results []struct {
			Region, Result string
			Elapsed        float64 `json:"elapsed_ms"`
		}
		Silent []string
	}
	d.segue("provider", "probe", "main", "-o", "json").decode(d.t, &seen)
	regions := map[string]bool{}
	for _, r := range seen.Results {
		if regions[r.Region] = true; r.Result != "good" || r.Elapsed <= 0 {
			d.t.Errorf("%+v", r)
		}
	}
	if len(regions) != 3 || len(seen.Silent) != 0 {
		d.t.Errorf("%+v", seen)
	}
	d.segue("drill", "run", "kill-provider", "--provider", "backup", "--for", "10m", "--sandbox").fine(d.t)
	d.refused(exitError, []string{"provider", "probe", "backup", "--region", "eu-west"}, "2 of 2 checks are bad")
	d.refused(exitError, []string{"provider", "probe", "nobody"}, "nobody")
	d.refused(exitError, []string{"provider", "probe", "main", "--region", "eu-wst"}, "did you mean eu-west?")
	d.segue("provider", "drain", "main", "--for", "1h", "--region", "ap-south", "--reason", "a test").fine(d.t)
	eventually(d.t, 10*time.Second, "the drain shows", func() error {
		if out := d.segue("provider", "show", "main").fine(d.t).out; !strings.Contains(out, "drained until") || !strings.Contains(out, "a test") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if out := d.segue("provider", "list").fine(d.t).out; !strings.Contains(out, "ap-south") {
		d.t.Errorf("%s", out)
	}
	d.segue("provider", "resume", "main").fine(d.t)
	if out := d.segue("provider", "resume", "main").fine(d.t).out; !strings.Contains(out, "was not drained") {
		d.t.Errorf("%s", out)
	}
	d.refused(exitError, []string{"provider", "resume", "mian"}, "did you mean main?")
	d.refused(exitError, []string{"provider", "show", "mian"}, "did you mean main?")
	d.refused(exitError, []string{"provider", "drain", "main", "--for", "-1m"}, "for")
	d.refused(exitUsage, []string{"provider", "drain", "main", "--for", "soon"}, "soon")
	d.refused(exitUsage, []string{"provider", "drain"})
}

func (d *tryout) contracts() {
	for _, c := range []struct{ args, says string }{{"contract list", "twilio/2010"}, {"contract show stripe/v1", "Idempotency-Key"}} {
		if out := d.segue(strings.Fields(c.args)...).fine(d.t).out; !strings.Contains(out, c.says) {
			d.t.Errorf("segue %s does not say %q: %s", c.args, c.says, out)
		}
	}
	d.refused(exitError, []string{"contract", "show", "stripe/v2"}, "stripe/v1")
}

func (d *tryout) transactions() {
	var list []struct{ ID, Key, Service, State string }
	d.segue("tx", "list", "--key", "e2e-connect-payments", "--since", "10m", "-o", "json").decode(d.t, &list)
	if len(list) != 1 || list[0].Service != "payments" || list[0].State != "succeeded" {
		d.t.Fatalf("%+v", list)
	}
	for _, sub := range []string{"show", "why"} {
		if out := d.segue("tx", sub, list[0].ID).fine(d.t).out; !strings.Contains(out, "e2e-connect-payments") {
			d.t.Errorf("%s", out)
		}
	}
	d.segue("tx", "list", "--since", "2099-01-01T00:00:00Z", "-o", "json").decode(d.t, &list)
	if len(list) != 0 {
		d.t.Errorf("from the future: %+v", list)
	}
	d.refused(exitError, []string{"tx", "why", "tx_00000000"}, "tx_00000000")
	d.refused(exitUsage, []string{"tx", "list", "--state", "lost"}, "held")
	d.refused(exitUsage, []string{"tx", "list", "--since", "later"}, "15m")
	d.refused(exitError, []string{"tx", "list", "--limit", "5000"}, "limit")
}

// events follows the stream, and sees what is done meanwhile.
func (d *tryout) events() {
	eventually(d.t, 10*time.Second, "what is known is told", func() error { // in a moment; a busy control plane takes longer
		if out := d.segue("events", "--since", "1h").fine(d.t).out; !strings.Contains(out, "revision 1") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	follow := exec.Command(binary(d.t), "events", "--follow", "-o", "json", "--api", d.api)
	out, err := follow.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		d.t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { _ = follow.Process.Kill() })
	defer timer.Stop()
	d.segue("weight", "set", "payments", "eu-west", "main=100", "--reason", "seen by whoever follows").fine(d.t)
	lines := json.NewDecoder(out)
	for {
		var e struct{ Kind, Reason string }
		if err := lines.Decode(&e); err != nil {
			d.t.Fatalf("the change was not told: %v", err)
		}
		if e.Kind == "SetWeights" && e.Reason == "seen by whoever follows" {
			break
		}
	}
	if err := follow.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Error(err)
	}
	if err := follow.Wait(); err != nil {
		d.t.Errorf("ended: %v", err)
	}
	d.refused(exitUsage, []string{"events", "--since", "yesterday"}, "15m")
}

// sameData holds tables against documents: what names a row in one is in the other, and YAML is the same as JSON.
func (d *tryout) sameData() {
	for _, c := range []struct {
		args []string
		id   string
	}{
		{[]string{"provider", "list"}, "name"}, {[]string{"region", "list"}, "name"}, {[]string{"connect"}, "service"}, {[]string{"tx", "list", "--key", "e2e-connect-sms"}, "ID"},
	} {
		var list []map[string]any
		d.segue(append(c.args, "-o", "json")...).decode(d.t, &list)
		table := strings.Split(strings.TrimSpace(d.segue(c.args...).fine(d.t).out), "\n")[1:]
		if len(list) == 0 || len(table) < len(list) {
			d.t.Fatalf("%v: %d rows, %d documents", c.args, len(table), len(list))
		}
		for i, one := range list {
			if id := fmt.Sprint(one[c.id]); strings.Fields(table[i])[0] != id {
				d.t.Errorf("%v: row %q is not %q", c.args, table[i], id)
			}
		}
		yaml := d.segue(append(c.args, "-o", "yaml")...).fine(d.t).out
		for _, one := range list {
			if !strings.Contains(yaml, c.id+": "+fmt.Sprint(one[c.id])) {
				d.t.Errorf("%v -o yaml: no %v", c.args, one[c.id])
			}
		}
	}
}

// TestManAndCompletion are made by the binary alone: nobody has to be there.
func TestManAndCompletion(t *testing.T) {
	dir := t.TempDir()
	command(t, dir, "man", filepath.Join(dir, "man1")).fine(t)
	pages, err := filepath.Glob(filepath.Join(dir, "man1", "segue*.1"))
	if err != nil || len(pages) < 30 || !slices.Contains(pages, filepath.Join(dir, "man1", "segue-tx-why.1")) {
		t.Errorf("%d pages, %v", len(pages), err)
	}
	script := command(t, dir, "completion", "bash").fine(t).out
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(script)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if r := command(t, dir, "completion"); r.code != exitUsage {
		t.Errorf("exit %d", r.code)
	}
}
