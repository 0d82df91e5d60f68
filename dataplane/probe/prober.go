package probe

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/standing"
)

// Timeout bounds one check; a check with a shorter period has only its period.
const Timeout = 5 * time.Second

// MinEvery is the shortest time between two checks of one kind and provider, whatever a policy says: a check is no load.
const MinEvery = time.Second

// Client makes one active check and tells what it showed, or one call of a synthetic. It is the provider's client.
type Client interface {
	Check(ctx context.Context, c *policy.Candidate, k policy.Check) provider.Checked
	Exchange(ctx context.Context, call *provider.Call) (provider.Result, *message.Answer)
}

// Config is what a Prober is made of.
type Config struct {
	Client Client
	Board  *standing.Board
	Seed   uint64 // spreads agents over the period: give each its own
	Dir    string // where runs of synthetics are on record until nothing is left of them
	Log    *slog.Logger
}

// Prober runs the checks of one agent.
type Prober struct {
	client   Client
	board    *standing.Board
	seed     uint64
	pace     pace
	journal  *journal
	leavings leavings

	mu      sync.Mutex
	snap    *policy.Snapshot
	sweeper context.CancelFunc // nil: it does not run yet
	running map[target]*lane
	asked   []*asked // the newest last
	stopped bool
	lanes   sync.WaitGroup
}

// target is what is checked: a lane of one provider of one service.
type target struct{ service, provider, kind, name string }

// lane is one running check.
type lane struct {
	candidate *policy.Candidate
	check     policy.Check
	plan      *policy.Planned // of a synthetic; nil: an active check
	busy      sync.Mutex      // a run of a synthetic is under way
	ctx       context.Context // ends with the lane
	cancel    context.CancelFunc
}

// New returns a prober that checks nothing until the first Swap. What earlier lives left is taken away from then on.
func New(c Config) (*Prober, error) {
	p := &Prober{client: c.Client, board: c.Board, seed: c.Seed, running: map[target]*lane{}}
	p.leavings.wake = make(chan struct{}, 1)
	var err error
	if p.journal, err = openJournal(c.Dir); err != nil {
		return nil, err
	}
	left, err := p.journal.load()
	if err != nil { // what can be read is taken away; the rest stays for a person
		c.Log.Error("what a synthetic left cannot be read", "error", err)
	}
	for _, r := range left {
		if r.Failed == "" {
			r.Failed = "the agent ended in the middle"
		}
		p.leavings.list = append(p.leavings.list, &leaving{record: r})
	}
	return p, nil
}

// Swap follows a new snapshot: checks that it does not have end, new and changed ones start, all others go on undisturbed. The board
// must have taken the snapshot before.
func (p *Prober) Swap(snap *policy.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.snap = snap
	p.leavings.now()
	if p.sweeper == nil {
		ctx, cancel := context.WithCancel(context.Background())
		p.sweeper = cancel
		p.lanes.Go(func() { p.sweep(ctx) })
	}
	want := checked(snap)
	for t, l := range p.running {
		if n := want[t]; n == nil || !n.same(l) {
			l.cancel()
			delete(p.running, t)
		}
	}
	for t, l := range want {
		if p.running[t] == nil {
			p.start(t, l)
		}
	}
}

func checked(snap *policy.Snapshot) map[target]*lane {
	want := map[target]*lane{}
	for _, s := range snap.Services {
		for _, c := range s.Candidates {
			for _, k := range c.Checks {
				want[target{s.Name, c.Provider, health.Active, k.Name()}] = &lane{candidate: c, check: k}
			}
			for i := range c.Synthetics {
				want[target{s.Name, c.Provider, health.Synthetic, c.Synthetics[i].Name}] = &lane{candidate: c, plan: &c.Synthetics[i]}
			}
		}
	}
	return want
}

// same tells whether one lane would ask as the other does. Weights and limits do not matter to it.
func (l *lane) same(o *lane) bool {
	a, b := l.candidate, o.candidate
	return l.check == o.check && reflect.DeepEqual(l.plan, o.plan) && a.Endpoint == b.Endpoint && slices.Equal(a.Further, b.Further) && a.Credential == b.Credential &&
		a.Digest == b.Digest && reflect.DeepEqual(a.Contract, b.Contract)
}

func (p *Prober) start(t target, l *lane) {
	l.ctx, l.cancel = context.WithCancel(context.Background())
	p.running[t] = l
	p.lanes.Add(1)
	go func() { // awaited by Stop
		defer p.lanes.Done()
		defer l.cancel()
		p.run(t, l)
	}()
}

// Stop ends all checks and returns when the last one has. A stopped prober stays so.
func (p *Prober) Stop() {
	p.mu.Lock()
	p.stopped = true
	if p.sweeper != nil {
		p.sweeper()
	}
	for t, l := range p.running {
		l.cancel()
		delete(p.running, t)
	}
	p.mu.Unlock()
	p.lanes.Wait()
}

// run asks for ever. The first check comes at a random point of the first period, so that a restart of many agents is no herd.
func (p *Prober) run(t target, l *lane) {
	every := l.every()
	draw := draws(p.seed, t)
	wait := time.Duration(draw() % uint64(every))
	p.tell(t, Result{}, time.Now().Add(wait))
	for pause(l.ctx, wait) {
		if !pause(l.ctx, p.pace.turn(t.provider, time.Now())) {
			return
		}
		if away := p.away(t, time.Now()); away > 0 { // also where it was asked while this one waited for its turn
			wait = away + time.Duration(draw()%uint64(MinEvery)) // not all of its checks in the moment that it named
			p.tell(t, Result{}, time.Now().Add(wait))
			continue
		}
		r := p.send(l.ctx, t, l, min(Timeout, every))
		wait = every - every/10 + time.Duration(draw()%uint64(every/5+1)) // ± 10 %
		wait = max(wait, p.away(t, time.Now()))
		p.tell(t, r, time.Now().Add(wait))
	}
}

func (l *lane) every() time.Duration {
	if l.plan != nil {
		return max(l.plan.Every, MinEvery)
	}
	return max(l.check.Every, MinEvery)
}

// away is how long a provider is left alone: it asked for that, in a check's answer or in a call's.
func (p *Prober) away(t target, now time.Time) time.Duration {
	return max(p.pace.away(t.provider, now), p.board.Leave(t.provider, now).Sub(now))
}

// tell gives the board how a lane stands. A result that says nothing of the provider leaves what was shown before.
func (p *Prober) tell(t target, r Result, next time.Time) {
	l := health.Lane{Kind: t.kind, Name: t.name, Next: next}
	if t.kind == health.Synthetic {
		_, l.Left = p.leavings.of(t)
	}
	switch r.Word {
	case Good, Warned, Bad:
		l.Level, l.Why, l.At, l.MS = r.Word, r.Why, r.At, float64(r.Elapsed.Microseconds())/1000
	}
	now := time.Now()
	if away := p.away(t, now); away > 0 {
		l.Yields = now.Add(away)
	}
	p.board.Probed(t.service, t.provider, l)
}

// send asks once and tells what that showed.
func (p *Prober) send(ctx context.Context, t target, l *lane, timeout time.Duration) Result {
	if l.plan != nil {
		return p.synthesize(ctx, t, l)
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begun := time.Now()
	c := p.client.Check(bounded, l.candidate, l.check)
	r := Result{Service: t.service, Provider: t.provider, Kind: t.kind, Name: t.name, At: time.Now(), Elapsed: time.Since(begun)}
	switch {
	case ctx.Err() != nil: // stopped or replaced: what came of it says nothing
		r.Word, r.Why = Cut, "the agent stopped, or its policy changed"
	case c.RetryAfter > 0 && !c.Good || c.Status == 429: // it lives and is busy: neither good nor bad
		leave := min(max(c.RetryAfter, 0), MaxBackOff)
		p.pace.leave(t.provider, r.At.Add(leave))
		r.Word, r.Why = Busy, "it asks to be left alone for "+leave.String()
	case bounded.Err() != nil:
		r.Word, r.Why = Bad, "no answer in "+timeout.String()
	case !c.Good:
		r.Word, r.Why = Bad, reason(&c)
	case c.Warn:
		r.Word, r.Why = Warned, c.Says
	default:
		r.Word, r.Why = Good, c.Says
	}
	return r
}

// reason is why a check is bad, without what only its wire says.
func reason(c *provider.Checked) string {
	if c.Error == "" || c.Error == "tls_certificate_error" {
		return c.Err.Error()
	}
	return strings.ReplaceAll(c.Error, "_", " ")
}

// pause waits; false: the lane has ended.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
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
	for _, b := range []byte(t.service + "/" + t.provider + "/" + t.kind + "/" + t.name) {
		seed = (seed ^ uint64(b)) * 1099511628211
	}
	return func() uint64 {
		seed += 0x9e3779b97f4a7c15
		x := (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
}
