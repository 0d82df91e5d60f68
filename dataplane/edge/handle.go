package edge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

// ownPath is where the agent itself is asked.
const ownPath = "/.segue/"

// exchange is one request and its answer, in one piece of memory. It is not pooled: an effect that goes on without its caller still
// holds the call.
type exchange struct {
	call    proxy.Call
	request message.Request
	reply   reply
	fields  [16]message.Field
	port    *port
	in      *http.Request
	conn    *conn // nil over HTTP/2
	unread  bool  // there is a body, and nobody asked for it yet
	held    held
	until   time.Time // until when the body may be read
}

// ServeHTTP answers one request. A panic ends this request, with a log, and nothing else.
func (p *port) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{port: p, in: r, unread: r.ContentLength != 0}
	defer p.edge.spool.release(&x.held)
	x.call.Request = &x.request
	if r.ProtoMajor == 1 {
		x.conn, _ = r.Context().Value(connKey{}).(*conn)
	}
	x.call.Arrived = p.edge.config.Clock()
	x.call.RequestID = requestID(r)
	x.reply.open(w, x)
	p.run(r.Context(), x, r)
	clean := x.reply.close()
	if x.reply.tunnel {
		p.tunnels.leave(x)
	}
	if !clean {
		p.abort(w)
	}
}

// run serves the exchange, and turns a panic into an answer.
func (p *port) run(ctx context.Context, x *exchange, r *http.Request) {
	defer func() {
		if what := recover(); what != nil {
			p.edge.config.Logger.Error("a call panicked", "request", x.call.RequestID, "service", x.call.Service,
				"panic", fmt.Sprint(what), "stack", string(debug.Stack()))
			x.reply.fail(failed(x.call.Service))
		}
	}()
	svc, refusal := p.read(x, r)
	if refusal != nil {
		x.reply.fail(refusal)
		return
	}
	if strings.HasPrefix(x.request.Path, ownPath) {
		p.own(ctx, svc, x)
		return
	}
	p.edge.config.Proxy.Serve(ctx, &x.call, &x.reply)
}

// own answers what is asked of the agent. Nothing under ownPath ever goes to a provider.
func (p *port) own(ctx context.Context, svc *policy.Service, x *exchange) {
	if problem := x.Fetch(true); problem != nil {
		x.reply.fail(refuse(svc, problem, false))
		return
	}
	if p.edge.config.Own == nil || !p.edge.config.Own(ctx, svc.Name, &x.request, &x.reply) {
		x.reply.fail(noSuchPath(svc))
	}
}

// abort resets the connection: an answer that was cut must not look like one that ended.
func (p *port) abort(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's own way: it closes without a clean end
	}
	if mine, ok := c.(*conn); ok {
		_ = mine.reset() // the connection is given up either way
		return
	}
	_ = c.Close()
}

// read makes the call from the request, or says why it is refused.
func (p *port) read(x *exchange, r *http.Request) (*policy.Service, *refusal) {
	svc, ok := p.service(r.Host)
	if !ok {
		return nil, refuse(nil, proxy.NoService(r.Host), false)
	}
	x.call.Service, x.call.App = svc.Name, "default"
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") || r.Method == http.MethodConnect {
		return nil, refuse(svc, proxy.BadHeader("target", "a request asks for a path"), true)
	}
	if problem := x.framed(); problem != nil {
		return nil, refuse(svc, problem, true)
	}
	x.request.Method, x.request.Path, x.request.RawQuery = r.Method, path, query
	x.request.Header = x.fields[:0]
	if twice := takeHeaders(&x.call, r.Header); twice != "" {
		return nil, refuse(svc, proxy.BadHeader(twice, "it stands there twice, and two readers could take either"), true)
	}
	if x.unread {
		if limit := p.edge.config.Limits.Body; r.ContentLength > limit {
			return nil, refuse(svc, proxy.TooLarge(limit), true)
		}
		x.call.Body = x
	}
	return svc, nil
}

// framed refuses what two readers could take for different requests. net/http's own reader forgave it.
func (x *exchange) framed() *proxy.Problem {
	if x.conn == nil {
		return nil
	}
	name, flaw, ended := x.conn.screened()
	switch {
	case flaw != "":
		return proxy.BadHeader(name, flaw)
	case ended && x.in.ProtoMinor == 0:
		return proxy.BadHeader("Transfer-Encoding", "HTTP/1.0 has none")
	case ended:
		x.last()
	}
	return nil
}

// service finds whose call it is. A service without a host name is served under the names of this machine only: a page in a browser could
// otherwise have its own name point here and call with the agent's credentials.
func (p *port) service(host string) (*policy.Service, bool) {
	svc, ok := p.edge.snapshot.Load().Listening(p.number, host)
	if !ok || svc.Listen.Host == "" && !local(host) {
		return nil, false
	}
	return svc, true
}

func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(host, ".")
	if strings.EqualFold(host, "localhost") || len(host) > 10 && strings.EqualFold(host[len(host)-10:], ".localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

// takeHeaders sorts the request's headers: what speaks to Segue becomes part of the call, what is for one hop ends here, the rest passes.
// It returns the name of one that may not stand there twice, and does.
func takeHeaders(c *proxy.Call, in http.Header) (twice string) {
	var sdk string
	connection := strings.Join(in["Connection"], ",")
	for name, values := range in {
		switch name {
		case "Idempotency-Key":
			c.Key = values
		case "Session-Id":
			if c.Session = values[0]; len(values) > 1 {
				twice = name
			}
		case "Prefer":
			c.Prefer = strings.Join(values, ",")
		case "Segue-Value":
			if c.Value = values[0]; len(values) > 1 {
				twice = name
			}
		case "Segue-Client-Region":
			if c.Client = values[0]; len(values) > 1 {
				twice = name
			}
		case "Segue-Dry-Run":
			c.DryRun = message.True(values[0])
		case "Upgrade":
			if asksTunnel(c.Request, values, connection) {
				c.Request.Upgrade = websocket
			}
		case "Te":
			if slices.ContainsFunc(values, func(v string) bool { return message.Listed(v, "trailers") }) {
				c.Request.Header = append(c.Request.Header, message.Field{Name: name, Value: "trailers"})
			}
		case "X-Request-Id", "Content-Length", "Host": // written anew
		default:
			if strings.HasPrefix(name, "X-Stainless-") && sdkTimeout(name) {
				sdk = values[0]
			}
			if len(values) > 1 && (name == "Content-Type" || name == "Authorization") {
				twice = name
			}
			passOn(c, name, values, connection)
		}
	}
	if wait, ok := message.Wait(c.Prefer); ok {
		c.Timeout = wait
	} else if wait, ok := message.Seconds(sdk); ok {
		c.Timeout = wait
	}
	return twice
}

// passOn keeps a header for the provider, unless it was meant for the connection, and one of Segue's for the rules: they may read what no
// provider is shown.
func passOn(c *proxy.Call, name string, values []string, connection string) {
	if strings.HasPrefix(name, "Segue-") {
		c.Told = append(c.Told, message.Field{Name: name, Value: values[0]})
	}
	if !message.EndToEnd(name) || connection != "" && message.Listed(connection, name) {
		return
	}
	for _, v := range values {
		c.Request.Header = append(c.Request.Header, message.Field{Name: name, Value: v})
	}
}

// Headers does the same for a call that came over no listener.
func Headers(c *proxy.Call, in http.Header) (twice string) { return takeHeaders(c, in) }

func sdkTimeout(name string) bool {
	return name == "X-Stainless-Timeout" || name == "X-Stainless-Read-Timeout"
}

// requestID takes the caller's id, if it is fit for logs and headers, or makes one up.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); message.SaneID(id) {
		return id
	}
	var room [4 + 2*13]byte
	id := append(room[:0], "req_"...)
	id = strconv.AppendUint(id, rand.Uint64(), 36)
	return string(strconv.AppendUint(id, rand.Uint64(), 36))
}
