package settle

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// maxUnknowns bounds what is remembered of open transactions. What comes on top is counted, and found again by the next scan.
const maxUnknowns = 100_000

// unknowns are the transactions of this agent whose outcome nobody knows now, with the time of each one's next check.
type unknowns struct {
	mu   sync.Mutex
	open map[ledger.Key]*held
	more map[string]int // service → beyond maxUnknowns
}

// held is one of them.
type held struct {
	id, provider string
	worth        policy.Value
	created      time.Time
	next         time.Time // zero: nobody can be asked under this policy, an operator decides
	busy         bool      // somebody checks it now
}

// Unknown is how many transactions of a service have no known outcome, since when the oldest, and what they are worth: by currency, in its smallest
// unit.
type Unknown struct {
	Open   int
	Oldest time.Time
	Worth  map[string]int64
}

// add notes that nobody knows what became of t, and when it is checked next.
func (u *unknowns) add(t *ledger.Transaction, next time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open == nil {
		u.open, u.more = map[ledger.Key]*held{}, map[string]int{}
	}
	h := u.open[t.Key]
	if h == nil {
		if len(u.open) >= maxUnknowns {
			u.more[t.Key.Service]++
			return
		}
		h = &held{id: t.ID, created: t.Created, worth: t.Value}
		u.open[t.Key] = h
	}
	h.next, h.busy = next, false
	if len(t.Attempts) > 0 {
		h.provider = t.Current().Provider
	}
}

func (u *unknowns) remove(k ledger.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, k)
}

// hurry brings the checks at a provider of a service forward to now; "" is every one.
func (u *unknowns) hurry(service, provider string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, h := range u.open {
		if !h.next.IsZero() && h.next.After(now) && (service == "" || k.Service == service && h.provider == provider) {
			h.next = now
		}
	}
}

// rearm makes those due about which nobody could be asked.
func (u *unknowns) rearm(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, h := range u.open {
		if h.next.IsZero() && !h.busy {
			h.next = now
		}
	}
}

// take returns at most n keys whose check is due, the longest due first. They are busy until they are added again or removed.
func (u *unknowns) take(n int, now time.Time) []ledger.Key {
	u.mu.Lock()
	defer u.mu.Unlock()
	type due struct {
		k ledger.Key
		h *held
	}
	var found []due
	for k, h := range u.open {
		if !h.busy && !h.next.IsZero() && !h.next.After(now) {
			found = append(found, due{k, h})
		}
	}
	slices.SortFunc(found, func(a, b due) int { return cmp.Or(a.h.next.Compare(b.h.next), a.h.created.Compare(b.h.created)) })
	out := make([]ledger.Key, 0, min(n, len(found)))
	for _, f := range found[:min(n, len(found))] {
		f.h.busy = true
		out = append(out, f.k)
	}
	return out
}

// next is when a transaction is checked next, if that is known here.
func (u *unknowns) next(k ledger.Key) (at time.Time, known bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if h := u.open[k]; h != nil {
		return h.next, true
	}
	return time.Time{}, false
}

// places are the services and providers at which something is unknown.
func (u *unknowns) places() map[[2]string]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := map[[2]string]bool{}
	for k, h := range u.open {
		out[[2]string{k.Service, h.provider}] = true
	}
	return out
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
	for k, h := range u.open {
		s := out[k.Service]
		s.Open++
		if s.Oldest.IsZero() || h.created.Before(s.Oldest) {
			s.Oldest = h.created
		}
		if h.worth.Currency != "" {
			if s.Worth == nil {
				s.Worth = map[string]int64{}
			}
			s.Worth[h.worth.Currency] += h.worth.Minor
		}
		out[k.Service] = s
	}
	return out
}

// postpone puts a check off.
func (u *unknowns) postpone(k ledger.Key, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if h := u.open[k]; h != nil {
		h.next, h.busy = at, false
	}
}
