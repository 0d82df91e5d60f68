package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// standing is what `segue cluster status -o json` shows.
type standing struct {
	Leader        string
	Revision      uint64
	Quorum, Alive int
	Outlook       string
	Nodes         []struct {
		ID, Role, API, Version, Error string
		Voter                         bool
		Lag, Applied, Term            uint64
	}
}

func (w *world) standing(node int) standing {
	w.t.Helper()
	var s standing
	w.segueAt(node, "cluster", "status", "-o", "json").decode(w.t, &s)
	return s
}

// joiner starts a control node that waits to be added; it stands in the world's list from then on.
func (w *world) joiner(id, dir, api, raft string) int {
	w.t.Helper()
	n := newProcess(w.t, w.dir, dir, "control", "--id", id, "--join", "--dir", filepath.Join(w.dir, dir), "--listen", api, "--raft", raft, "--disk-timeout", "2m")
	n.start()
	eventually(w.t, 10*time.Second, id+" waits to be added", func() error {
		if !strings.Contains(n.said(), "segue cluster add "+id+" "+raft) {
			return fmt.Errorf("it says:\n%s", n.said())
		}
		return wants(http.StatusServiceUnavailable, "http://"+api+"/readyz")
	})
	w.nodes = append(w.nodes, n)
	w.ports.api, w.ports.raft = append(w.ports.api, api), append(w.ports.raft, raft)
	return len(w.nodes) - 1
}

// spare is a port of the world's block that nothing uses.
func (w *world) spare(n int) string {
	var base int
	if _, err := fmt.Sscanf(w.ports.api[0], "127.0.0.1:%d", &base); err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", base+n)
}

// steered changes a weight and wants it in force with every agent.
func (w *world) steered(node int, to string) {
	w.t.Helper()
	for _, r := range w.plan.regions {
		w.segueAt(node, "weight", "set", "payments", r, to+"=100").fine(w.t)
		c := w.caller(r)
		eventually(w.t, 15*time.Second, r+" hears of it", func() error {
			if by := c.get("/v1/balance", "").must(w.t).via(); by != to {
				return fmt.Errorf("a session went to %s", by)
			}
			return nil
		})
	}
}

// TestClusterChangesUnderLoad grows a cluster of three to five, hands the leadership on ten times, and takes two nodes out again, the leader
// among them. No call and no change fails.
func TestClusterChangesUnderLoad(t *testing.T) {
	w := newWorld(t, plan{})
	w.leader(10 * time.Second)
	l := newLoad(w, 2, 50*time.Millisecond)
	l.grows(20, 20*time.Second)
	for n, id := range []string{"c4", "c5"} {
		raft := w.spare(8 + n)
		w.joiner(id, id, w.spare(3+n), raft)
		began := time.Now()
		w.segueAt(n, "cluster", "add", id, raft, "--reason", "e2e").fine(t)
		t.Logf("%s votes after %v", id, time.Since(began).Round(time.Millisecond))
	}
	if s := w.standing(3); s.Alive != 5 || s.Quorum != 3 || !strings.HasPrefix(s.Outlook, "2 more failures") {
		t.Errorf("as c4 knows it: %+v", s)
	}
	for i := range 10 {
		before := w.standing(i % 5).Leader
		w.segueAt(i%5, "cluster", "transfer", "--reason", "e2e").fine(t)
		if after := w.standing(i % 5).Leader; after == before || after == "" {
			t.Errorf("%s leads after %s", after, before)
		}
		w.segueAt((i+1)%5, "weight", "set", "payments", "eu-west", fmt.Sprintf("main=%d", 50+i), fmt.Sprintf("backup=%d", 50-i)).fine(t)
	}
	gone := w.leave(3) // the leader, and by that the nodes that an agent may be attached to
	gone = append(gone, w.leave(3, gone...)...)
	for _, i := range gone {
		eventually(t, 10*time.Second, "a node that was taken out is not ready", func() error {
			return wants(http.StatusServiceUnavailable, "http://"+w.ports.api[i]+"/readyz")
		})
	}
	w.steered(4, backupProvider)
	l.reckon()
	s := w.standing(4)
	if s.Alive != 3 || s.Quorum != 2 || len(s.Nodes) != 3 {
		t.Errorf("in the end: %+v", s)
	}
}

// leave removes the leader if it is one of the first three nodes, else the first that is left of them.
func (w *world) leave(among int, not ...int) []int {
	w.t.Helper()
	s := w.standing(4)
	at := -1
	for i := range among {
		if slices.Contains(not, i) {
			continue
		}
		if at < 0 || s.Leader == fmt.Sprintf("c%d", i+1) {
			at = i
		}
	}
	w.segueAt(3, "cluster", "remove", fmt.Sprintf("c%d", at+1), "--reason", "e2e").fine(w.t)
	return []int{at}
}

// TestEverythingLostAndRestored loses every control node for good. A new cluster takes the backup; agents, which served all along, go on
// with the policy that it holds, although what they had was newer.
func TestEverythingLostAndRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	w.leader(10 * time.Second)
	w.steered(0, backupProvider)
	file := filepath.Join(w.dir, "segue.backup")
	w.segueAt(1, "cluster", "backup", file).fine(t)
	kept := w.standing(0).Revision
	w.steered(0, mainProvider)
	for _, n := range w.nodes {
		n.kill()
	}
	l := newLoad(w, 2, 50*time.Millisecond)
	l.grows(20, 20*time.Second)
	first := newProcess(t, w.dir, "n1", "control", "--id", "n1", "--dir", filepath.Join(w.dir, "n1"), "--listen", w.ports.api[0], "--raft", w.spare(8), "--disk-timeout", "2m")
	first.start()
	first.ready(w.ports.api[0], 20*time.Second)
	w.damaged(file)
	if r := w.segue("cluster", "restore", file); r.code != exitError || !strings.Contains(r.err, "yes") {
		t.Errorf("restored without being asked: %+v", r)
	}
	w.segue("cluster", "restore", file, "--yes", "--reason", "all lost").fine(t)
	for _, r := range w.plan.regions {
		c := w.caller(r)
		eventually(t, 20*time.Second, r+" goes by the restored policy", func() error {
			if by := c.get("/v1/balance", "").must(t).via(); by != backupProvider {
				return fmt.Errorf("a session went to %s", by)
			}
			return nil
		})
	}
	if s := w.standing(0); s.Revision != kept {
		t.Errorf("revision %d is in force, the backup has %d", s.Revision, kept)
	}
	w.ports.api, w.nodes = w.ports.api[:1], w.nodes[:1]
	w.nodes[0] = first
	for i, id := range []string{"n2", "n3"} {
		w.joiner(id, id, w.spare(1+i), w.spare(9+16+i))
		w.segue("cluster", "add", id, w.spare(9+16+i)).fine(t)
	}
	w.segueAt(2, "cluster", "transfer", "n3").fine(t)
	w.steered(1, mainProvider)
	l.reckon()
}

// damaged wants every damaged copy of the backup refused, and nothing in its place.
func (w *world) damaged(file string) {
	w.t.Helper()
	good, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(w.seed, 7))
	for range upTo(20, 5) {
		at := rng.IntN(len(good))
		bad := slices.Clone(good)
		bad[at] ^= byte(1) << rng.IntN(8)
		name := w.file("damaged.backup", string(bad))
		if r := w.segue("cluster", "restore", name, "--yes"); r.code != exitError || !strings.Contains(r.err, "backup") {
			w.t.Errorf("with byte %d damaged: exit %d %s%s", at, r.code, r.out, r.err)
		}
	}
	if r := w.segue("policy", "get"); r.code == exitFine {
		w.t.Errorf("something was restored:\n%s", r.out)
	}
}

// TestDoctor finds what is wrong and says what to do, and is content where nothing is.
func TestDoctor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	w.leader(10 * time.Second)
	eventually(t, 20*time.Second, "the doctor is content", func() error {
		r := w.segue("doctor", "--dir", w.dir)
		full := strings.Count(r.out, "WRONG") == 1 && strings.Contains(r.out, "WRONG  disk") // that is this machine's own matter
		if r.code != exitFine && !full || !strings.Contains(r.out, "a durable write takes") {
			return fmt.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
		}
		return nil
	})
	w.nodes[2].kill()
	w.agents["eu-west"].kill()
	w.provider(mainProvider).Kill()
	for _, region := range []string{"us-east", "ap-south"} {
		c := w.caller(region)
		for n := range 4 { // three failures in a row open a circuit
			c.charge(fmt.Sprintf("o-%s-%d", region, n), "")
		}
	}
	eventually(t, 20*time.Second, "the doctor finds all three", func() error {
		r := w.segue("doctor")
		for _, says := range []string{"WRONG  node", "c3", "segue cluster remove c3", "eu-west", "main is reached from no region"} {
			if !strings.Contains(r.out, says) {
				return fmt.Errorf("it does not say %q:\n%s", says, r.out)
			}
		}
		if r.code != exitError {
			return fmt.Errorf("exit %d", r.code)
		}
		return nil
	})
	var found []struct{ Check, State, Says, Fix string }
	if r := w.segue("doctor", "-o", "json"); r.code != exitError || !strings.HasPrefix(r.out, "[") {
		t.Errorf("exit %d: %s", r.code, r.out)
	} else {
		r.code = 0
		r.decode(t, &found)
	}
	for _, n := range w.nodes[:2] {
		n.kill()
	}
	if r := w.segue("doctor"); r.code != exitError || !strings.Contains(r.out, "start a control node") {
		t.Errorf("exit %d: %s", r.code, r.out)
	}
}
