package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"segue/e2e/patience"
)

// process is a child that runs the real binary. It can be ended in every way and started again with the same arguments.
type process struct {
	t    testing.TB
	name string
	args []string
	env  []string
	log  string // file
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has ended
}

// newProcess prepares a child; the test's end kills it, and looks through what it said.
func newProcess(t testing.TB, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, args: args, log: filepath.Join(dir, name+".log")}
	t.Cleanup(p.finish)
	return p
}

// start runs the child. It must not be running.
func (p *process) start() {
	p.t.Helper()
	out, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	cmd := exec.Command(binary(p.t), p.args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append([]string{"HOME=" + filepath.Dir(p.log), "PATH=/usr/bin:/bin", "TMPDIR=" + filepath.Dir(p.log)}, p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that crashes leaves nobody behind
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }() // awaited by whoever ends the child; the test's end does at last
	p.cmd, p.done = cmd, done
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v: %v", p.name, s, err)
	}
}

// kill is kill -9: it returns when the child is gone.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.done
}

// await returns the exit code, or fails the test when the child does not end.
func (p *process) await(within time.Duration) int {
	p.t.Helper()
	late, cancel := patience.Context(context.Background(), within)
	defer cancel()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-late.Done():
		p.t.Fatalf("%s has not ended after %v", p.name, within)
		return -1
	}
}

func (p *process) finish() {
	if p.running() {
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	said := p.said()
	for _, bad := range []string{"panic:", "fatal error:", "DATA RACE", "a call panicked"} {
		if strings.Contains(said, bad) {
			p.t.Errorf("%s said %q", p.name, bad)
		}
	}
	if p.t.Failed() {
		p.t.Logf("--- the last that %s said (%s)\n%s", p.name, strings.Join(p.args, " "), tail(said, 40))
	}
}

// said is all that the child wrote, in all its lives.
func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil && !os.IsNotExist(err) {
		p.t.Errorf("%s: %v", p.name, err)
	}
	return string(b)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// memory reads a line such as VmRSS of /proc/PID/status, in bytes.
func (p *process) memory(line string) int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	for text := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(text, line+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kb << 10
		}
	}
	p.t.Fatalf("%s: no line %s in its status", p.name, line)
	return 0
}

// forgetPeak makes VmHWM begin again from what the child has now.
func (p *process) forgetPeak() {
	p.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid()), []byte("5"), 0); err != nil {
		p.t.Fatal(err)
	}
}

// ready waits until the child's own listener says that it is.
func (p *process) ready(addr string, within time.Duration) {
	p.t.Helper()
	eventually(p.t, within, p.name+" is ready", func() error {
		if !p.running() {
			p.t.Fatalf("%s ended instead of becoming ready", p.name)
		}
		return wants(http.StatusOK, "http://"+addr+"/readyz")
	})
}

// wants is an error unless a GET is answered with the status.
func wants(status int, url string) error {
	c := watched(time.Second)
	defer c.CloseIdleConnections()
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != status {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// slower is how many times slower than promised things may be on a machine that many share: what they take on a quiet one is logged, and
// measured by `make bench`.
const slower = 3

// promised holds how long something took against what the product promises. A disk that stood still since it began excuses it.
func promised(t testing.TB, within, took time.Duration, began time.Time, what string) {
	t.Helper()
	t.Logf("%s: %v", what, took.Round(time.Millisecond))
	if took > slower*within && !patience.Excuses(began) {
		t.Errorf("%s: %v, more than %d times the %v that are promised", what, took, slower, within)
	}
}

// eventually asks again and again until done has no complaint, and fails the test with the last one when the time is up: half a minute at least.
func eventually(t testing.TB, within time.Duration, what string, done func() error) {
	t.Helper()
	if err := patience.Await(within, 5*time.Millisecond, done); err != nil {
		t.Fatalf("%s: not within %v: %v", what, within, err)
	}
}

// passes waits while a length of time goes by that is itself what is tested ("for 30 s, all control nodes are dead").
func passes(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test ends")
	}
}

// What pauses a process as a stalled machine would, and lets it go on.
const (
	stopSignal     = syscall.SIGSTOP
	continueSignal = syscall.SIGCONT
)
