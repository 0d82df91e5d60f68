package provider

import (
	"context"
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

// mapTime bounds one run of a program. It takes microseconds; what takes longer is not sent.
const mapTime = 500 * time.Millisecond

// The tokens of what cannot be mapped. They are Segue's own: RFC 9209 has none.
const (
	requestNotMapped = "request_not_mapped"
	answerNotMapped  = "answer_not_mapped"
)

// errNotMapped says that a call, or its answer, has no words in the other API.
var errNotMapped = errors.New("cannot be mapped")

// heard is the call as its programs see it.
func heard(call *Call) *policy.Heard {
	r := call.Request
	return &policy.Heard{
		Method: r.Method, Path: r.Path, RawQuery: r.RawQuery, Header: r.Header.Get, Type: r.Header.Get("Content-Type"), Body: r.Body,
		Key: call.Key, Reference: call.Reference, Session: call.Session, Object: call.Object,
		Account: call.Candidate.Account,
	}
}

// translated is the call in the provider's words. It is made by a program that gives the same for the same, so that a re-drive under the
// same contract sends the same bytes again.
func (c *Client) translated(ctx context.Context, call *Call, h *policy.Heard) (*Call, error) {
	wrong := func(err error) error {
		return fmt.Errorf("provider %s: %s %w: %w", call.Candidate.Provider, call.Operation, errNotMapped, unsaid(err))
	}
	r := call.Request
	switch {
	case r.Upgrade != "":
		return nil, wrong(errors.New("it asks for a tunnel"))
	case r.Header.Has("Content-Encoding"):
		return nil, wrong(errors.New("its body is encoded"))
	case onBehalf(r.Header):
		return nil, wrong(errors.New("it is made in an account that its header names"))
	case r.Large != nil:
		if err := readLarge(r.Large, h); err != nil {
			return nil, wrong(err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, mapTime)
	defer cancel()
	made, err := call.Mapping.Request(ctx, h)
	if err != nil {
		return nil, wrong(err)
	}
	sent := *call
	sent.Request = &message.Request{
		Token: r.Token, Method: made.Method, Path: made.Path, RawQuery: made.RawQuery, Body: made.Body,
		Header: message.Header{{Name: "Accept", Value: "application/json"}, {Name: "Accept-Encoding", Value: "identity"}},
	}
	if made.Type != "" {
		sent.Request.Header.Add("Content-Type", made.Type)
	}
	for _, line := range made.Header {
		sent.Request.Header.Set(line[0], line[1])
	}
	sent.Operation = call.Mapping.To.Name // aids and places of references are stated by the provider's own names
	return &sent, nil
}

func readLarge(l message.Large, h *policy.Heard) error {
	if l.Size() > policy.MaxTree {
		return fmt.Errorf("its body has more than %d bytes", policy.MaxTree)
	}
	from, err := l.Open()
	if err != nil {
		return fmt.Errorf("its body: %w", err)
	}
	if h.Body, err = io.ReadAll(from); err != nil {
		return fmt.Errorf("its body: %w", err)
	}
	return nil
}

// translate passes an answer on in the words of the API that the application speaks. What it proves is what the provider's own answer
// proves; an answer that cannot be told changes nothing of that.
func (d *delivery) translate(resp *http.Response, b *stream, class health.Class, outcome ledger.Outcome) Result {
	told := &policy.Told{
		Status: resp.StatusCode, Header: resp.Header.Get, Type: resp.Header.Get("Content-Type"), Succeeded: outcome == ledger.Succeeded, At: d.start.Unix(),
	}
	if told.Succeeded && d.call.Mapping.Streams() && strings.HasPrefix(told.Type, "text/event-stream") {
		return d.translateEvents(told, b, class, outcome)
	}
	var err error
	if told.Body, err = d.wholeBody(b); errors.Is(err, ErrCut) {
		return d.cut("http_response_incomplete", ErrCut)
	}
	d.prove(class, outcome)
	if err != nil {
		return d.untold(err)
	}
	d.told.take(told.Body)
	told.Body = plain(told.Body, resp.Header.Get("Content-Encoding"))
	if told.Succeeded {
		d.result.Theirs, _ = policy.BodyField(told.Type, told.Body, d.call.Candidate.Contract.ObjectID)
	}
	ctx, cancel := context.WithTimeout(context.Background(), mapTime)
	defer cancel()
	said, err := d.call.Mapping.Answer(ctx, d.heard, told)
	if err != nil {
		return d.untold(err)
	}
	return d.say(resp, said)
}

// prove notes what a whole answer of the provider's shows.
func (d *delivery) prove(class health.Class, outcome ledger.Outcome) {
	d.flight.release()
	d.result.Sample.Class, d.result.Outcome, d.result.Kind = class, outcome, ledger.FromAnswer
}

// unsaid takes out what a program said of the call: it may be the call's own, and errors are logged.
func unsaid(err error) error {
	var program *policy.ProgramError
	if errors.As(err, &program) && program.Said != "" {
		return errors.New("its program refuses it")
	}
	return err
}

// untold is the result of an answer that is known and cannot be told.
func (d *delivery) untold(err error) Result {
	d.result.Error = answerNotMapped
	d.result.Err = fmt.Errorf("provider %s: the answer %w: %w", d.call.Candidate.Provider, errNotMapped, unsaid(err))
	return d.result
}

// errLargeAnswer says that an answer is over what programs see. Its end is awaited all the same: that proves it.
var errLargeAnswer = fmt.Errorf("it has more than %d bytes", policy.MaxTree)

// wholeBody reads an answer to its end.
func (d *delivery) wholeBody(b *stream) ([]byte, error) {
	body := append([]byte(nil), b.prefix...)
	if b.ended {
		return body, nil
	}
	var large error
	for {
		b.read()
		if b.n > 0 {
			d.flight.timer.Reset(d.flight.idle)
			if len(body)+b.n > policy.MaxTree {
				large, body = errLargeAnswer, nil
			}
			if large == nil {
				body = append(body, b.room[:b.n]...)
			}
		}
		switch {
		case b.clean(), b.err == io.EOF && large == nil && saysItsEnd(b.from, body):
			return body, large
		case b.err != nil:
			return nil, ErrCut
		}
	}
}

// say gives the application its answer. Of the provider's header only the time to come back passes: the rest speaks of another API.
func (d *delivery) say(resp *http.Response, said *policy.Said) Result {
	h := make(message.Header, 0, len(said.Header)+10)
	for _, line := range said.Header {
		h = append(h, message.Field{Name: line[0], Value: line[1]})
	}
	if said.Body != nil && !h.Has("Content-Type") {
		h.Set("Content-Type", "application/json")
	}
	if after := resp.Header.Get(retryHeader(d.call.Candidate.Contract)); after != "" && said.Status >= 400 {
		h.Set("Retry-After", after)
	}
	d.result.Begun = true
	err := d.to.Begin(said.Status, h)
	if err == nil {
		err = d.to.Write(said.Body)
	}
	if err == nil {
		err = d.to.End(nil)
	}
	if err != nil {
		d.result.Err = fmt.Errorf("a mapped answer: %w", err)
	}
	return d.result
}

func retryHeader(c *policy.Contract) string {
	if c.RetryAfter != "" {
		return c.RetryAfter
	}
	return "Retry-After"
}

// speak puts the call into the provider's words; nil: that cannot be done, and nothing was sent. It says nothing of the provider.
func (d *delivery) speak(ctx context.Context) (*Call, Result) {
	sent, err := d.client.translated(ctx, d.call, d.heard)
	if err != nil {
		return nil, Result{Outcome: ledger.NotSent, Kind: ledger.FromAnswer, Sample: health.Sample{Class: health.None}, Error: requestNotMapped, Err: err}
	}
	return sent, d.result
}
