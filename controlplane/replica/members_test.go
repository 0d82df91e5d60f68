package replica

import (
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"segue/controlplane/state"
	"segue/e2e/patience"
)

// joiner starts one more node, which waits to be added.
func (c *cluster) joiner() int {
	c.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	i := len(c.nodes)
	self := Peer{ID: "n" + string(rune('0'+i)), Addr: ln.Addr().String()}
	c.peers, c.dirs, c.fatal, c.nodes = append(c.peers, self), append(c.dirs, patience.Dir(c.t)), append(c.fatal, make(chan error, 10)), append(c.nodes, nil)
	bend := c.bend
	c.bend = func(i int, cfg *Config) {
		if bend != nil {
			bend(i, cfg)
		}
		if cfg.ID == self.ID {
			cfg.Join, cfg.Peers = true, []Peer{self}
		}
	}
	c.run(i, ln)
	c.t.Cleanup(func() { c.stop(i) })
	return i
}

// With certificates too, a node that waits knows nobody, begins nothing, and is taken in, promoted and taken out.
func TestANodeJoinsOverTLS(t *testing.T) {
	ca := newAuthority(t)
	c := start(t, 3, func(_ int, c *Config) { c.TLS = ca.config(c.ID) })
	l := c.leader()
	c.must(l, first())
	j := c.joiner()
	if n := c.nodes[j]; n.Member() || n.Ready() || n.State().Incarnation != "" || len(n.servers()) != 0 {
		t.Errorf("before it was added: %+v", n.Stats())
	}
	id, addr := c.peers[j].ID, c.peers[j].Addr
	if err := c.nodes[(l+1)%3].Add(within(t, time.Second), id, addr); code(err) != state.NoLeader {
		t.Errorf("added by a follower: %v", err)
	}
	for range 2 { // the second changes nothing
		if err := c.nodes[l].Add(within(t, 30*time.Second), id, addr); err != nil {
			t.Fatal(err)
		}
	}
	c.agree(c.must(l, weights("w", 1)).Index)
	if err := c.nodes[l].Transfer(within(t, 30*time.Second), id); code(err) != state.Invalid || !strings.Contains(err.Error(), "no vote") {
		t.Errorf("a learner was to lead: %v", err)
	}
	if err := c.nodes[l].Promote(within(t, 30*time.Second), id); err != nil {
		t.Fatal(err)
	}
	if err := c.nodes[l].Transfer(within(t, 30*time.Second), id); err != nil {
		t.Fatal(err)
	}
	c.leader(l)
	until(t, "it leads", c.nodes[j].Leading)
	if err := c.nodes[j].Remove(within(t, 30*time.Second), c.peers[l].ID); err != nil {
		t.Fatal(err)
	}
	until(t, "the one that was removed knows it", func() bool { return !c.nodes[l].Member() && !c.nodes[l].Ready() })
	if err := c.nodes[j].Remove(within(t, time.Second), id); code(err) != state.Invalid {
		t.Errorf("a leader removed itself: %v", err)
	}
	c.must(j, weights("x", 2))
}

// A node that was cut off while it was taken out learns of it when it can ask, and one that is only cut off does not think so.
func TestANodeLearnsThatItWasTakenOut(t *testing.T) {
	ca := newAuthority(t)
	c := start(t, 3, func(_ int, c *Config) { c.TLS = ca.config(c.ID) })
	l := c.leader()
	c.must(l, first())
	gone := (l + 1) % 3
	c.agree(c.must(l, weights("w", 1)).Index)
	c.isolate(gone, true)
	if err := c.nodes[l].Remove(within(t, 30*time.Second), c.peers[gone].ID); err != nil {
		t.Fatal(err)
	}
	if !c.nodes[gone].Member() {
		t.Fatal("it was told before it could be: the test proves nothing")
	}
	c.isolate(gone, false)
	until(t, "it knows", func() bool { return !c.nodes[gone].Member() && !c.nodes[gone].Ready() })
	if err := c.nodes[l].Add(within(t, 30*time.Second), c.peers[gone].ID, c.peers[gone].Addr); err != nil {
		t.Fatal(err)
	}
	until(t, "it is one of them again", func() bool { return c.nodes[gone].Member() && c.nodes[gone].Ready() })
}

// Whoever sends rubbish to a replica's listener, or a question and nothing more, disturbs nobody.
func TestRubbishOnTheListener(t *testing.T) {
	c := start(t, 1, nil)
	l := c.leader()
	c.must(l, first())
	seed := uint64(20261121)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range 50 {
		conn, err := net.Dial("tcp", c.peers[l].Addr)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 1+rng.IntN(64))
		for j := range text {
			text[j] = byte(rng.Uint32())
		}
		if i%5 == 0 {
			text[0] = hello
		}
		_, _ = conn.Write(text) // it may have been hung up on
		conn.Close()
	}
	who, err := c.nodes[l].trans.stream.ask(within(t, 30*time.Second), c.peers[l].Addr, c.peers[l].ID)
	if err != nil || who.ID != c.peers[l].ID || who.Servers != 1 || who.Incarnation != c.nodes[l].State().Incarnation {
		t.Errorf("%+v, %v", who, err)
	}
	c.must(l, weights("w", 1))
}

// A node that a transfer has wedged for ever ends.
func TestAWedgedNodeEnds(t *testing.T) {
	c := start(t, 1, nil)
	c.leader()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.nodes[0].unwedge(ctx, time.Now().Add(time.Minute))
	select {
	case err := <-c.fatal[0]:
		t.Fatal("too early: ", err)
	default:
	}
	c.nodes[0].unwedge(ctx, time.Now().Add(-time.Second))
	if err := c.ended(0); !strings.Contains(err.Error(), "transfer") {
		t.Error(err)
	}
}

// A restored State reaches every node, is in force after a restart of all, and no proposal of the time before comes back.
func TestRestoreReachesEveryNode(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	c.must(l, first())
	backup := c.nodes[l].State()
	last := c.must(l, weights("w", 1))
	c.agree(last.Index)
	cmd := state.Command{Request: "back", Actor: "ann", Reason: "lost", At: time.Now(), Beside: state.Beside{Restore: &state.Restore{Incarnation: "next", Sum: "s"}}}
	restore := func(i int) error {
		return c.nodes[i].Restore(within(t, 20*time.Second), func(index uint64) (*state.State, error) {
			st, result := backup.Restored(c.nodes[i].State(), cmd, index)
			if result.Err != nil {
				return nil, result.Err
			}
			return st, nil
		})
	}
	if err := restore((l + 1) % 3); code(err) != state.NoLeader {
		t.Errorf("by a follower: %v", err)
	}
	if err := restore(l); err != nil {
		t.Fatal(err)
	}
	restored := func() {
		t.Helper()
		for i := range c.nodes {
			until(t, "the restored state", func() bool {
				s := c.nodes[i].State()
				return s.Incarnation == "next" && s.Index > last.Index
			})
		}
	}
	restored()
	if st, err := c.nodes[l].Read(within(t, 30*time.Second)); err != nil || st.Current().Number != 1 {
		t.Errorf("revision %d, %v", st.Current().Number, err)
	}
	for i := range c.nodes {
		c.stop(i)
	}
	for i := range c.nodes {
		c.run(i, nil)
	}
	l = c.leader()
	restored()
	if r := c.must(l, weights("after", 3)); r.Revision != 2 {
		t.Errorf("revision %d", r.Revision)
	}
}
