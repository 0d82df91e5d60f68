package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/state"
	"segue/web/view"
)

// maxHappened is how many lines the page shows; the rest is in the audit and in the logs.
const maxHappened = 30

// happened puts people's changes and what providers did into one list, newest first.
func happened(s scene) []view.Happening {
	var list []view.Happening
	for _, e := range s.State.Audit[max(0, len(s.State.Audit)-maxHappened):] {
		list = append(list, audited(e))
	}
	list = append(list, gathered(s.View.World.Events)...)
	slices.SortStableFunc(list, func(a, b view.Happening) int { return -cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return list[:min(len(list), maxHappened)]
}

// together is how far apart events of one kind may be to be told in one line.
const together = time.Minute

// run is what one line tells of several events.
type run struct {
	line, events int
	oldest       time.Time
}

// gathered are the agents' events, newest first. Where many calls of a service came to the same, or a circuit turns again and again, one
// line says how often: what else happened must not scroll away.
func gathered(events []health.Event) []view.Happening {
	type key struct{ kind, region, service, provider string }
	runs := map[key]*run{}
	var list []view.Happening
	for _, e := range events {
		k := key{kind: e.Kind, region: e.Region, service: e.Service}
		if e.Transaction == "" {
			k.provider = e.Provider
		}
		repeats := e.Transaction != "" || e.Kind == "breaker"
		if r := runs[k]; r != nil && repeats && r.oldest.Sub(e.At) < together {
			r.events, r.oldest = r.events+1, e.At
			r.retell(&list[r.line], e)
			continue
		}
		if len(list) == maxHappened {
			break
		}
		list = append(list, event(e))
		runs[k] = &run{len(list) - 1, 1, e.At}
	}
	return list
}

// retell says in the newest event's line how many there were.
func (r *run) retell(h *view.Happening, e health.Event) {
	if e.Transaction != "" {
		h.Text, h.Link, h.Word = e.Region+" · "+manyCalls(e, r.events), listOf(e), "which"
		return
	}
	h.Who = fmt.Sprintf("· its circuit turned %d times in %s", r.events, view.Span(h.At.Sub(e.At)))
}

// manyCalls is what became of several calls.
func manyCalls(e health.Event, n int) string {
	if e.Kind == "unknown" {
		return fmt.Sprintf("%s: the outcomes of %d calls were not known", e.Service, n)
	}
	return fmt.Sprintf("%s: %d calls went on to another provider", e.Service, n)
}

// listOf leads to the transactions that such an event is about.
func listOf(e health.Event) string {
	q := url.Values{"service": {e.Service}}
	if e.Kind == "unknown" {
		q.Set("state", "held")
	}
	return "/transactions?" + q.Encode()
}

// audited is a change that somebody made.
func audited(e state.Entry) view.Happening {
	h := view.Happening{At: e.At, Level: view.OK, Text: e.Text, Who: "· " + e.Actor}
	if e.Reason != "" {
		h.Who += ": “" + e.Reason + "”"
	}
	h.Level = levelOf(gravity(e))
	switch kind, _, _ := strings.Cut(e.Kind, " "); kind {
	case "ApplyPolicy", "SetWeights", "BeginShift", "MoveShift":
		h.Link, h.Word = "/routing", "routing"
	}
	return h
}

// gravity is how grave a change is. A shift that did not go on by itself is for a person to look at.
func gravity(e state.Entry) string {
	switch e.Kind {
	case "MoveShift " + string(state.ShiftHold), "MoveShift " + string(state.ShiftHalt), "MoveShift " + string(state.ShiftReturn):
		return "warn"
	default:
		return "ok"
	}
}

// event is what an agent told.
func event(e health.Event) view.Happening {
	h := view.Happening{At: e.At, Level: levelOf(e.Level), Text: e.Text}
	if e.Region != "" {
		h.Text = e.Region + " · " + e.Text
	}
	if e.Transaction != "" {
		h.Link, h.Word = "/transactions/"+url.PathEscape(e.Transaction), "why"
	}
	return h
}

func levelOf(word string) view.Level {
	switch word {
	case "ok":
		return view.OK
	case "warn":
		return view.Warn
	case "bad":
		return view.Bad
	default:
		return view.Off
	}
}
