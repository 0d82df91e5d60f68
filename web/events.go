package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/state"
)

// occurrence is one event as the API shows it. ID is the event's own, the same from every node.
type occurrence struct {
	ID          string    `json:"id"`
	At          time.Time `json:"at"`
	Kind        string    `json:"kind"`  // name of the change, or what the agent calls it: breaker, failover, unknown, check, policy, drill, verdict
	Level       string    `json:"level"` // ok, warn or bad
	Text        string    `json:"text"`
	Actor       string    `json:"actor,omitempty"` // who made the change
	Reason      string    `json:"reason,omitempty"`
	Region      string    `json:"region,omitempty"`
	Service     string    `json:"service,omitempty"`
	Provider    string    `json:"provider,omitempty"`
	Transaction string    `json:"transaction,omitempty"`
}

// mark is a place in the stream of events: behind an entry of the audit, and behind what a leader heard in its term. The audit is the
// same on every node and survives them all; what agents told is in the leader's memory and ends with its term.
type mark struct {
	index       uint64 // of the audit's last entry that was told
	term, heard uint64 // the leader's term, and the last that it heard; 0: nothing yet
	incarnation string // of the cluster; "": nothing was told yet
}

// String is the mark as an event's id.
func (m mark) String() string {
	return fmt.Sprintf("%d.%d.%d.%s", m.index, m.term, m.heard, url.QueryEscape(m.incarnation))
}

func parseMark(text string) (m mark, err error) {
	parts := strings.SplitN(text, ".", 4)
	if len(parts) == 4 {
		for i, into := range []*uint64{&m.index, &m.term, &m.heard} {
			n, e := strconv.ParseUint(parts[i], 10, 64)
			if *into = n; e != nil {
				err = e
			}
		}
		if m.incarnation, _ = url.QueryUnescape(parts[3]); err == nil && m.incarnation != "" {
			return m, nil
		}
	}
	return m, refusal(state.Invalid, fmt.Sprintf("Last-Event-ID: %.100q is no id of this stream; leave it out to begin with the newest", text))
}

// told is one event and where the stream stands behind it.
type told struct {
	what occurrence
	mark mark
}

// behind is what happened behind m, oldest first, where the stream stands then, and what of it is lost, in words. Where m has no place yet,
// it begins at since, or with the newest.
func behind(m mark, s scene, since time.Time) (list []told, now mark, lost []string) {
	changes, now, lost := changesAfter(m, s.State, since)
	events, now, gone := eventsAfter(now, s, since)
	at := now // before the first of both
	if len(changes) > 0 {
		at.index = changes[0].Index - 1
	}
	if len(events) > 0 {
		at.heard = events[0].Seq - 1
	}
	for len(changes)+len(events) > 0 {
		if len(events) == 0 || len(changes) > 0 && !changes[0].At.After(events[0].At) {
			at.index = changes[0].Index
			list = append(list, told{ofChange(changes[0]), at})
			changes = changes[1:]
			continue
		}
		at.heard = events[0].Seq
		list = append(list, told{ofEvent(events[0], at.term), at})
		events = events[1:]
	}
	return list, now, append(lost, gone...)
}

// changesAfter is the audit behind m.
func changesAfter(m mark, st *state.State, since time.Time) (list []state.Entry, now mark, lost []string) {
	if st.Incarnation == "" { // a node that has just started: it waits until it knows
		return nil, m, nil
	}
	began := m.incarnation == ""
	if !began && m.incarnation != st.Incarnation {
		lost = append(lost, "the cluster was restored: changes before it are told anew")
		m.index = 0
	}
	m.incarnation = st.Incarnation
	audit := st.Audit
	list = audit[sort.Search(len(audit), func(i int) bool { return audit[i].Index > m.index }):]
	full := len(audit) >= state.MaxAudit
	switch {
	case began && since.IsZero():
		list = list[max(0, len(list)-maxHappened):]
	case began:
		list = slices.DeleteFunc(slices.Clone(list), func(e state.Entry) bool { return e.At.Before(since) })
		if full && audit[0].At.After(since) {
			lost = append(lost, "changes before "+audit[0].At.Format(time.RFC3339)+" are not kept")
		}
	case full && m.index < audit[0].Index:
		lost = append(lost, fmt.Sprintf("changes between index %d and %d are not kept", m.index, audit[0].Index))
	}
	if n := len(audit); n > 0 {
		m.index = max(m.index, audit[n-1].Index)
	}
	return list, m, lost
}

// eventsAfter is what agents told behind m. A view of an older term than the mark's comes from a node that does not know yet who leads.
func eventsAfter(m mark, s scene, since time.Time) (list []health.Event, now mark, lost []string) {
	w := s.View.World
	if !s.Seen || s.View.Term < m.term {
		return nil, m, nil
	}
	began := m.term == 0
	if !began && s.View.Term > m.term {
		lost = append(lost, fmt.Sprintf("another control node leads, in term %d: what agents told its predecessor after event %d of term %d is not kept", s.View.Term, m.heard, m.term))
	}
	if s.View.Term > m.term {
		m.term, m.heard = s.View.Term, 0
	}
	list = slices.DeleteFunc(slices.Clone(w.Events), func(e health.Event) bool {
		return e.Seq <= m.heard || began && e.At.Before(since)
	})
	slices.SortFunc(list, func(a, b health.Event) int { return int(int64(a.Seq) - int64(b.Seq)) })
	if missing := w.Told - min(w.Told, m.heard); !began && missing > uint64(len(list)) {
		lost = append(lost, fmt.Sprintf("%d events of agents came faster than they are kept", missing-uint64(len(list))))
	}
	if began && since.IsZero() {
		list = list[max(0, len(list)-maxHappened):]
	}
	m.heard = max(m.heard, w.Told)
	return list, m, lost
}

func ofChange(e state.Entry) occurrence {
	return occurrence{ID: fmt.Sprintf("change-%d", e.Index), At: e.At, Kind: e.Kind, Level: gravity(e), Text: e.Text, Actor: e.Actor, Reason: e.Reason}
}

func ofEvent(e health.Event, term uint64) occurrence {
	return occurrence{
		ID: fmt.Sprintf("event-%d-%d", term, e.Seq), At: e.At, Kind: e.Kind, Level: e.Level, Text: e.Text,
		Region: e.Region, Service: e.Service, Provider: e.Provider, Transaction: e.Transaction,
	}
}

// beginning reads where a stream begins: behind the last event that the caller has, at a time, or with the newest.
func beginning(c echo.Context, now time.Time) (m mark, since time.Time, err error) {
	id := c.Request().Header.Get("Last-Event-ID")
	if id == "" {
		id = c.QueryParam("last-event-id")
	}
	if id != "" {
		m, err = parseMark(id)
		return m, since, err
	}
	text := c.QueryParam("since")
	if text == "" {
		return m, since, nil
	}
	if ago, e := time.ParseDuration(text); e == nil && ago >= 0 {
		return m, now.Add(-ago), nil
	}
	if since, err = time.Parse(time.RFC3339, text); err != nil {
		return m, since, refusal(state.Invalid, fmt.Sprintf("since: %.40q is neither a time like 2026-11-21T14:02:31Z nor a length of time like 15m", text))
	}
	return m, since, nil
}

// events is the API's stream of what happens. A caller that comes back with the id of its last event gets what it missed, from any node.
func (w *Web) events(c echo.Context) error {
	at, since, err := beginning(c, w.cfg.Now())
	if err != nil {
		return err
	}
	s, err := w.stream(c)
	if err != nil {
		return err
	}
	defer s.end()
	if s.write(fmt.Sprintf("retry: %d\n\n", comeBack.Milliseconds())) != nil {
		return nil
	}
	known := false
	for quiet := 1; ; quiet++ {
		changed, seen := w.watch.wait(), w.scene()
		list, now, lost := behind(at, seen, since)
		if s.tellAll(list, now, lost) != nil {
			return nil // the caller left; it comes back with its last id
		}
		if !known && seen.Seen {
			if known = true; s.write(knownTold) != nil {
				return nil
			}
		}
		if at = now; len(list)+len(lost) > 0 {
			quiet = 0
		}
		if quiet%beatEvery == 0 && s.write(": beat\n\n") != nil {
			return nil
		}
		if !s.next(changed) {
			return nil
		}
	}
}

// knownTold is the comment behind what was known when the stream began: who wants no more leaves there.
const knownTold = ": known\n\n"

// Times of the stream of events.
const (
	comeBack  = time.Second // what callers wait before they come back
	beatEvery = 5           // looks of the watch without news, until a comment shows that the line holds
)

// tellAll sends what is lost first: what follows does not join on to what the caller has.
func (s *stream) tellAll(list []told, now mark, lost []string) error {
	if len(lost) > 0 {
		before := now
		if len(list) > 0 {
			before = beforeFirst(list[0])
		}
		if err := s.tell(before.String(), "reset", struct {
			Lost []string `json:"lost"`
		}{lost}); err != nil {
			return err
		}
	}
	for _, t := range list {
		if err := s.tell(t.mark.String(), "happened", t.what); err != nil {
			return err
		}
	}
	return nil
}

// beforeFirst is the place just before an event: whoever comes back with it is told that event again, and nothing is lost twice.
func beforeFirst(t told) mark {
	m := t.mark
	if strings.HasPrefix(t.what.ID, "change-") {
		m.index--
	} else {
		m.heard--
	}
	return m
}

func (s *stream) tell(id, event string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("web: event: %w", err)
	}
	return s.write("id: " + id + "\nevent: " + event + "\ndata: " + string(body) + "\n\n")
}
