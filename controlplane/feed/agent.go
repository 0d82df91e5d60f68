package feed

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	"segue/controlplane/feed/feedv1"
	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// AgentConfig is what the agent's end needs.
type AgentConfig struct {
	Control            []string // host:port of the control nodes' feeds; tried in turn from a random one
	Agent, Region, Run string
	Local              Local
	TLS                *tls.Config // nil: h2c, loopback only
	Log                *slog.Logger
	Now                func() time.Time
}

// Agent is the agent's end of the feed: one connection at a time, to whichever control node answers.
type Agent struct {
	cfg    AgentConfig
	heard  atomic.Int64                   // unix nanoseconds of the last message down; 0: never
	has    atomic.Pointer[state.Position] // of the last Update that was applied
	cancel context.CancelFunc
	idle   sync.WaitGroup
	unsent []health.Event // of reports that nobody took; only the loop touches it
	seq    uint64
}

// NewAgent returns the agent's end; nothing happens before Start.
func NewAgent(cfg AgentConfig) (*Agent, error) {
	if len(cfg.Control) == 0 {
		return nil, errors.New("feed: no control node is named")
	}
	return &Agent{cfg: cfg}, nil
}

// Start begins to dial.
func (a *Agent) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.idle.Go(func() { a.run(ctx) })
}

// Stop ends the connection and waits for it.
func (a *Agent) Stop() {
	if a.cancel != nil {
		a.cancel()
		a.idle.Wait()
	}
}

// Age is how long ago a control node was heard; false if never.
func (a *Agent) Age() (time.Duration, bool) {
	at := a.heard.Load()
	if at == 0 {
		return 0, false
	}
	return a.cfg.Now().Sub(time.Unix(0, at)), true
}

// run attaches to one node after the other for ever. The start is random and every pause is jittered, so that agents do
// not all come back to the same node at the same time.
func (a *Agent) run(ctx context.Context) {
	next, failures := rand.IntN(len(a.cfg.Control)), 0
	for ctx.Err() == nil {
		node := a.cfg.Control[next%len(a.cfg.Control)]
		served, err := a.attach(ctx, node)
		if served {
			failures = 0
		}
		failures++
		next++
		if ctx.Err() == nil {
			a.cfg.Log.Warn("feed lost", "node", node, "error", err)
			a.pause(ctx, pauseAfter(failures, len(a.cfg.Control)))
		}
	}
}

// pauseAfter is short while there are nodes that were not tried, then grows to about two seconds.
func pauseAfter(failures, nodes int) time.Duration {
	base := 30 * time.Millisecond
	if failures > nodes {
		base = min(2*time.Second, 100*time.Millisecond<<min(failures-nodes, 6))
	}
	return base/2 + rand.N(base)
}

// pause waits, and goes on making reports: what is measured while nobody listens must not come back as one large second.
func (a *Agent) pause(ctx context.Context, d time.Duration) {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-end.C:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			a.keep(a.report().Events)
		}
	}
}

// link is one connection.
type link struct {
	agent  *Agent
	stream *connect.BidiStreamForClient[feedv1.Up, feedv1.Down]
	sendMu sync.Mutex          // connect's streams take one sender at a time
	slot   chan *feedv1.Update // the newest Update that is not applied yet
	acks   chan due            // the newest acknowledgement that is not sent yet
	heard  atomic.Uint64       // messages

	unpacked unpacked // only what applies touches it
}

// attach serves one connection until it ends. served tells whether the node ever sent something.
func (a *Agent) attach(ctx context.Context, node string) (served bool, err error) {
	client, hangUp := dial(node, a.cfg.TLS)
	defer hangUp()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, hangUp)()
	l := &link{agent: a, stream: client.Attach(ctx), slot: make(chan *feedv1.Update, 1), acks: make(chan due, 1)}
	hello := &feedv1.Hello{Agent: a.cfg.Agent, Region: a.cfg.Region, Run: a.cfg.Run}
	if has := a.has.Load(); has != nil {
		hello.Incarnation, hello.Index = has.Incarnation, has.Index
	}
	if err := l.send(&feedv1.Up{Kind: &feedv1.Up_Hello{Hello: hello}}); err != nil {
		if errors.Is(err, io.EOF) { // it says that the stream has ended; Receive says why
			_, err = l.stream.Receive()
		}
		return false, fmt.Errorf("feed: hello: %w", err)
	}
	before := a.heard.Load()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { defer cancel(); return l.receive(ctx, group) })
	group.Go(func() error { return l.apply(ctx) })
	group.Go(func() error { return l.acknowledge(ctx) })
	group.Go(func() error { defer cancel(); return l.reports(ctx) })
	group.Go(func() error { defer cancel(); return l.watch(ctx) })
	err = group.Wait()
	return a.heard.Load() != before, err
}

func (l *link) send(up *feedv1.Up) error {
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	return l.stream.Send(up)
}

// receive takes what comes down. Updates go into a slot of one: an agent that compiles slowly skips revisions.
func (l *link) receive(ctx context.Context, group *errgroup.Group) error {
	for {
		down, err := l.stream.Receive()
		if err != nil {
			return fmt.Errorf("feed: receive: %w", err)
		}
		l.agent.heard.Store(l.agent.cfg.Now().UnixNano())
		l.heard.Add(1)
		switch kind := down.GetKind().(type) {
		case *feedv1.Down_Update:
			replace(l.slot, kind.Update)
		case *feedv1.Down_Query:
			group.Go(func() error { return l.answer(ctx, kind.Query) })
		}
	}
}

// watch ends a connection on which nothing was heard for too long: a frozen node keeps its sockets open. It looks now and then: to wake for
// each message would cost a thousand agents on one machine more than the message.
func (l *link) watch(ctx context.Context) error {
	const looks = 7
	tick := time.NewTicker(silence / looks)
	defer tick.Stop()
	heard := l.heard.Load()
	for quiet := 0; quiet < looks; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		quiet++
		if n := l.heard.Load(); n != heard {
			heard, quiet = n, 0
		}
	}
	return fmt.Errorf("feed: nothing heard for %v", silence)
}

func (l *link) apply(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-l.slot:
			l.applyOne(u)
		}
	}
}

func (l *link) applyOne(u *feedv1.Update) {
	ack := &feedv1.Ack{Incarnation: u.GetIncarnation(), Index: u.GetIndex(), Revision: u.GetRevision()}
	update, err := decodeUpdate(u, &l.unpacked)
	if err == nil {
		err = l.agent.cfg.Local.Apply(update)
	}
	if err == nil {
		l.agent.has.Store(&update.Position)
	} else {
		ack.Reason = err.Error()
		l.agent.cfg.Log.Error("update refused", "revision", u.GetRevision(), "error", err)
	}
	replace(l.acks, due{ack, time.Duration(u.GetAckWithinNano())})
}

// due is an acknowledgement, and the time in which it should be sent.
type due struct {
	ack    *feedv1.Ack
	within time.Duration
}

// acknowledge sends what became of the newest Update. It waits a random part of the time that the node gave first: a thousand agents that
// acknowledge at once would stand in the way of the Update that others still wait for.
func (l *link) acknowledge(ctx context.Context) error {
	for {
		var d due
		select {
		case <-ctx.Done():
			return nil
		case d = <-l.acks:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(rand.Int64N(int64(min(max(d.within, 1), ackLatest))))):
		}
		select {
		case d = <-l.acks:
		default:
		}
		if err := l.send(&feedv1.Up{Kind: &feedv1.Up_Ack{Ack: d.ack}}); err != nil {
			return fmt.Errorf("feed: acknowledge: %w", err)
		}
	}
}

// replace puts v into a slot of one, in place of what was not taken. The slot must have one writer.
func replace[T any](slot chan T, v T) {
	select {
	case <-slot:
	default:
	}
	slot <- v
}

// reports sends a report each second, at a random phase so that many agents spread over the second.
func (l *link) reports(ctx context.Context) error {
	timer := time.NewTimer(rand.N(reportEvery))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		timer.Reset(reportEvery)
		if err := l.report(); err != nil {
			return err
		}
	}
}

func (l *link) report() error {
	r := l.agent.report()
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("feed: report: %w", err)
	}
	if err := l.send(&feedv1.Up{Kind: &feedv1.Up_Report{Report: body}}); err != nil {
		l.agent.keep(r.Events)
		return fmt.Errorf("feed: report: %w", err)
	}
	return nil
}

// report makes the next report, with the events that earlier ones could not deliver.
func (a *Agent) report() health.Report {
	r := a.cfg.Local.Report()
	a.seq++
	r.Seq = a.seq
	if len(a.unsent) > 0 {
		r.Events = append(a.unsent, r.Events...)
		a.unsent = nil
	}
	return r
}

// keep holds events for the next report, the newest health.MaxEvents of them.
func (a *Agent) keep(events []health.Event) {
	a.unsent = append([]health.Event(nil), events[max(0, len(events)-health.MaxEvents):]...)
}

// answer serves one question; a failure is told, not returned: it ends no connection.
func (l *link) answer(ctx context.Context, q *feedv1.Query) error {
	a := &feedv1.Answer{Id: q.GetId()}
	body, err := l.body(ctx, q.GetQuestion())
	if err != nil {
		a.Error = err.Error()
	}
	a.Body = body
	return l.send(&feedv1.Up{Kind: &feedv1.Up_Answer{Answer: a}})
}

func (l *link) body(ctx context.Context, raw []byte) ([]byte, error) {
	var question query.Question
	if err := json.Unmarshal(raw, &question); err != nil {
		return nil, fmt.Errorf("the question does not parse: %w", err)
	}
	body, err := l.agent.cfg.Local.Answer(ctx, question)
	if err == nil && len(body) > maxMessage/2 {
		return nil, fmt.Errorf("the answer has %d bytes, over the limit of %d: ask for less", len(body), maxMessage/2)
	}
	return body, err
}

func decodeUpdate(u *feedv1.Update, last *unpacked) (state.Update, error) {
	orders, err := decodeOrders(u.GetOrders())
	if err != nil {
		return state.Update{}, err
	}
	text, err := last.unpack(u.GetPolicy())
	if err != nil {
		return state.Update{}, err
	}
	return state.Update{
		Position: state.Position{Incarnation: u.GetIncarnation(), Index: u.GetIndex()},
		Revision: u.GetRevision(), Policy: text, Orders: orders, Verdicts: decodeVerdicts(u.GetVerdicts()), Now: time.Unix(0, u.GetNowUnixNano()),
	}, nil
}
