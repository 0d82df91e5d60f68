package sandbox

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// exchange is one request on its way through: read, struck by a fault or not, executed or not, answered or not.
type exchange struct {
	*Provider
	w     http.ResponseWriter
	r     *http.Request
	conn  *conn
	call  *call
	fault Fault
}

const maxBody = 1 << 20 // bytes; no form of this API comes near it

// ServeHTTP is the provider's port.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(connKey{}).(*conn)
	if c == nil || !p.enter() {
		panic(http.ErrAbortHandler) // the way of net/http to end a connection without an answer
	}
	defer p.work.Done()
	if strings.HasPrefix(r.URL.Path, "/_") {
		p.control.ServeHTTP(w, r)
		return
	}
	(&exchange{Provider: p, w: w, r: r, conn: c}).run()
}

func (x *exchange) run() {
	early := x.understand()
	defer x.bank.release(x.call)
	x.fault = x.faults.strike(x.call.effect, x.conn.requests.Add(1) > 1, x.now())
	x.Books().receive(x.r.Method, x.call.pattern, x.fault.Kind)

	switch {
	case x.fault.Kind == Hang && !x.fault.Executed:
		x.hang()
	case x.fault.Kind == Reset && !x.fault.Executed:
		x.drop(Abort)
	case early == nil || x.fault.Kind == Limit || x.fault.Kind == Status:
		early = x.ahead(early)
	}
	before, after := x.pace.next(x.fault)
	x.wait(before)
	if early == nil && x.call.do == nil {
		x.stream()
		return
	}
	a := x.result(early)
	x.wait(after)
	x.deliver(a)
}

// understand reads the request; where that alone settles the answer, it is returned.
func (x *exchange) understand() *answer {
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	rt, id := match(x.routes, x.r.Method, x.r.URL.Path)
	known := rt != nil
	if !known {
		rt = &route{method: x.r.Method, pattern: "other", effect: x.r.Method != http.MethodGet}
	}
	secret := secretOf(x.r)
	x.call = &call{route: rt, path: x.r.URL.Path, id: id, key: x.r.Header.Get("Idempotency-Key"), account: fingerprint(secret), life: x.conn.life}
	encoded := string(body)
	if !rt.effect {
		encoded = x.r.URL.RawQuery
	}
	var bad *apiError
	x.call.form, bad = parseForm(encoded)
	switch {
	case err != nil:
		bad = &apiError{Status: 413, Type: "invalid_request_error", Message: "The request body is too large or was cut."}
	case secret == "" || x.config.Credential != "" && secret != x.config.Credential:
		bad = &apiError{Status: 401, Type: "invalid_request_error", Message: "Invalid API Key provided."}
	case !known:
		bad = &apiError{Status: 404, Type: "invalid_request_error", Code: "url_invalid",
			Message: "Unrecognized request URL (" + x.r.Method + ": " + x.r.URL.Path + ")."}
	}
	if bad != nil {
		a := answerTo(nil, bad)
		return &a
	}
	return nil
}

// secretOf is the API key, in either of the slots that Stripe has for it.
func secretOf(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return user
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return strings.TrimSpace(token)
}

// ahead is the answer that stands before any work: the fault's own, that of a request that was wrong, or that of the key.
func (x *exchange) ahead(early *answer) *answer {
	switch {
	case x.fault.Kind == Limit:
		a := x.fault.limited()
		return &a
	case x.fault.Kind == Status && !x.fault.Executed:
		a := x.fault.failed()
		return &a
	case early != nil:
		return early
	}
	return x.bank.admit(x.call)
}

func (x *exchange) result(early *answer) answer {
	if early != nil {
		return *early
	}
	var instead *answer
	if x.fault.Kind == Status {
		a := x.fault.failed()
		instead = &a
	}
	a, alive := x.bank.execute(x.call, instead)
	if !alive {
		x.drop(Abort)
	}
	return a
}

func (f Fault) limited() answer {
	a := answerTo(nil, &apiError{Status: 429, Type: "invalid_request_error", Code: "rate_limit", Message: "Too many requests."})
	after := max(f.RetryAfter, time.Second) // the header knows whole seconds only
	a.header = map[string]string{"Retry-After": strconv.Itoa(int((after + time.Second - 1) / time.Second))}
	return a
}

func (f Fault) failed() answer {
	code := f.Code
	if code == 0 {
		code = 500
	}
	return answerTo(nil, &apiError{Status: code, Type: "api_error", Message: "An error occurred in the sandbox, on demand."})
}

// wait lets time pass. A client that leaves does not stop a provider's work; only the death of the provider does.
func (x *exchange) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.call.life.Done():
		x.drop(Abort)
	}
}

func (x *exchange) deliver(a answer) {
	switch x.fault.Kind {
	case Reset:
		x.drop(Abort)
	case Lose:
		x.drop(x.fault.End)
	case Hang:
		x.hang()
	case CutHeaders:
		x.cutHeaders(a)
	case CutBody:
		x.write(a, len(a.body)/2)
		x.drop(x.fault.End)
	default:
		x.write(a, len(a.body))
	}
}

// hang keeps the connection open and says nothing, until the client or the provider is gone.
func (x *exchange) hang() {
	select {
	case <-x.r.Context().Done():
	case <-x.call.life.Done():
	}
	x.drop(Abort)
}

// drop ends the connection, and this request with it.
func (x *exchange) drop(how Ending) {
	x.conn.end(how)
	panic(http.ErrAbortHandler)
}

// write sends the answer with its full length, and the first n bytes of its body.
func (x *exchange) write(a answer, n int) {
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	x.ownHeaders(a)
	x.w.WriteHeader(a.status)
	_, _ = x.w.Write(a.body[:n]) // a client that left: what was executed stands in the books
	_ = http.NewResponseController(x.w).Flush()
}

func (x *exchange) ownHeaders(a answer) {
	h := x.w.Header()
	h.Set("Request-Id", x.bank.requestID())
	if x.call.key != "" {
		h.Set("Idempotency-Key", x.call.key)
	}
	if a.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	for k, v := range a.header {
		h.Set(k, v)
	}
}

// cutHeaders sends the first half of a header block, ending within a value.
func (x *exchange) cutHeaders(a answer) {
	raw, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.drop(Abort) // only a connection that is gone cannot be hijacked
	}
	block := "HTTP/1.1 " + strconv.Itoa(a.status) + " " + http.StatusText(a.status) +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(a.body)) + "\r\nRequest-Id: re"
	_, _ = io.WriteString(raw, block)
	x.conn.end(x.fault.End)
}
