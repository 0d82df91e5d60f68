package probe

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/standing"
)

// Timeout bounds one check; a check with a shorter period has only its period.
const Timeout = 5 * time.Second

// MinEvery is the shortest time between two checks of one provider, whatever a policy says: a check is no load.
const MinEvery = time.Second

// MaxBackOff bounds how long a 429's Retry-After keeps the prober away.
const MaxBackOff = 10 * time.Minute

// Checker asks a provider once, by the candidate's check, and tells what it showed. The error is nil for a good check and otherwise a
// sentence that is safe to show. Class Limited is neither: the provider asked to be left alone for RetryAfter.
type Checker interface {
	Check(ctx context.Context, c *policy.Candidate) (health.Sample, error)
}

// Prober runs the checks of one agent.
type Prober struct {
	checker Checker
	board   *standing.Board
	seed    uint64

	mu      sync.Mutex
	running map[target]*lane
	asked   []*asked // the newest last
	stopped bool
	lanes   sync.WaitGroup
}

// target is what is checked.
type target struct{ service, provider string }

// lane is one running check.
type lane struct {
	candidate *policy.Candidate
	ctx       context.Context // ends with the lane
	cancel    context.CancelFunc
}

// New returns a prober that checks nothing until the first Swap. The seed spreads agents over the period: give each its own.
func New(checker Checker, board *standing.Board, seed uint64) *Prober {
	return &Prober{checker: checker, board: board, seed: seed, running: map[target]*lane{}}
}

// Swap follows a new snapshot: checks that it does not have end, new and changed ones start, all others go on undisturbed. The board
// must have taken the snapshot before.
func (p *Prober) Swap(snap *policy.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	want := checked(snap)
	for t, l := range p.running {
		if c := want[t]; c == nil || !same(c, l.candidate) {
			l.cancel()
			delete(p.running, t)
		}
	}
	for t, c := range want {
		if p.running[t] == nil {
			p.start(t, c)
		}
	}
}

func checked(snap *policy.Snapshot) map[target]*policy.Candidate {
	want := map[target]*policy.Candidate{}
	for _, s := range snap.Services {
		for _, c := range s.Candidates {
			if c.Check != nil {
				want[target{s.Name, c.Provider}] = c
			}
		}
	}
	return want
}

// same tells whether a check of b would be a check of a. Weights and limits do not matter to it.
func same(a, b *policy.Candidate) bool {
	return *a.Check == *b.Check && a.Endpoint == b.Endpoint && a.Credential == b.Credential &&
		a.Digest == b.Digest && reflect.DeepEqual(a.Contract, b.Contract)
}

func (p *Prober) start(t target, c *policy.Candidate) {
	ctx, cancel := context.WithCancel(context.Background())
	p.running[t] = &lane{candidate: c, ctx: ctx, cancel: cancel}
	p.lanes.Add(1)
	go func() { // awaited by Stop
		defer p.lanes.Done()
		defer cancel()
		p.run(ctx, t, c)
	}()
}

// Stop ends all checks and returns when the last one has. A stopped prober stays so.
func (p *Prober) Stop() {
	p.mu.Lock()
	p.stopped = true
	for t, l := range p.running {
		l.cancel()
		delete(p.running, t)
	}
	p.mu.Unlock()
	p.lanes.Wait()
}

// run asks for ever. The first check comes at a random point of the first period, so that a restart of many agents is no herd.
func (p *Prober) run(ctx context.Context, t target, c *policy.Candidate) {
	every := max(c.Check.Every, MinEvery)
	draw := draws(p.seed, t)
	wait := time.Duration(draw() % uint64(every))
	for pause(ctx, wait) {
		wait = every - every/10 + time.Duration(draw()%uint64(every/5+1)) // ± 10 %
		if asked := p.check(ctx, t, c, min(Timeout, every)); asked > wait {
			wait = asked
		}
	}
}

// check asks once, tells the board, and returns how long the provider wants to be left alone.
func (p *Prober) check(ctx context.Context, t target, c *policy.Candidate, timeout time.Duration) time.Duration {
	r, leave := p.send(ctx, t, c, timeout)
	p.tell(t, r)
	return leave
}

// tell gives the board what says something of the provider.
func (p *Prober) tell(t target, r Result) {
	if r.Word == Good || r.Word == Bad {
		p.board.Checked(t.service, t.provider, r.Word == Good, r.Why, r.At)
	}
}

// send asks once, and tells what that showed and how long the provider wants to be left alone.
func (p *Prober) send(ctx context.Context, t target, c *policy.Candidate, timeout time.Duration) (Result, time.Duration) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begun := time.Now()
	sample, err := p.checker.Check(bounded, c)
	r := Result{Service: t.service, Provider: t.provider, At: time.Now(), Elapsed: time.Since(begun)}
	switch {
	case ctx.Err() != nil: // stopped or replaced: what came of it says nothing
		r.Word, r.Why = Cut, "the agent stopped, or its policy changed"
	case sample.Class == health.Limited: // it lives and is busy: neither good nor bad
		leave := min(max(sample.RetryAfter, 0), MaxBackOff)
		r.Word, r.Why = Busy, "it asks to be left alone for "+leave.String()
		return r, leave
	case errors.Is(err, context.DeadlineExceeded):
		r.Word, r.Why = Bad, "no answer in "+timeout.String()
	case err != nil:
		r.Word, r.Why = Bad, err.Error()
	default:
		r.Word = Good
	}
	return r, 0
}

// pause waits; false: the lane has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// draws is splitmix64, begun from the agent's seed and the target's name.
func draws(seed uint64, t target) func() uint64 {
	for _, b := range []byte(t.service + "/" + t.provider) {
		seed = (seed ^ uint64(b)) * 1099511628211
	}
	return func() uint64 {
		seed += 0x9e3779b97f4a7c15
		x := (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
}
