package controlplane

import (
	"net"
	"net/http"
	"strings"
)

// handle serves h on the node's own listener. While there are no certificates, everybody on this machine reaches it, a page in its
// browser too: a name that somebody's DNS turned to 127.0.0.1 is refused, and so is a change from another site.
func (s *Server) handle(pattern string, h http.Handler) {
	if s.cfg.TLS == nil {
		h = ofThisMachine(h)
	}
	s.mux.Handle(pattern, h)
}

func ofThisMachine(next http.Handler) http.Handler {
	checked := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			http.Error(w, "there is no sign-in yet, so only names of this machine's loopback are served: ask 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
