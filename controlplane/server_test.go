package controlplane

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	draw "math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"segue/controlplane/feed"
	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/e2e/patience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const document = `segue: v1
regions:
  eu: {standby: [us]}
  us: {standby: [eu]}
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: weighted
    weights:
      eu: {main: 70, backup: 30}
      us: {main: 50, backup: 50}
providers:
  main: {contract: stripe/v1, endpoint: "http://127.0.0.1:7601", credential: caller}
  backup: {contract: stripe/v1, endpoint: "http://127.0.0.1:7602", credential: caller}
`

// given are the ports that free gave: none is given twice, though nobody may listen there yet.
var given sync.Map

// free is an address that nobody has, below those that systems hand out to whoever asks for any: a node that starts later still finds it free.
func free(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 24000+draw.IntN(6000))
		if _, twice := given.LoadOrStore(addr, true); twice {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no free port from 24000 to 30000")
	return ""
}

// cluster is three control nodes in one process, over real sockets and files.
type cluster struct {
	t       testing.TB
	configs []Config
	nodes   []*Server // nil: killed
}

func newCluster(t testing.TB, n int) *cluster { t.Helper(); return newClusterAt(t, n, time.Now) }

// newClusterAt is a cluster whose nodes have another clock.
func newClusterAt(t testing.TB, n int, now func() time.Time) *cluster {
	t.Helper()
	c := &cluster{t: t, nodes: make([]*Server, n)}
	dir := patience.Dir(t)
	var peers []Peer
	for i := range n {
		peers = append(peers, Peer{ID: fmt.Sprintf("c%d", i+1), Raft: free(t)})
	}
	for _, p := range peers {
		c.configs = append(c.configs, Config{
			ID: p.ID, Dir: filepath.Join(dir, p.ID), Listen: free(t), Raft: p.Raft, Peers: peers,
			Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: now, DiskTimeout: time.Hour, Fatal: func(err error) { t.Errorf("%s: %v", p.ID, err) },
		})
	}
	for i := range n {
		c.start(i)
	}
	t.Cleanup(c.stop)
	return c
}

func (c *cluster) start(i int) {
	c.t.Helper()
	cfg := c.configs[i]
	cfg.Metrics = prometheus.NewRegistry()
	s, err := New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	s.Start()
	c.nodes[i] = s
}

func (c *cluster) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, s := range c.nodes {
		if s != nil {
			if err := s.Stop(ctx); err != nil {
				c.t.Errorf("stop: %v", err)
			}
		}
	}
}

// leader waits until a node leads and returns its number.
func (c *cluster) leader() int {
	c.t.Helper()
	found := -1
	eventually(c.t, "a leader", func() bool {
		for i, s := range c.nodes {
			if s != nil && s.tenure.Load() != nil {
				found = i
				return true
			}
		}
		return false
	})
	return found
}

func (c *cluster) follower() int { return (c.leader() + 1) % len(c.nodes) }

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("never happened: " + what)
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func apply(source string) state.Command {
	return state.Command{Version: 1, Request: rand.Text(), Actor: "test", Reason: "test", At: time.Now(), ApplyPolicy: &state.ApplyPolicy{Source: []byte(source)}}
}

func weights(region string, main, backup float64) state.Command {
	return state.Command{Version: 1, Request: rand.Text(), Actor: "test", Reason: "test", At: time.Now(),
		SetWeights: &state.SetWeights{Service: "payments", Region: region, Weights: []policy.Weight{{Provider: "main", Percent: main}, {Provider: "backup", Percent: backup}}}}
}

func TestAWriteToAnyNodeReachesTheLeaderAndReadsAreLinearizable(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[c.follower()].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		writer, reader := c.nodes[i%3], c.nodes[(i+1)%3]
		result, err := writer.Propose(within(t), weights("eu", float64(i), float64(100-i)))
		if err != nil {
			t.Fatal(err)
		}
		st, err := reader.Read(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if st.Current().Number < result.Revision {
			t.Fatalf("write %d was acknowledged as revision %d, and a read that began later saw %d", i, result.Revision, st.Current().Number)
		}
	}
}

func TestARepeatedRequestChangesNothing(t *testing.T) {
	c := newCluster(t, 3)
	command := apply(document)
	first, err := c.nodes[0].Propose(within(t), command)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.nodes {
		again, err := s.Propose(within(t), command)
		if err != nil || again.Revision != first.Revision {
			t.Errorf("the repeat gave %+v, %v; the first %+v", again, err, first)
		}
	}
}

func TestRefusalsCrossNodesWithTheirProblems(t *testing.T) {
	c := newCluster(t, 3)
	_, err := c.nodes[c.follower()].Propose(within(t), apply(strings.Replace(document, "weights:", "wieghts:", 1)))
	var refused *state.Error
	if !errors.As(err, &refused) || refused.Code != state.Invalid || len(refused.Problems) == 0 || refused.Problems[0].Line == 0 {
		t.Fatalf("refused as %#v", err)
	}
}

func TestWritesWorkAgainAfterTheLeaderDied(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	dead := c.leader()
	if err := c.nodes[dead].Kill(); err != nil {
		t.Fatal(err)
	}
	c.nodes[dead] = nil
	start := time.Now()
	if _, err := c.nodes[(dead+1)%3].Propose(within(t), weights("eu", 10, 90)); err != nil {
		t.Fatal(err)
	}
	t.Logf("writes again after %v", time.Since(start))
	c.start(dead)
	eventually(t, "the old leader has caught up", func() bool { return c.nodes[dead].State().Current().Number == 2 })
}

// agent is an agent's side of the feed.
type agent struct {
	mu   sync.Mutex
	last state.Update
}

func (a *agent) Apply(u state.Update) error { a.mu.Lock(); defer a.mu.Unlock(); a.last = u; return nil }
func (a *agent) Report() health.Report {
	return health.Report{Services: []health.ServiceRow{{Service: "payments"}}}
}
func (a *agent) Answer(context.Context, query.Question) ([]byte, error) {
	return json.Marshal([]query.Transaction{{ID: "tx_1"}})
}
func (a *agent) update() state.Update { a.mu.Lock(); defer a.mu.Unlock(); return a.last }

func (c *cluster) join(a *agent, id, region string, nodes ...int) {
	c.t.Helper()
	var control []string
	for _, i := range nodes {
		control = append(control, c.configs[i].Listen)
	}
	link, err := feed.NewAgent(feed.AgentConfig{Control: control, Agent: id, Region: region, Run: "r1", Local: a, Log: c.configs[0].Log, Now: time.Now})
	if err != nil {
		c.t.Fatal(err)
	}
	link.Start()
	c.t.Cleanup(link.Stop)
}

// Whichever node an agent is attached to: it gets its region's cut, its reports and acknowledgements reach the leader, and any node can ask it.
func TestAnyNodeServesAgents(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	agents := []*agent{{}, {}, {}}
	for i, a := range agents {
		c.join(a, fmt.Sprintf("a%d", i+1), []string{"eu", "us", "eu"}[i], i)
	}
	for i, a := range agents {
		eventually(t, fmt.Sprintf("agent %d has the policy", i+1), func() bool { return a.update().Revision == 1 })
	}
	if u := agents[1].update(); strings.Contains(string(u.Policy), "70") {
		t.Errorf("us was sent eu's weights:\n%s", u.Policy)
	}
	for i, s := range c.nodes {
		eventually(t, fmt.Sprintf("node %d sees every agent", i+1), func() bool {
			view, err := s.View(within(t))
			return err == nil && len(view.World.Agents) == 3 && len(view.Acks) == 3
		})
		answers, err := s.Ask(within(t), query.Question{Kind: query.Transactions})
		if err != nil || len(answers) != 3 || answers[0].Err != "" || !strings.Contains(string(answers[2].Body), "tx_1") {
			t.Errorf("node %d: answers %+v, %v", i+1, answers, err)
		}
	}
}

func TestOwnPaths(t *testing.T) {
	c := newCluster(t, 1)
	c.leader()
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ok", "/version": "segue", "/metrics": `segue_policy_revision{region=""} 0`} {
		r, err := http.Get("http://" + c.nodes[0].Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s", path, r.StatusCode, body)
		}
	}
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.com:0"} {
		_, err := New(Config{Listen: addr, Raft: "127.0.0.1:0"})
		if err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
