package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"segue/controlplane/state"
)

// reign is a term in which this node leads and has applied everything that was committed before.
type reign struct {
	term uint64
	ctx  context.Context // ends with the term

	reads rounds
}

const (
	barrierFor  = 2 * time.Second
	wedgedAfter = 10 * time.Second // a transfer takes at most two election time-outs
	wedgePause  = 50 * time.Millisecond
)

// follow starts the goroutine that follows leadership, contacts and the disk.
func (r *Replica) follow() {
	ctx, stop := context.WithCancel(context.Background())
	r.follower = life{stop: stop, ended: make(chan struct{})}
	seen := make(chan raft.Observation, 64)
	node := r.raft.Load()
	watch := raft.NewObserver(seen, false, heartbeats) // not blocking: a full channel loses one, raft never waits
	node.RegisterObserver(watch)
	go func() {
		defer close(r.follower.ended)
		defer node.DeregisterObserver(watch)
		var beside sync.WaitGroup
		defer beside.Wait()
		beside.Go(func() { r.wonder(ctx) })
		r.run(ctx, seen)
	}()
}

// run is the only reader of LeaderCh, whose slot of one holds the latest news: raft never waits for it. Two changes can come as one,
// so the term decides, not the news.
func (r *Replica) run(ctx context.Context, seen <-chan raft.Observation) {
	node := r.raft.Load()
	every := time.NewTicker(spaceEvery)
	defer every.Stop()
	end := func() {}
	defer func() { end() }()
	for {
		select {
		case <-node.LeaderCh():
			end()
			end = r.lead(ctx)
		case o := <-seen:
			r.contact.note(o, r.cfg.Now())
		case <-every.C:
			r.lookAtDisk()
		case <-ctx.Done():
			return
		}
	}
}

// lead begins the term if this node leads, and returns how to end it. Ending waits until all of the term's work is done.
func (r *Replica) lead(ctx context.Context) (end func()) {
	node := r.raft.Load()
	if node.State() != raft.Leader {
		return func() {}
	}
	term := node.CurrentTerm()
	r.contact.reset()
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { r.rule(ctx, term) })
	return func() {
		r.reign.Store(nil)
		cancel()
		work.Wait()
	}
}

// rule is one term: barrier, then the reign. Nothing is proposed before the barrier: a new leader's State may lack what was committed
// under the one before, and validating on it would be wrong.
func (r *Replica) rule(ctx context.Context, term uint64) {
	if !r.pass(ctx) {
		return
	}
	var work sync.WaitGroup
	defer work.Wait()
	news := make(chan struct{}, 1)
	r.fsm.listen(news)
	defer r.fsm.listen(nil)
	work.Go(func() { r.nudge(ctx, term, news) })
	if err := r.begin(ctx); err != nil {
		r.log.Warn("the cluster has no incarnation yet", "error", err)
	}
	own := &reign{term: term, ctx: ctx}
	r.reign.Store(own)
	defer r.reign.CompareAndSwap(own, nil)
	if ctx.Err() != nil {
		return // the end came between: nobody else would take the reign back
	}
	if r.cfg.OnTerm != nil {
		r.cfg.OnTerm(ctx, term)
	}
	<-ctx.Done()
}

// pass waits until everything before this term is applied here.
func (r *Replica) pass(ctx context.Context) bool {
	node := r.raft.Load()
	wedged := r.cfg.Now().Add(wedgedAfter)
	for ctx.Err() == nil && node.State() == raft.Leader {
		f := node.Barrier(barrierFor)
		if err := f.Error(); err != nil {
			if errors.Is(err, raft.ErrLeadershipTransferInProgress) {
				r.unwedge(ctx, wedged)
			}
			r.log.Info("barrier failed", "error", err)
			continue // raft has stepped down, or was too busy to take it
		}
		if i, ok := f.(raft.IndexFuture); ok {
			r.fsm.passed(i.Index())
		}
		return true
	}
	return false
}

// unwedge ends a node that takes nothing in a new term because a transfer of the leadership in an earlier one never ended. The library has
// no way to end it (its issue 696), and the node would lead for ever and do nothing.
func (r *Replica) unwedge(ctx context.Context, at time.Time) {
	if r.cfg.Now().After(at) {
		r.cfg.Fatal(errors.New("replica: a transfer of the leadership never ended: the node must start again"))
	}
	select {
	case <-ctx.Done():
	case <-time.After(wedgePause):
	}
}

// begin gives a new cluster its incarnation. It is the log's first command, so every node gets the same.
func (r *Replica) begin(ctx context.Context) error {
	if r.State().Incarnation != "" {
		return nil
	}
	name := rand.Text()
	text, err := state.Encode(state.Command{
		Request: "init-" + name, Actor: "node " + r.cfg.ID, Reason: "first start of the cluster", At: r.cfg.Now(),
		Init: &state.Init{Incarnation: name},
	})
	if err != nil {
		return err
	}
	if _, err := r.apply(ctx, text); err != nil {
		return fmt.Errorf("replica: begin: %w", err)
	}
	return nil
}

// nudge tells the followers of each commit, latest wins: under load one message stands for many.
func (r *Replica) nudge(ctx context.Context, term uint64, news <-chan struct{}) {
	for {
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
		index, at := r.fsm.newest()
		if at != term || r.raft.Load().LastIndex() > index {
			continue // the next entries carry the news, and the last of them is told here
		}
		var all sync.WaitGroup
		for _, sv := range r.servers() {
			if sv.ID == r.trans.id || r.contact.lost(string(sv.ID)) {
				continue
			}
			all.Go(func() {
				if err := r.trans.tell(sv, index, term); err != nil {
					r.log.Debug("a follower was not told of a commit", "peer", sv.ID, "error", err)
				}
			})
		}
		all.Wait()
	}
}

// diskHangs ends the node where another voter can lead in its place. A node that is alone waits: its end would help nobody.
func (r *Replica) diskHangs(err error, fatal func(error)) {
	if len(r.servers()) > 1 {
		fatal(err)
		return
	}
	r.log.Error("no other node could take over: this one waits for its disk", "error", err)
}

func (r *Replica) lookAtDisk() {
	low, err := r.space.look()
	switch {
	case err != nil:
		r.log.Error("the disk cannot be measured", "error", err)
	case r.space.full():
		r.log.Error("the disk is nearly full: this node does not ask to lead", "free_bytes", r.space.free.Load())
	case low:
		r.log.Warn("the disk has little space", "free_share", r.space.share())
	}
}
