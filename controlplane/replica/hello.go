package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"
)

// hello is the first byte of a connection that only asks who listens. Raft's messages begin with small numbers.
const hello = 0xF5

const (
	helloFor = 2 * time.Second
	maxHello = 4 << 10 // bytes of an answer
)

// identity is who a node says that it is, before it is in the cluster.
type identity struct {
	ID          string
	Incarnation string // "" where it knows no cluster
	Servers     int    // in its list of the cluster; 0 while it waits to be added
	Members     []string
	Committed   uint64
}

func (r *Replica) identity() identity {
	servers := r.servers()
	who := identity{ID: r.cfg.ID, Incarnation: r.State().Incarnation, Servers: len(servers)}
	if node := r.raft.Load(); node != nil {
		who.Committed = node.CommitIndex()
	}
	for _, sv := range servers {
		who.Members = append(who.Members, string(sv.ID))
	}
	return who
}

// greeted is a connection that came in. The first byte tells Raft's messages from a question; raft is shown the end of the latter.
type greeted struct {
	net.Conn
	who      func() identity
	stranger bool // it may ask, and no more
	begun    bool
}

// Read reads for raft, which is the only reader.
func (g *greeted) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if g.begun || n == 0 {
		return n, err
	}
	g.begun = true
	switch {
	case p[0] != hello && g.stranger:
		return 0, io.EOF
	case p[0] != hello:
		return n, err
	}
	_ = g.Conn.SetWriteDeadline(time.Now().Add(helloFor)) // who does not read is not waited for
	_ = json.NewEncoder(g.Conn).Encode(g.who())           // an error says only that the asker left
	return 0, io.EOF
}

// ask asks the node at addr who it is; its certificate must be in the name of id.
func (s *stream) ask(ctx context.Context, addr, id string) (identity, error) {
	ctx, cancel := context.WithTimeout(ctx, helloFor)
	defer cancel()
	conn, err := s.connect(ctx, addr, id)
	if err != nil {
		return identity{}, err
	}
	defer conn.Close()
	end, _ := ctx.Deadline()
	if err := conn.SetDeadline(end); err != nil {
		return identity{}, fmt.Errorf("replica: %s: %w", addr, err)
	}
	if _, err := conn.Write([]byte{hello}); err != nil {
		return identity{}, fmt.Errorf("replica: %s: %w", addr, err)
	}
	var who identity
	if err := json.NewDecoder(io.LimitReader(conn, maxHello)).Decode(&who); err != nil {
		return identity{}, fmt.Errorf("replica: %s does not say who it is: %w", addr, err)
	}
	return who, nil
}
