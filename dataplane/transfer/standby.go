package transfer

import (
	"context"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/route"
	"segue/dataplane/session"
)

const (
	waiting     = 256 // changes that wait to be brought to the standby; what does not fit is brought when it is needed
	bringers    = 2
	bringWithin = 30 * time.Second
)

// standby brings changes of warm fields to the provider that would be next.
type standby struct {
	mu     sync.Mutex
	queue  chan push
	closed bool
	idle   sync.WaitGroup
}

type push struct {
	name   Name
	caller message.Header
	task   task
	theirs string // what the field is called at the provider, where the call's answer said it
	again  bool   // that the field changed there is noted already
}

// task is what is done beside calls.
type task uint8

const (
	taskWarm    task = iota // bring the field to the standby
	taskFetch               // fetch it from its provider
	taskRefresh             // renew the token there
)

func (s *standby) start(c *Carrier) {
	s.queue = make(chan push, waiting)
	for range bringers {
		s.idle.Go(func() {
			for p := range s.queue {
				switch p.task {
				case taskFetch:
					c.follow(p)
				case taskRefresh:
					c.refresh(p)
				default:
					c.warm(p)
				}
			}
		})
	}
}

func (s *standby) stop(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { s.idle.Wait(); close(ended) }() // it ends with the import, whose deadline is the policy's
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// put queues a task; false: there is no room.
func (s *standby) put(p push) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	select {
	case s.queue <- p:
		return true
	default:
		return false
	}
}

// warm brings a field to the provider where the session is, or would begin, and to the one that would be next.
func (c *Carrier) warm(p push) {
	ctx, cancel := context.WithTimeout(c.ctx, bringWithin)
	defer cancel()
	s, err := c.load(ctx, p.name.Session)
	if err != nil || s == nil {
		return
	}
	if p.name.Rule.Kind == policy.KindTokens {
		c.warmTokens(ctx, s, p)
		return
	}
	f := s.Field(p.name.Service.Name, p.name.Rule.Name)
	if f == nil || f.Value == nil {
		return
	}
	for _, to := range c.next(s.Pinned(p.name.Service.Name), p.name) {
		if _, there := f.For(to.Provider); there {
			continue
		}
		if _, can := to.Import(p.name.Rule.Map); !can {
			continue
		}
		if _, err := c.bring(ctx, p.name, f, to, p.caller); err != nil {
			c.cfg.Log.Warn("a field could not be brought to the standby", "service", p.name.Service.Name, "provider", to.Provider, "field", p.name.Rule.Name, "error", err)
		}
	}
}

// warmTokens gets a session tokens where it may go next, ahead of need.
func (c *Carrier) warmTokens(ctx context.Context, s *session.Session, p push) {
	for _, to := range c.next(s.Pinned(p.name.Service.Name), p.name) {
		calls, asks := to.Tokens(p.name.Rule.Map)
		if !asks || !calls.CanIssue() {
			continue
		}
		if h, t, err := c.tokens(p.name, s, to.Provider); err == nil && h == nil {
			_, _, _ = c.renewed(ctx, p.name, to, nil, t, p.caller) // what fails is told, and asked for when it is needed
		}
	}
}

// next are the provider of a session and the one that would follow it.
func (c *Carrier) next(pin string, n Name) []*policy.Candidate {
	facts := policy.Facts{Draw: Draw(n.Session.ID), Pinned: -1, Owner: -1, Client: -1}
	for i, candidate := range n.Service.Candidates {
		if candidate.Provider == pin {
			facts.Pinned = int8(i)
		}
	}
	var list []*policy.Candidate
	for range 2 {
		var d route.Decision
		c.cfg.Board.Preview(&d, n.Service, &facts, c.cfg.Now())
		if d.Winner < 0 {
			break
		}
		list = append(list, n.Service.Candidates[d.Winner])
		facts.Tried = facts.Tried.With(int(d.Winner))
	}
	return list
}

// Draw is what looks random in the choices of a session: FNV-1a of its name, the same on every agent and after every restart.
func Draw(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}
