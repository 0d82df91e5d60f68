package controlplane

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/state"
	"segue/e2e/patience"
)

func steering(m state.Membership) state.Command {
	return state.Command{Version: 1, Request: rand.Text(), Actor: "ann", Reason: "because", At: time.Now(), Membership: &m}
}

// joiner starts a node that waits to be added.
func (c *cluster) joiner(id string) int {
	c.t.Helper()
	cfg := c.configs[0]
	cfg.ID, cfg.Dir, cfg.Listen, cfg.Raft = id, filepath.Join(filepath.Dir(cfg.Dir), id), free(c.t), free(c.t)
	cfg.Join, cfg.Peers = true, nil
	cfg.Fatal = func(err error) { c.t.Errorf("%s: %v", id, err) }
	c.configs, c.nodes = append(c.configs, cfg), append(c.nodes, nil)
	c.start(len(c.nodes) - 1)
	return len(c.nodes) - 1
}

func (c *cluster) add(via int, id, raft string) error {
	_, err := c.nodes[via].Steer(within(c.t), steering(state.Membership{Kind: state.AddNode, Node: id, Raft: raft}))
	return err
}

func (c *cluster) voters(via int) []string {
	known, err := c.nodes[via].Cluster(within(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	var ids []string
	for _, n := range known.Nodes {
		if n.Voter {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// writer changes weights until it is ended, by any node, and counts what failed.
type writer struct {
	stop        context.CancelFunc
	idle        sync.WaitGroup
	done, fails atomic.Int64
}

func (c *cluster) writes(nodes ...int) *writer {
	ctx, stop := context.WithCancel(context.Background())
	w := &writer{stop: stop}
	budget, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	c.t.Cleanup(cancel)
	for _, i := range nodes {
		s := c.nodes[i]
		w.idle.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, err := s.Propose(budget, weights("eu", float64(n%100), float64(100-n%100)))
				if err != nil {
					w.fails.Add(1)
					c.t.Logf("a write by node %d: %v", i+1, err)
				}
				w.done.Add(1)
			}
		})
	}
	c.t.Cleanup(w.end)
	return w
}

func (w *writer) end() { w.stop(); w.idle.Wait() }

// A node that waits is taken in as a learner, gets its vote when it has caught up, and can be taken out again, under load and by whichever
// node is asked. The audit says who did it.
func TestTheClusterGrowsAndShrinksUnderLoad(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	w := c.writes(0, 1)
	for _, id := range []string{"c4", "c5"} {
		i := c.joiner(id)
		if c.nodes[i].replica.Ready() {
			t.Error(id, " is ready before it was added")
		}
		if err := c.add(c.follower()%3, id, c.configs[i].Raft); err != nil {
			t.Fatal(err)
		}
		eventually(t, id+" votes", func() bool { return slices.Contains(c.voters(0), id) })
		eventually(t, id+" is ready", c.nodes[i].replica.Ready)
	}
	known, err := c.nodes[4].Cluster(within(t))
	if err != nil || known.Quorum != 3 || known.Alive != 5 || len(known.Nodes) != 5 {
		t.Errorf("as c5 knows it: %+v, %v", known, err)
	}
	for _, n := range known.Nodes {
		if n.API == "" || n.Term == 0 || n.Applied == 0 || n.Version == "" || n.Err != "" || n.Clock > 5*time.Second || n.Clock < -5*time.Second {
			t.Errorf("%+v", n)
		}
	}
	out := c.leader() // the leader itself: it hands the leadership on first
	id := c.configs[out].ID
	if _, err := c.nodes[(out+1)%3].Steer(within(t), steering(state.Membership{Kind: state.RemoveNode, Node: id})); err != nil {
		t.Fatal(err)
	}
	if got := c.voters((out + 1) % 3); slices.Contains(got, id) || len(got) != 4 {
		t.Errorf("voters %v after %s was removed", got, id)
	}
	eventually(t, "the removed node serves nobody", func() bool {
		_, err := c.nodes[out].Update("eu")
		return err != nil
	})
	w.end()
	if w.fails.Load() > 0 || w.done.Load() == 0 {
		t.Errorf("%d of %d writes failed", w.fails.Load(), w.done.Load())
	}
	st, err := c.nodes[4].Read(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := st.Node(id); ok {
		t.Errorf("%s is still known as a node that listens", id)
	}
	c.audited(st, "add", 2, "promote", 2, "remove", 1)
	if err := st.VerifyAudit(); err != nil {
		t.Error(err)
	}
}

// audited counts the audit's entries about the set of nodes, by their words.
func (c *cluster) audited(st *state.State, counts ...any) {
	c.t.Helper()
	words := map[string]string{"add": "was added", "promote": "and votes", "remove": "was removed", "transfer": "was handed"}
	for i := 0; i < len(counts); i += 2 {
		n := 0
		for _, e := range st.Audit {
			if e.Kind == "Membership" && strings.Contains(e.Text, words[counts[i].(string)]) {
				n++
				if e.Actor == "" || e.Reason == "" || e.Request == "" {
					c.t.Errorf("%+v", e)
				}
			}
		}
		if n != counts[i+1].(int) {
			c.t.Errorf("%d entries for %s, want %d", n, counts[i], counts[i+1])
		}
	}
}

// Repeats do nothing twice, and a request id belongs to one change.
func TestSteeringOnceForOneRequest(t *testing.T) {
	c := newCluster(t, 3)
	first := c.leader()
	cmd := steering(state.Membership{Kind: state.Transfer})
	for i := range 3 {
		if _, err := c.nodes[i].Steer(within(t), cmd); err != nil {
			t.Fatal(err)
		}
	}
	now, _ := c.nodes[0].Leader()
	if now == c.configs[first].ID {
		t.Error("the leadership did not move, or moved twice")
	}
	st, err := c.nodes[0].Read(within(t))
	if err != nil {
		t.Fatal(err)
	}
	c.audited(st, "transfer", 1)
	cmd.Membership = &state.Membership{Kind: state.RemoveNode, Node: now}
	if _, err := c.nodes[0].Steer(within(t), cmd); !is(err, state.Invalid) {
		t.Errorf("another change under the same id: %v", err)
	}
}

// What cannot be is refused, and says what to do.
func TestSteeringIsRefused(t *testing.T) {
	c := newCluster(t, 3)
	lone := newCluster(t, 1)
	lone.leader()
	eventually(t, "the lone node is a cluster of its own", func() bool { return lone.nodes[0].State().Incarnation != "" })
	j := c.joiner("c4")
	for _, row := range []struct {
		m    state.Membership
		code state.Code
		text string
	}{
		{state.Membership{Kind: state.Transfer, Node: "c9"}, state.NotFound, "c9"},
		{state.Membership{Kind: state.RemoveNode, Node: "c9"}, state.NotFound, "c9"},
		{state.Membership{Kind: state.RemoveNode}, state.Invalid, "node"},
		{state.Membership{Kind: state.AddNode, Node: "c4"}, state.Invalid, "raft"},
		{state.Membership{Kind: state.AddNode, Node: "c4", Raft: "192.0.2.1:7080"}, state.Invalid, "loopback"},
		{state.Membership{Kind: state.AddNode, Node: "c4", Raft: free(t)}, state.Invalid, "segue control --id c4"},
		{state.Membership{Kind: state.AddNode, Node: "c5", Raft: c.configs[j].Raft}, state.Invalid, "calls itself c4"},
		{state.Membership{Kind: state.AddNode, Node: "c1", Raft: c.configs[j].Raft}, state.Invalid, "remove it first"},
		{state.Membership{Kind: state.AddNode, Node: "c4", Raft: c.configs[0].Raft}, state.Invalid, "address of control node c1"},
		{state.Membership{Kind: state.AddNode, Node: "c7", Raft: lone.configs[0].Raft}, state.Invalid, "calls itself"},
		{state.Membership{Kind: state.Promote, Node: "c2"}, state.Unsupported, "caught up"},
		{state.Membership{Kind: "divide", Node: "c2"}, state.Invalid, "divide"},
	} {
		_, err := c.nodes[c.follower()%3].Steer(within(t), steering(row.m))
		if !is(err, row.code) || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%+v: %v", row.m, err)
		}
	}
	if got := c.voters(0); len(got) != 3 {
		t.Errorf("voters %v", got)
	}
}

// A node of another cluster has entries of its own, and is not taken in even under the right name.
func TestANodeOfAnotherClusterIsNotTakenIn(t *testing.T) {
	c, other := newCluster(t, 1), newCluster(t, 1)
	other.stop()
	other.configs[0].ID, other.configs[0].Dir = "c4", patience.Dir(t)
	other.configs[0].Peers = []Peer{{ID: "c4", Raft: other.configs[0].Raft}}
	other.start(0)
	other.leader()
	c.leader()
	eventually(t, "it is a cluster of its own", func() bool { return other.nodes[0].State().Incarnation != "" })
	if err := c.add(0, "c4", other.configs[0].Raft); !is(err, state.Invalid) || !strings.Contains(err.Error(), "cluster of its own") {
		t.Fatalf("taken in: %v", err)
	}
}

// A voter that is needed for a quorum stays.
func TestRemovalKeepsTheQuorum(t *testing.T) {
	c := newCluster(t, 3)
	l := c.leader()
	dead, other := (l+1)%3, (l+2)%3
	if err := c.nodes[dead].Kill(); err != nil {
		t.Fatal(err)
	}
	c.nodes[dead] = nil
	for _, id := range []string{c.configs[other].ID, c.configs[l].ID} {
		if _, err := c.nodes[other].Steer(within(t), steering(state.Membership{Kind: state.RemoveNode, Node: id})); !is(err, state.Invalid) || !strings.Contains(err.Error(), "2 are needed") {
			t.Errorf("%s was removed while another was dead: %v", id, err)
		}
	}
	if _, err := c.nodes[other].Steer(within(t), steering(state.Membership{Kind: state.RemoveNode, Node: c.configs[dead].ID})); err != nil {
		t.Fatalf("the dead one: %v", err)
	}
	if _, err := c.nodes[other].Steer(within(t), steering(state.Membership{Kind: state.RemoveNode, Node: c.configs[l].ID})); err != nil {
		t.Fatalf("one of two that live: %v", err)
	}
	if _, err := c.nodes[other].Steer(within(t), steering(state.Membership{Kind: state.RemoveNode, Node: c.configs[other].ID})); !is(err, state.Invalid) {
		t.Errorf("the last one: %v", err)
	}
	if _, err := c.nodes[other].Propose(within(t), apply(document)); err != nil {
		t.Errorf("the one that is left takes no change: %v", err)
	}
}

// Under load the leadership moves ten times and no write fails.
func TestTransfersUnderLoad(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	w := c.writes(0, 1, 2)
	for i := range 10 {
		to := c.configs[(c.leader()+1)%3].ID
		if _, err := c.nodes[i%3].Steer(within(t), steering(state.Membership{Kind: state.Transfer, Node: to})); err != nil {
			t.Fatal(err)
		}
	}
	w.end()
	if w.fails.Load() > 0 {
		t.Errorf("%d of %d writes failed", w.fails.Load(), w.done.Load())
	}
	t.Logf("%d writes, %d failed", w.done.Load(), w.fails.Load())
}

func is(err error, code state.Code) bool {
	var refused *state.Error
	return errors.As(err, &refused) && refused.Code == code
}

// A backup brings back what it holds: in the same cluster, where newer changes go, and in a new one. Agents take it although its index and
// revision are lower than what they know, because it begins an incarnation.
func TestBackupAndRestore(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.nodes[1].Propose(within(t), weights("eu", 11, 89)); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := c.nodes[2].Backup(within(t), &backup); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := c.nodes[0].Propose(within(t), weights("eu", float64(20+i), float64(80-i))); err != nil {
			t.Fatal(err)
		}
	}
	a := &agent{}
	c.join(a, "a1", "eu", 0, 1, 2)
	eventually(t, "the agent has revision 7", func() bool { return a.update().Revision == 7 })
	before := a.update()
	c.restored(c.follower(), backup.Bytes())
	eventually(t, "the agent has the restored revision", func() bool { return a.update().Revision == 2 })
	after := a.update()
	if after.Incarnation == before.Incarnation || !strings.Contains(string(after.Policy), "11") {
		t.Errorf("incarnation %s after %s, policy\n%s", after.Incarnation, before.Incarnation, after.Policy)
	}
	for i, s := range c.nodes { // a read at any node that begins now sees it, and the nodes go on
		st, err := s.Read(within(t))
		if err != nil || st.Current().Number != 2 || st.Incarnation != after.Incarnation {
			t.Errorf("node %d: revision %d of %s, %v", i+1, st.Current().Number, st.Incarnation, err)
		}
	}
	if _, err := c.nodes[0].Propose(within(t), weights("eu", 50, 50)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next change", func() bool { return a.update().Revision == 3 })
	c.again(c.follower(), after.Incarnation, 3)
	fresh := newCluster(t, 1)
	fresh.leader()
	fresh.restored(0, backup.Bytes())
	st, err := fresh.nodes[0].Read(within(t))
	if err != nil || st.Current().Number != 2 || st.Incarnation == after.Incarnation || st.VerifyAudit() != nil {
		t.Errorf("revision %d of %s in a new cluster, %v, %v", st.Current().Number, st.Incarnation, err, st.VerifyAudit())
	}
}

// restored restores twice under one request id, which is one time.
func (c *cluster) restored(via int, backup []byte) {
	c.t.Helper()
	cmd := state.Command{Version: 1, Request: rand.Text(), Actor: "ann", Reason: "lost", At: time.Now()}
	var seen string
	for range 2 {
		if err := c.nodes[via].Restore(within(c.t), cmd, bytes.NewReader(backup)); err != nil {
			c.t.Fatal(err)
		}
		st, err := c.nodes[via].Read(within(c.t))
		if err != nil || seen != "" && st.Incarnation != seen {
			c.t.Fatalf("incarnation %s after %s: %v", st.Incarnation, seen, err)
		}
		seen = st.Incarnation
		if last := st.Audit[len(st.Audit)-1]; last.Kind != "Restore" && last.Kind != "Announce" {
			c.t.Errorf("the audit ends in %+v", last)
		}
	}
}

// again stops a node and starts it from its files: what was restored is there.
func (c *cluster) again(i int, incarnation string, revision uint64) {
	c.t.Helper()
	if err := c.nodes[i].Kill(); err != nil {
		c.t.Fatal(err)
	}
	c.start(i)
	eventually(c.t, "the node has caught up", func() bool {
		return c.nodes[i].replica.Ready() && c.nodes[i].State().Incarnation == incarnation && c.nodes[i].State().Current().Number == revision
	})
}

// Whichever byte of a backup is damaged, or cut off: nothing is restored.
func TestADamagedBackupIsRefused(t *testing.T) {
	c := newCluster(t, 1)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := c.nodes[0].Backup(within(t), &backup); err != nil {
		t.Fatal(err)
	}
	good := backup.Bytes()
	seed := uint64(20261121)
	t.Logf("seed %d, %d bytes", seed, len(good))
	rng := mrand.New(mrand.NewPCG(seed, 1))
	before := c.nodes[0].State().Incarnation
	try := func(what string, text []byte, code state.Code) {
		t.Helper()
		err := c.nodes[0].Restore(within(t), state.Command{Version: 1, Request: rand.Text(), Actor: "ann", Reason: "x", At: time.Now()}, bytes.NewReader(text))
		if !is(err, code) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 300 {
		at, bit := rng.IntN(len(good)), byte(1)<<rng.IntN(8)
		bad := bytes.Clone(good)
		bad[at] ^= bit
		code := state.Invalid
		if newer(bad) {
			code = state.Unsupported
		}
		try(fmt.Sprintf("byte %d, bit %#x", at, bit), bad, code)
	}
	for at := len(good) - 90; at < len(good); at++ { // the checksum itself, and the last newline
		bad := bytes.Clone(good)
		bad[at] ^= 0x20
		try(fmt.Sprintf("byte %d", at), bad, state.Invalid)
		try(fmt.Sprintf("cut to %d", at), good[:at], state.Invalid)
	}
	try("text behind it", append(bytes.Clone(good), '\n'), state.Invalid)
	try("nothing", nil, state.Invalid)
	try("a newer one", bytes.Replace(good, []byte(`"Version":1,`), []byte(`"Version":2,"Elsewhere":{},`), 1), state.Unsupported)
	if c.nodes[0].State().Incarnation != before {
		t.Error("something was restored")
	}
}

func newer(text []byte) bool {
	head, _, _ := bytes.Cut(text, []byte("\n"))
	return slices.ContainsFunc([]string{"3", "5", "9"}, func(v string) bool { // what one bit makes of 1
		return bytes.HasPrefix(head, []byte(`{"Format":"segue-state","Version":`+v+`,`))
	})
}

// TestPromotionIsRecordedBeyondItsTenure: the tenure that gave a vote ends before that stands in the audit.
func TestPromotionIsRecordedBeyondItsTenure(t *testing.T) {
	c := newCluster(t, 1)
	leader := c.nodes[c.leader()]
	tenure, end := context.WithCancel(context.Background())
	end()
	if err := leader.promoted(tenure, "n9"); err != nil {
		t.Fatal(err)
	}
	st, err := leader.Read(within(t))
	if err != nil {
		t.Fatal(err)
	}
	c.audited(st, "promote", 1)
}
