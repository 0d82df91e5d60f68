package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// Refers tells whether a request of an operation can carry our reference to a candidate: the contract says where, it is a request that
// can be read, and the caller does not use the field himself (unless the contract says that ours wins). Only then can it be looked up.
func Refers(p *policy.Candidate, operation string, r *message.Request) bool {
	if m := p.Mapped(operation); m != nil { // what its program makes has a place for it, or is not sent
		_, _, ok := p.Contract.Carrier(m.To.Name)
		return ok && !onBehalf(r.Header)
	}
	_, _, ok := refer(p, operation, r, "x", false)
	return ok
}

// refer is what a request becomes with our reference in it: another body, or another header line. ours: the request is of our making, and
// nothing of the caller's stands there.
func refer(p *policy.Candidate, operation string, r *message.Request, reference string, ours bool) (body []byte, line message.Field, ok bool) {
	by, wins, ok := p.Contract.Carrier(operation)
	if !ok || reference == "" || onBehalf(r.Header) {
		return nil, message.Field{}, false
	}
	over := ours || wins == policy.OursWins
	if by.In == "header" {
		return nil, message.Field{Name: http.CanonicalHeaderKey(by.Name), Value: reference}, over || !r.Header.Has(by.Name)
	}
	if by.In != "body" || r.Large != nil || r.Header.Has("Content-Encoding") || r.Header.Count("Content-Type") != 1 {
		return nil, message.Field{}, false
	}
	body, ok = policy.PutField(r.Header.Get("Content-Type"), r.Body, by.Name, reference, over)
	return body, message.Field{}, ok
}

// onBehalf tells whether a request is made in an account that its header names: nobody who asks later knows in which.
func onBehalf(h message.Header) bool { return h.Has("Stripe-Account") }

// tokened is the call with the session's token in its body, where it goes there. A call that cannot carry it is not sent: it would be refused.
func tokened(call *Call) (*Call, error) {
	token := call.Request.Token
	if token.In != "body" || len(call.Request.Body) == 0 && call.Request.Large == nil {
		return call, nil
	}
	r, sent := *call.Request, *call
	body, ok := policy.PutField(r.Header.Get("Content-Type"), r.Body, token.Name, token.Value, true)
	if !ok || r.Large != nil || r.Header.Has("Content-Encoding") {
		return nil, fmt.Errorf("provider %s: the request's body cannot carry the session's token", call.Candidate.Provider)
	}
	r.Body, sent.Request = body, &r
	return &sent, nil
}

// referred is the call that is sent: the caller's bytes, but for our reference where the contract has a place for it. A call that is on
// record as carrying it and cannot is not sent: a lookup that does not find it would be taken for proof.
func referred(call *Call) (*Call, error) {
	if call.Reference == "" {
		return call, nil
	}
	body, line, ok := refer(call.Candidate, call.Operation, call.Request, call.Reference, call.Mapping != nil)
	if !ok {
		return nil, fmt.Errorf("provider %s: the request cannot carry our reference", call.Candidate.Provider)
	}
	r, sent := *call.Request, *call
	sent.Request = &r
	if line.Name == "" {
		r.Body = body
		return &sent, nil
	}
	r.Header = slices.DeleteFunc(slices.Clone(r.Header), func(f message.Field) bool { return strings.EqualFold(f.Name, line.Name) })
	r.Header = append(r.Header, line)
	return &sent, nil
}
