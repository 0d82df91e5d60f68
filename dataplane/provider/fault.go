package provider

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// feign plays the faults of a drill for which nothing is sent.
func (d *delivery) feign() Result {
	switch d.fault.Kind {
	case policy.FaultRefuse:
		return Result{
			Outcome: ledger.NotSent, Kind: ledger.FromAnswer, Sample: health.Sample{Class: health.Failure},
			Error: "connection_refused", Err: errDrill,
		}
	case policy.FaultStatus:
		return d.deliver(feigned(d.fault.Status))
	default: // a hang: what a caller of a real one could not know is not told either
		<-d.flight.Done()
		d.result = Result{Outcome: ledger.Unknown, Kind: ledger.FromTimeout, Sample: health.Sample{Class: health.Failure}}
		return d.cut("http_response_timeout", errDrill)
	}
}

// feigned is the answer of a provider that answers nothing but status.
func feigned(status int) *http.Response {
	text := fmt.Sprintf(`{"error":{"type":"api_error","message":"A drill answers %d."}}`, status)
	return &http.Response{
		StatusCode:    status,
		Header:        http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(text))}},
		ContentLength: int64(len(text)),
		Body:          io.NopCloser(strings.NewReader(text)),
		Request:       &http.Request{},
	}
}

// lose takes the answer to its end, so that the provider did all it would have done, and passes nothing on.
func (d *delivery) lose(body io.Reader) Result {
	if _, err := io.Copy(io.Discard, body); err == nil {
		d.flight.release()
	}
	return d.cut("http_response_incomplete", errDrill)
}

// delay waits as long as the drill says, and tells whether there was time for it.
func (d *delivery) delay() bool {
	t := time.NewTimer(d.fault.Delay)
	defer t.Stop()
	limit := orDefault(d.call.PerTry, defaultPerTry) - d.client.now().Sub(d.start)
	over := time.NewTimer(limit)
	defer over.Stop()
	select {
	case <-t.C:
		d.flight.begun(d.call.Read)
		d.result.Sample.Latency += d.fault.Delay
		return true
	case <-over.C:
		return false
	case <-d.flight.Done():
		return false
	}
}
