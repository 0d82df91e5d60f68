package dataplane

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/edge"
	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

// tryLimit bounds one test request: it reads the session and the object's owner from the store.
const tryLimit = 3 * time.Second

// try decides a request of an operator as it would an application's, and sends nothing.
func (a *Agent) try(ctx context.Context, q query.Question) (query.Tried, error) {
	if q.Try == nil {
		return query.Tried{}, errors.New("there is no request to try")
	}
	c, err := a.callOf(q.Service, q.Try)
	if err != nil {
		return query.Tried{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	t := a.parts.proxy.Try(ctx, c)
	t.Agent, t.Region = a.cfg.ID, a.cfg.Region
	return t, nil
}

func (a *Agent) callOf(service string, r *query.Try) (*proxy.Call, error) {
	if len(r.Body) > query.MaxTried {
		return nil, fmt.Errorf("the body has %d bytes: at most %d are tried", len(r.Body), query.MaxTried)
	}
	path, rawQuery, _ := strings.Cut(r.Path, "?")
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("path: %.60q does not begin with /", r.Path)
	}
	header := http.Header{}
	for name, value := range r.Headers {
		if strings.ContainsAny(name+value, "\r\n\x00") {
			return nil, fmt.Errorf("header %.60q: a header is one line", name)
		}
		header.Set(textproto.TrimString(name), value)
	}
	header.Del("Idempotency-Key")
	c := &proxy.Call{
		Service: service, App: application, Arrived: a.cfg.Now(), RequestID: "try",
		Request: &message.Request{Method: strings.ToUpper(r.Method), Path: path, RawQuery: rawQuery, Body: r.Body},
	}
	if twice := edge.Headers(c, header); twice != "" {
		return nil, fmt.Errorf("header %s stands there twice", twice)
	}
	c.Key = []string{"try-" + rand.Text()}
	return c, nil
}
