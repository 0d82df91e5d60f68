package bench

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	callers    = 32
	callRounds = 7
	callsEach  = 16_000
)

// rival are the ways that are compared: the upstream alone, a plain ReverseProxy, an agent of one control node.
type rival struct{ direct, plain, agent *side }

const document = `segue: v1
services:
  payments:
    speaks: stripe/v1
    listen: %s
    strategy: weighted
    weights: {main: 70, backup: 30}
providers:
  main: {contract: stripe/v1, endpoint: "http://%s", credential: caller}
  backup: {contract: stripe/v1, endpoint: "http://%s", credential: caller}
`

// rivals starts every process: two upstreams' worth of providers, the plain proxy, a control node and an agent from the built binary.
func rivals(t *testing.T, connections int) rival {
	t.Helper()
	up := role(t, "upstream", "")
	r := rival{direct: dial(t, "direct", process{addr: up.addr}, connections), plain: dial(t, "plain", role(t, "proxy", "http://"+up.addr), connections)}
	dir := t.TempDir()
	control, raft, admin := free(t), free(t), free(t)
	service := free(t)
	_, port, err := net.SplitHostPort(service)
	must(t, err)
	file := filepath.Join(dir, "p.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, port, up.addr, up.addr), 0o600))
	segue(t, "control", "--dir", filepath.Join(dir, "control"), "--listen", control, "--raft", raft, "--log", "warn")
	command(t, "policy", "apply", file, "--api", "http://"+control)
	p := segue(t, "agent", "--region", "local", "--dir", filepath.Join(dir, "agent"), "--control", control, "--admin", admin, "--port-offset", "0", "--log", "warn")
	eventually(t, "the agent is ready", func() error { return ready("http://" + admin + "/readyz") })
	p.addr = service
	r.agent = dial(t, "agent", p, connections)
	for _, s := range []*side{r.direct, r.plain, r.agent} {
		s.prepare(t)
	}
	through(t, r.agent.lines[0])
	return r
}

func ready(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// through checks that what is measured as the agent is the agent, with all that it promises: each call decided, each effect recorded.
func through(t *testing.T, l *line) {
	t.Helper()
	must(t, l.pay())
	if l.header.Get("Segue-Transaction") == "" {
		t.Fatalf("a charge through the agent is not in its ledger: %v", l.header)
	}
	must(t, l.read())
	if l.header.Get("Segue-Decision") == "" || l.header.Get("Session-Id") != l.name {
		t.Fatalf("a read through the agent was not decided in its session: %v", l.header)
	}
}

// benchCalls compares the CPU of the proxy's process per stateless call.
func benchCalls(t *testing.T, r *report) {
	all := rivals(t, callers)
	reads := []struct {
		what string
		do   func(*line) error
	}{
		{"CPU per stateless call beside ReverseProxy: a read of its own charge in a pinned session", (*line).read},
		{"CPU per stateless call beside ReverseProxy: a read without a session", (*line).glance},
	}
	for _, read := range reads {
		var ratios []float64
		var ours, theirs []time.Duration
		for i := range callRounds {
			pair := inTurn(t, i, []*side{all.plain, all.agent}, func(s *side) (taken, error) { return s.round(work{callers: callers, calls: callsEach}, read.do) })
			theirs, ours = append(theirs, pair[0].perCall), append(ours, pair[1].perCall)
			ratios = append(ratios, float64(pair[1].perCall)/float64(pair[0].perCall))
		}
		r.add(t, figure{what: read.what + fmt.Sprintf(", %d connections", callers), ratio: median(ratios), most: 1.3, command: "make bench",
			behind: fmt.Sprintf("agent %d µs, ReverseProxy %d µs of CPU per call; %s", median(ours).Microseconds(), median(theirs).Microseconds(), spread(ratios))})
	}
}

// inTurn lets each side do once; who begins changes from round to round, so that nobody always finds the machine as another left it.
func inTurn(t *testing.T, round int, sides []*side, do func(*side) (taken, error)) []taken {
	t.Helper()
	out := make([]taken, len(sides))
	var said []string
	for i := range sides {
		n := (i + round) % len(sides)
		if (round/len(sides))%2 == 1 {
			n = len(sides) - 1 - n
		}
		var err error
		if out[n], err = do(sides[n]); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range sides {
		said = append(said, fmt.Sprintf("%s p50 %s, %d µs CPU", s.name, ms(out[i].p50()), out[i].perCall.Microseconds()))
	}
	t.Logf("round %d: %s", round+1, strings.Join(said, "; "))
	return out
}
