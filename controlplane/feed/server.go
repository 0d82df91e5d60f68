package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"segue/controlplane/feed/feedv1"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// Server is the control node's end of the feed. It owns the watchers: one per attached agent, each with a slot of one, so that
// a slow agent skips Updates and delays nobody.
type Server struct {
	source Source
	log    *slog.Logger
	now    func() time.Time

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   bool
	dropped  chan struct{} // closed by Drop

	pulls atomic.Int64 // who waits for an Update by pulling

	done chan struct{} // closed by Stop
	idle sync.WaitGroup
}

// NewServer returns a server that sends what source has. Start it before it serves.
func NewServer(source Source, log *slog.Logger, now func() time.Time) *Server {
	return &Server{source: source, log: log, now: now, watchers: map[*watcher]struct{}{}, dropped: make(chan struct{}), done: make(chan struct{})}
}

// Handler returns the path prefix and the handler of the agents' service.
func (s *Server) Handler() (string, http.Handler) {
	return feedv1.NewFeedHandler(s, serving(maxMessage))
}

// Start begins to pass changes on to the watchers.
func (s *Server) Start() {
	s.idle.Add(1)
	go func() {
		defer s.idle.Done()
		s.publish()
	}()
}

// Stop ends every connection and waits for their ends.
func (s *Server) Stop() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.done)
	s.mu.Unlock()
	s.idle.Wait()
}

// Drop ends every connection, and the server goes on: agents go to another node. It is for a node that was taken out of the cluster, which
// would keep its agents at what it knew last.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.dropped)
	s.dropped = make(chan struct{})
}

// publish puts each change into every slot. Changed is taken before the watchers are served, so no change is missed.
func (s *Server) publish() {
	for {
		changed := s.source.Changed()
		s.fanOut()
		select {
		case <-changed:
		case <-s.done:
			return
		}
	}
}

// fanOut computes the Update of each region once and offers it to that region's watchers.
func (s *Server) fanOut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := map[string]*feedv1.Down{}
	for w := range s.watchers {
		down, ok := made[w.hello.GetRegion()]
		if !ok {
			down = s.update(w.hello.GetRegion())
			made[w.hello.GetRegion()] = down
		}
		if down != nil {
			w.offer(down)
		}
	}
}

func (s *Server) update(region string) *feedv1.Down {
	u, err := s.source.Update(region)
	if err != nil {
		s.log.Warn("no update for a region", "region", region, "error", err)
		return nil
	}
	down, err := encodeUpdate(u, len(s.watchers))
	if err != nil {
		s.log.Error("an update does not encode", "region", region, "error", err)
		return nil
	}
	return down
}

// Attach is one agent's connection; it ends when either side does.
func (s *Server) Attach(ctx context.Context, stream *connect.BidiStream[feedv1.Up, feedv1.Down]) error {
	first, err := stream.Receive()
	if err != nil {
		return fmt.Errorf("feed: no hello: %w", err)
	}
	hello := first.GetHello()
	if hello == nil || hello.GetAgent() == "" || hello.GetRegion() == "" {
		return connect.NewError(connect.CodeInvalidArgument, errors.New("the first message must be a hello with agent and region"))
	}
	w, err := s.join(ctx, hello)
	if err != nil {
		return err
	}
	defer s.leave(w)
	return w.serve(ctx, stream, s)
}

// join adds a watcher whose slot holds the Update of now.
func (s *Server) join(ctx context.Context, hello *feedv1.Hello) (*watcher, error) {
	u, err := s.updateFor(ctx, hello.GetRegion(), hello.GetIncarnation())
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	down, err := encodeUpdate(u, s.Attached())
	if err != nil {
		return nil, fmt.Errorf("feed: update of %s: %w", hello.GetRegion(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("the node stops"))
	case len(s.watchers) >= maxAgents:
		return nil, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%d agents are attached, the limit", maxAgents))
	}
	w := newWatcher(hello)
	w.leave = s.dropped
	w.offer(down)
	s.watchers[w] = struct{}{}
	s.idle.Add(1)
	// A change between the Update above and the line before was not offered to w: offer what is in force now.
	if now := s.update(hello.GetRegion()); now != nil {
		w.offer(now)
	}
	return w, nil
}

// updateFor is the Update for somebody who knows an incarnation, "" for none. One that knows another than this node's is answered only
// where this node is not behind: a node that has not heard of a restore would lead agents back to what was replaced.
func (s *Server) updateFor(ctx context.Context, region, incarnation string) (state.Update, error) {
	u, err := s.source.Update(region)
	if err != nil || incarnation == "" || incarnation == u.Incarnation {
		return u, err
	}
	ctx, cancel := context.WithTimeout(ctx, newestWithin)
	defer cancel()
	if err := s.source.Newest(ctx); err != nil {
		return state.Update{}, fmt.Errorf("feed: incarnation %.40q is another than this node's, and it may be behind: %w", incarnation, err)
	}
	return s.source.Update(region)
}

func (s *Server) leave(w *watcher) {
	s.mu.Lock()
	delete(s.watchers, w)
	s.mu.Unlock()
	w.abandon()
	s.idle.Done()
}

// Attached returns how many agents are attached here.
func (s *Server) Attached() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.watchers)
}

// Ask puts q to every agent that is attached here, or to those of q's region, and waits for all of them or for ctx.
func (s *Server) Ask(ctx context.Context, q query.Question) []Answer {
	s.mu.Lock()
	asked := make([]*watcher, 0, len(s.watchers))
	for w := range s.watchers {
		if q.Region == "" || q.Region == w.hello.GetRegion() {
			asked = append(asked, w)
		}
	}
	s.mu.Unlock()
	answers := make([]Answer, len(asked))
	var all sync.WaitGroup
	for i, w := range asked {
		all.Go(func() { answers[i] = w.ask(ctx, q) })
	}
	all.Wait()
	return answers
}

// encodeUpdate writes u for agents of which so many are attached.
func encodeUpdate(u state.Update, attached int) (*feedv1.Down, error) {
	orders, err := encodeOrders(u.Orders)
	if err != nil {
		return nil, err
	}
	verdicts, err := encodeVerdicts(u.Verdicts)
	if err != nil {
		return nil, err
	}
	return &feedv1.Down{Kind: &feedv1.Down_Update{Update: &feedv1.Update{
		Incarnation: u.Incarnation, Index: u.Index, Revision: u.Revision,
		Policy: pack(u.Policy), Orders: orders, Verdicts: verdicts, NowUnixNano: u.Now.UnixNano(),
		AckWithinNano: int64(min(time.Duration(attached)*ackSpread, ackLatest)),
	}}}, nil
}
