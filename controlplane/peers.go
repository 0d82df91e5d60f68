package controlplane

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"

	"segue/controlplane/feed"
	"segue/controlplane/state"
)

// peers are the connections to other control nodes, made when they are first needed.
type peers struct {
	tls *tls.Config

	mu sync.Mutex
	by map[string]*feed.Peer // by address
}

func (p *peers) at(addr string) *feed.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[string]*feed.Peer{}
	}
	if p.by[addr] == nil {
		p.by[addr] = feed.DialPeer(addr, p.tls)
	}
	return p.by[addr]
}

func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, peer := range p.by {
		peer.Close()
	}
}

// announce writes where this node listens into the state, once it can: a leader proposes its own address, and by that every
// follower can reach it and announce its own.
func (s *Server) announce() {
	self := state.Node{ID: s.cfg.ID, API: s.Addr()}
	was := false
	for {
		changed := s.replica.Changed()
		member := s.replica.Member()
		if was && !member {
			s.cfg.Log.Warn("this node was taken out of the cluster: it serves no agents any more, stop it", "node", self.ID)
			s.feed.Drop()
		}
		was = member
		if known, ok := s.replica.State().Node(self.ID); member && (!ok || known != self) {
			s.proposeSelf(self)
		}
		select {
		case <-s.ends.Done():
			return
		case <-changed:
		case <-time.After(announceEvery):
		}
	}
}

// announceEvery is how often a node looks whether it is known at its address.
const announceEvery = 250 * time.Millisecond

func (s *Server) proposeSelf(self state.Node) {
	ctx, cancel := context.WithTimeout(s.ends, time.Second)
	defer cancel()
	_, err := s.Propose(ctx, state.Command{
		Version: 1, Request: rand.Text(), Actor: "control node " + self.ID, Reason: "it listens there", Announce: &state.Announce{Node: self},
	})
	if err != nil {
		s.cfg.Log.Debug("the node could not announce itself yet", "error", err)
	}
}
