package cassandra

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// hosts picks nodes as the driver does, with two differences. A node that did not answer is asked last for a while: the driver itself
// goes on asking a node that hangs, and each costs a time-out. And a query can be sent to one node by name: settings are each node's own.
type hosts struct {
	gocql.HostSelectionPolicy
	now     func() time.Time
	mu      sync.RWMutex
	suspect map[string]time.Time // until when, by address
}

func newHosts(datacenter string, now func() time.Time) *hosts {
	inner := gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy(), gocql.ShuffleReplicas())
	if datacenter != "" {
		inner = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(datacenter), gocql.ShuffleReplicas())
	}
	return &hosts{HostSelectionPolicy: inner, now: now, suspect: map[string]time.Time{}}
}

type nodeKey struct{}

// at sends the queries of a context to one node.
func at(ctx context.Context, node string) context.Context {
	return context.WithValue(ctx, nodeKey{}, node)
}

// Pick orders the nodes for a query.
func (h *hosts) Pick(q gocql.ExecutableQuery) gocql.NextHost {
	next := h.HostSelectionPolicy.Pick(q)
	if c, ok := q.(interface{ Context() context.Context }); ok && c.Context() != nil {
		if node, ok := c.Context().Value(nodeKey{}).(string); ok {
			return only(next, node)
		}
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.suspect) == 0 {
		return next
	}
	return h.suspectsLast(next)
}

func only(next gocql.NextHost, node string) gocql.NextHost {
	return func() gocql.SelectedHost {
		for host := next(); host != nil; host = next() {
			if address(host.Info()) == node {
				return host
			}
		}
		return nil
	}
}

func (h *hosts) suspectsLast(next gocql.NextHost) gocql.NextHost {
	var last []gocql.SelectedHost
	return func() gocql.SelectedHost {
		for host := next(); host != nil; host = next() {
			if !h.suspected(address(host.Info())) {
				return host
			}
			last = append(last, host)
		}
		if len(last) == 0 {
			return nil
		}
		host := last[0]
		last = last[1:]
		return host
	}
}

func (h *hosts) suspected(node string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.now().Before(h.suspect[node])
}

func address(info *gocql.HostInfo) string { return info.ConnectAddress().String() }

// ObserveQuery notes which nodes answer.
func (h *hosts) ObserveQuery(_ context.Context, q gocql.ObservedQuery) { h.observe(q.Host, q.Err) }

// ObserveBatch notes which nodes answer.
func (h *hosts) ObserveBatch(_ context.Context, b gocql.ObservedBatch) { h.observe(b.Host, b.Err) }

func (h *hosts) observe(host *gocql.HostInfo, err error) {
	if host == nil || errors.Is(err, context.Canceled) {
		return
	}
	node := address(host)
	var answer gocql.RequestError
	answered := err == nil || errors.As(err, &answer)
	h.mu.RLock()
	_, was := h.suspect[node]
	h.mu.RUnlock()
	if answered && !was {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if answered {
		delete(h.suspect, node)
		return
	}
	h.suspect[node] = h.now().Add(suspectFor)
}
