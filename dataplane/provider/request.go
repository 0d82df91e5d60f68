package provider

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// maxTargets bounds the endpoints that are remembered.
const maxTargets = 1024

// target is an endpoint, taken apart once.
type target struct{ scheme, host, base string }

// targets remembers endpoints by their text.
type targets struct {
	mu    sync.RWMutex
	known map[string]target
}

func (t *targets) get(endpoint string) (target, error) {
	t.mu.RLock()
	one, ok := t.known[endpoint]
	t.mu.RUnlock()
	if ok {
		return one, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return target{}, fmt.Errorf("endpoint %q is no http or https URL", endpoint)
	}
	one = target{u.Scheme, u.Host, strings.TrimRight(u.EscapedPath(), "/")}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxTargets {
		t.known = map[string]target{}
	}
	t.known[endpoint] = one
	return one, nil
}

// outbound is what a request points to, in one piece.
type outbound struct {
	url   url.URL
	body  body
	large largeBody
}

// rewinder is a request's body that can be sent from its first byte again, on another connection.
type rewinder interface {
	rewound() (io.ReadCloser, error)
}

// body gives out the request's bytes. It has no GetBody, and the idempotency key stands under a name that net/http does not know:
// both keep it from sending a request again by itself.
type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

// rewound is a copy: net/http may still hold the first one.
func (b *body) rewound() (io.ReadCloser, error) {
	again := &body{}
	*again = *b
	_, err := again.Seek(0, io.SeekStart)
	return again, err
}

// largeBody gives out a body that is kept outside memory. It has no GetBody either.
type largeBody struct {
	io.Reader
	of message.Large
}

func (*largeBody) Close() error { return nil } // it is the call's: it may have to be sent again

func (b *largeBody) rewound() (io.ReadCloser, error) {
	from, err := b.of.Open()
	return &largeBody{from, b.of}, err
}

// attach gives a request its body, and what comes after it.
func (o *outbound) attach(r *http.Request, m *message.Request) error {
	switch {
	case m.Large != nil:
		from, err := m.Large.Open()
		if err != nil {
			return err
		}
		o.large = largeBody{from, m.Large}
		r.Body = &o.large
	case len(m.Body) > 0 || len(m.Trailer) > 0:
		o.body.Reset(m.Body)
		r.Body = &o.body
	default:
		return nil
	}
	r.ContentLength = m.Size()
	if len(m.Trailer) > 0 {
		r.ContentLength = -1 // a trailer follows chunks only
		r.Trailer = http.Header{}
		for i := range m.Trailer {
			r.Trailer.Add(m.Trailer[i].Name, m.Trailer[i].Value)
		}
	}
	return nil
}

// request makes the request for a call. The second result is the RFC 9209 token of what is wrong.
func (c *Client) request(ctx context.Context, call *Call, now time.Time) (*http.Request, string, error) {
	call, err := referred(call)
	if err != nil {
		return nil, "proxy_configuration_error", err
	}
	if call, err = tokened(call); err != nil {
		return nil, "proxy_configuration_error", err
	}
	t, err := c.targets.get(call.Candidate.Endpoint)
	if err != nil {
		return nil, "proxy_configuration_error", err
	}
	header, err := c.header(call, now)
	if err != nil {
		return nil, "proxy_configuration_error", err
	}
	path, err := c.path(call, now)
	if err != nil {
		return nil, "proxy_configuration_error", err
	}
	o := &outbound{}
	o.url = address(t, path, call.Request.RawQuery)
	r := new(http.Request).WithContext(ctx)
	r.Method, r.URL, r.Host, r.Header, r.Proto, r.ProtoMajor, r.ProtoMinor = call.Request.Method, &o.url, t.host, header, "HTTP/1.1", 1, 1
	if err := o.attach(r, call.Request); err != nil {
		return nil, "proxy_internal_error", fmt.Errorf("body: %w", err)
	}
	if call.Request.Upgrade != "" {
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{call.Request.Upgrade}
	}
	return r, "", nil
}

// address puts the application's path behind the endpoint's, byte for byte.
func address(t target, path, query string) url.URL {
	u := url.URL{Scheme: t.scheme, Host: t.host, RawQuery: query}
	path = t.base + path
	if strings.HasPrefix(path, "//") { // as Opaque it would be read as a host
		u.RawPath = path
		if plain, err := url.PathUnescape(path); err == nil {
			u.Path = plain
		}
		return u
	}
	u.Opaque = path
	return u
}

// header makes the provider's header from the application's: what is for one hop, and what is Segue's own, stays here; the credential
// and the key are put in.
func (c *Client) header(call *Call, now time.Time) (http.Header, error) {
	in := call.Request.Header
	out := make(http.Header, len(in)+4)
	values := make([]string, len(in)+4) // one piece of memory for all the lists of one
	add := func(name, value string) {
		if had := out[name]; had != nil {
			out[name] = append(had, value)
			return
		}
		values[0] = value
		out[name], values = values[:1:1], values[1:]
	}
	contract := call.Candidate.Contract
	connection := in.Get("Connection")
	own := call.Candidate.Credential.Kind != policy.CredentialCaller
	for i := range in {
		if name := in[i].Name; passes(name, connection) && !(own && isCredential(name, contract.Credential)) {
			add(name, in[i].Value)
		}
	}
	if out["User-Agent"] == nil {
		add("User-Agent", "") // net/http would put in its own name
	}
	if call.RequestID != "" {
		delete(out, "X-Request-Id")
		add("X-Request-Id", call.RequestID)
	}
	if err := c.addCredential(call.Candidate, now, add); err != nil {
		return nil, err
	}
	if token := call.Request.Token; token.In == "header" {
		out[http.CanonicalHeaderKey(token.Name)] = []string{token.Value}
	}
	addKey(call, out)
	return out, nil
}

// passes tells whether a header of the application goes to providers. Length and host are written by net/http.
func passes(name, connection string) bool {
	if name == "Te" {
		return true // the edge leaves nothing in it but that trailers are welcome
	}
	if name == "Content-Length" || name == "Host" || !message.EndToEnd(name) {
		return false
	}
	return connection == "" || !message.Listed(connection, name)
}

// isCredential tells whether a header may hold the application's credential, which is for Segue alone where Segue has one of its own.
func isCredential(name string, s policy.Slot) bool {
	return name == "Authorization" || strings.EqualFold(name, slotName(s))
}

func (c *Client) addCredential(p *policy.Candidate, now time.Time, add func(name, value string)) error {
	if p.Credential.Kind == policy.CredentialCaller {
		return nil
	}
	secret, err := c.secrets.value(p.Credential, now)
	if err != nil {
		return fmt.Errorf("provider %s: %w", p.Provider, err)
	}
	add(slot(p.Contract.Credential, secret))
	return nil
}

// addKey puts the idempotency key in, under its name in lower case: under the canonical one net/http takes a request for safe to
// send again when a warm connection dies. A key of the application's own never passes beside it.
func addKey(call *Call, out http.Header) {
	name := call.Candidate.Contract.Keys.Header
	for _, n := range [...]string{name, "Idempotency-Key", "X-Idempotency-Key"} {
		delete(out, http.CanonicalHeaderKey(n))
	}
	if call.Key != "" && name != "" {
		out[strings.ToLower(name)] = []string{call.Key}
	}
}
