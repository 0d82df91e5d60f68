package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTime = 2 * time.Minute // for a process that shares the machine with others; alone it takes 2 s
	stopTime  = time.Minute     // it takes 1 to 3 s
	pollEvery = 20 * time.Millisecond
)

// process is one program that the tests started.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // the file that its output goes to
	done chan struct{}
	err  error // after done
}

// start starts a program. It ends with the thread that started it: nothing is left behind by a test run that is cut short.
func start(dir, name string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(name), log: filepath.Join(dir, filepath.Base(name)+"-"+fmt.Sprint(rand.Uint32())+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	p.cmd = exec.Command(name, args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = dieTogether()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	go func() { // ends with the process; stop awaits it
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end, and is an error unless it ends well in time.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already: then done says how
	select {
	case <-p.done:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // a Go program then tells where each goroutine is
		<-p.done
		return fmt.Errorf("%s did not stop within %v\n%s", p.name, stopTime, p.output(256<<10))
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.output(8<<10))
	}
	return nil
}

// output is the end of what the process said.
func (p *process) output(bytes int) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-bytes):])
}

// says waits for a line that begins so, and returns the rest of it.
func (p *process) says(prefix string) (string, error) {
	var rest string
	err := p.until(func() error {
		b, err := os.ReadFile(p.log)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			var ok bool
			if rest, ok = strings.CutPrefix(line, prefix); ok && strings.HasSuffix(rest, "\n") {
				rest = strings.TrimSpace(rest)
				return nil
			}
		}
		return fmt.Errorf("it has not said %q", prefix)
	})
	return rest, err
}

// until waits until ready finds no fault. It gives up when the process ends.
func (p *process) until(ready func() error) error {
	deadline := time.Now().Add(startTime)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(p.err, err), p.output(8<<10))
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %v: %w\n%s", p.name, startTime, err, p.output(8<<10))
		}
	}
}

// goBuild builds one program into dir.
func goBuild(from, pkg, to string) error {
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", to, pkg)
	cmd.Dir = from
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// binary is the one that make built, or one that is built now.
func binary(dir string) (string, error) {
	if bin := os.Getenv("SEGUE_BIN"); bin != "" {
		return bin, nil
	}
	to := filepath.Join(dir, "segue")
	return to, goBuild("../..", "./cmd/segue", to)
}

// The ports of `segue dev` without an offset.
const (
	uiPort      = 7070
	raftPort    = 7080
	adminPort   = 7090
	servicePort = 7101
	booksPort   = 7600 // the providers follow
)

// freeOffset finds an offset at which no port that `segue dev` may want is taken. It stays below the ports that systems hand out.
func freeOffset() (int, error) {
	for range 100 {
		offset := 8000 + 20*rand.IntN(800)
		if free(offset) {
			return offset, nil
		}
	}
	return 0, errors.New("no free range of ports")
}

func free(offset int) bool {
	var ports []int
	for i := range 12 {
		ports = append(ports, booksPort+i)
	}
	for i := range 4 {
		ports = append(ports, uiPort+i, raftPort+i, adminPort+i)
	}
	for region := range 3 {
		for service := range 20 {
			ports = append(ports, servicePort+100*region+service)
		}
	}
	for _, port := range ports {
		l, err := net.Listen("tcp", addr(offset+port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

func addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// serves is nil once the agent serves at the port.
func serves(port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr(port)+"/.segue/region", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("region: %s: %s", answer.Status, body)
	}
	return nil
}
