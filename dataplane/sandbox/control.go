package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// report is what /_books of one provider answers.
type report struct {
	Provider string      `json:"provider"`
	Alive    bool        `json:"alive"`
	Totals   Totals      `json:"totals"`
	Twice    []Duplicate `json:"twice"`
	Matching int         `json:"matching"` // entries that the filters want, also those over the limit
	Entries  []Entry     `json:"entries"`  // the newest of them, oldest first
}

const (
	usualEntries = 1000
	maxControl   = 64 << 10 // bytes of a control request's body
)

// controls is what is served under /_ for one provider, at its own port and at the sandbox's.
func controls(p *Provider) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_books", p.showBooks)
	mux.HandleFunc("GET /_faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, p.Faults()) })
	mux.HandleFunc("PUT /_faults", p.putFaults)
	mux.HandleFunc("DELETE /_faults", func(w http.ResponseWriter, _ *http.Request) { p.ClearFaults(); reply(w, 200, p.Faults()) })
	mux.HandleFunc("POST /_gate", p.openGate)
	mux.HandleFunc("POST /_kill", func(w http.ResponseWriter, _ *http.Request) { p.Kill(); w.WriteHeader(204) })
	mux.HandleFunc("POST /_revive", func(w http.ResponseWriter, _ *http.Request) { p.Revive(); w.WriteHeader(204) })
	return guarded(mux)
}

// controls of the sandbox stay reachable whatever fault is on.
func (s *Sandbox) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_books", s.showBooks)
	mux.HandleFunc("/providers/{name}/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		p := s.Provider(r.PathValue("name"))
		if p == nil {
			complain(w, 404, fmt.Errorf("no provider %q", r.PathValue("name")))
			return
		}
		http.StripPrefix("/providers/"+p.Name(), p.control).ServeHTTP(w, r)
	})
	return guarded(mux)
}

// guarded keeps web pages of elsewhere out: their cross-origin requests, and names of theirs that resolve to loopback.
func guarded(h http.Handler) http.Handler {
	h = http.NewCrossOriginProtection().Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			complain(w, 403, fmt.Errorf("host %q: only loopback", r.Host))
			return
		}
		h.ServeHTTP(w, r)
	})
}

func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func reply(w http.ResponseWriter, status int, v any) {
	a := jsonAnswer(status, v)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the reader went away: nothing is left to do
}

func complain(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]any{"error": map[string]string{"type": "sandbox_error", "message": err.Error()}})
}

func (p *Provider) showBooks(w http.ResponseWriter, r *http.Request) {
	f, limit, err := filterOf(r)
	if err != nil {
		complain(w, 400, err)
		return
	}
	reply(w, 200, p.report(f, limit))
}

func (p *Provider) report(f Filter, limit int) report {
	entries := p.Books().Entries(f)
	n := len(entries)
	return report{
		Provider: p.Name(), Alive: p.Alive(), Totals: p.Books().Totals(), Twice: Twice(p.Books()),
		Matching: n, Entries: entries[max(0, n-limit):],
	}
}

func filterOf(r *http.Request) (f Filter, limit int, err error) {
	q := r.URL.Query()
	f.Order, limit = q.Get("order"), usualEntries
	if text := q.Get("since"); text != "" {
		if f.Since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return f, 0, fmt.Errorf("since: %w", err)
		}
	}
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 0 {
			return f, 0, fmt.Errorf("limit %q: a whole number, 0 or more", text)
		}
	}
	return f, limit, nil
}

// showBooks answers with what all providers did, and with what was done twice across them.
func (s *Sandbox) showBooks(w http.ResponseWriter, r *http.Request) {
	f, limit, err := filterOf(r)
	if err != nil {
		complain(w, 400, err)
		return
	}
	providers := map[string]report{}
	for _, p := range s.providers {
		providers[p.Name()] = p.report(f, limit)
	}
	reply(w, 200, map[string]any{"providers": providers, "twice": Twice(s.Books()...)})
}

// putFaults takes one fault or a list of them.
func (p *Provider) putFaults(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControl))
	if err != nil {
		complain(w, 413, fmt.Errorf("faults: %w", err))
		return
	}
	var faults []Fault
	if err := json.Unmarshal(body, &faults); err != nil {
		var one Fault
		if alone := json.Unmarshal(body, &one); alone != nil {
			complain(w, 400, alone)
			return
		}
		faults = []Fault{one}
	}
	if err := p.SetFaults(faults...); err != nil {
		complain(w, 400, err)
		return
	}
	reply(w, 200, p.Faults())
}

// openGate lets one event go, and answers once a stream took it.
func (p *Provider) openGate(w http.ResponseWriter, r *http.Request) {
	select {
	case p.gate <- struct{}{}:
		w.WriteHeader(204)
	case <-r.Context().Done():
	}
}
