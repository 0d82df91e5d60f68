package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"crypto/rand"

	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/web/view"
)

// fault is one thing that the pages offer to break: a drill that agents inject, or a real fault of the sandbox.
type fault struct{ name, label, explain string }

// drillFaults are what agents inject.
func drillFaults() []fault {
	return []fault{
		{"refuse", "Refuse connections", "as if the connection were refused: nothing is sent"},
		{"lost-reply", "Lose replies after the charge", "sent and executed; the answer is dropped"},
		{"slow", "Slow a provider", "answers come two seconds later"},
		{"hang", "Hang a provider", "nothing is sent, no answer until the time-out"},
		{"status", "Answer 503", "answered with 503, nothing is sent"},
	}
}

// realFaults happen at the simulated providers.
func realFaults() []fault {
	return []fault{
		{"kill-provider", "Kill a provider", "its process is gone: connections are refused"},
		{"lost-reply", "Lose replies after the charge", "it executes, and the answer never arrives"},
		{"slow", "Slow a provider", "it answers, much later"},
		{"hang", "Hang a provider", "it takes the call and never answers"},
		{"unavailable", "Answer 503", "it answers 503 to everything"},
	}
}

// processFaults happen to the processes of segue dev.
func processFaults() []fault {
	return []fault{
		{"kill-leader", "Kill the leader", "the leading control node is gone; it comes back at the end"},
		{"stop-control", "Stop the control plane", "every control node is gone: agents go on with the last policy"},
		{"restart-agents", "Restart the agents", "each agent stops and starts again, once"},
	}
}

// cutStore happens to the agents of one region.
const cutStore = "cut-store"

// regionFaults are offered for each region: their names end in @ and the region.
func regionFaults(regions []string) []view.Fault {
	list := make([]view.Fault, len(regions))
	for i, r := range regions {
		list[i] = view.Fault{
			Name: cutStore + "@" + r, Label: "Cut the store from " + r, Explain: "its agent cannot reach the store: effects are refused there, sessions go on by hints",
			Command: "segue drill run " + cutStore + " --region " + r + " --for {for} --sandbox",
		}
	}
	return list
}

// breakPanel is the card of faults.
func (w *Web) breakPanel(s scene) view.Break {
	b := view.Break{Request: rand.Text()}
	if w.cfg.Sandbox != nil {
		b.Real, b.Providers = true, w.cfg.Sandbox.Providers()
		b.Faults = offered(realFaults(), " --provider {provider} --for {for} --sandbox")
		b.Processes = append(offered(processFaults(), " --for {for} --sandbox"), regionFaults(s.State.Current().Policy.Regions.Names())...)
	} else {
		for i := range s.State.Current().Policy.Providers {
			b.Providers = append(b.Providers, s.State.Current().Policy.Providers[i].Name)
		}
		b.Faults = offered(drillFaults(), " --provider {provider} --for {for}")
	}
	b.Running = w.running(s)
	if len(b.Faults) > 0 && len(b.Providers) > 0 {
		b.Command = strings.NewReplacer("{provider}", b.Providers[0], "{for}", "30s").Replace(b.Faults[0].Command)
	}
	return b
}

func offered(faults []fault, rest string) []view.Fault {
	list := make([]view.Fault, len(faults))
	for i, f := range faults {
		list[i] = view.Fault{Name: f.name, Label: f.label, Explain: f.explain, Command: "segue drill run " + f.name + rest}
	}
	return list
}

// running are the sandbox's faults and the drills in force.
func (w *Web) running(s scene) []view.Running {
	var list []view.Running
	if w.cfg.Sandbox != nil {
		for _, f := range w.cfg.Sandbox.Faults() {
			list = append(list, view.Running{
				ID: f.ID, Label: labelOf(f.Name, append(realFaults(), append(processFaults(), fault{name: cutStore, label: "Cut the store"})...)), Where: placeOf(f), Ends: f.Ends,
				Left: view.Span(f.Ends.Sub(s.Now).Truncate(time.Second)), Action: "/break/" + url.PathEscape(f.ID) + "/stop?real=1",
			})
		}
	}
	for _, o := range s.State.InForce(s.Now) {
		label := "Drain"
		switch o.Kind {
		case policy.Drill:
			label = labelOf(string(o.Fault.Kind), drillFaults())
		case policy.HintReplay:
			label = "Replay of hints"
		case policy.HintThrottle:
			label = "Hints held back"
		case policy.Verify, policy.VerifyAll:
			label = "Look for open outcomes"
		case policy.Resolve:
			label = "A person’s word on an outcome"
		case policy.Drain, policy.Probe:
		}
		list = append(list, view.Running{
			ID: o.ID, Label: label, Where: place(o.Provider, o.Regions), Ends: o.Ends(),
			Left: view.Span(o.Ends().Sub(s.Now).Truncate(time.Second)), Action: "/break/" + url.PathEscape(o.ID) + "/stop",
		})
	}
	return list
}

func labelOf(name string, faults []fault) string {
	for _, f := range faults {
		if f.name == name {
			return f.label
		}
	}
	return name
}

func placeOf(f Fault) string {
	if f.Region != "" {
		return "from " + f.Region
	}
	return place(f.Provider, nil)
}

func place(provider string, regions []string) string {
	switch {
	case provider == "":
		return ""
	case len(regions) == 0:
		return "at " + provider
	default:
		return "at " + provider + " in " + enumerate(regions)
	}
}

// breakForm starts a fault from the page.
func (w *Web) breakForm(c echo.Context) error {
	form, err := c.FormParams()
	if err != nil {
		return fmt.Errorf("web: form: %w", err)
	}
	r := drillRequest{Fault: form.Get("fault"), Provider: form.Get("provider"), For: form.Get("for")}
	if name, region, ok := strings.Cut(r.Fault, "@"); ok {
		r.Fault, r.Regions = name, []string{region}
	}
	a := author{actor: localOperator + " @ loopback", reason: "drill from the overview", request: form.Get("request")}
	if a.request == "" {
		a.request = rand.Text()
	}
	if w.cfg.Sandbox != nil {
		_, err = w.runReal(c.Request().Context(), a, r)
	} else {
		_, err = w.giveDrillOrder(c.Request().Context(), a, r)
	}
	if err != nil {
		return err
	}
	return seeOther(c, "/")
}

// stopForm ends one early.
func (w *Web) stopForm(c echo.Context) error {
	id := c.Param("id")
	if c.QueryParam("real") != "" {
		if w.cfg.Sandbox == nil {
			return echo.ErrNotFound
		}
		if err := w.cfg.Sandbox.Stop(id); err != nil {
			return refusal(state.NotFound, err.Error())
		}
		return seeOther(c, "/")
	}
	a := author{actor: localOperator + " @ loopback", reason: "stopped from the overview", request: rand.Text()}
	if _, err := w.propose(c.Request().Context(), a, state.Command{EndOrder: &state.EndOrder{ID: id}}); err != nil {
		return err
	}
	return seeOther(c, "/")
}

// runReal runs a fault of the sandbox, once per request id. What happens to a process has no provider.
func (w *Web) runReal(ctx context.Context, a author, r drillRequest) (Fault, error) {
	name, provider := r.Fault, r.Provider
	length, err := span("for", r.For, 30*time.Second)
	if err != nil {
		return Fault{}, err
	}
	if err := w.matches(ctx, a); err != nil {
		return Fault{}, err
	}
	for _, f := range processFaults() {
		if f.name == name {
			provider = ""
		}
	}
	if name == cutStore {
		if len(r.Regions) != 1 {
			return Fault{}, refusal(state.Invalid, "regions: name the one region whose agents are cut off from the store")
		}
		provider = r.Regions[0]
	}
	f, err := w.repeat.once(a.request, fmt.Sprintf("run %s at %s for %s", name, provider, length), func() (Fault, error) { return w.cfg.Sandbox.Run(ctx, name, provider, length) })
	var refused *state.Error
	if err != nil && !errors.As(err, &refused) {
		return f, refusal(state.Invalid, err.Error())
	}
	return f, err
}

// drillRequest is a drill as the API takes it.
type drillRequest struct {
	Fault    string   `json:"fault"`
	Provider string   `json:"provider"`
	Regions  []string `json:"regions"`
	For      string   `json:"for"`
	Share    *float64 `json:"share"`
	Status   int      `json:"status"`
	Delay    string   `json:"delay"`
}

// drillOrder makes the order. Numbers that the kind of fault has no use for are left out: the command line sends its defaults with every
// drill. A share that is not given is everything.
func drillOrder(r drillRequest) (policy.Order, error) {
	f := policy.Fault{Kind: policy.FaultKind(r.Fault), Share: 1}
	if r.Share != nil {
		f.Share = *r.Share
	}
	length, err := span("for", r.For, 30*time.Second)
	if err != nil {
		return policy.Order{}, err
	}
	switch f.Kind {
	case policy.FaultStatus:
		if f.Status = r.Status; f.Status == 0 {
			f.Status = http.StatusServiceUnavailable
		}
	case policy.FaultSlow:
		if f.Delay, err = span("delay", r.Delay, 2*time.Second); err != nil {
			return policy.Order{}, err
		}
	case policy.FaultRefuse, policy.FaultHang, policy.FaultLostReply:
	default: // the State refuses what it does not know, and says what there is
	}
	return policy.Order{Kind: policy.Drill, Provider: r.Provider, Regions: r.Regions, Fault: f, For: length}, nil
}

// order puts an order in force and tells its id and end. The end is counted from when it was first given: a repeat is told the same.
func (w *Web) order(ctx context.Context, a author, o policy.Order) (changed, error) {
	given := w.cfg.Now()
	result, err := w.propose(ctx, a, state.Command{GiveOrder: &state.GiveOrder{Order: o}})
	if err != nil {
		return changed{}, err
	}
	if st, err := w.read(ctx); err == nil {
		if i := slices.IndexFunc(st.Audit, func(e state.Entry) bool { return e.Index == result.Index }); i >= 0 {
			given = st.Audit[i].At
		}
	}
	return changed{Order: result.Order, Ends: given.Add(o.For), Revision: result.Revision}, nil
}

// giveDrillOrder puts a drill in force.
func (w *Web) giveDrillOrder(ctx context.Context, a author, r drillRequest) (changed, error) {
	o, err := drillOrder(r)
	if err != nil {
		return changed{}, err
	}
	return w.order(ctx, a, o)
}

// span reads the length of time in a field.
func span(field, text string, otherwise time.Duration) (time.Duration, error) {
	if strings.TrimSpace(text) == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, refusal(state.Invalid, fmt.Sprintf("%s: %q is no length of time; write one, like 30s or 5m", field, text))
	}
	return d, nil
}
