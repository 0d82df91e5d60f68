package controlplane

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"segue/controlplane/feed"
	"segue/controlplane/replica"
	"segue/controlplane/state"
)

const (
	steerTry     = 6 * time.Second // one try at one leader: it may ask the nodes first, and wait for one that is gone
	restoreTry   = 30 * time.Second
	maxBackup    = 128 << 20 // bytes: the State at its bounds takes some 100 MiB
	promoteEvery = 250 * time.Millisecond
	promoteLag   = 64 // entries: a learner that is so close has caught up
)

// Steer changes the set of control nodes, or hands the leadership on, whichever node is asked. It is done first and recorded then: a repeat
// under the same request id does again what was not recorded, and otherwise nothing.
func (s *Server) Steer(ctx context.Context, c state.Command) (state.Result, error) {
	if c.At.IsZero() {
		c.At = s.cfg.Now()
	}
	c.Ignorable = true // the set is in Raft's own log: who does not know the record misses a line of the audit
	if c.Membership == nil {
		return state.Result{}, refuse(state.Invalid, "nothing is to be changed in the cluster")
	}
	if err := c.Membership.Check(); err != nil {
		return state.Result{}, err
	}
	if result, ok, err := s.repeated(ctx, c); ok || err != nil {
		return result, err
	}
	if c.Membership.Kind == state.Transfer {
		if err := s.handOver(ctx, c); err != nil {
			return state.Result{}, err
		}
		return s.Propose(ctx, c)
	}
	return s.steer(ctx, c)
}

// repeated tells whether the request was answered before.
func (s *Server) repeated(ctx context.Context, c state.Command) (state.Result, bool, error) {
	st, err := s.Read(ctx)
	if err != nil {
		return state.Result{}, false, err
	}
	result, ok := st.Repeated(c)
	if ok && result.Err != nil {
		return result, true, result.Err
	}
	return result, ok, nil
}

// steer has the leader do it.
func (s *Server) steer(ctx context.Context, c state.Command) (state.Result, error) {
	var result state.Result
	err := s.withLeaderIn(ctx, steerTry, func(ctx context.Context, p *feed.Peer) (err error) {
		if p == nil {
			result, err = node{s}.Steer(ctx, c)
		} else {
			result, err = p.Steer(ctx, c)
		}
		return err
	})
	if err == nil && result.Err != nil {
		err = result.Err
	}
	return result, err
}

// handOver moves the leadership and waits until it has moved.
func (s *Server) handOver(ctx context.Context, c state.Command) error {
	cluster, err := s.Cluster(ctx)
	if err != nil {
		return err
	}
	to, ok := c.Membership.Node, true
	if to == "" {
		if to, ok = cluster.heir(cluster.Leader); !ok {
			return refuse(state.Invalid, "no other voter answers: nobody can take the leadership")
		}
	}
	n, ok := cluster.node(to)
	switch {
	case !ok:
		return refuse(state.NotFound, "there is no control node %q", to)
	case !n.Voter:
		return refuse(state.Invalid, "control node %s has no vote yet: it cannot lead", to)
	case n.Err != "":
		return refuse(state.Invalid, "control node %s does not answer: it cannot lead", to)
	}
	act := c
	act.Membership = &state.Membership{Kind: state.Transfer, Node: to}
	for {
		if leader, _ := s.replica.Leader(); leader == to {
			return nil
		}
		if _, err := s.steer(ctx, act); err != nil {
			return err
		}
		if s.awaitLeader(ctx, to) {
			return nil
		}
		if ctx.Err() != nil {
			return refuse(state.NoLeader, "the leadership did not move to %s in time", to)
		}
	}
}

// awaitLeader waits for an election to pass; true if to won it.
func (s *Server) awaitLeader(ctx context.Context, to string) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for {
		if leader, _ := s.replica.Leader(); leader == to {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(retryEvery / 5):
		}
	}
}

// Steer does at the leader what was asked for, and records it. The end of a transfer is recorded by who asked for it: this node leads no
// more then.
func (n node) Steer(ctx context.Context, c state.Command) (state.Result, error) {
	st, err := n.s.replica.Read(ctx)
	if err != nil {
		return state.Result{}, err
	}
	m := c.Membership
	if m == nil {
		return state.Result{}, refuse(state.Invalid, "nothing is to be changed in the cluster")
	}
	if m.Kind == state.Transfer {
		if m.Node == n.s.cfg.ID {
			return state.Result{}, nil
		}
		return state.Result{}, n.s.replica.Transfer(ctx, m.Node)
	}
	if result, ok := st.Repeated(c); ok {
		return result, nil
	}
	switch m.Kind {
	case state.AddNode:
		err = n.add(ctx, m)
	case state.RemoveNode:
		err = n.remove(ctx, st, m)
	default:
		err = refuse(state.Unsupported, "%s is not for people: a node gets its vote when it has caught up", m.Kind)
	}
	if err != nil {
		return state.Result{}, err
	}
	return n.s.replica.Propose(ctx, c)
}

func (n node) add(ctx context.Context, m *state.Membership) error {
	if err := onLoopback(m.Raft); err != nil {
		return refuse(state.Invalid, "raft: %s", err)
	}
	return n.s.replica.Add(ctx, m.Node, m.Raft)
}

// remove takes a node out, unless those that are left could not go on. A leader hands the leadership on first: who asked asks the next.
func (n node) remove(ctx context.Context, st *state.State, m *state.Membership) error {
	cluster, err := n.s.Cluster(ctx)
	if err != nil {
		return err
	}
	gone, ok := cluster.node(m.Node)
	if !ok {
		if _, announced := st.Node(m.Node); announced {
			return nil // a try before this one took it out, and did not come to record it
		}
		return refuse(state.NotFound, "there is no control node %q", m.Node)
	}
	if alive, quorum := cluster.without(m.Node); gone.Voter && alive < quorum && (!m.Force || alive == 0) {
		return refuse(state.Invalid, "without %s, %d of the voters that are left would answer and %d are needed: nothing could be changed any more; bring the others back, or add a node first",
			m.Node, alive, quorum)
	}
	if m.Node != n.s.cfg.ID {
		return n.s.replica.Remove(ctx, m.Node)
	}
	heir, ok := cluster.heir(m.Node)
	if !ok {
		return refuse(state.Invalid, "no other voter answers: nobody can take the leadership of %s", m.Node)
	}
	if err := n.s.replica.Transfer(ctx, heir); err != nil {
		return err
	}
	return refuse(state.NoLeader, "%s hands the leadership to %s before it goes", m.Node, heir)
}

// promote gives learners their votes once they have caught up, while this node leads.
func (s *Server) promote(ctx context.Context) {
	tick := time.NewTicker(promoteEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		own := s.replica.Stats()
		for _, p := range own.Peers {
			if p.Suffrage == "Voter" {
				continue
			}
			if err := s.promoteOne(ctx, p, own.Commit); err != nil {
				s.cfg.Log.Debug("a learner gets no vote yet", "node", p.ID, "error", err)
			}
		}
	}
}

func (s *Server) promoteOne(ctx context.Context, p replica.PeerStats, commit uint64) error {
	st := s.standOf(ctx, p.ID)
	switch {
	case st.err != nil:
		return st.err
	case !st.Ready || st.Applied+promoteLag < commit:
		return fmt.Errorf("it has applied %d of %d", st.Applied, commit)
	}
	if err := s.replica.Promote(ctx, p.ID); err != nil {
		return err
	}
	s.cfg.Log.Info("a node has caught up and votes", "node", p.ID)
	return s.promoted(ctx, p.ID)
}

// promoted records that a vote was given: even if this tenure ends meanwhile, by whoever leads then.
func (s *Server) promoted(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), steerTry)
	defer cancel()
	_, err := s.Propose(ctx, state.Command{
		Version: 1, Request: "promote-" + rand.Text(), Actor: "control node " + s.cfg.ID, Reason: "it has caught up", Ignorable: true,
		Membership: &state.Membership{Kind: state.Promote, Node: node},
	})
	return err
}

// Backup writes a State that holds every change that was acknowledged before the call, with its checksum.
func (s *Server) Backup(ctx context.Context, to io.Writer) error {
	st, err := s.Read(ctx)
	if err != nil {
		return err
	}
	return st.Save(to)
}

// Restore puts what Backup wrote in the place of the State, on every node, as a new incarnation. A damaged file changes nothing.
func (s *Server) Restore(ctx context.Context, c state.Command, from io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(from, maxBackup+1))
	switch {
	case err != nil:
		return fmt.Errorf("controlplane: the backup could not be read: %w", err)
	case len(text) > maxBackup:
		return refuse(state.Invalid, "the backup has more than %d bytes", maxBackup)
	}
	if _, err := state.Load(bytes.NewReader(text)); err != nil {
		return unusable(err)
	}
	sum := sha256.Sum256(text)
	if c.At.IsZero() {
		c.At = s.cfg.Now()
	}
	c.Restore = &state.Restore{Incarnation: rand.Text(), Sum: hex.EncodeToString(sum[:])}
	var result state.Result
	err = s.withLeaderIn(ctx, restoreTry, func(ctx context.Context, p *feed.Peer) (err error) {
		if p == nil {
			result, err = node{s}.Restore(ctx, c, bytes.NewReader(text))
		} else {
			result, err = p.Restore(ctx, c, bytes.NewReader(text))
		}
		return err
	})
	if err == nil && result.Err != nil {
		err = result.Err
	}
	if err != nil {
		return err
	}
	_, err = s.applied(ctx, result.Index)
	return err
}

// Restore does it at the leader.
func (n node) Restore(ctx context.Context, c state.Command, from io.Reader) (state.Result, error) {
	if c.Restore == nil {
		return state.Result{}, refuse(state.Invalid, "nothing is to be restored")
	}
	now, err := n.s.replica.Read(ctx)
	if err != nil {
		return state.Result{}, err
	}
	if result, ok := now.Repeated(c); ok {
		return result, nil
	}
	backup, err := state.Load(io.LimitReader(from, maxBackup))
	if err != nil {
		return state.Result{}, unusable(err)
	}
	var result state.Result
	err = n.s.replica.Restore(ctx, func(index uint64) (*state.State, error) {
		var st *state.State
		if st, result = backup.Restored(n.s.replica.State(), c, max(index, backup.Index+1)); result.Err != nil {
			return nil, result.Err
		}
		return st, nil
	})
	return result, err
}

func unusable(err error) error {
	if errors.Is(err, state.ErrNewer) {
		return refuse(state.Unsupported, "the backup was written by a newer version: %s", err)
	}
	return refuse(state.Invalid, "the file is no backup, or it is damaged: nothing was restored (%s)", err)
}
