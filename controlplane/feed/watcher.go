package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	"segue/controlplane/feed/feedv1"
	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// watcher is one attached agent: a slot of one for Updates, and the questions that it has not answered.
type watcher struct {
	hello     *feedv1.Hello
	slot      chan *feedv1.Down // the newest Update that was not sent yet
	questions chan *feedv1.Down // questions on their way down
	leave     <-chan struct{}   // closed when the agent must go to another node

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan Answer // nil once the connection has ended
}

func newWatcher(hello *feedv1.Hello) *watcher {
	return &watcher{hello: hello, slot: make(chan *feedv1.Down, 1), questions: make(chan *feedv1.Down), waiting: map[uint64]chan Answer{}}
}

// offer puts down into the slot, in place of an older one that was not sent. The server's lock makes it the only writer.
func (w *watcher) offer(down *feedv1.Down) { replace(w.slot, down) }

// serve sends and receives until either side ends.
func (w *watcher) serve(ctx context.Context, stream *connect.BidiStream[feedv1.Up, feedv1.Down], s *Server) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.idle.Go(func() { cancel(w.receive(stream, s)) }) // ends with the stream, at the latest when serve returns
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		var down *feedv1.Down
		select {
		case down = <-w.slot:
		case down = <-w.questions:
		case <-beat.C:
			down = &feedv1.Down{Kind: &feedv1.Down_Beat{Beat: &feedv1.Beat{}}}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.leave:
			return connect.NewError(connect.CodeUnavailable, errors.New("the node is in the cluster no more"))
		case <-s.done:
			return connect.NewError(connect.CodeUnavailable, errors.New("the node stops"))
		}
		if err := stream.Send(down); err != nil {
			return fmt.Errorf("feed: send to %s: %w", w.hello.GetAgent(), err)
		}
	}
}

func (w *watcher) receive(stream *connect.BidiStream[feedv1.Up, feedv1.Down], s *Server) error {
	for {
		up, err := stream.Receive()
		if err != nil {
			return fmt.Errorf("feed: receive from %s: %w", w.hello.GetAgent(), err)
		}
		if err := w.take(up, s); err != nil {
			return err
		}
	}
}

func (w *watcher) take(up *feedv1.Up, s *Server) error {
	switch kind := up.GetKind().(type) {
	case *feedv1.Up_Ack:
		a := kind.Ack
		s.source.Acked(state.Ack{
			Agent: w.hello.GetAgent(), Region: w.hello.GetRegion(), Revision: a.GetRevision(), Reason: a.GetReason(), At: s.now(),
			Position: state.Position{Incarnation: a.GetIncarnation(), Index: a.GetIndex()},
		})
	case *feedv1.Up_Report:
		var r health.Report
		if err := json.Unmarshal(kind.Report, &r); err != nil {
			return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("a report does not parse: %w", err))
		}
		r.Agent, r.Region, r.Run = w.hello.GetAgent(), w.hello.GetRegion(), w.hello.GetRun() // an agent speaks for itself alone
		s.source.Reported(r)
	case *feedv1.Up_Answer:
		w.answered(kind.Answer)
	}
	return nil // anything else comes from a newer agent and may be skipped
}

// ask sends q down and waits for its answer, for ctx, or for the end of the connection.
func (w *watcher) ask(ctx context.Context, q query.Question) Answer {
	fail := func(why string) Answer {
		return Answer{Agent: w.hello.GetAgent(), Region: w.hello.GetRegion(), Run: w.hello.GetRun(), Err: why}
	}
	question, err := json.Marshal(q)
	if err != nil {
		return fail(err.Error())
	}
	id, reply, err := w.expect()
	if err != nil {
		return fail(err.Error())
	}
	defer w.forget(id)
	down := &feedv1.Down{Kind: &feedv1.Down_Query{Query: &feedv1.Query{Id: id, Question: question}}}
	select {
	case w.questions <- down:
	case <-reply:
		return fail("the agent's connection ended")
	case <-ctx.Done():
		return fail("no answer in time")
	}
	select {
	case a, ok := <-reply:
		if !ok {
			return fail("the agent's connection ended")
		}
		return a
	case <-ctx.Done():
		return fail("no answer in time")
	}
}

func (w *watcher) expect() (uint64, chan Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.waiting == nil:
		return 0, nil, errors.New("the agent's connection ended")
	case len(w.waiting) >= maxQuestions:
		return 0, nil, fmt.Errorf("%d questions are under way at this agent, the limit", maxQuestions)
	}
	w.next++
	reply := make(chan Answer, 1)
	w.waiting[w.next] = reply
	return w.next, reply, nil
}

func (w *watcher) forget(id uint64) {
	w.mu.Lock()
	delete(w.waiting, id)
	w.mu.Unlock()
}

func (w *watcher) answered(a *feedv1.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if reply, ok := w.waiting[a.GetId()]; ok {
		delete(w.waiting, a.GetId())
		reply <- Answer{Agent: w.hello.GetAgent(), Region: w.hello.GetRegion(), Run: w.hello.GetRun(), Body: a.GetBody(), Err: a.GetError()}
	}
}

// abandon ends every question that is still open.
func (w *watcher) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, reply := range w.waiting {
		close(reply)
	}
	w.waiting = nil
}
