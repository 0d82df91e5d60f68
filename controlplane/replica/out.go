package replica

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

const (
	wonderEvery = time.Second
	wonderAfter = 3 * time.Second // without a leader's word: several elections
)

// wonder finds out that this node was taken out of the cluster while nobody could tell it: raft tells a removed node once, and a node that was
// dead or cut off then would wait for a leader for ever, with agents that it keeps from the others. It asks the nodes it knows, one after the
// other, while it hears of no leader. One that has committed as much as this node and lists the cluster
// without it is believed until a leader speaks again.
func (r *Replica) wonder(ctx context.Context) {
	tick := time.NewTicker(wonderEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		node := r.raft.Load()
		if heard := contactOf(node); heard >= 0 && heard < wonderAfter {
			r.out.Store(false)
			continue
		}
		if r.out.Load() || !r.Member() {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(r.servers()), func(sv raft.Server) bool { return string(sv.ID) == r.cfg.ID })
		if len(others) == 0 {
			continue
		}
		to := others[i%len(others)]
		who, err := r.trans.stream.ask(ctx, string(to.Address), string(to.ID))
		if err == nil && who.Incarnation == r.State().Incarnation && who.Committed >= node.CommitIndex() && !slices.Contains(who.Members, r.cfg.ID) {
			r.out.Store(true)
			r.log.Warn("this node was taken out of the cluster", "says", who.ID, "members", who.Members)
		}
	}
}
