package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/web/view"
)

// stand is how a provider stands in a region: icon, word and colour say the same.
type stand struct {
	Level                  view.Level
	Icon, Word, Since, Why string
}

// standing says it. Drained is an operator's wish, not an illness, so that it is not coloured.
func standing(c health.Cell, known bool, now time.Time, p view.Prefs) stand {
	if !known || c.Agents == 0 {
		return stand{Level: view.Off, Icon: "off", Word: "not heard"}
	}
	st := stand{Why: c.Why}
	if !c.Since.IsZero() {
		st.Since = p.Clock(c.Since)
	}
	switch {
	case c.Drained.After(now):
		return stand{Level: view.Off, Icon: "off", Word: "drained until " + p.Clock(c.Drained)}
	case c.Breaker == "open":
		st.Level, st.Icon, st.Word = view.Bad, "bad", "open"
	case c.Breaker == "half-open":
		st.Level, st.Icon, st.Word = view.Warn, "half", "half-open"
		if c.Probes != "" {
			st.Why = c.Probes + " probes good"
		}
	case c.Breaker == "ramp":
		st.Level, st.Icon, st.Word = view.Warn, "half", "on a ramp"
	case c.Calls > 0 && c.Success >= 0 && c.Success < 95:
		return stand{Level: view.Warn, Icon: "warn", Word: "failing", Why: fmt.Sprintf("%s of its last %s attempts failed", view.Count(c.Failed), view.Count(c.Calls))}
	case c.CheckOK < 0:
		return stand{Level: view.Warn, Icon: "warn", Word: "check fails", Why: c.CheckWhy}
	default:
		return stand{Level: view.OK, Icon: "ok", Word: "healthy"}
	}
	return st
}

// headline is the one sentence: what callers see first, then what is wrong where, since when.
func headline(s scene, p view.Prefs) view.Headline {
	switch {
	case s.State.Current().Number == 0:
		return view.Headline{Level: view.Off, Parts: say("No policy is in force yet."), More: "The first one makes agents listen: segue policy apply p.yaml"}
	case !s.Seen:
		return view.Headline{Level: view.Off, Parts: say("Waiting for the first reports."), More: "Agents report each second; the leader puts their figures together."}
	}
	h := served(s.View.World.Total)
	ill := illnesses(s, p)
	if len(ill) == 0 {
		h.Parts = append(h.Parts, view.Part{Text: " Every provider is well."})
		h.More = orders(s.State, s.Now, p)
		return h
	}
	if h.Level == view.OK {
		h.Level = view.Warn
	}
	first := ill[0]
	h.Parts = append(h.Parts, view.Part{Text: " "}, view.Part{Text: first.provider, Level: first.level}, view.Part{Text: " " + first.text + "."})
	h.More = more(first, ill[1:])
	return h
}

func say(text string) []view.Part { return []view.Part{{Text: text}} }

// served is what callers see.
func served(f health.Flow) view.Headline {
	level := successLevel(f)
	switch {
	case f.Calls == 0:
		return view.Headline{Level: view.Off, Parts: say("No calls in the last minute.")}
	case level == view.OK && f.After == 100:
		return view.Headline{Level: level, Parts: say("All calls are served.")}
	case level == view.OK:
		return view.Headline{Level: level, Parts: say(view.Percent(f.After) + " % of calls are served.")}
	default:
		return view.Headline{Level: level, Parts: []view.Part{{Text: view.Percent(f.After) + " %", Level: level}, {Text: " of calls are served."}}}
	}
}

// illness is one provider that is not well, in the regions where it stands the same.
type illness struct {
	provider, text, why string
	level               view.Level
	failed              uint64 // attempts of the last minute
}

// illnesses lists the worst first: of those that stand the same, the one that failed most.
func illnesses(s scene, p view.Prefs) []illness {
	var bad, warn []illness
	type key struct{ provider, word string }
	at := map[key][]string{}
	first := map[key]stand{}
	failed := map[key]uint64{}
	began := map[key]time.Time{} // the earliest: trouble does not begin anew in each region
	var order []key
	for _, c := range s.View.World.Cells {
		st := standing(c, true, s.Now, p)
		if st.Level != view.Bad && st.Level != view.Warn {
			continue
		}
		k := key{c.Provider, st.Word}
		if at[k] == nil {
			order, first[k] = append(order, k), st
		}
		at[k] = append(at[k], c.Region)
		failed[k] += c.Failed
		if old := began[k]; st.Since != "" && (old.IsZero() || c.Since.Before(old)) {
			began[k] = c.Since
		}
	}
	for _, k := range order {
		st := first[k]
		i := illness{provider: k.provider, level: st.Level, why: st.Why, text: verb(st.Word) + " in " + enumerate(at[k]), failed: failed[k]}
		if !began[k].IsZero() {
			i.text += since(st.Word, p.Clock(began[k]))
		}
		if st.Level == view.Bad {
			bad = append(bad, i)
		} else {
			warn = append(warn, i)
		}
	}
	for _, list := range [...][]illness{bad, warn} {
		slices.SortStableFunc(list, func(a, b illness) int { return -cmp.Compare(a.failed, b.failed) })
	}
	return append(bad, warn...)
}

// since tells when the trouble began: a circuit that lets probes through opened before.
func since(word, clock string) string {
	switch word {
	case "half-open":
		return ", after it opened at " + clock
	case "on a ramp":
		return ", in trouble since " + clock
	}
	return " since " + clock
}

func verb(word string) string {
	switch word {
	case "failing":
		return "is failing"
	case "check fails":
		return "fails its active check"
	default:
		return "is " + word
	}
}

func more(first illness, others []illness) string {
	var parts []string
	if first.why != "" {
		parts = append(parts, sentenceOf(first.why))
	}
	if first.level == view.Bad {
		parts = append(parts, "New sessions go elsewhere while it is open.")
	}
	for i, o := range others {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("And %d more.", len(others)-3))
			break
		}
		parts = append(parts, o.provider+" "+o.text+".") // a name is written as it is
	}
	return strings.Join(parts, " ")
}

// orders tells the drains and drills in force.
func orders(st *state.State, now time.Time, p view.Prefs) string {
	var parts []string
	for _, o := range st.InForce(now) {
		if o.Kind == policy.Probe { // it keeps nothing away from anybody
			continue
		}
		what := "drained"
		if o.Kind == policy.Drill {
			what = "under a drill (" + string(o.Fault.Kind) + ")"
		}
		parts = append(parts, fmt.Sprintf("%s is %s until %s.", o.Provider, what, p.Clock(o.Ends())))
	}
	return strings.Join(parts, " ")
}

func enumerate(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// digits are as many as a rate of that size deserves.
func digits(rate float64) int {
	if rate < 10 {
		return 1
	}
	return 0
}

// value and unit part "1.8 ms".
func value(text string) string { v, _, _ := strings.Cut(text, " "); return v }

func unit(text string) string { _, u, _ := strings.Cut(text, " "); return u }
