package proxy

import (
	"sync"

	"segue/dataplane/ledger"
)

// live is the set of keys under which an exchange is being made in this agent. It is bounded by the calls that the edge lets in.
type live struct {
	mu   sync.Mutex
	keys map[ledger.Key]struct{}
}

// enter takes all the keys or none; false: another exchange has one of them.
func (l *live) enter(keys []ledger.Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		if _, taken := l.keys[k]; taken {
			return false
		}
	}
	if l.keys == nil {
		l.keys = map[ledger.Key]struct{}{}
	}
	for _, k := range keys {
		l.keys[k] = struct{}{}
	}
	return true
}

func (l *live) leave(keys []ledger.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		delete(l.keys, k)
	}
}
