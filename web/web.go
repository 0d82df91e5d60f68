package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	_ "time/tzdata" // people read times in their own zone, also on machines that know none

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// Control is the control plane as pages and API need it. Errors with a *state.Error inside are shown as they are.
type Control interface {
	Propose(ctx context.Context, c state.Command) (state.Result, error)
	Read(ctx context.Context) (*state.State, error) // as new as every change that was acknowledged before the call
	State() *state.State                            // the newest copy at hand; nil where every node is stopped
	Leader() (id string, term uint64)               // "" where nobody is known to lead
	View(ctx context.Context) (View, error)
	Ask(ctx context.Context, q query.Question) ([]Answer, error)
	Pull(ctx context.Context, region string, known state.Position) (u state.Update, fresh bool, err error) // waits for what is newer
	Report(r health.Report) error                                                                          // passed on to the leader
	Cluster(ctx context.Context) (Cluster, error)                                                          // asks every node; needs no leader
	Steer(ctx context.Context, c state.Command) (state.Result, error)                                      // c.Membership: the leader carries it out, then it is recorded
	Backup(ctx context.Context, to io.Writer) error                                                        // a State that holds every acknowledged change
	Restore(ctx context.Context, c state.Command, from io.Reader) error                                    // c says who, why and under which request id
}

// Cluster is the control nodes, and what binds them.
type Cluster struct {
	Leader string // "" where nobody is known to lead
	Term   uint64
	Nodes  []Node // by id
	Quorum int    // voters that must live for a change to be taken
	Alive  int    // voters that answered
}

// Node is one control node as the cluster knows it.
type Node struct {
	ID, Raft, API   string
	Role            string // leader, follower, learner (no vote yet) or unreachable
	Voter           bool
	Term            uint64
	Commit, Applied uint64 // log indexes as the node knows them
	Snapshot        uint64 // index of its last snapshot
	SnapshotAt      time.Time
	LastContact     time.Duration // since it heard of a leader; 0 at the leader, negative: never
	Clock           time.Duration // how far its clock is ahead of the node that asked
	Version         string
	Err             string // why it did not answer
}

// View is what the leader knows beside the State.
type View struct {
	Term  uint64 // of the leader whose view it is
	World health.World
	Acks  []state.Ack // the newest of each agent
}

// Answer is what one agent said to a question.
type Answer struct {
	Agent, Region string
	Body          []byte // JSON of the shape that query names
	Err           string
}

// Sandbox is the simulated providers and the processes of `segue dev`, with their real faults and the providers' own books.
type Sandbox interface {
	Providers() []string
	Faults() []Fault
	Run(ctx context.Context, name, at string, length time.Duration) (Fault, error) // at: a provider; for cut-store a region
	Stop(id string) error
	Books() (Verdict, error)
	Naive() Naive
	SwitchNaive(on bool) error // on, it ends by itself after 10 minutes
}

// Fault is a real fault that runs. It always ends.
type Fault struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Provider string    `json:"provider,omitempty"`
	Region   string    `json:"region,omitempty"` // of what happens to an agent
	Ends     time.Time `json:"ends"`
}

// Verdict is what the providers' own books show, held against what the callers were told.
type Verdict struct {
	Operations int `json:"operations"` // effects that callers asked for and were told something about
	Twice      int `json:"twice"`      // executed more than once
	Lost       int `json:"lost"`       // told succeeded, and no book has it
	Unknown    int `json:"unknown"`    // told unknown, and not resolved so far
	Guessed    int `json:"guessed"`    // told failed, though a book has it
}

// Config is what the pages need.
type Config struct {
	Control Control
	Sandbox Sandbox // nil: no simulated providers
	Env     string  // shown in the frame: dev, or the name of the installation
	Log     *slog.Logger
	Now     func() time.Time
}

// Web is the pages and the API.
type Web struct {
	cfg     Config
	assets  *assets
	watch   *watch
	repeat  repeats
	streams atomic.Int64
	http    http.Handler

	documented map[string]operation // by method and path, as the API's document has them
	served     []string             // method and path of each route
	ends       context.Context      // ends with Close: streams and the watch end with it
	end        context.CancelFunc
	idle       sync.WaitGroup
}

// New begins to watch the control plane. The handler may be mounted before any node is up: pages say what is missing.
func New(cfg Config) (*Web, error) {
	if cfg.Control == nil || cfg.Log == nil || cfg.Now == nil {
		return nil, errors.New("web: control, log and clock are needed")
	}
	assets, err := loadAssets()
	if err != nil {
		return nil, err
	}
	w := &Web{cfg: cfg, assets: assets, watch: newWatch()}
	w.ends, w.end = context.WithCancel(context.Background())
	if w.documented, err = operations(openAPI); err != nil {
		return nil, err
	}
	e := echo.New()
	e.Use(w.negotiate)
	e.HTTPErrorHandler = w.failed
	e.IPExtractor = echo.ExtractIPDirect() // nobody stands between: forwarded addresses are hearsay
	w.routes(e)
	for _, r := range e.Routes() {
		w.served = append(w.served, r.Method+" "+r.Path)
	}
	w.http = guard(e, w.refuse)
	w.idle.Go(w.keepWatch)
	return w, nil
}

// Handler serves pages, API and static files.
func (w *Web) Handler() http.Handler { return w.http }

// Close ends every stream and the watch.
func (w *Web) Close() error {
	w.end()
	w.idle.Wait()
	return nil
}
