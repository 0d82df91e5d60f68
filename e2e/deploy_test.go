package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// example is deploy/example: its script, run as a user runs it, with the built binary and the sandbox's providers.
type example struct {
	t      *testing.T
	dir    string // of the test; what the example keeps is in kept
	offset int
	box    *sandbox.Sandbox
	prom   string // the API of a Prometheus that scrapes it
}

// regionsOfExample are in the order of their ports.
var regionsOfExample = []string{"us-east", "eu-west", "ap-south"}

// TestDeployExample starts deploy/example as its README says, puts what deploy/ has around it, breaks it and stops it.
func TestDeployExample(t *testing.T) {
	x := newExample(t)
	x.script("up")
	x.watch()
	t.Run("every region serves", x.serves)
	t.Run("a weight moves", x.steers)
	t.Run("HAProxy follows the agents", x.balances)
	t.Run("dashboard and alerts find their series", x.shown)
	t.Run("a control node dies", x.losesNode)
	t.Run("the control plane is gone", x.losesAll)
	t.Run("down leaves nothing", x.stops)
}

func newExample(t *testing.T) *example {
	t.Helper()
	binary(t)
	x := &example{t: t, dir: t.TempDir(), offset: deployOffset(t)}
	box, err := sandbox.New(sandbox.Config{Seed: seed(t), Providers: []sandbox.ProviderConfig{
		{Name: mainProvider, Keys: sandbox.Enforced, Credential: credential, Latency: sandbox.Latency{Median: -1}},
		{Name: backupProvider, Keys: sandbox.Enforced, Credential: credential, Latency: sandbox.Latency{Median: -1}},
	}})
	if err == nil {
		err = box.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	x.box = box
	t.Cleanup(func() {
		x.killAll() // what a failed test left; a test that went well left nothing
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := box.Stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	return x
}

// deployOffset is what every port that deploy/ names is raised by, so that all of them are free.
func deployOffset(t *testing.T) int {
	t.Helper()
	for range 200 {
		offset := 20930 + 10*rand.IntN(40) // all of them lie above those of the other tests
		if free(7070+offset, 3) && free(7080+offset, 3) && free(7090+offset, 3) && free(7101+offset, 1) && free(7201+offset, 1) && free(7301+offset, 1) &&
			free(7501+offset, 3) && free(9090+offset, 1) {
			return offset
		}
	}
	t.Fatal("no free ports")
	return 0
}

func (x *example) at(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+x.offset) }

func (x *example) kept() string { return filepath.Join(x.dir, "kept") }

var loopback = regexp.MustCompile(`127\.0\.0\.1:(\d+)`)

// shifted is a text of deploy/ with every address moved to where this run has it; nothing else is changed.
func shifted(text string, offset int) string {
	return loopback.ReplaceAllStringFunc(text, func(addr string) string {
		port, _ := strconv.Atoi(addr[strings.LastIndex(addr, ":")+1:]) // the pattern has digits alone
		return fmt.Sprintf("127.0.0.1:%d", port+offset)
	})
}

// deployed reads a file of deploy/.
func deployed(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(moduleRoot(t), "deploy", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// script runs a verb of the example's script and returns what it said.
func (x *example) script(verb string) string {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(moduleRoot(x.t), "deploy/example/segue-example"), verb)
	cmd.Dir = x.dir
	cmd.Env = []string{"HOME=" + x.dir, "PATH=/usr/bin:/bin", "SEGUE_BIN=" + binary(x.t), "SEGUE_DIR=" + x.kept(), "SEGUE_WAIT=120", fmt.Sprint("SEGUE_PORT_OFFSET=", x.offset),
		"MAIN_URL=" + x.box.Provider(mainProvider).URL(), "MAIN_KEY=" + credential, "BACKUP_URL=" + x.box.Provider(backupProvider).URL(), "BACKUP_KEY=" + credential}
	out, err := cmd.CombinedOutput()
	if err != nil {
		logs, _ := filepath.Glob(filepath.Join(x.kept(), "*.log"))
		for _, name := range logs {
			b, _ := os.ReadFile(name)
			x.t.Logf("--- %s\n%s", filepath.Base(name), tail(string(b), 8))
		}
		x.t.Fatalf("segue-example %s: %v\n%s", verb, err, out)
	}
	return string(out)
}

// processes are those of the example that live, by name.
func (x *example) processes() map[string]int {
	found := map[string]int{}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		args := strings.Split(string(b), "\x00")
		if i := slices.Index(args, "--dir"); i >= 0 && strings.HasPrefix(args[i+1], x.kept()+"/") {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2]) // the pattern has digits alone
			found[filepath.Base(args[i+1])] = pid
		}
	}
	return found
}

// kill is kill -9; it returns when the process is gone.
func (x *example) kill(t *testing.T, names ...string) {
	t.Helper()
	running := x.processes()
	for _, name := range names {
		if running[name] == 0 {
			t.Fatalf("%s does not run: %v", name, running)
		}
		if err := syscall.Kill(running[name], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 10*time.Second, fmt.Sprint(names, " are gone"), func() error {
		for name := range x.processes() {
			if slices.Contains(names, name) {
				return fmt.Errorf("%s lives", name)
			}
		}
		return nil
	})
}

func (x *example) killAll() {
	for _, pid := range x.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func (x *example) caller(t *testing.T, port int) *caller { return newCaller(t, "http://"+x.at(port)) }

func (x *example) segue(t *testing.T, node int, args ...string) ran {
	t.Helper()
	return command(t, x.dir, append(args, "--api", "http://"+passage(x.at(7070+node)))...)
}

// executed counts what the providers did for an order.
func (x *example) executed(order string) int {
	n := 0
	for _, p := range []string{mainProvider, backupProvider} {
		n += len(x.box.Provider(p).Books().Entries(sandbox.Filter{Order: order}))
	}
	return n
}

func (x *example) serves(t *testing.T) {
	if again := x.script("up"); len(x.processes()) != 6 {
		t.Errorf("up twice: %v run: %s", x.processes(), again)
	}
	for i, region := range regionsOfExample {
		a := x.caller(t, 7101+100*i).charge("o-"+region, "").must(t)
		if !strings.Contains(a.header.Get("Segue-Decision"), "region="+region) {
			t.Errorf("the port of %s leads to %s", region, a.header.Get("Segue-Decision"))
		}
	}
	if said := x.script("status"); strings.Count(said, " runs, process ") != 6 {
		t.Errorf("status says %s", said)
	}
}

// steers moves a weight as an operator would, from main and backup to backup alone.
func (x *example) steers(t *testing.T) {
	x.segue(t, 1, "weight", "set", "payments", "eu-west", "main=0", "backup=100", "--reason", "e2e").fine(t)
	c := x.caller(t, 7201)
	row := 0
	eventually(t, 15*time.Second, "twenty new sessions in a row go to backup", func() error {
		if by := c.get("/v1/balance", "").must(t).via(); by != backupProvider {
			row = 0
			return fmt.Errorf("a session went to %s", by)
		}
		if row++; row < 20 {
			return fmt.Errorf("%d in a row", row)
		}
		return nil
	})
}

// losesNode takes a control node away for a while: calls and changes go on.
func (x *example) losesNode(t *testing.T) {
	x.kill(t, "c1")
	for i := range regionsOfExample {
		x.caller(t, 7101+100*i).charge(fmt.Sprint("o-without-c1-", i), "").must(t)
	}
	eventually(t, 20*time.Second, "another node leads and takes a change", func() error {
		if r := x.segue(t, 2, "weight", "set", "payments", "us-east", "main=60", "backup=40", "--reason", "e2e"); r.code != 0 {
			return fmt.Errorf("exit %d: %s", r.code, r.err)
		}
		return nil
	})
	eventually(t, 20*time.Second, "Prometheus misses the node", func() error {
		return x.some(`ALERTS{alertname="SegueControlNodeDown",instance="c1"}`)
	})
	x.script("up")
	if x.processes()["c1"] == 0 {
		t.Error("up did not start c1 again")
	}
}

// losesAll takes the whole control plane away: calls go on, and what an agent shows of its feed grows, which is what an alert waits for.
func (x *example) losesAll(t *testing.T) {
	x.kill(t, "c1", "c2", "c3")
	for i, region := range regionsOfExample {
		eventually(t, 20*time.Second, "the age of the feed grows in "+region, func() error {
			age := regexp.MustCompile(`(?m)^segue_feed_age_seconds\{region="` + region + `"\} (\S+)`)
			m := age.FindSubmatch(x.caller(t, 7090+i).get("/metrics", "").must(t).body)
			if m == nil {
				return errors.New("it is not shown")
			}
			if f, err := strconv.ParseFloat(string(m[1]), 64); err != nil || f < 3 {
				return fmt.Errorf("it is %s", m[1])
			}
			return nil
		})
		x.caller(t, 7101+100*i).charge("o-alone-"+region, "").must(t)
	}
	x.script("up")
}

func (x *example) stops(t *testing.T) {
	if n := len(x.processes()); n != 6 {
		t.Errorf("%d processes run before: %v", n, x.processes())
	}
	began := time.Now()
	said := x.script("down")
	t.Logf("down took %v", time.Since(began).Round(10*time.Millisecond))
	if left := x.processes(); len(left) != 0 || !strings.Contains(said, "all is stopped") {
		t.Errorf("%v still run; it said %s", left, said)
	}
	for _, port := range []int{7070, 7071, 7072, 7080, 7081, 7082, 7090, 7091, 7092, 7101, 7201, 7301} {
		if !free(port+x.offset, 1) {
			t.Errorf("somebody still listens on %s", x.at(port))
		}
	}
	x.script("down") // again: nothing is there, and nothing is wrong
}

// tool starts a program of Debian's with the test's life; what it said is shown when the test fails.
func (x *example) tool(t *testing.T, name string, args ...string) {
	t.Helper()
	file, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: ./.ci/deploy installs it", err)
	}
	log, err := os.Create(filepath.Join(x.dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = x.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	_ = log.Close() // the child has its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("--- %s\n%s", name, tail(string(b), 20))
		}
	})
}

// file writes a file of the run and returns its name.
func (x *example) file(name, content string) string {
	x.t.Helper()
	full := filepath.Join(x.dir, name)
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		x.t.Fatal(err)
	}
	return full
}

// balances runs deploy/loadbalancer/haproxy.cfg before the agents, kills one, and holds HAProxy to what the file promises: new work goes on
// in the standby region, a key that was seen never does.
func (x *example) balances(t *testing.T) {
	config := deployed(t, "loadbalancer/haproxy.cfg")
	file := x.file("haproxy.cfg", shifted(config, x.offset))
	if out, err := exec.Command("haproxy", "-c", "-f", file).CombinedOutput(); err != nil || strings.Contains(string(out), "WARNING") {
		t.Fatalf("haproxy -c: %v\n%s", err, out)
	}
	for i, region := range regionsOfExample {
		x.standbyOrder(t, config, region, 7101+100*i)
	}
	x.tool(t, "haproxy", "-db", "-f", file)
	c := x.caller(t, 7501)
	eventually(t, 10*time.Second, "us-east's own agent answers", func() error { return servedIn(c.get("/v1/balance", ""), "us-east") })
	first := c.charge("o-kept", "").must(t)
	x.kill(t, "us-east")
	lost := time.Now()
	tries := 0
	eventually(t, 30*time.Second, "new work goes on in the standby region", func() error {
		tries++
		return servedIn(c.charge(fmt.Sprint("o-moves-", tries), ""), "eu-west")
	})
	promised(t, 2*time.Second, time.Since(lost), lost, fmt.Sprintf("callers were moved after the agent was killed, at the %d. call", tries))
	if err := servedIn(c.get("/v1/balance", ""), "eu-west"); err != nil {
		t.Errorf("a read: %v", err)
	}
	if a := c.charge("o-kept", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("a key of the lost region was answered: %v", a)
	}
	x.script("up")
	eventually(t, 20*time.Second, "new work is at home again", func() error { return servedIn(c.get("/v1/balance", ""), "us-east") })
	if again := c.charge("o-kept", "").must(t); again.document().ID != first.document().ID {
		t.Errorf("the key has another charge than before: %v, %v", first, again)
	}
	if n := x.executed("o-kept"); n != 1 {
		t.Errorf("o-kept was executed %d times", n)
	}
}

// standbyOrder holds the order in which a frontend asks for regions against what the region's agent tells.
func (x *example) standbyOrder(t *testing.T, config, region string, port int) {
	t.Helper()
	_, block, found := strings.Cut(config, "\nfrontend "+region+"\n")
	if !found {
		t.Fatalf("haproxy.cfg has no frontend %s", region)
	}
	block, _, _ = strings.Cut(block, "\nfrontend ")
	var order []string
	for _, m := range regexp.MustCompile(`nbsrv\(region-([a-z-]+)\)`).FindAllStringSubmatch(block, -1) {
		order = append(order, m[1])
	}
	var told struct{ Standby []string }
	unmarshal(t, x.caller(t, port).get("/.segue/region", "").must(t).body, &told)
	if want := append([]string{region}, told.Standby...); !slices.Equal(order, want) {
		t.Errorf("the frontend %s asks %v, the agent tells %v", region, order, want)
	}
}

func servedIn(a told, region string) error {
	if a.err != nil || a.status != http.StatusOK || !strings.Contains(a.header.Get("Segue-Decision"), "region="+region) {
		return fmt.Errorf("want 200 from %s: %v, %s", region, a, a.header.Get("Segue-Decision"))
	}
	return nil
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
}
