package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/e2e/patience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const document = `segue: v1
regions:
  us-east: {standby: [eu-west]}
  eu-west: {standby: [us-east]}
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: weighted
    weights:
      us-east: {main: 70, backup: 30}
      eu-west: {main: 40, backup: 60}
providers:
  main: {contract: stripe/v1, endpoint: "https://a.example", credential: caller}
  backup: {contract: stripe/v1, endpoint: "https://b.example", credential: caller}
`

// links are the connections between the nodes, by who dialled whom. A cut link closes what is open and refuses what is new, both ways.
type links struct {
	mu   sync.Mutex
	cuts map[[2]string]bool
	open map[net.Conn][2]string
}

func pair(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

func (l *links) dialer(from string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, to string) (net.Conn, error) {
		l.mu.Lock()
		cut := l.cuts[pair(from, to)]
		l.mu.Unlock()
		if cut {
			return nil, errors.New("link is cut")
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", to)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.cuts[pair(from, to)] { // cut while it was dialled
			conn.Close()
			return nil, errors.New("link is cut")
		}
		l.open[conn] = pair(from, to)
		return conn, nil
	}
}

func (l *links) set(a, b string, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts[pair(a, b)] = cut
	for conn, p := range l.open {
		if cut && p == pair(a, b) {
			conn.Close()
			delete(l.open, conn)
		}
	}
}

type cluster struct {
	t     testing.TB
	links *links
	peers []Peer
	dirs  []string
	nodes []*Replica
	fatal []chan error
	bend  func(i int, c *Config)
}

// start runs n nodes, each over its own real files and listener.
func start(t testing.TB, n int, bend func(i int, c *Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, links: &links{cuts: map[[2]string]bool{}, open: map[net.Conn][2]string{}}, bend: bend, nodes: make([]*Replica, n)}
	var listeners []net.Listener
	for i := range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, ln)
		c.peers = append(c.peers, Peer{ID: fmt.Sprint("n", i), Addr: ln.Addr().String()})
		c.dirs = append(c.dirs, patience.Dir(t))
		c.fatal = append(c.fatal, make(chan error, 10))
	}
	for i := range n {
		c.run(i, listeners[i])
	}
	t.Cleanup(func() {
		for i := range n {
			c.stop(i)
		}
	})
	return c
}

func (c *cluster) config(i int, ln net.Listener) Config {
	cfg := Config{
		ID: c.peers[i].ID, Dir: c.dirs[i], Peers: c.peers, Listener: ln, Dial: c.links.dialer(c.peers[i].Addr),
		DiskTimeout: time.Hour, // a machine's disk stands still now and then
		Log:         slog.New(slog.DiscardHandler), Fatal: func(err error) { c.fatal[i] <- err },
	}
	if c.bend != nil {
		c.bend(i, &cfg)
	}
	return cfg
}

func (c *cluster) run(i int, ln net.Listener) {
	c.t.Helper()
	r, err := New(c.config(i, ln))
	if err != nil {
		c.t.Fatal(err)
	}
	c.nodes[i] = r
}

func (c *cluster) stop(i int) {
	c.t.Helper()
	if c.nodes[i] == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.nodes[i].Stop(ctx); err != nil {
		c.t.Error(err)
	}
	c.nodes[i] = nil
}

// isolate cuts or heals every link of node i.
func (c *cluster) isolate(i int, cut bool) {
	for j := range c.peers {
		if j != i {
			c.links.set(c.peers[i].Addr, c.peers[j].Addr, cut)
		}
	}
}

// pause keeps a loop that waits for something from eating the processor.
func pause() { <-time.NewTimer(2 * time.Millisecond).C }

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if is() {
			return
		}
		pause()
	}
	t.Fatal("never: ", what)
}

// leader waits until one of the nodes that run, other than those named, leads.
func (c *cluster) leader(not ...int) int {
	c.t.Helper()
	found := -1
	until(c.t, "a leader", func() bool {
	nodes:
		for i, n := range c.nodes {
			for _, x := range not {
				if x == i {
					continue nodes
				}
			}
			if n != nil && n.Leading() {
				found = i
				return true
			}
		}
		return false
	})
	return found
}

func weights(request string, p float64) state.Command {
	return state.Command{
		Request: request, Actor: "ann", Reason: "because", At: time.Now(),
		SetWeights: &state.SetWeights{Service: "payments", Region: "eu-west", Weights: []policy.Weight{{Provider: "main", Percent: p}, {Provider: "backup", Percent: 100 - p}}},
	}
}

func first() state.Command {
	return state.Command{
		Request: "first", Actor: "ann", Reason: "because", At: time.Now(), ApplyPolicy: &state.ApplyPolicy{Source: []byte(document)},
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func (c *cluster) must(i int, cmd state.Command) state.Result {
	c.t.Helper()
	r, err := c.nodes[i].Propose(within(c.t, time.Minute), cmd)
	if err != nil || r.Err != nil {
		c.t.Fatalf("%s: %v %v", cmd.Request, err, r.Err)
	}
	return r
}

// agree waits until every running node holds the change at index.
func (c *cluster) agree(index uint64) {
	c.t.Helper()
	for i, n := range c.nodes {
		if n != nil {
			until(c.t, fmt.Sprintf("node %d at %d", i, index), func() bool { return n.State().Index >= index })
		}
	}
}

func code(err error) state.Code {
	var e *state.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// ended waits for the error that ends node i.
func (c *cluster) ended(i int) error {
	c.t.Helper()
	select {
	case err := <-c.fatal[i]:
		return err
	case <-time.After(time.Minute):
		c.t.Fatalf("node %d goes on", i)
		return nil
	}
}
