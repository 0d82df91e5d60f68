package proxy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

// Bounds of the log of decisions. It is in memory: after a restart the row's attempts still tell what happened, but not why.
const (
	maxEntries = 10_000 // about 1 KiB each
	maxMoments = 32     // per transaction; a call has a few attempts
)

// decisions is the log of the effects' decisions, the newest maxEntries of them.
type decisions struct {
	mu   sync.Mutex
	ring []*entry
	next int
	byID map[string]*entry
}

// entry is what is remembered of one transaction's last exchange. A nil entry remembers nothing: reads have none.
type entry struct {
	mu      sync.Mutex
	id      string
	arrived time.Time
	choices []choice
	moments []query.Moment
}

// choice is one decision with all its inputs.
type choice struct {
	at       time.Time
	revision uint64
	why      string
	money    string // the base currency
	record   *route.Record
}

// open begins the entry of an exchange that is about to claim, in place of the oldest.
func (l *decisions) open(x *Exchange) *entry {
	e := &entry{id: x.work.tx.ID, arrived: x.call.Arrived}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]*entry{}
	}
	if len(l.ring) < maxEntries {
		l.ring = append(l.ring, e)
	} else {
		old := l.ring[l.next]
		if l.byID[old.id] == old {
			delete(l.byID, old.id)
		}
		l.ring[l.next] = e
		l.next = (l.next + 1) % maxEntries
	}
	if before := l.byID[e.id]; before != nil { // an earlier exchange under the same key belongs to the same story
		e.arrived, e.choices, e.moments = before.arrived, slices.Clone(before.choices), slices.Clone(before.moments)
	}
	e.moment(x.call.Arrived, "ok", "matched", x.svc.Name+" "+x.op.Name)
	l.byID[e.id] = e
	return e
}

func (l *decisions) find(id string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

func (e *entry) moment(at time.Time, level, word, text string) {
	if len(e.moments) < maxMoments {
		e.moments = append(e.moments, query.Moment{After: at.Sub(e.arrived), Level: level, Word: word, Text: text})
	}
}

// money is the currency that the service's calls are counted in; "": none.
func (s *service) money() string {
	if s.Exchange == nil {
		return ""
	}
	return s.Exchange.Base
}

// decided takes a decision down with all its inputs.
func (e *entry) decided(x *Exchange, d *route.Decision) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	why := d.Why(x.svc.Service)
	if len(e.choices) < ledger.MaxAttempts {
		e.choices = append(e.choices, choice{at: d.At, revision: x.view.snap.Revision, why: why, money: x.svc.money(), record: d.Record(x.svc.Service)})
	}
	if d.Winner < 0 {
		e.moment(d.At, "bad", "nobody left", why)
		return
	}
	e.moment(d.At, "ok", "decided", x.svc.Candidates[d.Winner].Provider+": "+why)
}

// ended takes down how an attempt ended.
func (e *entry) ended(h *hop, now time.Time) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	level := "ok"
	switch h.outcome {
	case ledger.NotSent:
		level = "warn" // nothing was done: the call may go on
	case ledger.Succeeded, ledger.Declined:
	default:
		level = "bad"
	}
	text := h.provider
	switch {
	case h.err != "":
		text += ": " + h.err
	case h.status != 0:
		text += fmt.Sprintf(" answered %d", h.status)
	}
	if h.endpoint != "" {
		text += ", at " + h.endpoint
	}
	e.moment(now, level, strings.ReplaceAll(h.outcome.String(), "_", " "), text)
}

// concluded takes down how the exchange ended.
func (e *entry) concluded(x *Exchange) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t := x.work.end.Tx
	level := "ok"
	if t.State == ledger.Held || t.State == ledger.Refused {
		level = "bad"
	}
	e.moment(t.Updated, level, "recorded", "version "+fmt.Sprint(t.Version)+": "+t.State.String())
}
