package health

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Lane is one of a provider's own checks as it stands: what Segue asks it, beside the calls that pass through. Lanes are kept apart from
// these and from each other: none opens or closes a circuit.
type Lane struct {
	Kind    string // active | synthetic
	Name    string // GET /v1/balance, tcp, tls, or the name of the synthetic
	Level   string // good | warn | bad; "": nothing is known yet
	Why     string
	At      time.Time // when the last one ended; zero: never
	Since   time.Time // since when the level is what it is
	Next    time.Time // when the next one runs
	Yields  time.Time // until when it stays away, because the provider asked for that; zero: it does not
	Left    int       `json:",omitempty"` // runs of a synthetic that made something which is not taken away yet
	MS      float64   // what the last one took
	History []float64 `json:",omitempty"` // in a World: what the last ones took in milliseconds, the oldest first; None64: a bad one
}

// The kinds of lanes, and their levels.
const (
	Active    = "active"
	Synthetic = "synthetic"
	Good      = "good"
	Warned    = "warn"
	Bad       = "bad"
)

// Bounds of lanes.
const (
	MaxLanes    = 16 // of one provider in one report
	LanePoints  = 60 // results that are kept of a lane
	maxLaneTime = 25 * time.Hour
	maxLaneMS   = 3.6e6
)

// Summary is what one kind of lanes comes to: the worst of them.
func Summary(lanes []Lane, kind string) (worst Lane, found bool) {
	for _, l := range lanes {
		if l.Kind == kind && (!found || laneBadness(l.Level) > laneBadness(worst.Level)) {
			worst, found = l, true
		}
	}
	return worst, found
}

func laneBadness(level string) int {
	switch level {
	case Bad:
		return 3
	case Warned:
		return 2
	case Good:
		return 1
	default:
		return 0
	}
}

// boundedLanes keeps what can be a lane, each name once.
func boundedLanes(lanes []Lane, at time.Time) []Lane {
	var kept []Lane
	for _, l := range lanes[:min(len(lanes), MaxLanes)] {
		if !named(l.Name) || l.Kind != Active && l.Kind != Synthetic || slices.ContainsFunc(kept, l.same) {
			continue
		}
		if laneBadness(l.Level) == 0 {
			l.Level = ""
		}
		l.Why, l.History = sentence(l.Why, maxText), nil
		l.At, l.Since = past(l.At, at), past(l.Since, at)
		l.Next, l.Yields = ahead(l.Next, at, maxLaneTime), ahead(l.Yields, at, maxLaneTime)
		if !(l.MS >= 0) { // NaN too
			l.MS = 0
		}
		l.MS, l.Left = math.Min(l.MS, maxLaneMS), min(max(l.Left, 0), maxPerReport)
		kept = append(kept, l)
	}
	return kept
}

func (l Lane) same(o Lane) bool { return l.Kind == o.Kind && l.Name == o.Name }

// laneName is one lane of a cell.
type laneName struct{ kind, name string }

// putLanes remembers the results that are new in a report: those that ended at another time than in the agent's last one.
func (w *Window) putLanes(k cellKey, was, is []Lane) {
	for _, l := range is {
		if i := slices.IndexFunc(was, l.same); l.At.IsZero() || i >= 0 && was[i].At.Equal(l.At) {
			continue
		}
		of := w.lanes[k]
		if of == nil {
			of = map[laneName][]float64{}
			w.lanes[k] = of
		}
		name := laneName{l.Kind, l.Name}
		list := of[name]
		if list == nil && len(of) >= MaxLanes { // the policy has others by now
			maps.DeleteFunc(of, func(old laneName, _ []float64) bool {
				return !slices.ContainsFunc(is, Lane{Kind: old.kind, Name: old.name}.same)
			})
		}
		if len(list) >= LanePoints {
			list = slices.Delete(list, 0, len(list)-LanePoints+1)
		}
		point := tenth(l.MS)
		if l.Level == Bad {
			point = None64
		}
		of[name] = append(list, point)
	}
}

// addLanes puts an agent's lanes beside those of others: the worst of each, with what led to it.
func (st *Stand) addLanes(lanes []Lane) {
	for _, l := range lanes {
		i := slices.IndexFunc(st.Lanes, l.same)
		if i < 0 {
			st.Lanes = append(st.Lanes, l)
			continue
		}
		was := &st.Lanes[i]
		left := was.Left + l.Left
		latest, next, yields := later(was.At, l.At), earliest(was.Next, l.Next), later(was.Yields, l.Yields)
		switch worse := laneBadness(l.Level) - laneBadness(was.Level); {
		case worse > 0:
			*was = l
		case worse == 0:
			was.Since = earliest(was.Since, l.Since)
			if l.At.After(was.At) {
				was.Why, was.MS = l.Why, l.MS
			}
		}
		was.At, was.Next, was.Yields, was.Left = latest, next, yields, left
	}
}

// histories writes the remembered results into a stand's lanes, and brings them into an order: active ones first.
func (w *Window) histories(k cellKey, st *Stand) {
	for i := range st.Lanes {
		l := &st.Lanes[i]
		l.History = slices.Clone(w.lanes[k][laneName{l.Kind, l.Name}])
	}
	slices.SortFunc(st.Lanes, func(a, b Lane) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
