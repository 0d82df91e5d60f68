package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"segue/cmd/segue/dev"
	"segue/controlplane"
	"segue/e2e/patience"
)

func TestMain(m *testing.M) {
	if args := os.Getenv("SEGUE_TEST_RUN"); args != "" { // an editor's script changes something meanwhile
		os.Exit(run(context.Background(), strings.Fields(args), streams{out: os.Stdout, err: os.Stderr, in: os.Stdin}))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")) // the client's idle connections
}

const document = `segue: v1
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: weighted
    weights: {main: 70, backup: 30}
providers:
  main: {contract: stripe/v1, endpoint: "http://127.0.0.1:7601", credential: caller}
  backup: {contract: stripe/v1, endpoint: "http://127.0.0.1:7602", credential: "env:SECRET_KEY"}
`

// control is a real control node with its API and pages, in this process.
func control(t *testing.T) (api string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	node, err := controlplane.New(controlplane.Config{
		ID: "c1", Dir: patience.Dir(t), Listen: "127.0.0.1:0", Raft: "127.0.0.1:0", Log: log, Now: time.Now, DiskTimeout: time.Hour, Metrics: prometheus.NewRegistry(),
		Fatal: func(err error) { t.Errorf("the node cannot go on: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := dev.Mount(node, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	node.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := pages.Close(); err != nil {
			t.Error(err)
		}
		if err := node.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if _, err := node.Read(ctx); err == nil {
			return "http://" + node.Addr()
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// said is what a command printed and its exit code.
type said struct {
	code     int
	out, err string
}

// segue runs a command; input is what it reads from standard input.
func segue(t *testing.T, api, input string, args ...string) said {
	t.Helper()
	var out, errs bytes.Buffer
	if api != "" {
		args = append(args, "--api", api)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code := run(ctx, args, streams{out: &out, err: &errs, in: strings.NewReader(input)})
	return said{code, out.String(), errs.String()}
}

// happened wants an event told: the command reads for a moment, and a busy control plane tells later.
func happened(t *testing.T, api, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		said := segue(t, api, "", "events").want(t, exitFine)
		if strings.Contains(said.out, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not told: %q:\n%s", text, said.out)
		}
	}
}

func (s said) want(t *testing.T, code int, texts ...string) said {
	t.Helper()
	if s.code != code {
		t.Fatalf("exit %d, want %d\n%s%s", s.code, code, s.out, s.err)
	}
	for _, text := range texts {
		if !strings.Contains(s.out+s.err, text) {
			t.Errorf("does not say %q:\n%s%s", text, s.out, s.err)
		}
	}
	if strings.Contains(s.out+s.err, "goroutine ") {
		t.Errorf("a stack is shown:\n%s%s", s.out, s.err)
	}
	return s
}

// parses reads the output as -o names it.
func (s said) parses(t *testing.T, form string) {
	t.Helper()
	var v any
	var err error
	switch form {
	case "json":
		err = json.Unmarshal([]byte(s.out), &v)
	case "yaml":
		err = yaml.Unmarshal([]byte(s.out), &v)
	default:
	}
	if err != nil {
		t.Errorf("-o %s: %v\n%s", form, err, s.out)
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
