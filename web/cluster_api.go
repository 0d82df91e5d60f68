package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/state"
)

// Bounds of what is asked of the cluster.
const (
	steerWithin   = 20 * time.Second // a leader that goes hands the leadership on first
	restoreWithin = 60 * time.Second
	maxBackup     = 128 << 20 // bytes
)

// restorePath takes a whole backup, the largest body there is.
const restorePath = "/api/v1/cluster/restore"

// nodeView is a control node as the API shows it.
type nodeView struct {
	ID            string    `json:"id"`
	Raft          string    `json:"raft"`
	API           string    `json:"api"`
	Role          string    `json:"role"` // leader, follower, learner, unreachable
	Voter         bool      `json:"voter"`
	Term          uint64    `json:"term"`
	Commit        uint64    `json:"commit"`
	Applied       uint64    `json:"applied"`
	Lag           uint64    `json:"lag"` // entries behind the leader's commit
	Snapshot      uint64    `json:"snapshot"`
	SnapshotAt    time.Time `json:"snapshot_at,omitzero"`
	LastContactMS int64     `json:"last_contact_ms"` // since it heard of a leader; 0 at the leader, negative: never
	ClockMS       int64     `json:"clock_ms"`        // ahead of the node that answers
	Version       string    `json:"version"`
	Error         string    `json:"error,omitempty"` // why it did not answer
}

// cluster shows who leads, how each node stands, and what each agent has acknowledged. It is told without a leader too.
func (w *Web) cluster(c echo.Context) error {
	s := w.scene()
	known, err := w.cfg.Control.Cluster(c.Request().Context())
	if err != nil {
		known = Cluster{Leader: s.Leader, Term: s.Term} // every node is stopped: then there is nothing to say of any
	}
	return c.JSON(http.StatusOK, map[string]any{
		"leader": known.Leader, "term": known.Term, "index": s.State.Index, "incarnation": s.State.Incarnation,
		"revision": s.State.Current().Number, "acks": s.View.Acks, "status": statusOf(s, w.cfg.Env),
		"nodes": known.views(), "quorum": known.Quorum, "alive": known.Alive, "outlook": known.Outlook(), "now": w.cfg.Now().UTC(),
	})
}

func (c Cluster) views() []nodeView {
	list := []nodeView{}
	for _, n := range c.Nodes {
		list = append(list, nodeView{
			ID: n.ID, Raft: n.Raft, API: n.API, Role: n.Role, Voter: n.Voter, Term: n.Term, Commit: n.Commit, Applied: n.Applied, Lag: c.Lag(n),
			Snapshot: n.Snapshot, SnapshotAt: n.SnapshotAt, LastContactMS: n.LastContact.Milliseconds(), ClockMS: n.Clock.Milliseconds(),
			Version: n.Version, Error: n.Err,
		})
	}
	return list
}

// Lag is how many entries n is behind what the cluster has committed.
func (c Cluster) Lag(n Node) uint64 {
	var commit uint64
	for _, other := range c.Nodes {
		commit = max(commit, other.Commit)
	}
	if n.Err != "" || n.Applied >= commit {
		return 0
	}
	return commit - n.Applied
}

// Outlook says in words what one more failure would mean.
func (c Cluster) Outlook() string {
	voters := 0
	for _, n := range c.Nodes {
		if n.Voter {
			voters++
		}
	}
	spare := c.Alive - c.Quorum
	switch {
	case voters == 0:
		return "No control node answers: nothing can be changed. Agents go on with the last good policy."
	case spare < 0:
		return fmt.Sprintf("There is no quorum: %d of %d voters answer, %d are needed. Nothing can be changed; agents go on with the last good policy.", c.Alive, voters, c.Quorum)
	case spare == 0 && voters == 1:
		return "There is one voter: if it fails, nothing can be changed until it is back. Agents go on."
	case spare == 0:
		return fmt.Sprintf("%d of %d voters answer, and all of them are needed: one more failure, and nothing can be changed. Agents would go on.", c.Alive, voters)
	case spare == 1:
		return "One more failure changes nothing: the others elect a leader in about two seconds."
	default:
		return fmt.Sprintf("%d more failures change nothing: the others elect a leader in about two seconds.", spare)
	}
}

// steer changes the set of nodes, or hands the leadership on.
func (w *Web) steer(ctx context.Context, a author, m state.Membership) error {
	ctx, cancel := context.WithTimeout(ctx, steerWithin)
	defer cancel()
	_, err := w.cfg.Control.Steer(ctx, state.Command{Version: 1, Request: a.request, Actor: a.actor, Reason: a.reason, At: w.cfg.Now(), Membership: &m})
	if err != nil {
		return fmt.Errorf("web: cluster: %w", err)
	}
	return nil
}

// transferLeader hands the leadership on: to the node that is named, or to the one that has the most of the log.
func (w *Web) transferLeader(c echo.Context) error {
	var body struct {
		To string `json:"to"`
	}
	return w.steered(c, &body, func() state.Membership { return state.Membership{Kind: state.Transfer, Node: body.To} })
}

// addNode takes in a node that was started with --join. It gets its vote once it has caught up.
func (w *Web) addNode(c echo.Context) error {
	var body struct {
		ID   string `json:"id"`
		Raft string `json:"raft"`
	}
	return w.steered(c, &body, func() state.Membership {
		return state.Membership{Kind: state.AddNode, Node: body.ID, Raft: body.Raft}
	})
}

// removeNode takes a node out.
func (w *Web) removeNode(c echo.Context) error {
	force := c.QueryParam("force")
	if force != "" && force != "true" && force != "false" {
		return refusal(state.Invalid, fmt.Sprintf("force is %q: true or false is wanted", force))
	}
	return w.steered(c, nil, func() state.Membership {
		return state.Membership{Kind: state.RemoveNode, Node: c.Param("id"), Force: force == "true"}
	})
}

// steered reads a request, carries it out and answers with how the cluster stands then.
func (w *Web) steered(c echo.Context, body any, what func() state.Membership) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	if body != nil {
		if err := readJSON(c, body); err != nil {
			return err
		}
	}
	ctx := c.Request().Context()
	if err := w.matches(ctx, a); err != nil {
		return err
	}
	if err := w.steer(ctx, a, what()); err != nil {
		return err
	}
	return w.cluster(c)
}

// backup sends the State as it is kept, with its checksum. It is made whole first: half a backup with status 200 helps nobody.
func (w *Web) backup(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), restoreWithin)
	defer cancel()
	var text bytes.Buffer
	if err := w.cfg.Control.Backup(ctx, &text); err != nil {
		return fmt.Errorf("web: backup: %w", err)
	}
	name := "segue-" + w.cfg.Now().UTC().Format("20060102T150405Z") + ".backup"
	c.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	return c.Blob(http.StatusOK, echo.MIMEOctetStream, text.Bytes())
}

// restore puts a backup in the place of the State.
func (w *Web) restore(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), restoreWithin)
	defer cancel()
	if err := w.matches(ctx, a); err != nil {
		return err
	}
	err = w.cfg.Control.Restore(ctx, state.Command{Version: 1, Request: a.request, Actor: a.actor, Reason: a.reason, At: w.cfg.Now()}, c.Request().Body)
	if err != nil {
		return fmt.Errorf("web: restore: %w", err)
	}
	st, err := w.read(ctx)
	if err != nil {
		return fmt.Errorf("web: restore: %w", err)
	}
	setTag(c, st.Current().Number)
	return c.JSON(http.StatusOK, map[string]any{"revision": st.Current().Number, "incarnation": st.Incarnation})
}
