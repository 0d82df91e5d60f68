package settle

import (
	"sync"
	"time"

	"segue/dataplane/ledger"
)

// maxUnknowns bounds what is remembered of open transactions. What comes on top is counted, and found again at the next start.
const maxUnknowns = 100_000

// unknowns are the transactions of this agent whose outcome nobody knows now.
type unknowns struct {
	mu   sync.Mutex
	open map[ledger.Key]time.Time
	more map[string]int // service → beyond maxUnknowns
}

// Unknown is how many transactions of a service have no known outcome, and since when the oldest.
type Unknown struct {
	Open   int
	Oldest time.Time
}

func (u *unknowns) add(t *ledger.Transaction) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open == nil {
		u.open, u.more = map[ledger.Key]time.Time{}, map[string]int{}
	}
	if _, known := u.open[t.Key]; known {
		return
	}
	if len(u.open) >= maxUnknowns {
		u.more[t.Key.Service]++
		return
	}
	u.open[t.Key] = t.Created
}

func (u *unknowns) remove(k ledger.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, k)
}

// some returns at most n keys, others each time.
func (u *unknowns) some(n int) []ledger.Key {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make([]ledger.Key, 0, min(n, len(u.open)))
	for k := range u.open {
		if len(out) == n {
			break
		}
		out = append(out, k)
	}
	return out
}

// byService counts.
func (u *unknowns) byService() map[string]Unknown {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := map[string]Unknown{}
	for service, n := range u.more {
		out[service] = Unknown{Open: n}
	}
	for k, created := range u.open {
		s := out[k.Service]
		s.Open++
		if s.Oldest.IsZero() || created.Before(s.Oldest) {
			s.Oldest = created
		}
		out[k.Service] = s
	}
	return out
}
