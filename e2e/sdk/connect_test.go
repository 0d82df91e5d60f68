package sdk

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// printed is what `segue connect SERVICE --sdk X -o json` says.
type printed struct {
	SDK, URL, File, Program string
	Secrets                 []string
}

// speaks has the services of the plain `segue dev`, by what they speak.
var speaks = map[string]string{"stripe": "payments", "twilio": "sms", "openai": "chat"}

// connectors are the libraries, and curl for each contract.
func connectors() []library {
	list := libraries
	for _, contract := range []string{"stripe", "twilio", "openai"} {
		list = append(list[:len(list):len(list)], library{name: "curl", speaks: contract})
	}
	return list
}

// TestConnect: the programs that `segue connect` prints work as they are printed. Asked again with the same word, effects are not done again.
func TestConnect(t *testing.T) {
	for _, lib := range connectors() {
		t.Run(lib.name+" "+lib.speaks, func(t *testing.T) {
			p := connect(t, here.sandboxAt, speaks[lib.speaks], lib.name)
			if len(p.Secrets) > 0 {
				t.Errorf("it wants %v, where the agent has the credential", p.Secrets)
			}
			run := p.prepare(t, p.Program)
			word := fresh("order")
			first := run(t, nil, word)
			if !succeeded(lib, first) {
				t.Fatalf("it printed %q", first)
			}
			if lib.speaks != "openai" {
				if again := run(t, nil, word); again != first {
					t.Errorf("first %q, again %q", first, again)
				}
			}
			if n := books(t, lib, word); lib.speaks != "openai" && n != 1 {
				t.Errorf("executed %d times", n)
			}
			if other := run(t, nil); other == first || !succeeded(lib, other) {
				t.Errorf("without a word: %q", other)
			}
		})
	}
}

// TestConnectSends: key and session arrive at the agent, and the application's own secret at the provider, where the policy says so.
func TestConnectSends(t *testing.T) {
	for _, lib := range connectors() {
		t.Run(lib.name+" "+lib.speaks, func(t *testing.T) {
			p := connect(t, here.ownAt, "recorder-"+lib.speaks, lib.name)
			f := newFront(t, p.URL)
			ours, theirs := port(p.URL), port(f.URL)
			run := p.prepare(t, strings.ReplaceAll(p.Program, ours, theirs))
			word := fresh("order")
			var env []string
			for i, name := range p.Secrets {
				env = append(env, fmt.Sprintf("%s=ACmine%d", name, i))
			}
			mine := "Bearer ACmine0"
			if lib.speaks == "twilio" {
				mine = "Basic " + base64.StdEncoding.EncodeToString([]byte("ACmine0:ACmine1"))
			}
			here.recorder.take()
			run(t, env, word)
			if len(p.Secrets) == 0 || f.asked.Get("Idempotency-Key") != word || f.asked.Get("Session-Id") != "session-"+word || f.requests() != 1 {
				t.Errorf("secrets %v; it sent %d requests with %v", p.Secrets, f.requests(), f.asked)
			}
			if got := here.recorder.take(); len(got) != 1 || got[0].header.Get("Authorization") != mine {
				t.Errorf("the provider got %+v", got)
			}
		})
	}
}

var (
	paymentOut = regexp.MustCompile(`^\S+ pi_\w+ succeeded\n$`)
	messageOut = regexp.MustCompile(`^\S+ SM[0-9a-f]{32} (queued|sent|delivered)\n$`)
	chatOut    = regexp.MustCompile(`^\S+ You said "Say hello in five words\."\..+Ask me anything else\.\n$`)
)

func succeeded(lib library, out string) bool {
	if lib.name == "curl" { // it prints what the agent answers
		var made struct {
			Status  string
			Choices []any
		}
		return json.Unmarshal([]byte(out), &made) == nil && (made.Status == "succeeded" || made.Status == "queued" || len(made.Choices) == 1)
	}
	return map[string]*regexp.Regexp{"stripe": paymentOut, "twilio": messageOut, "openai": chatOut}[lib.speaks].MatchString(out)
}

// books counts what was done under a word, over the books of all providers.
func books(t *testing.T, lib library, word string) (n int) {
	t.Helper()
	providers := []string{"main", "backup", "legacy"}
	if lib.speaks == "twilio" {
		providers = []string{"twilio-a", "twilio-b", "twilio-c"}
	}
	for _, provider := range providers {
		var all struct {
			Entries []struct {
				Operation string
				Order     string
				Key       string `json:"idempotency_key"`
			}
		}
		get(t, "/providers/"+provider+"/_books?limit=100000", &all)
		for _, e := range all.Entries {
			if strings.HasSuffix(e.Operation, ".create") && (e.Key == word || strings.Contains(e.Order, word)) {
				n++
			}
		}
	}
	return n
}

// connect asks the built binary for a program.
func connect(t *testing.T, offset int, service, sdk string) printed {
	t.Helper()
	var p printed
	waitFor(t, "an agent that serves "+service, func() bool {
		out, err := exec.Command(here.bin, "connect", service, "--sdk", sdk, "--api", "http://"+addr(offset+uiPort), "-o", "json").CombinedOutput()
		if err != nil {
			t.Fatalf("connect: %v\n%s", err, out)
		}
		p = printed{}
		if err := json.Unmarshal(out, &p); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return !strings.Contains(p.Program, "No agent has told")
	})
	return p
}

// prepare saves a program as it says, beside its SDK, and returns what runs it with words.
func (p printed) prepare(t *testing.T, program string) func(t *testing.T, env []string, words ...string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, p.File)
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	var command []string
	switch filepath.Ext(p.File) {
	case ".mjs":
		modules, err := filepath.Abs("node/node_modules")
		if err != nil {
			t.Fatal(err)
		}
		command = []string{node(t), file}
		if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
	case ".py":
		command = []string{python(t), file}
	case ".go":
		command = []string{filepath.Join(dir, "program")}
		if err := goBuild(".", file, command[0]); err != nil {
			t.Fatal(err)
		}
	case ".sh":
		if _, err := exec.LookPath("curl"); err != nil {
			t.Fatalf("%v: apt-get install curl", err)
		}
		command = []string{"sh", file}
	default:
		t.Fatalf("what runs %s?", p.File)
	}
	return func(t *testing.T, env []string, words ...string) string {
		t.Helper()
		return p.run(t, dir, append(command[:len(command):len(command)], words...), env)
	}
}

func (p printed) run(t *testing.T, dir string, command, env []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var out, complaints bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s\n%s", p.SDK, err, out.String(), complaints.String(), p.Program)
	}
	return out.String()
}

func port(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }
