package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// The providers of every world. The last one ignores idempotency keys.
const (
	mainProvider   = "main"
	backupProvider = "backup"
	legacyProvider = "legacy"
)

// plan says what a world is made of. Zero values are the usual.
type plan struct {
	nodes   int                        // control nodes; 3
	regions []string                   // one agent each; three regions
	weights map[string]string          // by region; the first provider gets everything
	tries   string                     // {max: 3, per_try: 2s, deadline: 6s}
	breaker string                     // {failures: 3, successes: 2, reset: 1s}
	latency sandbox.Latency            // none
	talk    bool                       // services sms and chat beside the payments
	tokens  sandbox.TokenRules         // of the providers of payments; none
	edit    func(policy string) string // the last word on the policy
}

func (p plan) withDefaults() plan {
	if p.nodes == 0 {
		p.nodes = 3
	}
	if p.regions == nil {
		p.regions = []string{"us-east", "eu-west", "ap-south"}
	}
	if p.tries == "" {
		p.tries = "{max: 3, per_try: 2s, deadline: 6s}"
	}
	if p.breaker == "" {
		p.breaker = "{failures: 3, successes: 2, reset: 1s}"
	}
	if p.latency.Median == 0 {
		p.latency.Median = -1
	}
	if p.edit == nil {
		p.edit = func(policy string) string { return policy }
	}
	return p
}

// alone is the smallest world: one control node, one region.
func alone() plan { return plan{nodes: 1, regions: []string{"local"}} }

// world is Segue as separate processes, with the sandbox's providers in the test.
type world struct {
	t      testing.TB
	plan   plan
	seed   uint64
	dir    string
	box    *sandbox.Sandbox
	secret string // file with the provider's credential
	ports  ports
	nodes  []*process
	agents map[string]*process
	loads  int // begun so far: each names its orders anew
}

// ports are where things listen.
type ports struct {
	api, raft, admin []string
	service          int
}

// newWorld starts everything and returns when each agent serves the policy.
func newWorld(t testing.TB, p plan) *world {
	t.Helper()
	w := prepare(t, p)
	for i := range w.nodes {
		w.nodes[i].start()
	}
	for i := range w.nodes {
		w.nodes[i].ready(w.ports.api[i], 20*time.Second)
	}
	w.apply(w.policy())
	for _, r := range w.plan.regions {
		w.agents[r].start()
	}
	for _, r := range w.plan.regions {
		w.agentReady(r, 20*time.Second)
	}
	return w
}

// prepare makes a world in which no process runs yet.
func prepare(t testing.TB, p plan) *world {
	t.Helper()
	w := &world{t: t, plan: p.withDefaults(), seed: seed(t), dir: t.TempDir(), agents: map[string]*process{}}
	w.openSandbox()
	w.takePorts()
	for i := range w.plan.nodes {
		name := fmt.Sprintf("c%d", i+1)
		w.nodes = append(w.nodes, newProcess(t, w.dir, name, "control", "--dir", filepath.Join(w.dir, name),
			"--listen", w.ports.api[i], "--raft", w.ports.raft[i], "--peers", strings.Join(w.ports.raft, ","), "--disk-timeout", "2m"))
	}
	for i, r := range w.plan.regions {
		w.agents[r] = newProcess(t, w.dir, "agent-"+r, "agent", "--region", r, "--dir", w.agentDir(r), "--control", strings.Join(w.ports.api, ","),
			"--admin", w.ports.admin[i], "--port-offset", fmt.Sprint(i))
	}
	return w
}

func (w *world) agentDir(region string) string { return filepath.Join(w.dir, "agent-"+region) }

func (w *world) openSandbox() {
	w.t.Helper()
	w.secret = filepath.Join(w.dir, "credential")
	if err := os.WriteFile(w.secret, []byte(credential+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	cfg := sandbox.Config{Seed: w.seed}
	for _, name := range []string{mainProvider, backupProvider, legacyProvider} {
		keys := sandbox.Enforced
		if name == legacyProvider {
			keys = sandbox.Ignored
		}
		cfg.Providers = append(cfg.Providers, sandbox.ProviderConfig{Name: name, Keys: keys, Credential: credential, Latency: w.plan.latency, Tokens: w.plan.tokens})
	}
	if w.plan.talk {
		cfg.Providers = append(cfg.Providers, w.talkers()...)
	}
	box, err := sandbox.New(cfg)
	if err == nil {
		err = box.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.box = box
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := box.Stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			w.t.Error(err)
		}
	})
}

// takePorts takes a block of free ports below those that the system gives to outgoing connections. The world listens at the block's last
// port while it lives: no other world, in whichever process, takes the block before everything listens.
func (w *world) takePorts() {
	w.t.Helper()
	const block = 32
	for range 100 {
		base := 12000 + block*rand.IntN(320)
		sign, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+block-1))
		if err != nil {
			continue
		}
		if !free(base, block-1) {
			_ = sign.Close()
			continue
		}
		w.t.Cleanup(func() { _ = sign.Close() })
		at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", base+n) }
		for i := range w.plan.nodes {
			w.ports.api = append(w.ports.api, at(i))
			w.ports.raft = append(w.ports.raft, at(5+i))
		}
		for i := range w.plan.regions {
			w.ports.admin = append(w.ports.admin, at(10+i))
		}
		w.ports.service = base + 20
		return
	}
	w.t.Fatal("no block of free ports")
}

func free(base, n int) bool {
	for p := base; p < base+n; p++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// url is where a region's agent serves payments.
func (w *world) url(region string) string {
	for i, r := range w.plan.regions {
		if r == region {
			return fmt.Sprintf("http://127.0.0.1:%d", w.ports.service+i)
		}
	}
	w.t.Fatalf("no region %s", region)
	return ""
}

func (w *world) admin(region string) string {
	for i, r := range w.plan.regions {
		if r == region {
			return w.ports.admin[i]
		}
	}
	w.t.Fatalf("no region %s", region)
	return ""
}

// agentReady waits until the region's agent is ready and serves the service.
func (w *world) agentReady(region string, within time.Duration) {
	w.t.Helper()
	w.agents[region].ready(w.admin(region), within)
	eventually(w.t, within, region+" serves", func() error { return wants(200, w.url(region)+"/.segue/region") })
}

func (w *world) provider(name string) *sandbox.Provider {
	p := w.box.Provider(name)
	if p == nil {
		w.t.Fatalf("no provider %s", name)
	}
	return p
}

func (w *world) faults(name string, f ...sandbox.Fault) {
	w.t.Helper()
	if err := w.provider(name).SetFaults(f...); err != nil {
		w.t.Fatal(err)
	}
}

// policy is the world's policy document.
func (w *world) policy() string {
	var b strings.Builder
	p := w.plan
	b.WriteString("segue: v1\nregions:\n")
	for i, r := range p.regions {
		fmt.Fprintf(&b, "  %s: {standby: [%s]}\n", r, strings.Join(append(append([]string{}, p.regions[i+1:]...), p.regions[:i]...), ", "))
	}
	fmt.Fprintf(&b, "services:\n  payments:\n    speaks: stripe/v1\n    listen: %d\n    strategy: weighted\n    weights:\n", w.ports.service)
	for _, r := range p.regions {
		weights := p.weights[r]
		if weights == "" {
			weights = "{main: 100, backup: 0, legacy: 0}"
		}
		fmt.Fprintf(&b, "      %s: %s\n", r, weights)
	}
	fmt.Fprintf(&b, "    attempts: %s\n    breaker: %s\n", p.tries, p.breaker)
	if p.talk {
		b.WriteString(w.talkServices())
	}
	b.WriteString("providers:\n")
	for _, name := range []string{mainProvider, backupProvider, legacyProvider} {
		contract := "stripe/v1"
		if name == legacyProvider {
			contract = "keyless/v1"
		}
		fmt.Fprintf(&b, "  %s: {contract: %s, endpoint: \"%s\", credential: \"file:%s\"}\n", name, contract, w.provider(name).URL(), w.secret)
	}
	if p.talk {
		b.WriteString(w.talkProviders())
	}
	b.WriteString("contracts:\n  keyless/v1: {like: stripe/v1, keys: {enforced: false}}\n")
	return p.edit(b.String())
}
