package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"segue/e2e/patience"
)

const (
	roleVariable = "SEGUE_BENCH_ROLE"
	toVariable   = "SEGUE_BENCH_TO"
)

// play makes this process one of the others. It says where it listens, and ends when its standard input does: with whoever started it.
func play(role string) error {
	var h http.Handler
	switch role {
	case "upstream":
		h = upstream()
	case "proxy":
		to, err := url.Parse(os.Getenv(toVariable))
		if err != nil {
			return err
		}
		h = plain(to)
	default:
		return fmt.Errorf("bench: no such role: %q", role)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 10 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := errors.Join(s.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// upstream is a provider that costs next to nothing: each charge is made at once, each is known.
func upstream() http.Handler {
	var charges atomic.Uint64
	answer := func(w http.ResponseWriter, id string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"id":%q,"object":"charge","amount":1290,"currency":"eur","status":"succeeded","captured":true,"description":%q}`, id, strings.Repeat("x", 200))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/charges", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, fmt.Sprintf("ch_%d", charges.Add(1)))
	})
	mux.HandleFunc("GET /v1/charges/{id}", func(w http.ResponseWriter, r *http.Request) { answer(w, r.PathValue("id")) })
	return mux
}

// plain is net/http's ReverseProxy at its best: it keeps as many connections as it is given, and pools its buffers.
func plain(to *url.URL) http.Handler {
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true, IdleConnTimeout: 10 * time.Minute}
	return &httputil.ReverseProxy{Transport: transport, BufferPool: pool{make(chan []byte, 64)}, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
}

type pool struct{ free chan []byte }

func (p pool) Get() []byte {
	select {
	case b := <-p.free:
		return b
	default:
		return make([]byte, 32<<10)
	}
}

func (p pool) Put(b []byte) {
	select {
	case p.free <- b:
	default:
	}
}

// process is one that this test started.
type process struct {
	addr string
	pid  int
}

// role starts the test binary as one of the roles.
func role(t *testing.T, name, to string) process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+name, toVariable+"="+to)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	addr, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return process{strings.TrimSpace(addr), cmd.Process.Pid}
}

// segue starts the built binary, and ends it with SIGTERM as an operator would.
func segue(t *testing.T, args ...string) process {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("segue %s: %v\n%s", args[0], err, said)
		}
	})
	return process{pid: cmd.Process.Pid}
}

// command runs the built binary to its end, again and again while it fails: what it needs may be starting.
func command(t *testing.T, args ...string) {
	t.Helper()
	var out []byte
	eventually(t, "segue "+strings.Join(args, " "), func() (err error) {
		if out, err = exec.Command(binary(t), args...).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	})
}

// binary is the one that make built.
func binary(t *testing.T) string {
	t.Helper()
	file := os.Getenv("SEGUE_BIN")
	if file == "" {
		file = root(t) + "/bin/segue"
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%v: make build makes it", err)
	}
	return file
}

// tail keeps the last of what a process says. exec alone writes to it, and it is read after Wait.
type tail struct{ b []byte }

func (w *tail) Write(p []byte) (int, error) {
	const most = 8 << 10
	w.b = append(w.b, p...)
	w.b = w.b[max(0, len(w.b)-most):]
	return len(p), nil
}

func (w *tail) String() string { return string(w.b) }

// cpu is what a process has used until now, by the system's own count, in hundredths of a second.
func cpu(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return usage(string(b))
}

// usage reads user and system time from the line of /proc/PID/stat, whose second field may hold anything, in brackets.
func usage(stat string) (time.Duration, error) {
	_, after, ok := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " ")
	fields := strings.Fields(after)
	if !ok || len(fields) < 13 {
		return 0, fmt.Errorf("bench: unexpected process status %q", stat)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil // USER_HZ is 100 wherever Linux runs
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until do succeeds.
func eventually(t testing.TB, what string, do func() error) {
	t.Helper()
	if err := patience.Await(20*time.Second, 20*time.Millisecond, do); err != nil {
		t.Fatalf("never: %s: %v", what, err)
	}
}

// free is an address that nobody has now.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestUsage(t *testing.T) {
	line := "4242 (a ) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 9 0 100 200\n"
	if got, err := usage(line); err != nil || got != 1750*time.Millisecond {
		t.Errorf("%v %v, want 1.75s", got, err)
	}
	for _, bad := range []string{"", "1 (a) S 1 2", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x 25 0 0"} {
		if _, err := usage(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestOwnUsageGrows(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	before, err := cpu(os.Getpid())
	must(t, err)
	for end := time.Now().Add(60 * time.Millisecond); time.Now().Before(end); {
	}
	if after, err := cpu(os.Getpid()); err != nil || after <= before {
		t.Errorf("%v after %v: %v", after, before, err)
	}
}
