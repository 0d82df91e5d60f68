package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/health"
)

// three services, one for each contract that an SDK is known for, and one that is like another.
const talking = `segue: v1
services:
  payments: {speaks: mine/v1, listen: 7101, strategy: priority, priority: [main]}
  sms: {speaks: twilio/2010, listen: {port: 7102, host: sms.internal}, strategy: priority, priority: [texts]}
  chat: {speaks: openai/v1, listen: 7103, strategy: priority, priority: [talk]}
providers:
  main: {contract: mine/v1, endpoint: "http://127.0.0.1:7601", credential: "env:KEY"}
  texts: {contract: twilio/2010, endpoint: "http://127.0.0.1:7602", credential: caller}
  talk: {contract: openai/v1, endpoint: "http://127.0.0.1:7603", credential: caller}
contracts:
  mine/v1: {like: stripe/v1}
`

// TestConnect prints every program for every service: each is whole, names the address, and parses in its language.
func TestConnect(t *testing.T) {
	api := control(t)
	segue(t, api, "", "connect").want(t, exitError, "no policy")
	segue(t, api, "", "policy", "apply", file(t, talking)).want(t, exitFine)
	segue(t, api, "", "connect").want(t, exitFine, "payments", "mine/v1", "http://sms.internal:7102", "openai-python")
	segue(t, api, "", "connect", "sms").want(t, exitFine, "not heard", "your own key", "twilio-node|twilio-python|twilio-go|curl")
	segue(t, api, "", "connect", "payments", "--sdk", "stripe-go", "--https").want(t, exitFine, `"https://127.0.0.1:7101"`)
	segue(t, api, "", "connect", "sms", "--sdk", "twilio-go", "--https").want(t, exitFine, `"https", "sms.internal:7102"`)
	printed := 0
	for service, list := range map[string][]string{
		"payments": {"stripe-node", "stripe-python", "stripe-go", "curl"}, "sms": {"twilio-node", "twilio-python", "twilio-go", "curl"},
		"chat": {"openai-node", "openai-python", "openai-go", "curl"},
	} {
		for _, name := range list {
			var p program
			if err := json.Unmarshal([]byte(segue(t, api, "", "connect", service, "--sdk", name, "-o", "json").want(t, exitFine).out), &p); err != nil {
				t.Fatal(err)
			}
			if plain := segue(t, api, "", "connect", service, "--sdk", name).want(t, exitFine, "Session-Id", "dempotency", "No agent has told").out; plain != p.Program {
				t.Errorf("%s: the table is not the program", name)
			}
			if caller := service != "payments"; caller != (len(p.Secrets) > 0) || caller == strings.Contains(p.Program, "unused") {
				t.Errorf("%s %s: the API-key slot: %v\n%s", service, name, p.Secrets, p.Program)
			}
			if strings.Contains(p.Program, "{{") || strings.Contains(p.Program, "<no value>") || !strings.Contains(p.Program, strings.TrimPrefix(p.URL, "http://")) && name != "stripe-node" {
				t.Errorf("%s %s:\n%s", service, name, p.Program)
			}
			parses(t, name, p.Program)
			printed++
		}
	}
	if printed != len(sdks) {
		t.Errorf("%d programs, there are %d", printed, len(sdks))
	}
	for _, c := range []struct {
		args  []string
		code  int
		wants []string
	}{
		{[]string{"paymnts"}, exitError, []string{`"paymnts"`, "did you mean payments?"}},
		{[]string{"payments", "--sdk", "openai-go"}, exitUsage, []string{"does not speak mine/v1", "stripe-node, stripe-python, stripe-go, curl"}},
		{[]string{"payments", "--sdk", "stripe-nod"}, exitUsage, []string{"did you mean stripe-node?"}},
		{[]string{"payments", "--sdk", "curl", "--region", "lokal"}, exitError, []string{"did you mean local?"}},
		{[]string{"--sdk", "curl"}, exitUsage, []string{"payments, sms, chat"}},
	} {
		segue(t, api, "", append([]string{"connect"}, c.args...)...).want(t, c.code, c.wants...)
	}
}

// parses holds a program against its language, where that is on this machine.
func parses(t *testing.T, name, text string) {
	t.Helper()
	var check *exec.Cmd
	switch {
	case strings.HasSuffix(name, "-go"):
		if _, err := parser.ParseFile(token.NewFileSet(), "main.go", text, parser.AllErrors); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		return
	case name == "curl":
		check = exec.Command("sh", "-n")
	case strings.HasSuffix(name, "-python"):
		check = exec.Command("python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())")
	default:
		check = exec.Command("node", "--check", "--input-type=module", "-")
	}
	if check.Err != nil {
		t.Logf("%s is not parsed: %v", name, check.Err)
		return
	}
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s\n%s", name, err, out, text)
	}
}

// TestAsked runs the reading commands against a node without agents: they say what is missing.
func TestAsked(t *testing.T) {
	api := control(t)
	segue(t, api, "", "policy", "apply", file(t, document)).want(t, exitFine)
	segue(t, api, "", "region", "list").want(t, exitFine, "local", "0 of 0 heard")
	segue(t, api, "", "provider", "list").want(t, exitFine, "main", "backup", "no agent is heard")
	segue(t, api, "", "provider", "show", "main").want(t, exitFine, "contract stripe/v1")
	segue(t, api, "", "provider", "show", "mian").want(t, exitError, "did you mean main?")
	segue(t, api, "", "provider", "probe", "main").want(t, exitError, "main has no active check", "checks: {active:")
	segue(t, api, "", "provider", "probe", "mian").want(t, exitError, "did you mean main?")
	segue(t, api, "", "status").want(t, exitFine, "policy 1 in 0 of 1 regions", "no agent is heard")
	happened(t, api, "revision 1")
	segue(t, api, "", "events", "--since", "yesterday").want(t, exitUsage, "15m")
	segue(t, api, "", "tx", "list", "--state", "hled").want(t, exitUsage, "did you mean held?")
	segue(t, api, "", "tx", "list", "--since", "-1h").want(t, exitUsage, "--since")
	segue(t, "", "", "provder").want(t, exitUsage, "did you mean provider?")
	for _, args := range [][]string{{"status"}, {"provider", "list"}, {"region", "list"}, {"tx", "list"}, {"connect"}, {"provider", "show", "main"}} {
		for _, form := range []string{"json", "yaml"} {
			segue(t, api, "", append(args, "-o", form)...).want(t, exitFine).parses(t, form)
		}
		segue(t, "http://127.0.0.1:1", "", args...).want(t, exitNoLeader, "nobody answers at http://127.0.0.1:1")
	}
	segue(t, "http://127.0.0.1:1", "", "events", "--follow").want(t, exitNoLeader, "nobody answers")
	segue(t, "http://127.0.0.1:1", "", "status", "-w").want(t, exitNoLeader, "nobody answers")
}

// TestCompletion: every shell's script, and names from the control plane; without one, nothing is offered and nobody waits.
func TestCompletion(t *testing.T) {
	api := control(t)
	segue(t, api, "", "policy", "apply", file(t, document)).want(t, exitFine)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := segue(t, "", "", "completion", shell).want(t, exitFine).out; !strings.Contains(out, "__complete") {
			t.Errorf("%s: %.200s", shell, out)
		}
	}
	segue(t, "", "", "completion", "tcsh").want(t, exitUsage, "tcsh")
	t.Setenv("SEGUE_API", api)
	for line, want := range map[string]string{
		"provider drain ": "backup", "connect pay": "payments", "weight set payments ": "local", "connect payments --sdk str": "stripe-node",
		"tx list --state h": "held", "status -o y": "yaml", "tx list --provider ma": "main",
	} {
		segue(t, "", "", append([]string{"__complete"}, strings.Split(line, " ")...)...).want(t, exitFine, want, ":4")
	}
	t.Setenv("SEGUE_API", "http://127.0.0.1:1")
	if out := segue(t, "", "", "__complete", "provider", "drain", "").want(t, exitFine).out; out != ":4\n" {
		t.Errorf("offered without a control plane: %q", out)
	}
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	t.Setenv("SEGUE_API", slow.URL)
	began := time.Now()
	segue(t, "", "", "__complete", "provider", "drain", "").want(t, exitFine, ":4")
	if took := time.Since(began); took > 5*completeWithin {
		t.Errorf("a shell waited %v", took)
	}
}

// TestFollow: a stream that breaks is asked for again behind the last event, and nothing is told twice.
func TestFollow(t *testing.T) {
	var asked atomic.Int32
	second := make(chan string, 1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if asked.Add(1) == 1 {
			_, _ = io.WriteString(w, "retry: 1000\n\nid: 7.1.1.x\nevent: happened\ndata: {\"id\":\"a\",\"text\":\"first\",\"level\":\"ok\"}\n\n")
			return // it breaks
		}
		second <- r.Header.Get("Last-Event-ID")
		_, _ = io.WriteString(w, "id: 8.1.1.x\nevent: reset\ndata: {\"lost\":[\"3 events\"]}\n\nid: 9.1.1.x\nevent: happened\ndata: {\"id\":\"b\",\"text\":\"second\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer api.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, wrote := io.Pipe()
	var errs strings.Builder
	code := make(chan int, 1)
	go func() { // awaited below
		code <- run(ctx, []string{"events", "--follow", "-o", "json", "--api", api.URL}, streams{out: wrote, err: &errs})
		_ = wrote.Close()
	}()
	d := json.NewDecoder(out)
	for _, want := range []string{"first", "second"} {
		var e occurrence
		if err := d.Decode(&e); err != nil || e.Text != want {
			t.Fatalf("%+v, %v; want %s", e, err, want)
		}
	}
	if last := <-second; last != "7.1.1.x" {
		t.Errorf("came back with %q", last)
	}
	cancel()
	if c := <-code; c != exitFine || !strings.Contains(errs.String(), "broke") || !strings.Contains(errs.String(), "3 events") {
		t.Errorf("exit %d: %s", c, errs.String())
	}
}

// TestKnownEvents: without --follow the command waits for all that is known, however slowly it comes, and for nothing that is not.
func TestKnownEvents(t *testing.T) {
	more := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "retry: 1000\n\ndata: {\"text\":\"first\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "data: {\"text\":\"second\"}\n\n: known\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer api.Close()
	time.AfterFunc(time.Second, func() { close(more) }) // what a busy node takes, and no follower's patience
	began := time.Now()
	segue(t, api.URL, "", "events").want(t, exitFine, "first", "second")
	if took := time.Since(began); took < time.Second {
		t.Errorf("it left after %v", took)
	}
}

// TestOutputClosed: who reads no more ends the stream with an error, not with a loop.
func TestOutputClosed(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: {\"text\":\"x\"}\n\n")
	}))
	defer api.Close()
	code := run(t.Context(), []string{"events", "--follow", "--api", api.URL}, streams{out: failing{}, err: io.Discard})
	if code != exitError {
		t.Errorf("exit %d", code)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("closed") }

// TestColour: none where it is not wanted, or where nobody looks.
func TestColour(t *testing.T) {
	s := &settings{io: streams{out: &strings.Builder{}}}
	if got := s.coloured("bad", "text"); got != "text" {
		t.Errorf("%q in a pipe", got)
	}
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminals here")
	}
	defer tty.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	s.io.out = tty
	if got := s.coloured("bad", "text"); got != "\x1b[31mtext\x1b[0m" || s.coloured("ok", "text") != "text" {
		t.Errorf("%q on a terminal", got)
	}
	t.Setenv("NO_COLOR", "1")
	if got := s.coloured("bad", "text"); got != "text" {
		t.Errorf("%q with NO_COLOR", got)
	}
}

func TestGuess(t *testing.T) {
	for word, want := range map[string]string{"paymets": " (did you mean payments?)", "PAYMENTS!": "", "": "", "zzzzzzzz": "", "sm": " (did you mean sms?)"} {
		if got := guess(word, []string{"payments", "sms"}); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if d := editDistance(strings.Repeat("a", 1<<20), "b"); d != 64 {
		t.Errorf("%d", d)
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{percentText(-1), nothing}, {percentText(100), "100 %"}, {percentText(99.954), "99.95 %"}, {millis(-1), nothing}, {millis(1.84), "1.8 ms"}, {millis(184.4), "184 ms"}, {millis(2500), "2.50 s"},
		{byRegion(nil, standWord), "no agent is heard"},
		{byRegion([]health.Cell{{Region: "a", Stand: health.Stand{Breaker: "open"}}, {Region: "b", Stand: health.Stand{Breaker: "closed"}}}, standWord), "open in a; closed in b"},
		{breakerText(health.Cell{Stand: health.Stand{Breaker: "half-open", Probes: "2 of 5", Why: "3 failures in a row"}}), "half-open, 2 of 5 probes good: 3 failures in a row"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if fmt.Sprint(probed{Silent: []string{"x"}}.verdict() != nil, exitCode(probed{Silent: []string{"x"}}.verdict())) != "true 75" {
		t.Error("an agent that did not tell is exit 75")
	}
}

// A service that goes by an order has no weights: 0 % would say that each of its providers is a fallback.
func TestNoWeightsOfAnOrder(t *testing.T) {
	cell := func(service, provider string, weight float64) health.Cell {
		c := health.Cell{Region: "local", Service: service, Provider: provider}
		c.Weight = weight
		return c
	}
	cells := []health.Cell{cell("payments", "main", 100), cell("payments", "backup", 0), cell("sms", "main", 0), cell("sms", "other", 0)}
	want := []string{"100 %", "0 %", nothing, nothing}
	for i, c := range onlyWeights(cells) {
		if got := percentText(c.Weight); got != want[i] {
			t.Errorf("%s of %s: %s, want %s", c.Provider, c.Service, got, want[i])
		}
	}
	main := providerRow{Name: "main", Cells: []health.Cell{cells[0], cells[2]}}
	main.unweigh([]providerRow{{Cells: []health.Cell{cells[0], cells[2]}}, {Cells: cells[1:2]}, {Cells: cells[3:]}})
	if main.Cells[0].Weight != 100 || main.Cells[1].Weight != health.None64 {
		t.Errorf("%+v", main.Cells)
	}
}
