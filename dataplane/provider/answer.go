package provider

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// Why an answer is not passed on whole.
var (
	// ErrCut ends a reply whose answer did not end by its framing.
	ErrCut       = errors.New("the provider's answer was cut")
	errNotWanted = errors.New("the taker wants no more of the answer")
	errMalformed = errors.New("the answer is malformed")
	errDrill     = errors.New("a drill")
)

// delivery passes one answer to its reply, and learns from it what the send proves.
type delivery struct {
	client *Client
	call   *Call
	to     message.Reply
	flight *flight
	fault  policy.Fault
	start  time.Time
	result Result
	heard  *policy.Heard // mapped calls: as the application made it
	told   *teller       // nil: nobody asks what the answer states
}

// deliver passes resp on. Its body may still be cut: until it ended by its framing, the outcome is unknown.
func (d *delivery) deliver(resp *http.Response) Result {
	// killpoint: answer.header
	d.flight.begun(d.call.Read)
	now := d.client.now()
	d.result = Result{Outcome: ledger.Unknown, Kind: ledger.FromTimeout, Status: resp.StatusCode}
	d.result.Sample = health.Sample{Class: health.Failure, Latency: now.Sub(d.start)}
	if resp.StatusCode == http.StatusSwitchingProtocols && d.call.Request.Upgrade != "" {
		return d.tunnel(resp)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return d.cut("http_protocol_error", errMalformed)
	}
	if d.fault.Kind == policy.FaultLostReply {
		return d.lose(resp.Body)
	}
	if d.fault.Kind == policy.FaultSlow && !d.delay() {
		return d.cut("http_response_timeout", errLate)
	}
	prefix, ended, err := d.prefix(resp)
	defer d.putPrefix(prefix)
	if err != nil {
		return d.cut("http_response_incomplete", ErrCut)
	}
	class, outcome := d.classify(resp, prefix, now)
	b := stream{from: resp, prefix: prefix, ended: ended || resp.Body == http.NoBody}
	b.room, _ = d.client.buffers.Get().(*[bufferSize]byte)
	defer d.giveBack(&b)
	if outcome == ledger.Succeeded && d.call.Candidate.Tells && costs(d.call.Request) {
		d.listen(resp)
	}
	if d.call.Mapping != nil {
		return d.translate(resp, &b, class, outcome)
	}
	if d.call.Read && !b.starts() {
		return d.cut("http_response_incomplete", ErrCut)
	}
	if err := d.begin(resp); err != nil {
		return d.unwanted(class, err)
	}
	if err := d.pass(&b); err != nil {
		return d.broken(class, err)
	}
	// killpoint: answer.read
	d.flight.release()
	d.result.Sample.Class, d.result.Outcome, d.result.Kind = class, outcome, ledger.FromAnswer
	if len(resp.Trailer) > 0 {
		message.Trail(d.to, trailerOf(resp.Trailer))
	}
	if err := d.to.End(nil); err != nil {
		d.result.Err = fmt.Errorf("end: %w", err)
	}
	return d.result
}

// prefix reads the beginning of an answer whose code decides what it proves. It is nil for those that need not wait for it: reads'
// successes, and others' where the contract reads no code in them.
func (d *delivery) prefix(resp *http.Response) (prefix []byte, ended bool, err error) {
	if resp.StatusCode < 300 && (d.call.Read || !d.call.Candidate.Contract.ReadsSuccesses()) {
		return nil, false, nil
	}
	room, _ := d.client.prefixes.Get().(*[maxPrefix]byte)
	n, err := io.ReadFull(resp.Body, room[:])
	switch {
	case err == nil:
		return room[:n], false, nil
	case (err == io.EOF || err == io.ErrUnexpectedEOF && bodyEnded(resp, n)) && (!endless(resp) || saysItsEnd(resp, room[:n])):
		return room[:n], true, nil
	default:
		return room[:n], true, ErrCut
	}
}

// bodyEnded tells a clean end from a cut one: io.ReadFull calls both an unexpected EOF when something was read.
func bodyEnded(resp *http.Response, n int) bool {
	if resp.ContentLength >= 0 {
		return int64(n) == resp.ContentLength
	}
	_, err := resp.Body.Read(make([]byte, 1)) // the body repeats how it ended
	return err == io.EOF
}

// endless tells whether the body has no framing: its end and a cut look alike, but for TLS, which says farewell. That of a HEAD needs none.
func endless(resp *http.Response) bool {
	return resp.Body != http.NoBody && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.Request.URL.Scheme != "https"
}

func (d *delivery) putPrefix(p []byte) {
	if p != nil {
		d.client.prefixes.Put((*[maxPrefix]byte)(p[:maxPrefix]))
	}
}

// classify asks the contract what the answer proves.
func (d *delivery) classify(resp *http.Response, prefix []byte, now time.Time) (health.Class, ledger.Outcome) {
	contract := d.call.Candidate.Contract
	code := ""
	if len(prefix) > 0 {
		code = contract.ErrorCode(plain(prefix, resp.Header.Get("Content-Encoding")))
	}
	c, o := d.call.Candidate.Classify(resp.StatusCode, code)
	class, outcome := classOf(c), outcomeOf(o)
	if class == health.Limited || resp.StatusCode == http.StatusServiceUnavailable {
		d.result.Sample.RetryAfter = message.RetryAfter(resp.Header.Get(retryHeader(contract)), now)
	}
	return class, outcome
}

// plain undoes gzip, which the application may have asked for. What cannot be read has no code.
func plain(p []byte, encoding string) []byte {
	if !strings.EqualFold(encoding, "gzip") {
		return p
	}
	z, err := gzip.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(z, maxPrefix))
	if err != nil {
		return nil
	}
	return out
}

func classOf(word string) health.Class {
	switch word {
	case policy.ClassOK:
		return health.OK
	case policy.ClassLimited:
		return health.Limited
	case policy.ClassSlow:
		return health.Slow
	default:
		return health.Failure
	}
}

func outcomeOf(word string) ledger.Outcome {
	switch word {
	case policy.OutcomeSucceeded:
		return ledger.Succeeded
	case policy.OutcomeDeclined:
		return ledger.Declined
	case policy.OutcomeNotSent:
		return ledger.NotSent
	default:
		return ledger.Unknown
	}
}

// begin passes the header on.
func (d *delivery) begin(resp *http.Response) error {
	d.result.Begun = true
	h := answerHeader(resp.Header, d.call.Candidate)
	for name := range resp.Trailer {
		if message.InTrailer(name) {
			h.Add("Trailer", name)
		}
	}
	if err := d.to.Begin(resp.StatusCode, h); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return nil
}

// answerHeader leaves out what is for one hop, what is Segue's own, and a credential that comes back as an echo.
func answerHeader(in http.Header, p *policy.Candidate) message.Header {
	out := make(message.Header, 0, len(in)+8) // room for what Segue adds
	connection := ""
	if c := in["Connection"]; len(c) > 0 {
		connection = strings.Join(c, ",")
	}
	for name, values := range in {
		if !message.EndToEnd(name) || name == "Session-Id" || isCredential(name, p.Contract.Credential) || connection != "" && message.Listed(connection, name) {
			continue
		}
		for _, v := range values {
			out = append(out, message.Field{Name: name, Value: v})
		}
	}
	return out
}

// trailerOf leaves out what may not stand in a trailer.
func trailerOf(in http.Header) message.Header {
	var out message.Header
	for name, values := range in {
		for _, v := range values {
			if message.InTrailer(name) {
				out.Add(name, v)
			}
		}
	}
	return out
}

// stream is an answer's body on its way.
type stream struct {
	from   *http.Response
	prefix []byte // was read before
	ended  bool   // nothing comes after the prefix
	room   *[bufferSize]byte
	n      int // bytes in room
	err    error
	under  chan struct{} // closed when the read that is under way ends; nil: there is none
}

// starts waits for the first bytes of a read's answer: as long as the caller has nothing, another provider can be asked. false: the answer
// was cut before them. An answer without a length may be a stream that is silent for long: its header is not held for longer than holdFor.
func (b *stream) starts() bool {
	if b.ended || len(b.prefix) > 0 {
		return true
	}
	if b.from.ContentLength >= 0 {
		b.read()
		return b.n > 0 || b.err == nil || b.clean()
	}
	b.under = make(chan struct{})
	go func() { // ends with the body at the latest
		defer close(b.under)
		b.n, b.err = b.from.Body.Read(b.room[:])
	}()
	enough := time.NewTimer(holdFor)
	defer enough.Stop()
	select {
	case <-b.under:
		b.under = nil
		return b.n > 0 || b.err == nil || b.clean()
	case <-enough.C:
		return true
	}
}

// read waits for the read that is under way, or makes the next.
func (b *stream) read() {
	if b.under != nil {
		<-b.under
		b.under = nil
		return
	}
	b.n, b.err = b.from.Body.Read(b.room[:])
}

// giveBack returns the buffer, unless a read may still write into it.
func (d *delivery) giveBack(b *stream) {
	if b.under == nil {
		d.client.buffers.Put(b.room)
	}
}

// clean tells an end from a cut.
func (b *stream) clean() bool { return b.err == io.EOF && !endless(b.from) }

// pass streams the body. Each read is written before the next: events pass one by one, and memory is one buffer. The clock of silence
// stands still while the taker takes.
func (d *delivery) pass(b *stream) error {
	var end ending
	end.open(b.from)
	end.take(b.prefix)
	d.told.take(b.prefix)
	if len(b.prefix) > 0 {
		if err := d.to.Write(b.prefix); err != nil {
			return errors.Join(errNotWanted, err)
		}
	}
	if b.ended {
		return nil
	}
	if b.under != nil {
		b.read()
	}
	for ; ; b.read() {
		if b.n > 0 {
			d.flight.timer.Stop()
			d.told.take(b.room[:b.n])
			end.take(b.room[:b.n])
			if err := d.to.Write(b.room[:b.n]); err != nil {
				return errors.Join(errNotWanted, err)
			}
			d.flight.timer.Reset(d.flight.idle)
		}
		switch {
		case b.clean(), b.err == io.EOF && end.told():
			return nil
		case b.err != nil:
			return ErrCut
		}
	}
}

// cut is the result of an answer of which nothing was passed on.
func (d *delivery) cut(token string, err error) Result {
	d.result.Error, d.result.Err = token, err
	if d.flight.left() {
		d.result.Sample.Class, d.result.Error = health.None, "caller_left"
	}
	return d.result
}

// unwanted is the result of an answer that the taker gave up. The provider did its part; what it did is unknown without the rest.
func (d *delivery) unwanted(class health.Class, err error) Result {
	d.result.Sample.Class, d.result.Error, d.result.Err = class, "caller_left", err
	return d.result
}

// broken is the result of an answer that stopped in the middle: never a clean end.
func (d *delivery) broken(class health.Class, err error) Result {
	if errors.Is(err, errNotWanted) || d.flight.left() {
		d.unwanted(class, err)
	} else {
		d.cut("http_response_incomplete", err)
	}
	if d.flight.late() {
		d.result.Error = "http_response_timeout"
	}
	_ = d.to.End(ErrCut) // the taker may be gone; there is nobody else to tell
	return d.result
}
