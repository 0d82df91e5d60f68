package storm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"segue/e2e/patience"
)

// process is a child that can be ended in every way and started again with the same arguments. One goroutine at a time steers it.
type process struct {
	name string
	bin  string
	args []string
	env  []string
	log  string // file

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has ended
}

func newProcess(dir, name, bin string, args ...string) *process {
	return &process{name: name, bin: bin, args: args, log: filepath.Join(dir, name+".log")}
}

// start runs the child. It must not be running.
func (p *process) start() error {
	out, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	cmd := exec.Command(p.bin, p.args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append([]string{"HOME=" + filepath.Dir(p.log), "PATH=/usr/bin:/bin", "TMPDIR=" + filepath.Dir(p.log)}, p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that crashes leaves nobody behind
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }() // awaited by whoever ends the child; the world's end does at last
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done = cmd, done
	return nil
}

// ended is closed when the child has ended; it is nil before the first start.
func (p *process) ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

func (p *process) running() bool {
	ended := p.ended()
	if ended == nil {
		return false
	}
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// signal is lost on a child that has ended: whoever sends it looks at running.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s)
	}
}

// kill is kill -9: it returns when the child is gone.
func (p *process) kill() {
	if !p.running() {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.ended()
}

// stop is SIGTERM. It tells how long the child took, and its exit code; one that does not end is made to say where it stands, and killed,
// with code -1.
func (p *process) stop(within time.Duration) (time.Duration, int) {
	begun := time.Now()
	p.signal(syscall.SIGTERM)
	late, cancel := patience.Context(context.Background(), within)
	defer cancel()
	select {
	case <-p.ended():
		return time.Since(begun), p.cmd.ProcessState.ExitCode()
	case <-late.Done():
		p.signal(syscall.SIGQUIT)
		select {
		case <-p.ended():
		case <-time.After(20 * time.Second):
			p.kill()
		}
		return time.Since(begun), -1
	}
}

// said is all that the child wrote, in all its lives.
func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// crashes are signs in what a process said that it broke by itself.
func (p *process) crashes() []string {
	var found []string
	for line := range strings.Lines(p.said()) {
		for _, bad := range []string{"panic:", "fatal error:", "DATA RACE", "a call panicked", "cannot go on"} {
			if strings.Contains(line, bad) {
				found = append(found, p.name+" said: "+strings.TrimSpace(line))
			}
		}
	}
	return found
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
