package web

import (
	"crypto/rand"
	"net"
	"net/http"
	"strings"
)

// Bounds of what is read. A body that is over its bound is answered with a problem.
const (
	maxForm   = 64 << 10
	maxPolicy = 16 << 20 // read, so that the sender gets an answer; policy.MaxDocument is what is taken
)

// policySecurity is the content security policy: everything comes from here, nothing inline runs.
const policySecurity = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

// guard is what every request passes before a handler: names, origins, sizes, and the headers of every answer.
func guard(next http.Handler, refuse func(http.ResponseWriter, *http.Request, int, string)) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, http.StatusForbidden, "changes are taken from these pages and from the command line only; this request came from another site")
	}))
	checked := origins.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setSecurity(w.Header())
		w.Header().Set(requestHeader, nameOf(r))
		if !loopbackHost(r.Host) {
			refuse(w, r, http.StatusMisdirectedRequest, "there is no sign-in yet, so only names of this machine's loopback are served: open 127.0.0.1 or localhost")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, limitOf(r))
		checked.ServeHTTP(w, r)
	})
}

// limitOf is how much of a body is read.
func limitOf(r *http.Request) int64 {
	switch {
	case r.Method == http.MethodPut, strings.HasPrefix(r.URL.Path, "/api/v1/policy"):
		return maxPolicy
	case r.URL.Path == restorePath, r.URL.Path == restoreForm:
		return maxBackup
	case r.URL.Path == "/api/v1/reports":
		return maxReport
	default:
		return maxForm
	}
}

// nameOf is the id of a request: its caller's own, where that can be repeated in a header, or a new one.
func nameOf(r *http.Request) string {
	id := strings.Trim(r.Header.Get("Idempotency-Key"), `"`)
	if id == "" || len(id) > 200 {
		return rand.Text()
	}
	return id
}

func setSecurity(h http.Header) {
	h.Set("Content-Security-Policy", policySecurity)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
}

// loopbackHost tells whether a Host header names this machine's loopback. A name that somebody else's DNS turned to 127.0.0.1 does not.
func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
