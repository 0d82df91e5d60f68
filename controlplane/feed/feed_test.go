package feed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// source is a control node's side: an Update that tests change, and what came up.
type source struct {
	mu      sync.Mutex
	update  state.Update
	refuse  error
	behind  error // what Newest says
	asked   int   // how often it was
	life    string
	changed chan struct{}
	reports []health.Report
	acks    []state.Ack
}

func newSource() *source { return &source{changed: make(chan struct{})} }

func (s *source) set(index uint64, document string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.update = state.Update{Position: state.Position{Incarnation: cmp.Or(s.life, "i1"), Index: index}, Revision: index, Policy: []byte(document), Now: time.Now(),
		Orders: []policy.Order{{ID: "o1", Kind: policy.Drain, Provider: "main", For: time.Minute}}}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *source) Update(string) (state.Update, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.update, s.refuse
}

func (s *source) Newest(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.behind
}

func (s *source) with(f func(*source)) { s.mu.Lock(); defer s.mu.Unlock(); f(s) }

func (s *source) Changed() <-chan struct{} { s.mu.Lock(); defer s.mu.Unlock(); return s.changed }

func (s *source) Reported(r health.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, r)
}

func (s *source) Acked(a state.Ack) { s.mu.Lock(); defer s.mu.Unlock(); s.acks = append(s.acks, a) }

func (s *source) heard() ([]health.Report, []state.Ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reports), slices.Clone(s.acks)
}

// local is an agent's side.
type local struct {
	mu     sync.Mutex
	seen   []state.Update
	refuse error
	hold   chan struct{} // Apply waits for it where it is set
	events []health.Event
}

func (l *local) Apply(u state.Update) error {
	l.mu.Lock()
	hold, refuse := l.hold, l.refuse
	l.mu.Unlock()
	if hold != nil {
		<-hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, u)
	return refuse
}

func (l *local) Report() health.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.events
	l.events = nil
	return health.Report{Agent: "liar", Region: "elsewhere", Events: events}
}

func (l *local) Answer(_ context.Context, q query.Question) ([]byte, error) {
	if q.Kind == query.One {
		return nil, errors.New("no such transaction")
	}
	return json.Marshal(q.Service + "!")
}

func (l *local) last() (state.Update, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) == 0 {
		return state.Update{}, 0
	}
	return l.seen[len(l.seen)-1], len(l.seen)
}

// serve starts a feed on loopback.
func serve(t testing.TB, src Source) (*Server, string) {
	t.Helper()
	s := NewServer(src, quiet(), time.Now)
	mux := http.NewServeMux()
	mux.Handle(s.Handler())
	srv := Serve(mux, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	s.Start()
	t.Cleanup(func() { s.Stop(); _ = srv.Close(); <-done })
	return s, l.Addr().String()
}

func join(t testing.TB, l Local, name string, nodes ...string) *Agent {
	t.Helper()
	a, err := NewAgent(AgentConfig{Control: nodes, Agent: name, Region: "eu", Run: "r1", Local: l, Log: quiet(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	t.Cleanup(a.Stop)
	return a
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("never happened: " + what)
}

func TestUpdatesReachAgentsAndAreAcknowledged(t *testing.T) {
	src, l := newSource(), &local{}
	src.set(1, "one")
	_, addr := serve(t, src)
	join(t, l, "a1", addr)
	eventually(t, "first update", func() bool { u, _ := l.last(); return u.Index == 1 })
	src.set(2, "two")
	eventually(t, "second update", func() bool { u, _ := l.last(); return u.Index == 2 && string(u.Policy) == "two" })
	u, _ := l.last()
	if len(u.Orders) != 1 || u.Orders[0].Provider != "main" || u.Orders[0].For != time.Minute || u.Incarnation != "i1" {
		t.Fatalf("the update lost something on its way: %+v", u)
	}
	eventually(t, "acknowledgement", func() bool {
		_, acks := src.heard()
		return len(acks) > 0 && acks[len(acks)-1] == state.Ack{Agent: "a1", Region: "eu", Position: u.Position, Revision: 2, At: acks[len(acks)-1].At}
	})
}

func TestARefusalGoesUpWithItsReason(t *testing.T) {
	src, l := newSource(), &local{refuse: errors.New("p.yaml:3:1 does not compile")}
	src.set(7, "bad")
	_, addr := serve(t, src)
	join(t, l, "a1", addr)
	eventually(t, "NACK", func() bool {
		_, acks := src.heard()
		return len(acks) > 0 && acks[0].Reason == "p.yaml:3:1 does not compile" && acks[0].Revision == 7
	})
}

// A slow agent must skip revisions: the newest waits in its slot, and another agent is not delayed.
func TestASlowAgentSkipsRevisionsAndDelaysNobody(t *testing.T) {
	src := newSource()
	src.set(1, "1")
	slow, fast := &local{hold: make(chan struct{})}, &local{}
	_, addr := serve(t, src)
	join(t, slow, "slow", addr)
	join(t, fast, "fast", addr)
	for i := uint64(2); i <= 50; i++ {
		src.set(i, fmt.Sprint(i))
		eventually(t, "the fast agent has it", func() bool { u, _ := fast.last(); return u.Index == i })
	}
	close(slow.hold)
	eventually(t, "the slow agent has the newest", func() bool { u, _ := slow.last(); return u.Index == 50 })
	if _, n := slow.last(); n > 5 {
		t.Fatalf("the slow agent applied %d of 50 revisions: the slot does not keep the newest alone", n)
	}
}

func TestQuestionsAreAnsweredByEveryAgent(t *testing.T) {
	src := newSource()
	src.set(1, "1")
	s, addr := serve(t, src)
	join(t, &local{}, "a1", addr)
	join(t, &local{}, "a2", addr)
	eventually(t, "both attached", func() bool { return s.Attached() == 2 })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answers := s.Ask(ctx, query.Question{Kind: query.Transactions, Service: "payments"})
	if len(answers) != 2 {
		t.Fatalf("%d answers of 2", len(answers))
	}
	for _, a := range answers {
		if a.Err != "" || !bytes.Equal(a.Body, []byte(`"payments!"`)) || a.Region != "eu" {
			t.Errorf("answer %+v", a)
		}
	}
	for _, a := range s.Ask(ctx, query.Question{Kind: query.One}) {
		if a.Err != "no such transaction" {
			t.Errorf("a refusal came back as %+v", a)
		}
	}
}

func TestReportsComeUpUnderTheAgentsOwnName(t *testing.T) {
	src, l := newSource(), &local{events: []health.Event{{Text: "hello"}}}
	src.set(1, "1")
	_, addr := serve(t, src)
	join(t, l, "a1", addr)
	eventually(t, "two reports", func() bool { r, _ := src.heard(); return len(r) >= 2 })
	reports, _ := src.heard()
	if r := reports[0]; r.Agent != "a1" || r.Region != "eu" || r.Run != "r1" || len(r.Events) != 1 {
		t.Errorf("report %+v: an agent speaks for itself alone", r)
	}
	if reports[0].Seq >= reports[1].Seq {
		t.Errorf("sequence %d then %d", reports[0].Seq, reports[1].Seq)
	}
}

// When its node stops, an agent goes to another and misses nothing; events of the time between come up later.
func TestAnAgentGoesElsewhere(t *testing.T) {
	src := newSource()
	src.set(1, "1")
	first, addr1 := serve(t, src)
	second, addr2 := serve(t, src)
	l := &local{}
	join(t, l, "a1", addr1, addr2)
	eventually(t, "attached", func() bool { return first.Attached()+second.Attached() == 1 })
	left, other := first, second
	if second.Attached() == 1 {
		left, other = second, first
	}
	left.Stop()
	l.mu.Lock()
	l.events = []health.Event{{Text: "while nobody listened"}}
	l.mu.Unlock()
	eventually(t, "attached to the other", func() bool { return other.Attached() == 1 })
	src.set(2, "2")
	eventually(t, "the update by the other node", func() bool { u, _ := l.last(); return u.Index == 2 })
	eventually(t, "the event", func() bool {
		reports, _ := src.heard()
		return slices.ContainsFunc(reports, func(r health.Report) bool { return len(r.Events) == 1 })
	})
}

// A node that is frozen keeps its sockets open: silence alone must move the agent.
func TestAFrozenNodeIsLeft(t *testing.T) {
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	src := newSource()
	src.set(1, "1")
	_, addr := serve(t, src)
	l := &local{}
	join(t, l, "a1", frozen.Addr().String(), addr)
	eventually(t, "served by the living node", func() bool { u, _ := l.last(); return u.Index == 1 })
}

func TestANodeThatReplaysServesNobody(t *testing.T) {
	src := newSource()
	src.set(1, "1")
	src.refuse = errors.New("still replaying")
	s, addr := serve(t, src)
	l := &local{}
	a := join(t, l, "a1", addr)
	src.mu.Lock()
	src.refuse = nil
	src.mu.Unlock()
	eventually(t, "served in the end", func() bool { u, _ := l.last(); return u.Index == 1 })
	if age, ok := a.Age(); !ok || age > 5*time.Second || s.Attached() != 1 {
		t.Errorf("age %v %v, attached %d", age, ok, s.Attached())
	}
}

func TestAHelloWithoutRegionIsRefused(t *testing.T) {
	src := newSource()
	src.set(1, "1")
	s, addr := serve(t, src)
	a, err := NewAgent(AgentConfig{Control: []string{addr}, Agent: "a1", Local: &local{}, Log: quiet(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if served, err := a.attach(t.Context(), addr); served || err == nil {
		t.Errorf("served %v, error %v", served, err)
	}
	if s.Attached() != 0 {
		t.Error("an agent without a region is attached")
	}
	if _, err := NewAgent(AgentConfig{}); err == nil {
		t.Error("an agent without control nodes was made")
	}
}

// BenchmarkReceipt measures change → receipt of a 4 KiB Update at the last of n agents.
func BenchmarkReceipt(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkReceipt(b, n) })
	}
}

func benchmarkReceipt(b *testing.B, n int) {
	src := newSource()
	src.set(1, "1")
	s, addr := serve(b, src)
	locals := make([]*counter, n)
	for i := range locals {
		locals[i] = &counter{got: make(chan uint64, 1024)}
		join(b, locals[i], fmt.Sprintf("a%d", i), addr)
	}
	eventually(b, "all attached", func() bool { return s.Attached() == n })
	document := string(bytes.Repeat([]byte("x"), 4096))
	var took []time.Duration
	index := uint64(1)
	for b.Loop() {
		index++
		start := time.Now()
		src.set(index, document)
		for _, l := range locals {
			for got := uint64(0); got < index; {
				got = <-l.got
			}
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// counter is an agent that only receives.
type counter struct {
	local
	got chan uint64
}

func (c *counter) Apply(u state.Update) error { c.got <- u.Index; return nil }
func (c *counter) Report() health.Report      { return health.Report{} }
