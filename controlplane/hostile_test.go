package controlplane

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/controlplane/state"
)

// A page in this machine's browser can reach a node's listener. Under a name of its own DNS, or as another site, it gets nothing, above all
// not what one node may ask of another: that would be a change without any check.
func TestOnlyThisMachinesNamesReachANode(t *testing.T) {
	c := newCluster(t, 1)
	c.leader()
	for _, path := range []string{"/metrics", "/livez", "/readyz", "/version", "/segue.feed.v1.Peer/Propose", "/segue.feed.v1.Peer/Look", "/segue.feed.v1.Feed/Attach"} {
		method := http.MethodGet
		if strings.Contains(path, "feed") {
			method = http.MethodPost
		}
		for _, h := range []struct {
			header, value string
			refused       bool
		}{
			{"Host", "elsewhere.example:7070", true}, {"Host", "127.0.0.1.elsewhere.example", true}, {"Host", "localhost", false}, {"Host", "[::1]:7070", false},
			{"Sec-Fetch-Site", "cross-site", method == http.MethodPost}, {"Origin", "http://elsewhere.example", method == http.MethodPost}, {"Sec-Fetch-Site", "same-origin", false},
		} {
			r, err := http.NewRequest(method, "http://"+c.nodes[0].Addr()+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if r.Header.Set(h.header, h.value); h.header == "Host" {
				r.Host = h.value
			}
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, a.Body)
			_ = a.Body.Close()
			if refused := a.StatusCode == http.StatusMisdirectedRequest || a.StatusCode == http.StatusForbidden; refused != h.refused {
				t.Errorf("%s with %s %s: %d", path, h.header, h.value, a.StatusCode)
			}
		}
	}
}

// A read changes nothing: where its leader is gone it is told so, never that its outcome is unknown.
func TestAReadHasNoUnknownOutcome(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	dead := c.leader()
	if err := c.nodes[dead].Kill(); err != nil {
		t.Fatal(err)
	}
	c.nodes[dead] = nil
	other := (dead + 2) % 3 // with it the cluster has no majority: nobody leads soon
	if err := c.nodes[other].Kill(); err != nil {
		t.Fatal(err)
	}
	c.nodes[other] = nil
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := c.nodes[(dead+1)%3].Read(ctx)
	_, viewErr := c.nodes[(dead+1)%3].View(ctx)
	for _, err := range []error{err, viewErr} {
		var refused *state.Error
		if !errors.As(err, &refused) || refused.Code != state.NoLeader {
			t.Errorf("told %v", err)
		}
	}
}

// readyz says 503 as long as a node can serve nobody.
func TestANodeWithoutALeaderIsNotReady(t *testing.T) {
	c := newCluster(t, 3)
	c.leader()
	ready := func() int {
		a, err := http.Get("http://" + c.nodes[0].Addr() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		return a.StatusCode
	}
	eventually(t, "ready", func() bool { return ready() == 200 })
	for i := range c.nodes[1:] {
		if err := c.nodes[i+1].Kill(); err != nil {
			t.Fatal(err)
		}
		c.nodes[i+1] = nil
	}
	eventually(t, "not ready: nobody leads", func() bool { return ready() == 503 })
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}
func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// An agent of a region that the policy does not have is told why, tries again, and is served when the policy gets the region. The region's
// removal leaves it with what it has.
func TestAnAgentOfAnUnknownRegion(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes { // one that has no policy yet has nothing against any region
		eventually(t, "every node has the policy", func() bool {
			u, err := n.Update("eu")
			return err == nil && u.Revision == 1
		})
	}
	log := &lines{}
	c.configs[0].Log = slog.New(slog.NewTextHandler(log, nil))
	a := &agent{}
	c.join(a, "late-1", "ap", 0, 1, 2)
	eventually(t, "it is told why", func() bool { return strings.Contains(log.String(), "has no region") })
	more := strings.Replace(strings.Replace(document, "  us: {standby: [eu]}\n", "  us: {standby: [eu]}\n  ap: {standby: [eu]}\n", 1), "      us: {main: 50, backup: 50}\n", "      us: {main: 50, backup: 50}\n      ap: {main: 10, backup: 90}\n", 1)
	with := apply(more)
	with.ApplyPolicy.Base = 1
	if _, err := c.nodes[0].Propose(within(t), with); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is served", func() bool { return a.update().Revision == 2 })
	without := apply(document)
	without.ApplyPolicy.Base = 2
	if _, err := c.nodes[0].Propose(within(t), without); err != nil {
		t.Fatal(err)
	}
	again := apply(more)
	again.ApplyPolicy.Base = 3
	if _, err := c.nodes[0].Propose(within(t), again); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is served again", func() bool { return a.update().Revision == 4 })
}

// Two agents under one name: both are served.
func TestTwoAgentsUnderOneName(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	one, two := &agent{}, &agent{}
	c.join(one, "a1", "eu", 0)
	c.join(two, "a1", "eu", 1)
	eventually(t, "both are served", func() bool { return one.update().Revision == 1 && two.update().Revision == 1 })
}

// A node that comes back at another address is found there: by agents' questions, by forwarded changes, by its own announcement.
func TestANodeThatListensElsewhereNow(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.nodes[0].Propose(within(t), apply(document)); err != nil {
		t.Fatal(err)
	}
	i := c.follower()
	id, old := c.configs[i].ID, c.configs[i].Listen
	if err := c.nodes[i].Kill(); err != nil {
		t.Fatal(err)
	}
	c.configs[i].Listen = free(t)
	c.start(i)
	for _, s := range c.nodes {
		eventually(t, "the new address is known", func() bool {
			n, ok := s.State().Node(id)
			return ok && n.API == c.configs[i].Listen && n.API != old
		})
	}
	a := &agent{}
	c.join(a, "a1", "eu", i)
	eventually(t, "it serves there", func() bool { return a.update().Revision == 1 })
	answers, err := c.nodes[(i+1)%3].Ask(within(t), query.Question{Kind: query.Transactions})
	if err != nil || len(answers) != 1 || answers[0].Err != "" {
		t.Errorf("%+v, %v", answers, err)
	}
}
