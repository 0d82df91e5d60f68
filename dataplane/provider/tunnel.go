package provider

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// errNoTunnel is when an answer opened a tunnel that the application's connection cannot carry.
var errNoTunnel = errors.New("the application's connection cannot become a tunnel")

// tunnel joins the application and the provider, who opened a WebSocket. It ends when one of them closes, when both are silent for too
// long, or when the edge stops. The provider did its part once it opened: how a conversation ends is no fault of anybody's.
func (d *delivery) tunnel(resp *http.Response) Result {
	theirs, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return d.cut("http_protocol_error", errMalformed)
	}
	to, ok := d.to.(message.Switcher)
	if !ok {
		return d.cut("http_protocol_error", errNoTunnel)
	}
	ours, err := to.Switch(answerHeader(resp.Header, d.call.Candidate))
	if err != nil {
		return d.unwanted(health.OK, fmt.Errorf("tunnel: %w", err))
	}
	d.result.Begun, d.result.Outcome, d.result.Kind, d.result.Sample.Class = true, ledger.Succeeded, ledger.FromAnswer, health.OK
	d.join(ours, theirs)
	return d.result
}

// join passes bytes both ways until one way ends; then both do. Each way has one buffer.
func (d *delivery) join(ours, theirs io.ReadWriteCloser) {
	done := make(chan struct{}, 2)
	carry := func(to io.Writer, from io.Reader) {
		defer func() { done <- struct{}{} }()
		room, _ := d.client.buffers.Get().(*[bufferSize]byte)
		defer d.client.buffers.Put(room)
		for {
			n, err := from.Read(room[:])
			if n > 0 {
				d.flight.timer.Reset(d.client.quiet)
				if _, werr := to.Write(room[:n]); werr != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	d.flight.timer.Reset(d.client.quiet)
	go carry(theirs, ours) // both are awaited below
	go carry(ours, theirs)
	left := 2
	select {
	case <-done:
		left--
	case <-d.flight.Done():
	}
	d.flight.release() // what the provider was given shall reach it: no reset
	_ = ours.Close()   // each ends a read or write of its side
	_ = theirs.Close()
	for ; left > 0; left-- {
		<-done
	}
}
