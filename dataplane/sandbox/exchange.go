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
	if x.fault.Kind == Fees {
		x.call.dearer = x.fault.Factor
	}
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
	speaks := x.bank.speaks
	rt, names := match(speaks.routes, x.r.Method, x.r.URL.Path)
	known := rt != nil
	if !known {
		rt = &route{method: x.r.Method, pattern: "other", effect: x.r.Method != http.MethodGet}
	}
	secret := speaks.secret(x.r)
	x.call = &call{route: rt, path: x.r.URL.Path, names: names, id: names["id"], key: x.r.Header.Get(speaks.keyHeader()),
		secret: fingerprint(secret), life: x.conn.life, room: x.bank.spend(), token: x.r.Header.Get(tokenHeader)}
	bad := speaks.read(x.call, x.r, body)
	switch {
	case err != nil:
		bad = speaks.trouble(http.StatusRequestEntityTooLarge, "The request body is too large or was cut.")
	case secret == "" || x.config.Credential != "" && secret != x.config.Credential:
		bad = speaks.trouble(http.StatusUnauthorized, "")
	case !known:
		bad = speaks.trouble(http.StatusNotFound, called(x.r))
	case bad == nil:
		bad = x.bank.demanded(x.call, x.r)
	}
	if bad != nil {
		a := speaks.answer(nil, bad)
		return &a
	}
	return nil
}

// secretOf is the API key, in either of the slots that Stripe has for it.
func secretOf(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return user
	}
	return bearer(r)
}

// ahead is the answer that stands before any work: the fault's own, that of a request that was wrong, or that of the key.
func (x *exchange) ahead(early *answer) *answer {
	switch {
	case x.fault.Kind == Limit:
		a := x.limited()
		return &a
	case x.fault.Kind == Status && !x.fault.Executed:
		a := x.failed()
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
		a := x.failed()
		instead = &a
	}
	a, alive := x.bank.execute(x.call, instead)
	if !alive {
		x.drop(Abort)
	}
	return a
}

func (x *exchange) limited() answer {
	a := x.bank.speaks.answer(nil, x.bank.speaks.trouble(http.StatusTooManyRequests, ""))
	after := max(x.fault.RetryAfter, time.Second) // the header knows whole seconds only
	a.header = map[string]string{"Retry-After": strconv.Itoa(int((after + time.Second - 1) / time.Second))}
	x.call.room.left = 0
	return a
}

func (x *exchange) failed() answer {
	code := x.fault.Code
	if code == 0 {
		code = 500
	}
	e := x.bank.speaks.trouble(code, "An error occurred in the sandbox, on demand.")
	return x.bank.speaks.answer(nil, e)
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
		x.write(a, 2)
		x.drop(x.fault.End)
	default:
		x.write(a, 1)
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

// write sends the answer's header, and the whole of its body or the first part of it.
func (x *exchange) write(a answer, part int) {
	if a.events != nil {
		x.tell(a, a.events[:len(a.events)/part])
		return
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	x.ownHeaders(a)
	x.w.WriteHeader(a.status)
	_, _ = x.w.Write(a.body[:len(a.body)/part]) // a client that left: what was executed stands in the books
	_ = http.NewResponseController(x.w).Flush()
}

func (x *exchange) ownHeaders(a answer) {
	h := x.w.Header()
	x.bank.speaks.head(h, x.call, x.bank.requestID())
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
