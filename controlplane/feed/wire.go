package feed

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/klauspost/compress/s2"

	"segue/controlplane/feed/feedv1"
	"segue/controlplane/health"
	"segue/controlplane/policy"
)

func encodeOrders(orders []policy.Order) ([]byte, error) {
	b, err := json.Marshal(orders)
	if err != nil {
		return nil, fmt.Errorf("feed: orders: %w", err)
	}
	return b, nil
}

func decodeOrders(b []byte) ([]policy.Order, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var orders []policy.Order
	if err := json.Unmarshal(b, &orders); err != nil {
		return nil, fmt.Errorf("feed: orders: %w", err)
	}
	return orders, nil
}

func encodeVerdicts(verdicts []health.Verdict) ([]byte, error) {
	if len(verdicts) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(verdicts)
	if err != nil {
		return nil, fmt.Errorf("feed: verdicts: %w", err)
	}
	return b, nil
}

// decodeVerdicts leaves out what makes no sense: it is a hint, and no reason to refuse the policy beside it.
func decodeVerdicts(b []byte) []health.Verdict {
	var verdicts []health.Verdict
	if len(b) == 0 || json.Unmarshal(b, &verdicts) != nil {
		return nil
	}
	verdicts = slices.DeleteFunc(verdicts, func(v health.Verdict) bool { return v.Check() != nil })
	return verdicts[:min(len(verdicts), health.MaxVerdicts)]
}

// pack makes a policy small, once for all agents of a region: then an Update is one frame and one read, and no flow control answers it,
// which costs a fan-out more than the bytes do.
func pack(text []byte) []byte {
	if len(text) == 0 {
		return nil
	}
	return s2.EncodeBetter(nil, text)
}

// unpacked is the policy that came last: orders come without a new one, and need it not unpacked again.
type unpacked struct{ block, text []byte }

// unpack returns the text of a block. It is shared: do not write to it.
func (l *unpacked) unpack(block []byte) ([]byte, error) {
	if l.text != nil && bytes.Equal(block, l.block) {
		return l.text, nil
	}
	text, err := unpack(block)
	if err == nil {
		l.block, l.text = block, text
	}
	return text, err
}

func unpack(block []byte) ([]byte, error) {
	if len(block) == 0 {
		return nil, nil
	}
	if n, err := s2.DecodedLen(block); err == nil && n > maxMessage {
		return nil, fmt.Errorf("feed: a policy of %d bytes, more than %d", n, maxMessage)
	}
	text, err := s2.Decode(nil, block)
	if err != nil {
		return nil, fmt.Errorf("feed: a policy does not unpack: %w", err)
	}
	return text, nil
}

// transport speaks HTTP/2 only: over TLS where it is configured, in the clear (h2c) where not. Dead peers are found by pings.
func transport(config *tls.Config) *http.Transport {
	protocols := new(http.Protocols)
	if config != nil {
		protocols.SetHTTP2(true)
	} else {
		protocols.SetUnencryptedHTTP2(true)
	}
	return &http.Transport{
		TLSClientConfig: config, Protocols: protocols, IdleConnTimeout: 30 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 2 * time.Second, PingTimeout: 2 * time.Second},
	}
}

func base(node string, config *tls.Config) string {
	if config != nil {
		return "https://" + node
	}
	return "http://" + node
}

// dialing bounds messages and takes compression out: one Update goes to many agents at once, and gzip would cost each of them more
// than the wire does.
func dialing(read int) connect.ClientOption {
	return connect.WithClientOptions(connect.WithReadMaxBytes(read), connect.WithSendMaxBytes(maxMessage), connect.WithAcceptCompression("gzip", nil, nil))
}

// serving is the same for a server's end.
func serving(send int) connect.HandlerOption {
	return connect.WithHandlerOptions(connect.WithReadMaxBytes(maxMessage), connect.WithSendMaxBytes(send), connect.WithCompression("gzip", nil, nil))
}

// dial returns a client of one node, and how to hang up: that ends whatever waits for an answer at once, which the end of a context
// does not.
func dial(node string, config *tls.Config) (feedv1.FeedClient, func()) {
	t := transport(config)
	l := &line{}
	t.DialContext = l.dial
	return feedv1.NewFeedClient(&http.Client{Transport: t}, base(node, config), dialing(maxMessage)), func() {
		l.hangUp()
		t.CloseIdleConnections()
	}
}

// line holds the connections of one client.
type line struct {
	mu    sync.Mutex
	ended bool
	conns []net.Conn
}

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	l.conns = append(l.conns, c)
	return c, nil
}

func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, c := range l.conns {
		_ = c.Close() // it may be closed already
	}
}

// Serve returns a server for h that speaks HTTP/1.1 (pages, API) and HTTP/2 (feed) on one listener.
func Serve(h http.Handler, config *tls.Config) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(config != nil)
	protocols.SetUnencryptedHTTP2(config == nil)
	return &http.Server{
		Handler: h, TLSConfig: config, Protocols: protocols,
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 2 * time.Second, PingTimeout: 2 * time.Second, MaxConcurrentStreams: 250},
	}
}
