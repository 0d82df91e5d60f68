// Package edge holds the applications' listeners: it turns HTTP requests into calls, checks and cleans their headers, and turns replies
// into HTTP answers. It alone names the inbound HTTP library on the request path.
//
// It owns the listeners and the connections of applications. The agent tells it which snapshot to serve; it calls the proxy.
package edge
