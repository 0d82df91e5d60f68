package replica

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A directory belongs to one node for ever: under another name its votes would be given a second time.
func TestADirectoryBelongsToOneNode(t *testing.T) {
	c := start(t, 3, nil)
	c.agree(c.must(c.leader(), first()).Index)
	for i := range c.nodes {
		c.stop(i)
	}
	cfg := c.config(1, nil)
	cfg.Dir = c.config(0, nil).Dir
	r, err := New(cfg)
	if err == nil {
		_ = r.Stop(within(t, 0))
		t.Fatal("a node runs on the files of another")
	}
	for _, want := range []string{"node n0's", "this node is n1", "directory of its own"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	for i := range c.nodes {
		c.run(i, nil)
	}
	if n := c.nodes[c.leader()].State().Current().Number; n != 1 {
		t.Errorf("revision %d", n)
	}
}

// Once there are files, the list of peers in them counts; a node that is told another list says so.
func TestOtherPeersThanInTheFilesAreTold(t *testing.T) {
	c := start(t, 1, nil)
	c.agree(c.must(c.leader(), first()).Index)
	c.stop(0)
	cfg := c.config(0, nil)
	cfg.Peers = append(cfg.Peers[:1:1], Peer{ID: "n9", Addr: "127.0.0.1:1"})
	var said bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&said, nil))
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.nodes[0] = r
	until(t, "it leads alone, as its files say", r.Leading)
	c.stop(0)
	if !strings.Contains(said.String(), "not those in this node's files") {
		t.Errorf("said %s", &said)
	}
}
