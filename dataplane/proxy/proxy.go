package proxy

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/session"
	"segue/dataplane/settle"
	"segue/dataplane/standing"
	"segue/dataplane/transfer"
)

// minimum is the shortest time in which an attempt can end.
const minimum = 10 * time.Millisecond

// Config is what a Proxy is made of.
type Config struct {
	Region   string
	Ledger   ledger.Store
	Sessions session.Store
	Level    string // how the ledger acknowledges a write, for metrics; "": fsync
	Board    *standing.Board
	Client   *provider.Client
	Driver   *settle.Driver
	Vault    *settle.Vault
	Carrier  *transfer.Carrier // brings sessions' fields to providers; nil: nothing does
	Log      *slog.Logger
	Now      func() time.Time
	Metrics  prometheus.Registerer // nil: not registered
}

// Step is one step of the request path. An error ends the path: a *Problem is told to the caller, errAnswered says that it was.
type Step func(context.Context, *Exchange) error

// errAnswered ends the path of an exchange that has its answer.
var errAnswered = errors.New("proxy: answered")

// Proxy carries calls from the edge to providers and back.
type Proxy struct {
	cfg       Config
	path      []Step
	view      atomic.Pointer[view]
	live      live
	log       decisions
	past      past
	declines  declines
	failovers map[string]*failovers // by service; Swap's
	metrics   *metrics
	exchanges sync.Pool
}

// New makes a proxy. Before the first Swap it knows no service.
func New(cfg Config) (*Proxy, error) {
	m, err := newMetrics(cfg.Metrics, cfg.Region, cmp.Or(cfg.Level, "fsync"))
	if err != nil {
		return nil, err
	}
	p := &Proxy{cfg: cfg, metrics: m}
	p.exchanges.New = func() any { return &Exchange{} }
	p.view.Store(&view{snap: &policy.Snapshot{Region: cfg.Region}})
	p.path = []Step{
		p.match,   // service, operation, key, deadline, session id: what is asked
		p.take,    // the body, now that nothing in the header refuses the call; the print of the request
		p.recall,  // the transaction that the key already has: effects only. First: what is known of it, no refusal may deny
		p.restore, // the session's provider, the object's owner: what is known
		p.decide,  // the provider, and the permit to send there
		p.claim,   // claim + INTENT durable: effects only
		p.settle,  // send, until there is an outcome; what must be remembered is written beside it, before the answer
		p.answer,  // to the caller
	}
	return p, nil
}

// Swap takes a new policy: calls that began before end by the old one.
func (p *Proxy) Swap(snap *policy.Snapshot) {
	v := p.metrics.view(snap)
	p.past.swap(v)
	p.follow(v)
	p.view.Store(v)
}

// follow gives each service of the policy what is known of its failovers. Swaps come one at a time.
func (p *Proxy) follow(v *view) {
	next := make(map[string]*failovers, len(v.services))
	for name, svc := range v.services {
		if svc.failovers = p.failovers[name]; svc.failovers == nil {
			svc.failovers = &failovers{}
		}
		svc.failovers.keep(svc)
		svc.failovers.show(p.metrics.failover.proven, svc)
		next[name] = svc.failovers
	}
	p.failovers = next
}

// Serve answers one call. It returns when the call is over: an effect that began goes on though its caller left, until its deadline.
func (p *Proxy) Serve(ctx context.Context, c *Call, to message.Reply) {
	x, _ := p.exchanges.Get().(*Exchange)
	x.begin(p, c, to)
	whole := false
	defer func() {
		x.release()
		if whole { // after a panic nobody knows who still holds it
			x.reset()
			p.exchanges.Put(x)
		}
	}()
	for _, step := range p.path {
		if err := step(ctx, x); err != nil {
			if err != errAnswered {
				x.fail(err)
			}
			break
		}
	}
	x.count()
	whole = true
}

// fail tells the caller why the path ended.
func (x *Exchange) fail(err error) {
	var problem *Problem
	if !errors.As(err, &problem) { // nothing on the path returns anything else; if it does, nobody knows how far the call came
		x.proxy.cfg.Log.Error("a call ended with an error that has no problem document", "request", x.call.RequestID, "error", err)
		problem = &Problem{Type: OutcomeUnknown, Detail: "The agent failed on this call, and has logged why. Retry only with the same key."}
	}
	x.tell(problem)
}
