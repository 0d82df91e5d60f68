package web

import (
	"cmp"
	"net/url"
	"slices"

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
	for _, e := range s.View.World.Events[:min(maxHappened, len(s.View.World.Events))] {
		list = append(list, event(e))
	}
	slices.SortStableFunc(list, func(a, b view.Happening) int { return -cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return list[:min(len(list), maxHappened)]
}

// audited is a change that somebody made.
func audited(e state.Entry) view.Happening {
	h := view.Happening{At: e.At, Level: view.OK, Text: e.Text, Who: "· " + e.Actor}
	if e.Reason != "" {
		h.Who += ": “" + e.Reason + "”"
	}
	switch e.Kind {
	case "ApplyPolicy", "SetWeights":
		h.Link, h.Word = "/routing", "routing"
	}
	return h
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
