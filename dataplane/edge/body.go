package edge

import (
	"errors"
	"io"
	"net/http"
	"time"

	"segue/dataplane/proxy"
)

// firstPiece is how much memory a body gets before any of it is here: a length is only a claim.
const firstPiece = 64 << 10

// body reads the whole body: an effect may have to be sent again with the same bytes.
func (p *port) body(w http.ResponseWriter, r *http.Request) ([]byte, *proxy.Problem) {
	limit := int64(p.edge.config.Limits.Body)
	if r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, proxy.TooLarge(limit)
	}
	deadline, ok := w.(interface{ SetReadDeadline(time.Time) error })
	if ok && deadline.SetReadDeadline(time.Now().Add(p.edge.config.Limits.ReadBody)) == nil {
		defer deadline.SetReadDeadline(time.Time{}) //nolint:errcheck // the next request sets its own
	}
	var body []byte
	var err error
	if r.ContentLength > 0 && r.ContentLength <= firstPiece {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	}
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		return nil, proxy.BadHeader("Content-Length", "the body did not come whole in time")
	case err != nil:
		return nil, proxy.BadHeader("Content-Length", "the body ended early, or is not framed as HTTP asks")
	case int64(len(body)) > limit:
		return nil, proxy.TooLarge(limit)
	}
	return body, nil
}
