package proxy

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

// worthMetrics count what a second provider is good for.
type worthMetrics struct {
	declines *prometheus.CounterVec
	wrongly  *prometheus.CounterVec
	saved    *prometheus.CounterVec
	covered  *prometheus.CounterVec
}

func newWorthMetrics() worthMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return worthMetrics{
		declines: counter("segue_declines_total", "Calls that a provider declined, and whether it was the call's first choice.", "provider", "first_choice"),
		wrongly:  counter("segue_false_declines_total", "Declines whose request another provider accepted within an hour, asked for anew by the same application.", "provider"),
		saved:    counter("segue_value_saved_minor_total", "What calls were worth that succeeded after a failover, in the smallest unit of the currency.", "service", "currency"),
		covered:  counter("segue_covered_calls_total", "Calls for whose first choice a second provider was eligible.", "service", "region"),
	}
}

func (m *worthMetrics) register(to prometheus.Registerer) error {
	for _, c := range [...]**prometheus.CounterVec{&m.declines, &m.wrongly, &m.saved, &m.covered} {
		if err := register(to, c); err != nil {
			return err
		}
	}
	return nil
}

// second tells whether a decision had another eligible provider beside its winner: one that passed, or that was kept for a fallback.
func second(d *route.Decision) bool {
	n := 0
	for i := range d.N {
		if g := d.Scores[i].Gate; g == route.Passed || g == route.NoWeight {
			n++
		}
	}
	return d.Winner >= 0 && n > 1
}

// Bounds of the memory of declines.
const (
	declinesKept = 16_384
	declinesFor  = time.Hour
)

// declines are the effects that providers declined in the last hour: by what was asked, not by the key under which.
type declines struct {
	mu   sync.Mutex
	by   map[uint64]declined
	ring [declinesKept]uint64 // in the order in which they came
	next int
}

// declined is who declined, and when.
type declined struct {
	provider string
	at       time.Time
	place    int // in the ring
}

// note takes down how an effect ended at a provider. It returns who declined the same request within the hour before, where another accepts it
// now: a false decline. The same request under a key of its own is a new intent to the ledger; here it is taken for the customer's second try.
func (l *declines) note(print uint64, provider string, o ledger.Outcome, now time.Time) (wrongly string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, known := l.by[print]
	switch o {
	case ledger.Declined:
		if l.by == nil {
			l.by = make(map[uint64]declined, 64)
		}
		if !known {
			if old := l.ring[l.next]; l.by[old].place == l.next {
				delete(l.by, old)
			}
			was.place, l.ring[l.next] = l.next, print
			l.next = (l.next + 1) % declinesKept
		}
		l.by[print] = declined{provider, now, was.place}
	case ledger.Succeeded:
		if !known {
			return ""
		}
		delete(l.by, print)
		if was.provider != provider && now.Sub(was.at) <= declinesFor {
			return was.provider
		}
	case ledger.Open, ledger.NotSent, ledger.Unknown: // they say nothing about a decline
	default:
	}
	return ""
}

// print names what an effect asks for: application, service, the fingerprint of the request, and the session where the caller named it.
func (x *Exchange) print() uint64 {
	h := draw(x.call.App + "\x00" + x.svc.Name + "\x00" + x.call.Session)
	for f := x.work.fingerprint[:]; len(f) >= 8; f = f[8:] {
		h = (h ^ binary.LittleEndian.Uint64(f)) * 1099511628211
	}
	return h
}

// gain is what a call that ended says of the worth of a second provider.
type gain struct {
	covered, elsewhere bool
	worth              policy.Money
}

// gains counts it. A call whose row answered sent nothing, and says nothing.
func (x *Exchange) gains() gain {
	m := &x.proxy.metrics.worth
	g := gain{covered: x.told.second}
	if g.covered {
		x.svc.handles.covered.Inc()
	}
	if sent := x.op != nil && (x.op.Read || x.work.entry != nil); !sent || len(x.trail) == 0 {
		return g
	}
	for i := range x.trail {
		if h := &x.trail[i]; h.outcome == ledger.Declined {
			m.declines.WithLabelValues(h.provider, firstChoice(i)).Inc()
		}
	}
	if x.op.Read {
		return g
	}
	last := &x.trail[len(x.trail)-1]
	if wrongly := x.proxy.declines.note(x.print(), last.provider, last.outcome, x.clock.answered); wrongly != "" {
		g.elsewhere = true
		m.wrongly.WithLabelValues(wrongly).Inc()
	}
	if v := x.work.value; x.told.outcome == ledger.Succeeded && v.Currency != "" && x.failedOver() {
		m.saved.WithLabelValues(x.svc.Name, v.Currency).Add(float64(v.Minor))
		g.worth = x.facts.Value
	}
	return g
}

func firstChoice(i int) string {
	if i == 0 {
		return "true"
	}
	return "false"
}
