package storm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"segue/dataplane/cassandra/clustertest"
)

// storm is one run: a schedule, carried out upon a world full of customers.
type storm struct {
	w     *world
	scope scope
	acts  []act
	begun time.Time
	calm  context.Context // ends when the storm does
	over  context.CancelFunc

	mu     sync.Mutex
	done   map[string]int // what was done, by name
	points map[string]int // where agents were killed or frozen
	faults []error        // of the storm itself: it could not do what it was to do
}

// TestStorm is the short form: half a minute of everything at once.
func TestStorm(t *testing.T) {
	blow(t, plan{length: 25 * time.Second, agents: 3, customers: 12, pause: 2500 * time.Millisecond, gap: 2 * time.Second})
}

// TestStormCassandra is the short form with three replicas that die and hang too.
func TestStormCassandra(t *testing.T) {
	if os.Getenv("SEGUE_CASSANDRA") == "" {
		t.Skip("needs three data centres: make cassandra")
	}
	blow(t, plan{length: 25 * time.Second, agents: 3, customers: 8, pause: 2500 * time.Millisecond, gap: 2500 * time.Millisecond, cluster: true})
}

// TestLongStorm is `make storm`: as long as SEGUE_STORM_MINUTES says, with some SIGSTOPs of a minute, written down in docs/storms.md.
func TestLongStorm(t *testing.T) {
	text := os.Getenv("SEGUE_STORM_MINUTES")
	if text == "" {
		t.Skip("takes as long as SEGUE_STORM_MINUTES says: make storm")
	}
	minutes, err := strconv.ParseFloat(text, 64)
	if err != nil || minutes <= 0 {
		t.Fatalf("SEGUE_STORM_MINUTES: %q is no number of minutes", text)
	}
	long, _ := strconv.Atoi(os.Getenv("SEGUE_STORM_LONG"))
	store := os.Getenv("SEGUE_STORM_STORE")
	if store != "" && store != "embedded" && store != "cassandra" {
		t.Fatalf("SEGUE_STORM_STORE: %q is neither embedded nor cassandra", store)
	}
	p := plan{length: time.Duration(minutes * float64(time.Minute)), agents: 3, customers: 12, pause: 12 * time.Second, gap: 2500 * time.Millisecond, long: long, cluster: store == "cassandra"}
	if p.cluster { // there an agent takes its time to come back
		p.gap = time.Second
	}
	r := blow(t, p)
	if err := r.write("../../docs/storms.md"); err != nil {
		t.Error(err)
	}
}

// plan says how large a storm is.
type plan struct {
	length    time.Duration
	agents    int
	customers int
	pause     time.Duration // the longest usual SIGSTOP
	gap       time.Duration // between two acts on one agent, in the mean
	long      int           // SIGSTOPs of a minute
	cluster   bool          // the store is Cassandra
	quiet     bool          // nobody reads why it failed
}

// blow runs a storm and fails the test for whatever the judge finds.
func blow(t *testing.T, p plan) *record {
	t.Helper()
	made, err := build()
	if err != nil {
		t.Fatal(err)
	}
	n := seed(t)
	r, err := run(t, made, n, p)
	if errors.Is(err, clustertest.ErrNoJava) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("seed %d: %v", n, err)
	}
	for _, wrong := range r.verdict.wrongs() {
		t.Errorf("seed %d: %s", n, wrong)
	}
	for _, wrong := range r.wrongs {
		t.Errorf("seed %d: %s", n, wrong)
	}
	t.Logf("seed %d: %s", n, r)
	return r
}

// run carries a storm out and returns what came of it. An error is the storm's own; what Segue did wrong stands in the record.
func run(t *testing.T, made product, seed uint64, p plan) (r *record, err error) {
	dir, err := os.MkdirTemp(workshop, "world-")
	if err != nil {
		return nil, err
	}
	var replicas *clustertest.Cluster
	if p.cluster {
		if replicas, err = clustertest.Start(nil, regions...); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, replicas.Close()) }()
	}
	w, err := open(dir, made.bin, seed, p.agents, replicas)
	defer w.close()
	if err != nil {
		return nil, err
	}
	points := made.embedded
	if p.cluster {
		points = made.cluster
	}
	s := newStorm(w, p, points)
	t.Logf("%d acts: %s", len(s.acts), digest(s.acts))
	journal := &journal{}
	buying, stopBuying := context.WithCancel(context.Background())
	defer stopBuying()
	var shop sync.WaitGroup
	for i := range p.customers {
		c := newCustomer(w, w.knowing(i), i, 60*time.Millisecond, journal)
		shop.Go(func() { c.shop(buying) })
	}
	trouble := s.rage(journal)
	ended := time.Now()
	wait(buying, 2*time.Second) // it goes on as before
	stopBuying()
	shop.Wait()
	if r, err = reckon(w, journal, ended); err != nil {
		return nil, err
	}
	s.tell(r)
	if trouble != nil { // what could not be done is no reason not to judge what was
		r.wrongs = append(r.wrongs, "the storm itself: "+trouble.Error())
	}
	if len(r.wrongs)+len(r.verdict.wrongs()) > 0 && !p.quiet {
		keep(t, w, s)
	}
	return r, nil
}

// keep leaves what a failed run said where it can be read.
func keep(t *testing.T, w *world, s *storm) {
	for _, a := range s.acts {
		t.Log(a)
	}
	if to := os.Getenv("SEGUE_STORM_KEEP"); to != "" {
		if err := os.CopyFS(to, os.DirFS(w.dir)); err != nil {
			t.Log(err)
		}
		return
	}
	for _, p := range w.all() {
		t.Logf("--- the last that %s said\n%s", p.name, tail(p.said(), 15))
	}
}

func newStorm(w *world, p plan, points []string) *storm {
	s := &storm{w: w, done: map[string]int{}, points: map[string]int{}}
	s.scope = scope{length: p.length, points: points, pause: p.pause, long: p.long, gap: p.gap, cluster: p.cluster}
	for _, a := range w.agents {
		s.scope.agents = append(s.scope.agents, a.name)
	}
	for _, x := range w.suppliers {
		s.scope.providers = append(s.scope.providers, x.title())
	}
	s.acts = schedule(w.seed, s.scope)
	return s
}

// rage carries the schedule out: what is done to one is done one after the other, and to all at the same time. It returns when everybody
// is up and well again.
func (s *storm) rage(j *journal) error {
	s.begun = time.Now()
	s.calm, s.over = context.WithTimeout(context.Background(), s.scope.length)
	defer s.over()
	var all sync.WaitGroup
	for _, who := range append(append([]string{control, cluster}, s.scope.agents...), s.scope.providers...) {
		all.Go(func() { s.upon(who) })
	}
	all.Go(func() { s.progress(j) })
	all.Wait()
	return errors.Join(append(s.faults, s.heal())...)
}

func (s *storm) progress(j *journal) {
	for wait(s.calm, 30*time.Second) {
		s.mu.Lock()
		fmt.Printf("storm: %v of %v, %d orders, %v\n", time.Since(s.begun).Round(time.Second), s.scope.length, j.count(), s.done)
		s.mu.Unlock()
	}
}

// upon does what the schedule has for one.
func (s *storm) upon(who string) {
	for _, a := range s.acts {
		if a.Who != who {
			continue
		}
		if !wait(s.calm, time.Until(s.begun.Add(a.At))) {
			return
		}
		if err := s.do(a); err != nil {
			s.mu.Lock()
			s.faults = append(s.faults, fmt.Errorf("%v: %w", a, err))
			s.mu.Unlock()
			return
		}
	}
}

func (s *storm) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[what]++
}

func (s *storm) do(a act) error {
	if a.Who == control {
		return s.onControl(a)
	}
	if a.Who == cluster {
		return s.onCluster(a)
	}
	for _, x := range s.w.agents {
		if x.name == a.Who {
			return s.onAgent(x, a)
		}
	}
	for _, x := range s.w.suppliers {
		if x.title() == a.Who {
			return s.onProvider(x, a)
		}
	}
	return errors.New("nobody has that name")
}

func (s *storm) onAgent(x *agent, a act) error {
	switch a.What {
	case kill:
		s.count(string(kill))
		x.kill()
		return s.back(x, a.For)
	case end:
		s.count(string(end))
		if took, code := x.stop(stopWithin); code != 0 {
			s.count(fmt.Sprintf("agent ended with %d after %v", code, took.Round(time.Second)))
		}
		return s.back(x, a.For)
	case freeze:
		s.freeze(x.process, a.For)
		return s.serving(x)
	case killAt, freezeAt:
		return s.atPoint(x, a)
	default:
		return fmt.Errorf("%s is nothing that is done to an agent", a.What)
	}
}

// stopWithin is how long an agent may take to end in order: its calls have 15 s, by --drain.
const stopWithin = 20 * time.Second

// freeze is SIGSTOP for some time: to the process, time jumps.
func (s *storm) freeze(p *process, d time.Duration) {
	s.count(string(freeze))
	if d >= time.Minute {
		s.count("freeze of a minute")
	}
	p.signal(syscall.SIGSTOP)
	wait(context.Background(), d)
	p.signal(syscall.SIGCONT)
}

// back starts an agent again after some time, and returns when it serves.
func (s *storm) back(x *agent, after time.Duration) error {
	wait(s.calm, after)
	if err := x.start(); err != nil {
		return err
	}
	return s.serving(x)
}

func (s *storm) serving(x *agent) error {
	var err error
	for range 60 { // one that ends by itself is started again, as a supervisor does: its unit says Restart=always
		if err = s.w.serves(x, 90*time.Second); err == nil || x.running() || !s.w.shared() {
			return err
		}
		s.count("agent's start in vain")
		wait(context.Background(), time.Second)
		if err := x.start(); err != nil {
			return err
		}
	}
	return err
}

func (s *storm) onControl(a act) error {
	leads, err := s.w.leader()
	if err != nil {
		return nil // there is none now: the next act comes
	}
	s.count(string(a.What))
	victims := []*process{s.w.nodes[leads]}
	if a.What != killLeader {
		victims = append(victims, s.w.nodes[(leads+1)%3])
	}
	for _, p := range victims {
		if a.What == freezeMajor {
			p.signal(syscall.SIGSTOP)
		} else {
			p.kill()
		}
	}
	wait(s.calm, a.For)
	for _, p := range victims {
		if a.What == freezeMajor {
			p.signal(syscall.SIGCONT)
		} else if err := p.start(); err != nil {
			return err
		}
	}
	return eventually(time.Minute, "the control plane has a leader", func() error { _, err := s.w.leader(); return err })
}

// onCluster kills or freezes one replica, or two of three: then there is no quorum.
func (s *storm) onCluster(a act) error {
	s.count(string(a.What))
	c := s.w.cluster
	strike, mend := c.Kill, s.up
	if a.What == frozeReplica || a.What == frozeQuorum {
		strike, mend = c.Pause, c.Resume
	}
	victims := []int{a.Visit}
	if a.What == killQuorum || a.What == frozeQuorum {
		victims = append(victims, a.Visit%3+1)
	}
	for _, n := range victims {
		if err := strike(n); err != nil {
			return err
		}
	}
	wait(s.calm, a.For)
	for _, n := range victims {
		if err := mend(n); err != nil {
			return err
		}
	}
	return nil
}

// up starts a replica again. One that ends while its neighbours start is started once more.
func (s *storm) up(n int) error {
	var err error
	for range 4 {
		if err = s.w.cluster.Up(n); err == nil {
			return nil
		}
		s.count("replica's start in vain")
	}
	return err
}

func (s *storm) onProvider(x *supplier, a act) error {
	name := string(a.What)
	if a.What == fault {
		name = string(a.Fault.Kind)
		if a.Fault.Executed {
			name += " after"
		}
	}
	s.count("provider: " + name)
	switch a.What {
	case fault:
		if err := x.control(http.MethodPut, "_faults", a.Fault); err != nil {
			return err
		}
	case die:
		if err := x.control(http.MethodPost, "_kill", nil); err != nil {
			return err
		}
	case freeze:
		x.signal(syscall.SIGSTOP)
		wait(s.calm, a.For)
		x.signal(syscall.SIGCONT)
		return nil
	}
	wait(s.calm, a.For)
	return x.heal()
}

// heal ends every fault, and returns when all serve.
func (s *storm) heal() error {
	var errs []error
	for _, x := range s.w.suppliers {
		x.signal(syscall.SIGCONT)
		errs = append(errs, x.heal())
	}
	for n := range regions {
		if s.w.shared() {
			_ = s.w.cluster.Resume(n + 1) // one that does not hang needs none
			errs = append(errs, s.up(n+1))
		}
	}
	for _, p := range s.w.nodes {
		p.signal(syscall.SIGCONT)
		if !p.running() {
			errs = append(errs, p.start())
		}
	}
	for _, x := range s.w.agents {
		x.signal(syscall.SIGCONT)
		if !x.running() {
			errs = append(errs, x.start())
		}
		errs = append(errs, s.serving(x))
	}
	return errors.Join(errs...)
}

// tell writes down what was done.
func (s *storm) tell(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.seed, r.store, r.length, r.done, r.points = s.w.seed, s.w.store(), s.scope.length, maps.Clone(s.done), maps.Clone(s.points)
	for _, p := range s.w.all() {
		r.wrongs = append(r.wrongs, p.crashes()...)
	}
	for _, what := range slices.Sorted(maps.Keys(s.done)) {
		if strings.HasPrefix(what, "agent ended") {
			r.wrongs = append(r.wrongs, fmt.Sprintf("%d × %s", s.done[what], what))
		}
	}
}

// pick draws so many of a list.
func pick[T any](r *rand.Rand, list []T, n int) []T {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(n, len(list))]
}
