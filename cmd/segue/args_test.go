package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane"
)

func TestEveryCommandHasHelp(t *testing.T) {
	var walk func(c *cobra.Command)
	seen := 0
	walk = func(c *cobra.Command) {
		seen++
		if c.Short == "" && c.Long == "" {
			t.Errorf("%s says nothing of itself", c.CommandPath())
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of itself: %q", c.CommandPath(), c.Example)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(streams{}))
	if seen < 20 {
		t.Errorf("%d commands", seen)
	}
	segue(t, "", "", "drill").want(t, exitFine, "Available Commands")
	segue(t, "", "", "drill", "rnu").want(t, exitUsage, "rnu")
	segue(t, "", "", "dev", "--naive", "--policy", "p.yaml").want(t, exitUsage, "--naive", "leave one out")
	segue(t, "", "", "policy", "apply", "--bsae", "1").want(t, exitUsage, "bsae", "--help")
	for _, c := range []string{"agent", "control", "tx"} {
		if help := segue(t, "", "", c, "--help").want(t, exitFine).out; c != "control" && !strings.Contains(help, "embedded store") {
			t.Errorf("%s --help does not say what the embedded store means", c)
		}
	}
}

func TestPeers(t *testing.T) {
	three := "127.0.0.1:7080,127.0.0.1:7081, 127.0.0.1:7082"
	named := "a=127.0.0.1:7080,b=127.0.0.1:7081"
	for _, c := range []struct{ list, id, raft, wantID, wantRaft, says string }{
		{"", "", "127.0.0.1:7080", "c1", "127.0.0.1:7080", ""},
		{"", "x", "127.0.0.1:7080", "x", "127.0.0.1:7080", ""},
		{three, "", "127.0.0.1:7081", "c2", "127.0.0.1:7081", ""},
		{three, "", "127.0.0.1:7082", "c3", "127.0.0.1:7082", ""},
		{named, "b", "127.0.0.1:7080", "b", "127.0.0.1:7081", ""}, // a name says more than an address that was free
		{named, "", "127.0.0.1:7081", "b", "127.0.0.1:7081", ""},
		{three, "", "127.0.0.1:7999", "", "", "does not hold this node"},
		{three, "c9", "127.0.0.1:7080", "", "", "does not hold this node"},
		{"127.0.0.1:7080,127.0.0.1:7080", "", "127.0.0.1:7080", "", "", "twice"},
		{"a=127.0.0.1:7080,a=127.0.0.1:7081", "", "127.0.0.1:7080", "", "", "twice"},
		{"c2=127.0.0.1:7080,127.0.0.1:7081", "", "127.0.0.1:7080", "", "", "twice"},
		{"nonsense", "", "127.0.0.1:7080", "", "", "host:port"},
		{three + ",", "", "127.0.0.1:7080", "", "", "host:port"},
	} {
		cfg := controlplane.Config{ID: c.id, Raft: c.raft}
		var err error
		if cfg.Peers, err = parsePeers(c.list); err == nil {
			err = placeSelf(&cfg)
		}
		switch {
		case c.says != "":
			if err == nil || !strings.Contains(err.Error(), c.says) || exitCode(err) != exitUsage {
				t.Errorf("%+v: %v", c, err)
			}
		case err != nil || cfg.ID != c.wantID || cfg.Raft != c.wantRaft:
			t.Errorf("%+v: %s at %s, %v", c, cfg.ID, cfg.Raft, err)
		}
	}
	_, err := controlConfig(controlFlags{diskTimeout: time.Second, dir: t.TempDir(), id: "b", raft: "127.0.0.1:7080", listen: "127.0.0.1:7070", peers: named})
	if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--peers has node b at 127.0.0.1:7081") {
		t.Errorf("an address that --peers contradicts: %v", err)
	}
}

func TestWeightsBody(t *testing.T) {
	for arg, want := range map[string]string{"a=40 b=60": `{"a":40,"b":60}`, "b=0.5 a=99.5": `{"a":99.5,"b":0.5}`, `q"uote=100`: `{"q\"uote":100}`, "ä\x01=100": `{"ä\u0001":100}`} {
		got, err := weightsBody(strings.Fields(arg))
		if err != nil || string(got) != want {
			t.Errorf("%q: %s, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"a", "a=", "=1", "a=x", "a=NaN", "a=Inf", "a=-inf", "a=1e999", "a=1 a=2", "a=1=2"} {
		if got, err := weightsBody(strings.Fields(arg)); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%q: %s, %v", arg, got, err)
		}
	}
}

// An agent that comes back serves where it did; a second one on the machine counts up.
func TestAgentsCountUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	flags := func(admin string, offset int) agentFlags {
		return agentFlags{region: "eu", dir: dir, control: "127.0.0.1:7070, 127.0.0.1:7071", store: "embedded", admin: admin, offset: offset,
			sizes: bodySizes{"1MiB", "1MiB", "1GiB"}}
	}
	first, err := agentConfig(flags("127.0.0.1:7093", -1))
	if err != nil || first.ID != "eu-4" || first.PortOffset != 300 || first.StoreDir != filepath.Join(dir, "store") || len(first.Control) != 2 || first.Control[1] != "127.0.0.1:7071" {
		t.Errorf("%+v, %v", first, err)
	}
	if own, err := agentConfig(flags("127.0.0.1:7999", 7)); err != nil || own.ID != "eu-1" || own.PortOffset != 7 {
		t.Errorf("%+v, %v", own, err)
	}
	again, err := agentConfig(flags("", -1))
	if err != nil {
		t.Fatal(err)
	}
	if same, err := agentConfig(flags("", -1)); err != nil || same.Admin != again.Admin || same.ID != again.ID {
		t.Errorf("first at %s, again at %s, %v", again.Admin, same.Admin, err)
	}
	l, err := net.Listen("tcp", again.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if other, err := agentConfig(flags("", -1)); err != nil || other.Admin == again.Admin {
		t.Errorf("a port that is taken is given out: %s, %v", other.Admin, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "admin-address"), []byte("\x00nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if mended, err := agentConfig(flags("", -1)); err != nil || !strings.HasPrefix(mended.Admin, "127.0.0.1:") {
		t.Errorf("a damaged file: %+v, %v", mended, err)
	}
	for what, bend := range map[string]func(*agentFlags){
		"store": func(f *agentFlags) { f.store = "cassandra" }, "cluster": func(f *agentFlags) { f.store = "cassandra://a?x=y" }, "control": func(f *agentFlags) { f.control = "here," }, "admin": func(f *agentFlags) { f.admin = "7090" },
	} {
		f := flags("127.0.0.1:7093", -1)
		bend(&f)
		if _, err := agentConfig(f); err == nil || exitCode(err) != exitUsage {
			t.Errorf("--%s: %v", what, err)
		}
	}
}
