package sdk

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables in testdata anew")

// world is what all tests talk to.
type world struct {
	dir, bin   string
	data       string // what the processes keep and say
	sandboxAt  int    // offset of the ports of a plain `segue dev`: three regions, three simulated providers
	ownAt      int    // offset of the ports of a `segue dev --policy`: one region, a service for each need
	credential string
	mock       string // URL of stripe-mock
	recorder   *recorder
	door       *door
	processes  []*process
}

var here *world // set by TestMain, read by tests

// services are those of the own policy, in the order of their ports: two for stripe-go's own tests, then one of each role in each dialect.
var services = append([]string{"payments", "mock"}, crossed()...)

// roles are what the tables need a service for.
var roles = []string{"recorder", "keyless", "gone", "narrow", "hosted", "held", "spent"}

var contracts = map[string]string{"stripe": "stripe/v1", "openai": "openai/v1", "twilio": "twilio/2010"}

func crossed() (names []string) {
	for _, role := range roles {
		for _, speaks := range []string{"stripe", "openai", "twilio"} {
			names = append(names, role+"-"+speaks)
		}
	}
	return names
}

// ownPolicy has a service for each need.
func (w *world) ownPolicy() string {
	var s, p strings.Builder
	for i, name := range services {
		role, speaks, _ := strings.Cut(name, "-")
		if speaks == "" {
			speaks = "stripe"
		}
		contract, listen, endpoint, limits, more, order := contracts[speaks], fmt.Sprint(servicePort+i), w.recorder.server.URL, "", "", name
		switch role {
		case "payments":
			endpoint = w.provider("main")
		case "mock":
			endpoint = w.mock
		case "keyless":
			if speaks == "stripe" {
				contract = "keyless/v1"
			}
		case "gone":
			endpoint = closedPort()
		case "narrow":
			limits = ", limits: {in_flight: 1}"
		case "spent":
			limits, more = ", cost: {fixed: 1 EUR}", ", budget: {spend: 1 EUR/day, then: refuse}"
		case "hosted":
			listen = fmt.Sprintf("{port: %d, host: %s.example}", servicePort+i, name)
		case "held":
			order, more = "behind-"+name+", "+name, ", session: {challenge: {class: pinned}}"
			fmt.Fprintf(&p, "  behind-%s: {contract: %s, credential: caller, endpoint: %q}\n", name, contract, w.door.url())
		}
		fmt.Fprintf(&s, "  %s: {speaks: %s, listen: %s, strategy: priority, priority: [%s], breaker: {failures: 1000}%s}\n",
			name, contracts[speaks], listen, order, more)
		fmt.Fprintf(&p, "  %s: {contract: %s, credential: caller, endpoint: %q%s}\n", name, contract, endpoint, limits)
	}
	return "segue: v1\nservices:\n" + s.String() + "providers:\n" + p.String() + "contracts:\n  keyless/v1: {like: stripe/v1, keys: {enforced: false}}\n"
}

func TestMain(m *testing.M) {
	runtime.LockOSThread() // the processes end with this thread
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "segue-sdk-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	data, err := os.MkdirTemp(quick(), "segue-sdk-data-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(data)
	here = &world{dir: dir, data: data, recorder: newRecorder()}
	if here.door, err = newDoor(here.recorder); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, here.stop()) }()
	if err := here.start(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func (w *world) start() error {
	var err error
	if w.bin, err = binary(w.dir); err != nil {
		return err
	}
	if err := w.startMock(); err != nil {
		return err
	}
	if err := w.startSandbox(); err != nil {
		return err
	}
	w.ownAt, err = w.startOwn("own", w.bin)
	return err
}

// startMock builds stripe-mock, which is a tool of this module, and starts it.
func (w *world) startMock() error {
	bin := filepath.Join(w.dir, "stripe-mock")
	if err := goBuild(".", "github.com/stripe/stripe-mock", bin); err != nil {
		return err
	}
	p, err := w.run(bin, "-http-addr", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at, err := p.says("Listening for HTTP at address: ")
	w.mock = "http://" + at
	return err
}

func (w *world) run(bin string, args ...string) (*process, error) {
	p, err := start(w.data, bin, args...)
	if err == nil {
		w.processes = append(w.processes, p)
	}
	return p, err
}

func (w *world) startSandbox() error {
	var err error
	if w.sandboxAt, err = freeOffset(); err != nil {
		return err
	}
	data := filepath.Join(w.data, "sandbox")
	p, err := w.run(w.bin, "dev", "--dir", data, "--rate", "0", "--seed", "7", "--port-offset", fmt.Sprint(w.sandboxAt))
	if err != nil {
		return err
	}
	for region := range 3 {
		if err := p.until(func() error { return serves(w.sandboxAt + servicePort + 100*region) }); err != nil {
			return err
		}
	}
	secret, err := os.ReadFile(filepath.Join(data, "sandbox-credential"))
	w.credential = strings.TrimSpace(string(secret))
	return errors.Join(err, w.ordered())
}

var byWorth = regexp.MustCompile(`strategy: adaptive.*\n +providers: (\[openai-a,.*\])\n +balance: .*`)

// ordered has the demo's chat choose by an order: the tests fail its first provider again and again, and one that fails is worth less for a while.
func (w *world) ordered() error {
	segue := func(args ...string) ([]byte, error) {
		out, err := exec.Command(w.bin, append(args, "--api", fmt.Sprintf("http://127.0.0.1:%d", w.sandboxAt+uiPort))...).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("segue %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return out, nil
	}
	demo, err := segue("policy", "get")
	if err != nil {
		return err
	}
	if !byWorth.Match(demo) {
		return fmt.Errorf("the demo's chat is not adaptive:\n%s", demo)
	}
	file := filepath.Join(w.dir, "ordered.yaml")
	if err := os.WriteFile(file, byWorth.ReplaceAll(demo, []byte("strategy: priority\n    priority: $1")), 0o600); err != nil {
		return err
	}
	_, err = segue("policy", "apply", file, "--replace", "--yes", "--reason", "an order for the tests")
	return err
}

// startOwn starts a `segue dev` with the own policy and returns the offset of its ports. wrapped is the binary, or what runs it.
func (w *world) startOwn(name string, wrapped ...string) (int, error) {
	offset, err := freeOffset()
	if err != nil {
		return 0, err
	}
	file := filepath.Join(w.dir, name+".yaml")
	if err := os.WriteFile(file, []byte(w.ownPolicy()), 0o600); err != nil {
		return 0, err
	}
	data := filepath.Join(w.data, name)
	args := append(wrapped[1:], "dev", "--policy", file, "--dir", data, "--port-offset", fmt.Sprint(offset))
	p, err := w.run(wrapped[0], args...)
	if err != nil {
		return 0, err
	}
	return offset, p.until(func() error { return serves(offset + servicePort) })
}

// aside starts one more for a single test, which stops it. Until then the test stays on its thread, with which the process would end.
func (w *world) aside(t *testing.T, name string, wrapped ...string) (offset int, stop func()) {
	t.Helper()
	runtime.LockOSThread()
	offset, err := w.startOwn(name, wrapped...)
	last := len(w.processes) - 1
	stop = func() {
		if err := w.processes[last].stop(); err != nil {
			t.Error(err)
		}
		w.processes = w.processes[:last]
		runtime.UnlockOSThread()
	}
	if err != nil {
		stop()
		t.Fatal(err)
	}
	return offset, stop
}

// closedPort is the URL of a port that nobody listens on.
func closedPort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "http://127.0.0.1:1"
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// stop ends the processes, the last first: agents before the providers that they call.
func (w *world) stop() error {
	var err error
	for i := len(w.processes) - 1; i >= 0; i-- {
		p := w.processes[i]
		if p.name == "stripe-mock" { // it knows no orderly end
			_ = p.cmd.Process.Kill()
			<-p.done
			continue
		}
		err = errors.Join(err, p.stop())
	}
	w.recorder.server.Close()
	w.door.shut()
	return errors.Join(err, stopRunners())
}

// provider is the URL of a simulated provider.
func (w *world) provider(name string) string {
	for i, n := range []string{"main", "backup", "legacy", "twilio-a", "twilio-b", "twilio-c", "openai-a", "openai-b", "openai-c"} {
		if n == name {
			return "http://" + addr(w.sandboxAt+booksPort+1+i)
		}
	}
	panic("no provider " + name)
}

// agent is the URL of a service of the own policy, through its agent.
func (w *world) agent(service string) string { return agentAt(w.ownAt, service) }

func agentAt(offset int, service string) string {
	for i, s := range services {
		if s == service {
			return "http://" + addr(offset+servicePort+i)
		}
	}
	panic("no service " + service)
}

// region is the URL of the plain `segue dev`'s payments in its n-th region.
func (w *world) region(n int) string { return "http://" + addr(w.sandboxAt+servicePort+100*n) }

// demo is the URL of a service of the plain `segue dev` in its first region.
func (w *world) demo(service string) string {
	return "http://" + addr(w.sandboxAt+servicePort+slices.Index([]string{"payments", "sms", "chat"}, service))
}
