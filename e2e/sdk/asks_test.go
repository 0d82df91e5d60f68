package sdk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// ask is one call of an application, as node/run.mjs, python/run.py and the Go SDKs here make it.
type ask struct {
	Speaks      string `json:"speaks"` // stripe | openai | twilio
	URL         string `json:"url"`
	Key         string `json:"key"`
	Account     string `json:"account"` // twilio's SID
	Call        string `json:"call"`    // make, stream, pay, repay, or unknown: one that the contract does not have
	Text        string `json:"text"`    // a charge's description, a message, what is said in a chat
	Idempotency string `json:"idempotency"`
	To          string `json:"to"`
	From        string `json:"from"`
	Model       string `json:"model"`
	Amount      int64  `json:"amount"`
}

// ending is what the application was told.
type ending struct {
	Outcome string // returned | threw
	Class   string // of the error
	Kind    string // its type, where the SDK has one
	Status  int
	Code    string
	Message string
	ID      string
	Text    string // what a chat said; of a stream that was cut: until then; of a payment, its amount
	Reason  string // why it ended; of a payment, its status
}

func (e ending) threw() bool    { return e.Outcome == "threw" }
func (e ending) returned() bool { return e.Outcome == "returned" }

// library is an SDK.
type library struct {
	name, speaks string
	retries      bool // sends a call again where the answer says should-retry: true
	make         func(testing.TB, ask) ending
}

// libraries are the SDKs of the tables, in the order of their columns.
var libraries = []library{
	{"stripe-node", "stripe", true, inNode},
	{"stripe-python", "stripe", true, inPython},
	{"stripe-go", "stripe", false, stripeGo},
	{"openai-node", "openai", true, inNode},
	{"openai-python", "openai", true, inPython},
	{"openai-go", "openai", true, openaiGo},
	{"twilio-node", "twilio", false, inNode},
	{"twilio-python", "twilio", false, inPython},
	{"twilio-go", "twilio", false, twilioGo},
}

func speaking(speaks string) (list []library) {
	for _, lib := range libraries {
		if lib.speaks == speaks {
			list = append(list, lib)
		}
	}
	return list
}

// sid is an account at Twilio; with credential caller the simulated providers take any.
const sid = "AC00000000000000000000000000000000"

// call is what the library asks when nothing is wrong. twilio-go takes letters and digits alone for a token. With Twilio's SDKs the key is made from the text.
func (lib library) call(url, text string) ask {
	return ask{
		Speaks: lib.speaks, URL: url, Key: "tokenOfTheApplication", Account: sid, Call: "make", Text: text,
		To: "+15005550010", From: "+15005550006", Model: "gpt-4o-mini", Amount: 100,
	}
}

// keyed is a call under a key of the application.
func (lib library) keyed(url, text string) ask {
	a := lib.call(url, text)
	if lib.speaks != "twilio" {
		a.Idempotency = text
	}
	return a
}

// runner is a process that makes the calls it reads. It ends when its input does: with the tests, however these end.
type runner struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	err strings.Builder // what it said beside; read after it ended
}

func startRunner(command ...string) (*runner, error) {
	r := &runner{cmd: exec.Command(command[0], command[1:]...)}
	r.cmd.Stderr = &r.err
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewScanner(out)
	r.out.Buffer(nil, 16<<20)
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *runner) make(t testing.TB, a ask) ending {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	line, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var e ending
	if _, err = r.in.Write(append(line, '\n')); err == nil && !r.out.Scan() {
		err = errors.Join(r.out.Err(), r.cmd.Wait(), errors.New(r.err.String()))
	}
	if err == nil {
		err = json.Unmarshal(r.out.Bytes(), &e)
	}
	if err != nil {
		t.Fatalf("%s: %v", r.cmd.Args, err)
	}
	return e
}

func (r *runner) stop() error {
	_ = r.in.Close() // it ends with its input
	return r.cmd.Wait()
}

// languages are the runners by language: started with the first call, stopped with the world.
var languages struct {
	mu      sync.Mutex
	running map[string]*runner
}

func inNode(t testing.TB, a ask) ending {
	t.Helper()
	return inLanguage(t, "node", []string{node(t), "node/run.mjs"}).make(t, a)
}

func inPython(t testing.TB, a ask) ending {
	t.Helper()
	return inLanguage(t, "python", []string{python(t), "python/run.py"}).make(t, a)
}

func inLanguage(t testing.TB, language string, command []string) *runner {
	t.Helper()
	l := &languages
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running[language] == nil {
		r, err := startRunner(command...)
		if err != nil {
			t.Fatal(err)
		}
		if l.running == nil {
			l.running = map[string]*runner{}
		}
		l.running[language] = r
	}
	return l.running[language]
}

func stopRunners() (err error) {
	for name, r := range languages.running {
		if e := r.stop(); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, e))
		}
	}
	return err
}

// node is the program, when the SDKs are there too. What is missing is never skipped.
func node(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("%v\nThe SDKs for Node are tested with it: apt-get install nodejs npm, then make sdk", err)
	}
	if _, err := os.Stat("node/node_modules/stripe"); err != nil {
		t.Fatalf("%v\nThe SDKs for Node are not installed: make sdk does it, and so does npm ci in e2e/sdk/node", err)
	}
	return path
}

func python(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("python/.venv/bin/python")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v\nThe SDKs for Python are not installed: apt-get install python3-venv, then make sdk", err)
	}
	return path
}
