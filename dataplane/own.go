package dataplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

// application is who calls, until there are tokens.
const application = "default"

// serveOwn answers what applications ask of the agent itself, on a service's listener.
func (a *Agent) serveOwn(ctx context.Context, service string, r *message.Request, to message.Reply) bool {
	if name, found := strings.CutPrefix(r.Path, hookPath); found && r.Method == http.MethodPost {
		_ = a.hook(ctx, service, name, r).Send(to) // an error says only that the provider left
		return true
	}
	if rest, ok := strings.CutPrefix(r.Path, fieldsPath); ok && slices.Contains([]string{http.MethodGet, http.MethodPut, http.MethodDelete}, r.Method) {
		_ = a.field(ctx, service, rest, r).Send(to) // an error says only that the caller left
		return true
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	var answer *message.Answer
	id, found := strings.CutPrefix(r.Path, proxy.TransactionPath)
	switch {
	case found:
		answer = a.transaction(ctx, service, id)
	case r.Path == "/.segue/region":
		answer = a.region()
	default:
		return false
	}
	_ = answer.Send(to) // an error says only that the caller left
	return true
}

// transaction shows an application one of its own transactions. Another's is not there, as far as it can see.
func (a *Agent) transaction(ctx context.Context, service, id string) *message.Answer {
	t, err := a.store.Ledger().ByID(ctx, id)
	switch {
	case errors.Is(err, ledger.ErrNotFound), err == nil && (t.Key.App != application || t.Key.Service != service):
		return (&proxy.Problem{
			Type: proxy.UnknownOperation, Service: service, Region: a.cfg.Region, Detail: "There is no such transaction of this application here.",
		}).Answer(a.dialect(service))
	case err != nil:
		a.cfg.Log.Error("a transaction could not be read", "transaction", id, "error", err)
		return plain(http.StatusServiceUnavailable, map[string]string{"error": "the ledger cannot be read"})
	}
	row := a.shown(t)
	var next time.Time
	if n := len(row.Attempts); n > 0 {
		next = row.Attempts[n-1].NextCheck
	}
	return plain(http.StatusOK, struct {
		Sentence    string    `json:"sentence"`
		NextCheck   time.Time `json:"next_check,omitzero"`
		Transaction any       `json:"transaction"`
	}{sentence(t), next, row})
}

// region tells load balancers, DNS and hosts whether this region's agent serves, and where its callers go when it does not.
func (a *Agent) region() *message.Answer {
	snap := a.force.snapshot.Load()
	status := http.StatusOK
	body := struct {
		Region  string   `json:"region"`
		Serves  bool     `json:"serves"`
		Standby []string `json:"standby"`
	}{Region: a.cfg.Region, Serves: true, Standby: []string{}}
	if snap != nil && len(snap.Standby) > 0 {
		body.Standby = snap.Standby
	}
	if a.stopping.Load() || snap == nil || a.parts.board.Lost(a.cfg.Now()) {
		status, body.Serves = http.StatusServiceUnavailable, false
	}
	return plain(status, body)
}

func plain(status int, v any) *message.Answer {
	body, err := json.Marshal(v)
	if err != nil { // texts, numbers and times are always written
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	return &message.Answer{Status: status, Body: body, Header: message.Header{
		{Name: "Content-Type", Value: "application/json"}, {Name: "Cache-Control", Value: "no-store"},
	}}
}

// own is the agent's own listener: for operators and their tools, never for applications.
func (a *Agent) own() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if a.stopping.Load() || a.force.snapshot.Load() == nil {
			http.Error(w, "not ready: the agent stops, or has no policy yet", http.StatusServiceUnavailable)
			return
		}
		if why := a.guarded(); why != nil { // reads go on; /.segue/region says so too
			http.Error(w, "not ready: effects are refused: "+why.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.cfg.Metrics, promhttp.HandlerOpts{}))
	a.takeCopies(mux)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(version())
	})
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
}

func version() map[string]string {
	v := map[string]string{"name": "segue", "version": "dev"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v["go"] = info.GoVersion
		if info.Main.Version != "" {
			v["version"] = info.Main.Version
		}
	}
	return v
}

// listenLoopback binds an address that nobody outside this machine reaches.
func listenLoopback(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dataplane: %q is not host:port: %w", addr, err)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("dataplane: %s is not a loopback address; until there are certificates and sign-in, nothing else is served", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	return l, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
