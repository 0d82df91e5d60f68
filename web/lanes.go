package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/web/view"
)

// checkNames are what a provider is asked, in the policy's order.
func checkNames(c *policy.Checks) []string {
	var names []string
	for _, k := range c.Active {
		names = append(names, k.Name())
	}
	return names
}

// askedLane is what one kind of a provider's checks comes to in one region: the worst of them.
func askedLane(c health.Cell, known bool, kind string, now time.Time) view.Lane {
	worst, found := health.Summary(c.Lanes, kind)
	if !known || !found {
		return view.Lane{Level: view.Off, Icon: "off", Word: "none", Evidence: "the policy asks for none"}
	}
	l := laneWord(&worst, now)
	l.Word, _, _ = strings.Cut(l.Word, " for ") // since when, and why, stands with each check
	if worst.Yields.After(now) {
		l.Word = strings.TrimSuffix(l.Word, ", yielding") + ", yielding"
	}
	l.Evidence = enumerate(namesAt(c.Lanes, kind, worst.Level))
	return l
}

// namesAt are the checks of one kind that stand as the worst of them does.
func namesAt(lanes []health.Lane, kind, level string) (names []string) {
	for _, l := range lanes {
		if l.Kind == kind && l.Level == level {
			names = append(names, l.Name)
		}
	}
	return names
}

// laneWord is how a lane stands, with its evidence. A lane never accuses louder than a circuit: it moves nothing.
func laneWord(l *health.Lane, now time.Time) view.Lane {
	out := view.Lane{Level: view.Off, Icon: "off", Word: "not run yet"}
	switch l.Level {
	case health.Good:
		out = view.Lane{Level: view.OK, Icon: "ok", Word: "good", Evidence: l.Why}
	case health.Warned:
		out = view.Lane{Level: view.Warn, Icon: "warn", Word: "warns", Evidence: l.Why}
	case health.Bad:
		out = view.Lane{Level: view.Warn, Icon: "warn", Word: "fails", Evidence: l.Why}
	}
	if !l.Since.IsZero() && l.Level != health.Good {
		out.Word += " for " + view.Span(now.Sub(l.Since))
	}
	if l.Yields.After(now) {
		out.Word += ", yielding"
		out.Evidence = strings.TrimPrefix(out.Evidence+"; it asked to be left alone for "+view.Span(l.Yields.Sub(now))+" more", "; ")
	}
	if l.Left > 0 {
		out.Level, out.Icon = view.Warn, "warn"
		out.Evidence = strings.TrimPrefix(fmt.Sprintf("%s; what %s made is not taken away yet", out.Evidence, plural(l.Left, "run")), "; ")
	}
	return out
}

// askedRows are the checks of one provider, by region.
func askedRows(s scene, name string) []view.AskedRow {
	var rows []view.AskedRow
	for _, c := range s.inOrder(cellsAt(s.View.World, name)) {
		for i := range c.Lanes {
			l := &c.Lanes[i]
			row := view.AskedRow{Name: l.Name, Kind: l.Kind, Region: c.Region, Service: c.Service, Lane: laneWord(l, s.Now), Last: "–", Next: "–", Took: "–"}
			if l.Level == health.Good && !l.Since.IsZero() {
				row.Lane.Word = "good for " + view.Span(s.Now.Sub(l.Since))
			}
			if !l.At.IsZero() {
				row.Last, row.Took = view.Span(s.Now.Sub(l.At))+" ago", view.Millis(l.MS)
			}
			if !l.Next.IsZero() {
				row.Next = "in " + view.Span(l.Next.Sub(s.Now))
			}
			row.Spark = view.NewSpark(l.History, health.LanePoints, 5, l.Name+" in "+c.Region+": what the last runs took, in milliseconds; gaps are bad ones")
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b view.AskedRow) int {
		return strings.Compare(a.Kind+"/"+a.Name, b.Kind+"/"+b.Name)
	})
	return rows
}

// illLanes are the checks that are not good, in one line.
func illLanes(cells []health.Cell, now time.Time) string {
	var texts []string
	for i := range cells {
		for j := range cells[i].Lanes {
			l := &cells[i].Lanes[j]
			word := ""
			switch {
			case l.Level == health.Bad:
				word = "fails"
			case l.Level == health.Warned:
				word = "warns"
			case l.Left > 0:
				word = "left something"
			case l.Yields.After(now):
				word = "yields"
			default:
				continue
			}
			if text := l.Name + " " + word; !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return "its own checks: " + enumerate(texts)
}
