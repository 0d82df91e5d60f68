package storm

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/cassandra/clustertest"
	"segue/dataplane/sandbox"
)

// credential is the providers'.
const credential = "sk_storm_77b1c09d42"

// The services, with the class of promise that their providers' contracts give, and who offers them.
var services = []service{
	{name: "payments", class: "G", keys: sandbox.Enforced, providers: []string{"main", "backup"}},
	{name: "gifts", class: "N", keys: sandbox.Ignored, providers: []string{"legacy", "spare"}},
	{name: "cards", class: "F", keys: sandbox.Ignored, providers: []string{"first", "second"}},
}

type service struct {
	name, class string
	keys        sandbox.Keys
	providers   []string
}

// world is Segue as processes: three control nodes, agents, and each provider by itself.
type world struct {
	dir, bin  string
	seed      uint64
	nodes     []*process
	api       []string
	agents    []*agent
	suppliers []*supplier
	base      int                  // the first port
	cluster   *clustertest.Cluster // nil: each agent has an embedded store of its own
}

// shared tells whether all agents know every key.
func (w *world) shared() bool { return w.cluster != nil }

// store is the store's name.
func (w *world) store() string {
	if w.shared() {
		return "cassandra"
	}
	return "embedded"
}

// agent is an agent's process, and where it serves.
type agent struct {
	*process
	admin  string
	offset int
	orders string // file: where it is to end
	nonce  int
}

// Ports of a world, counted from its first one.
const (
	raftPorts     = 5
	adminPorts    = 10
	servicePorts  = 20 // ten for each service
	supplierPorts = 50 // two for each provider
	block         = 64
)

// open starts everything and returns when each agent serves.
func open(dir, bin string, seed uint64, agents int, cluster *clustertest.Cluster) (*world, error) {
	w := &world{dir: dir, bin: bin, seed: seed, cluster: cluster}
	if err := w.prepare(agents); err != nil {
		return w, err
	}
	for _, p := range w.all()[:len(w.suppliers)+len(w.nodes)] {
		if err := p.start(); err != nil {
			return w, err
		}
	}
	for _, s := range w.suppliers {
		if err := s.ready(); err != nil {
			return w, err
		}
	}
	if err := w.apply(); err != nil {
		return w, err
	}
	return w, w.startAgents()
}

// startAgents starts the agents; the first one makes a cluster's schema.
func (w *world) startAgents() error {
	for _, a := range w.agents {
		if w.shared() { // they give each other's answers again
			a.args = append(a.args, "--keys", filepath.Join(w.dir, "keys"))
		}
	}
	if first := w.agents[0]; w.shared() {
		usual := first.args
		first.args = append(slices.Clone(usual), w.address()+"?migrate=true")
		if err := errors.Join(first.start(), w.serves(first, 2*time.Minute)); err != nil {
			return err
		}
		first.kill()
		first.args = usual
	}
	for _, a := range w.agents {
		if w.shared() {
			a.args = append(a.args, w.address())
		}
		if err := a.start(); err != nil {
			return err
		}
	}
	for _, a := range w.agents {
		if err := w.serves(a, time.Minute); err != nil {
			return err
		}
	}
	return nil
}

// address is the cluster's, as --store takes it.
func (w *world) address() string {
	return "--store=cassandra://" + strings.Join(w.cluster.Hosts(), ",")
}

// prepare names everything that is started.
func (w *world) prepare(agents int) error {
	var err error
	if w.base, err = freeBlock(); err != nil {
		return err
	}
	var rafts []string
	for i := range 3 {
		w.api = append(w.api, w.at(i))
		rafts = append(rafts, w.at(raftPorts+i))
	}
	for i := range 3 {
		name := fmt.Sprintf("c%d", i+1)
		w.nodes = append(w.nodes, newProcess(w.dir, name, w.bin, "control", "--dir", filepath.Join(w.dir, name),
			"--listen", w.api[i], "--raft", rafts[i], "--peers", strings.Join(rafts, ","),
			"--disk-timeout", "2m")) // the three share one disk: where it stands still no other can lead
	}
	for i := range agents {
		name := fmt.Sprintf("agent-%d", i+1)
		a := &agent{admin: w.at(adminPorts + i), offset: i}
		a.process = newProcess(w.dir, name, w.bin, "agent", "--id", name, "--region", regions[i%len(regions)], "--dir", filepath.Join(w.dir, name),
			"--control", strings.Join(w.api, ","), "--admin", a.admin, "--port-offset", fmt.Sprint(i))
		a.orders = filepath.Join(w.dir, name+".orders")
		a.env = []string{ordersVariable + "=" + a.orders}
		w.agents = append(w.agents, a)
	}
	port := w.base + supplierPorts
	for _, svc := range services {
		for _, name := range svc.providers {
			s, err := newSupplier(w.dir, name, svc, port, w.seed+uint64(port-w.base))
			if err != nil {
				return err
			}
			w.suppliers = append(w.suppliers, s)
			port += 2
		}
	}
	return os.WriteFile(filepath.Join(w.dir, "credential"), []byte(credential+"\n"), 0o600)
}

// regions are where the agents are, in turn; each is a data centre of the cluster, where there is one.
var regions = []string{"us-east", "eu-west", "ap-south"}

func (w *world) at(n int) string { return fmt.Sprintf("127.0.0.1:%d", w.base+n) }

// all are the processes, in the order in which they are started.
func (w *world) all() []*process {
	var list []*process
	for _, s := range w.suppliers {
		list = append(list, s.process)
	}
	list = append(list, w.nodes...)
	for _, a := range w.agents {
		list = append(list, a.process)
	}
	return list
}

// close ends every process.
func (w *world) close() {
	for _, p := range w.all() {
		p.kill()
	}
}

// freeBlock finds free ports below those that the system gives to outgoing connections, and above those of the tests that run beside it.
func freeBlock() (int, error) {
	for range 100 {
		if base := 30500 + block*rand.IntN(34); free(base) {
			return base, nil
		}
	}
	return 0, errors.New("no block of free ports")
}

func free(base int) bool {
	for p := base; p < base+block; p++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// policy is the world's policy document.
func (w *world) policy() string {
	var b strings.Builder
	b.WriteString("segue: v1\nregions:\n  us-east: {standby: [eu-west]}\n  eu-west: {standby: [ap-south]}\n  ap-south: {standby: [us-east]}\nservices:\n")
	for i, s := range services {
		fmt.Fprintf(&b, `  %s:
    speaks: stripe/v1
    listen: %d
    strategy: priority
    priority: [%s]
    attempts: {max: 3, per_try: 1s, deadline: 4s}
    breaker: {failures: 3, successes: 1, reset: 1s}
`, s.name, w.base+servicePorts+10*i, strings.Join(s.providers, ", "))
	}
	b.WriteString("providers:\n")
	for _, s := range w.suppliers {
		contract := map[string]string{"G": "stripe/v1", "N": "keyless/v1", "F": "fenced/v1"}[s.class]
		fmt.Fprintf(&b, "  %s: {contract: %s, endpoint: %q, credential: \"file:%s/credential\"}\n", s.title(), contract, s.addr, w.dir)
	}
	b.WriteString(contracts)
	return b.String()
}

// contracts are those of the services whose providers heed no keys: nothing else is offered, or a final cancel by our reference.
const contracts = `contracts:
  keyless/v1: {like: stripe/v1, keys: {enforced: false}}
  fenced/v1:
    like: stripe/v1
    keys: {enforced: false}
    lookup:
      match: "GET /v1/references/{reference}"
      by: body.metadata.reference
      of: [charge]
      strong: true
      states: {in: status, succeeded: [succeeded], declined: [failed], voided: [voided]}
      absent: [404]
      answer: 200
    cancel:
      match: "POST /v1/references/{reference}/void"
      of: [charge]
      state: final
      blocks_late_create: true
      answers: [{status: 409, means: too_late}]
`

func (w *world) apply() error {
	file := filepath.Join(w.dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(w.policy()), 0o600); err != nil {
		return err
	}
	return eventually(time.Minute, "the policy is in force", func() error {
		_, err := w.segue("policy", "apply", file, "--reason", "a storm")
		return err
	})
}

// knowing are the agents that the n-th customer may come to with one key.
func (w *world) knowing(n int) []*agent {
	if w.shared() {
		return w.agents
	}
	return w.agents[n%len(w.agents) : n%len(w.agents)+1]
}

// url is where an agent serves a service.
func (w *world) url(a *agent, service int) string {
	return "http://" + w.at(servicePorts+10*service+a.offset)
}

// serves returns when the agent takes calls.
func (w *world) serves(a *agent, within time.Duration) error {
	return eventually(within, a.name+" serves", func() error {
		if !a.running() {
			return ended(fmt.Sprintf("it ended: %s", tail(a.said(), 5)))
		}
		for i := range services {
			answer, err := quick.Get(w.url(a, i) + "/.segue/region")
			if err != nil {
				return err
			}
			_ = answer.Body.Close()
		}
		return nil
	})
}

// ended says that a process is gone: nothing is to be waited for.
type ended string

func (e ended) Error() string { return string(e) }

// segue runs a command of the binary, against whichever control node answers.
func (w *world) segue(args ...string) (string, error) {
	var errs []error
	for _, api := range w.api {
		cmd := exec.Command(w.bin, append(args, "--api", "http://"+api)...)
		cmd.Env = []string{"HOME=" + w.dir, "PATH=/usr/bin:/bin"}
		out, err := cmd.Output()
		if err == nil {
			return string(out), nil
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("segue %s: exit %d: %s", strings.Join(args, " "), exit.ExitCode(), exit.Stderr)
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// leader is the index of the control node that leads.
func (w *world) leader() (int, error) {
	out, err := w.segue("cluster", "status", "-o", "json")
	if err != nil {
		return 0, err
	}
	var s struct{ Leader string }
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return 0, err
	}
	for i := range w.nodes {
		if w.nodes[i].name == s.Leader {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no leader: %q", s.Leader)
}

// transactions asks the control plane what agents know. An answer in which an agent is missing is an error.
func (w *world) transactions(filter url.Values) ([]query.Transaction, error) {
	var errs []error
	for _, api := range w.api {
		list, err := ask(api, filter, len(w.agents))
		if err == nil {
			return list, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func ask(api string, filter url.Values, agents int) ([]query.Transaction, error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+api+"/api/v1/transactions?"+filter.Encode(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	answer, err := quick.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	var found struct {
		Transactions []query.Transaction
		Partial      string
	}
	if err := json.NewDecoder(answer.Body).Decode(&found); err != nil || answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("transactions: %s: %w", answer.Status, err)
	}
	if found.Partial != "" {
		return nil, fmt.Errorf("of %d agents: %s", agents, found.Partial)
	}
	return found.Transactions, nil
}
