package edge

import (
	"segue/controlplane/policy"
	"segue/dataplane/proxy"
)

// refusal is a request that the edge answers itself: it never came to the proxy, or the proxy did not answer it.
type refusal struct {
	problem *proxy.Problem
	dialect policy.Dialect
	close   bool // what follows on the connection cannot be trusted, or would have to be read first
}

// refuse makes a refusal in the dialect of the service, or, where no service is known, in the one that throws in every SDK.
func refuse(svc *policy.Service, p *proxy.Problem, close bool) *refusal {
	r := &refusal{p, policy.Stripe, close}
	if svc != nil {
		p.Service = svc.Name
		if svc.Speaks != nil {
			r.dialect = svc.Speaks.Dialect
		}
	}
	return r
}

// failed is for calls that ended without an answer: what became of them is not known here.
func failed(service string) *refusal {
	return &refusal{&proxy.Problem{
		Type: proxy.OutcomeUnknown, Service: service,
		Detail: "The agent failed on this call, and has logged why. Retry only with the same key.",
	}, policy.Stripe, false}
}

func noSuchPath(svc *policy.Service) *refusal {
	return refuse(svc, &proxy.Problem{Type: proxy.UnknownOperation, Detail: "The agent has nothing under this path."}, false)
}
