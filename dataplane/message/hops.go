package message

import "strings"

// EndToEnd tells whether a header called name may pass through Segue. Those of one hop only do not, nor those by which one could
// pretend to be another (Forwarded and its kin), nor Segue's own. name is in canonical form.
func EndToEnd(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "Expect",
		"Forwarded", "Via", "X-Real-Ip":
		return false
	}
	return !strings.HasPrefix(name, "X-Forwarded-") && !strings.HasPrefix(name, "Segue-")
}

// Listed tells whether a Connection header's value names the header name: then that one is for this hop only too.
func Listed(connection, name string) bool {
	for connection != "" {
		var option string
		option, connection, _ = strings.Cut(connection, ",")
		if strings.EqualFold(strings.Trim(option, " \t"), name) {
			return true
		}
	}
	return false
}

// InTrailer tells whether a field called name may come after a body. What frames a message, routes it, or says who asks for what is
// settled before its body: behind it, nobody could have checked it. name is in canonical form.
func InTrailer(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Host", "Authorization", "Cookie", "Set-Cookie",
		"Www-Authenticate", "Cache-Control", "Expires", "Age", "Date", "Location", "Retry-After", "Vary", "Max-Forwards", "Pragma", "Range",
		"Idempotency-Key", "X-Idempotency-Key", "Session-Id", "Prefer", "X-Request-Id", "Stripe-Should-Retry", "X-Should-Retry":
		return false
	}
	return EndToEnd(name) && !strings.HasPrefix(name, "If-")
}
