package controlplane

import (
	"encoding/json"
	"net/http"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// own mounts what every process answers: is it alive, is it ready, what does it measure, which build is it.
func (s *Server) own() {
	s.handle("GET /livez", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
	s.handle("GET /readyz", http.HandlerFunc(s.readyz))
	s.handle("GET /metrics", promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{}))
	s.handle("GET /version", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(Version())
	}))
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if leader, _ := s.replica.Leader(); leader == "" || !s.replica.Ready() {
		http.Error(w, "not ready: no leader is known, or the log is still being replayed", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// Version is what the build says of itself.
func Version() map[string]string {
	v := map[string]string{"name": "segue", "version": "dev"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v["go"] = info.GoVersion
		if info.Main.Version != "" {
			v["version"] = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v["commit"] = s.Value
			}
		}
	}
	return v
}
