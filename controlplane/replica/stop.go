package replica

import (
	"context"
	"errors"
	"fmt"
)

// Stop ends the term if this node leads, awaits what is under way, and closes everything. ctx bounds the waiting: a storage that hangs
// would hold it for ever, and then the files stay open until the process ends.
func (r *Replica) Stop(ctx context.Context) error {
	if !r.gate.close() {
		return nil
	}
	for _, g := range r.gauges.all {
		r.cfg.Metrics.Unregister(g)
	}
	done := make(chan error, 1)
	go func() { done <- r.stop() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("replica: stop: %w", ctx.Err())
	}
}

// stop goes backwards through New. Proposals are awaited while raft still runs: after its end nothing answers those that wait in its
// queue.
func (r *Replica) stop() error {
	r.follower.stop()
	<-r.follower.ended
	r.gate.count.Wait()
	err := r.raft.Load().Shutdown().Error()
	r.trans.CloseStreams()
	return errors.Join(err, r.trans.Close(), r.disk.store.Close())
}

// abandon closes what a failed New had opened.
func (r *Replica) abandon() {
	for _, g := range r.gauges.all {
		r.cfg.Metrics.Unregister(g)
	}
	var errs []error
	if node := r.raft.Load(); node != nil {
		errs = append(errs, node.Shutdown().Error())
	}
	if r.trans != nil {
		errs = append(errs, r.trans.Close())
	}
	if r.disk.store != nil {
		errs = append(errs, r.disk.store.Close())
	}
	if err := errors.Join(errs...); err != nil {
		r.log.Warn("cleaning up after a failed start", "error", err)
	}
}
