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

// enter takes the key; false: another exchange has it.
func (l *live) enter(k ledger.Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.keys[k]; taken {
		return false
	}
	if l.keys == nil {
		l.keys = map[ledger.Key]struct{}{}
	}
	l.keys[k] = struct{}{}
	return true
}

func (l *live) leave(k ledger.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, k)
}
