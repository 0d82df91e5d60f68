package dev

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"segue/controlplane"
	"segue/controlplane/feed"
	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/web"
)

// plane is a control plane as seen from outside: one node, or all nodes of a process.
type plane interface {
	Propose(ctx context.Context, c state.Command) (state.Result, error)
	Read(ctx context.Context) (*state.State, error)
	State() *state.State
	Leader() (id string, term uint64)
	View(ctx context.Context) (controlplane.View, error)
	Ask(ctx context.Context, q query.Question) ([]feed.Answer, error)
	Pull(ctx context.Context, region string, known state.Position) (state.Update, bool, error)
	Reported(r health.Report)
	Cluster(ctx context.Context) (controlplane.Cluster, error)
	Steer(ctx context.Context, c state.Command) (state.Result, error)
	Backup(ctx context.Context, to io.Writer) error
	Restore(ctx context.Context, c state.Command, from io.Reader) error
}

// control shows a plane to the pages, which know neither controlplane nor feed.
type control struct{ plane }

func (c control) View(ctx context.Context) (web.View, error) {
	v, err := c.plane.View(ctx)
	return web.View{Term: v.Term, World: v.World, Acks: v.Acks}, err
}

// Report passes a report on; like one that an attached agent sends, it may be lost on its way to the leader.
func (c control) Report(r health.Report) error {
	c.plane.Reported(r)
	return nil
}

func (c control) Ask(ctx context.Context, q query.Question) ([]web.Answer, error) {
	answers, err := c.plane.Ask(ctx, q)
	out := make([]web.Answer, len(answers))
	for i, a := range answers {
		out[i] = web.Answer{Agent: a.Agent, Region: a.Region, Body: a.Body, Err: a.Err}
	}
	return out, err
}

func (c control) Cluster(ctx context.Context) (web.Cluster, error) {
	known, err := c.plane.Cluster(ctx)
	out := web.Cluster{Leader: known.Leader, Term: known.Term, Quorum: known.Quorum, Alive: known.Alive}
	for _, n := range known.Nodes {
		out.Nodes = append(out.Nodes, web.Node(n))
	}
	return out, err
}

// Mount puts pages and API beside a node's feed. The pages end with Close.
func Mount(node *controlplane.Server, env string, log *slog.Logger) (*web.Web, error) {
	pages, err := web.New(web.Config{Control: control{node}, Env: env, Log: log, Now: time.Now})
	if err != nil {
		return nil, err
	}
	node.Mount(pages.Handler())
	return pages, nil
}

func (d *Dev) prepareWeb() error {
	cfg := web.Config{Control: control{d.nodes}, Env: "dev", Log: d.cfg.Log, Now: time.Now}
	if d.sandbox != nil {
		cfg.Sandbox = trials{d}
	}
	var err error
	d.web, err = web.New(cfg)
	return err
}

// front hands the feed's and the process's own paths to a control node that lives, and everything else to the pages, which outlive
// every node.
func (d *Dev) front(w http.ResponseWriter, r *http.Request) {
	if !ofNode(r.URL.Path) {
		d.web.Handler().ServeHTTP(w, r)
		return
	}
	if node := d.nodes.any(); node != nil {
		node.ServeHTTP(w, r)
		return
	}
	http.Error(w, "every control node is stopped", http.StatusServiceUnavailable)
}

// trials shows the sandbox's faults and books to the pages.
type trials struct{ d *Dev }

func (t trials) Providers() []string {
	var names []string
	for _, p := range t.d.sandbox.Providers() {
		names = append(names, p.Name())
	}
	return names
}

func (t trials) Faults() []web.Fault {
	var list []web.Fault
	for _, f := range t.d.faults.Running() {
		list = append(list, web.Fault(f))
	}
	return list
}

func (t trials) Run(ctx context.Context, name, provider string, length time.Duration) (web.Fault, error) {
	f, err := t.d.faults.Run(ctx, name, provider, length)
	return web.Fault(f), err
}

func (t trials) Stop(id string) error { return t.d.faults.Stop(id) }

// naiveFor is how long the naive client stays on: whoever switched it on may have gone home.
const naiveFor = 10 * time.Minute

func (t trials) Naive() web.Naive {
	n := t.d.sandbox.Naive()
	st := n.State()
	return web.Naive{On: st.On, Ends: st.Ends, Charges: st.Orders, Twice: st.Twice, Providers: n.Providers()}
}

func (t trials) SwitchNaive(on bool) error {
	if on {
		return t.d.sandbox.Naive().On(naiveFor)
	}
	t.d.sandbox.Naive().Off()
	return nil
}

// Books audits what the shopper was told against what the providers executed.
func (t trials) Books() (web.Verdict, error) {
	load := t.d.load()
	if load == nil {
		return web.Verdict{}, nil
	}
	v := t.d.sandbox.Audit(load)
	return web.Verdict{Operations: v.Operations, Twice: v.Twice, Lost: v.Lost, Unknown: v.Unknown, Guessed: v.Guessed}, nil
}
