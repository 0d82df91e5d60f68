package edge

import (
	"errors"
	"io"
	"net/http"
	"time"

	"segue/dataplane/proxy"
)

const (
	// firstPiece is how much memory a body gets before any of it is here: a length is only a claim.
	firstPiece = 64 << 10
	// refusedBody is how long net/http may go on reading a body that was refused, so that the refusal is not lost to a reset.
	refusedBody = time.Second
)

// body reads the whole body: an effect may have to be sent again with the same bytes. The limit of time is taken away only when the body
// is here: net/http reads what is left of a refused one, and would wait for it for ever.
func (p *port) body(r *http.Request) ([]byte, *proxy.Problem) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	limit := func(time.Time) {}
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		limit = c.limitRead
	}
	limit(time.Now().Add(p.edge.config.Limits.ReadBody))
	body, problem := readBody(r, int64(p.edge.config.Limits.Body))
	if problem != nil {
		limit(time.Now().Add(refusedBody))
		return nil, problem
	}
	limit(time.Time{})
	return body, nil
}

func readBody(r *http.Request, limit int64) (body []byte, problem *proxy.Problem) {
	if r.ContentLength > limit {
		return nil, proxy.TooLarge(limit)
	}
	var err error
	if r.ContentLength > 0 && r.ContentLength <= firstPiece {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	}
	switch {
	case timedOut(err):
		return nil, proxy.BadHeader("Content-Length", "the body did not come whole in time")
	case err != nil:
		return nil, proxy.BadHeader("Content-Length", "the body ended early, or is not framed as HTTP asks")
	case int64(len(body)) > limit:
		return nil, proxy.TooLarge(limit)
	}
	return body, nil
}

func timedOut(err error) bool {
	if err == nil {
		return false
	}
	var slow interface{ Timeout() bool }
	return errors.As(err, &slow) && slow.Timeout()
}
