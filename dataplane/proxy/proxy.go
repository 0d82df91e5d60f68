package proxy

import (
	"context"

	"segue/dataplane/message"
)

// Proxy carries calls from the edge to providers and back.
type Proxy struct{}

// Serve answers one call. It returns when the caller has its answer or has left; effects that began go on without the caller.
func (p *Proxy) Serve(ctx context.Context, c *Call, to message.Reply) {}
