package controlplane

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/state"
)

// shiftsEvery is how often the leader looks at the shifts under way: agents report each second.
const shiftsEvery = time.Second

// mover takes the steps of shifts while its node leads. It remembers nothing: what was done stands in the State, and what it proposes twice
// is done once.
type mover struct {
	server *Server
	window *health.Window
	began  time.Time // of the tenure
	looked time.Time
	busy   atomic.Bool
}

// move looks once, and proposes aside what is due.
func (m *mover) move(ctx context.Context, aside *sync.WaitGroup) {
	s, now := m.server, m.server.cfg.Now()
	st := s.replica.State()
	if m.busy.Load() || now.Sub(m.looked).Abs() < shiftsEvery || !st.UnderWay() {
		return
	}
	m.looked = now
	world := m.window.World(now)
	due := st.Due(&world, now.Sub(m.began))
	if len(due) == 0 {
		return
	}
	m.busy.Store(true)
	aside.Go(func() {
		defer m.busy.Store(false)
		for _, one := range due {
			f, _ := st.Shift(one.ID)
			if err := m.propose(ctx, f, one, now); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn("a shift was not moved", "shift", one.ID, "act", one.Act, "error", err)
			}
		}
	})
}

func (m *mover) propose(ctx context.Context, f state.Shift, one state.MoveShift, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, proposeWithin)
	defer cancel()
	result, err := m.server.replica.Propose(ctx, state.Command{
		Version: 1, Request: "shift-" + rand.Text(), Actor: fmt.Sprintf("control node %s for %s", m.server.cfg.ID, f.By), Reason: f.Reason, At: now,
		Beside: state.Beside{MoveShift: &one},
	})
	if err == nil && result.Err != nil {
		err = result.Err
	}
	return err
}
