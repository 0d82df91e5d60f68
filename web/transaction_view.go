package web

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"segue/controlplane/query"
	"segue/web/view"

	"github.com/labstack/echo/v4"
)

// word is how a state or an outcome is shown.
type word struct {
	Level      view.Level
	Icon, Word string
}

func stateWords() map[string]word {
	return map[string]word{
		"succeeded":  {view.OK, "ok", "succeeded"},
		"declined":   {view.Off, "off", "declined"},
		"not_sent":   {view.Bad, "bad", "not executed"},
		"held":       {view.Warn, "unknown", "unknown"},
		"cancelling": {view.Warn, "unknown", "being cancelled"},
		"intent":     {view.Off, "under-way", "under way"},
	}
}

// unknownState tells whether nobody knows a transaction's outcome now.
func unknownState(state string) bool { return state == "held" || state == "cancelling" }

// stateWord shows a state that this version does not know as unknown: never as done.
func stateWord(state string) word {
	if w, ok := stateWords()[state]; ok {
		return w
	}
	return word{view.Warn, "unknown", state}
}

func outcomeWord(outcome string) word {
	switch outcome {
	case "succeeded":
		return word{view.OK, "ok", "succeeded"}
	case "declined":
		return word{view.Off, "off", "declined"}
	case "not_sent":
		return word{view.Bad, "bad", "not sent"}
	case "open", "":
		return word{view.Off, "under-way", "under way"}
	case "unknown":
		return word{view.Warn, "unknown", "unknown"}
	default:
		return word{view.Warn, "unknown", outcome}
	}
}

func txRow(t query.Transaction, now time.Time) view.TxRow {
	w := stateWord(t.State)
	return view.TxRow{
		ID: t.ID, Href: "/transactions/" + url.PathEscape(t.ID), Chain: chips(t.Attempts), Level: w.Level, Icon: w.Icon, Word: w.Word,
		What: t.Service + " · " + t.Operation, Key: t.Key, Object: t.Object, Region: t.Region, At: t.Created,
		Age: view.Span(now.Sub(t.Created)), Held: unknownState(t.State), Open: openOf(t, now),
	}
}

// openOf is what matters of an outcome that is not known.
func openOf(t query.Transaction, now time.Time) view.Open {
	o := view.Open{Value: orDash(t.Value.String()), Next: "a person decides"}
	if n := len(t.Attempts); n > 0 {
		switch next := t.Attempts[n-1].NextCheck; {
		case next.IsZero():
		case next.After(now):
			o.Next = "next check in " + view.Span(next.Sub(now))
		default:
			o.Next = "being checked"
		}
	}
	return o
}

func chips(attempts []query.Attempt) []view.Chip {
	list := make([]view.Chip, len(attempts))
	for i, a := range attempts {
		w := outcomeWord(a.Outcome)
		list[i] = view.Chip{Provider: a.Provider, Level: w.Level, Icon: w.Icon, Word: w.Word, Detail: attemptDetail(a)}
	}
	return list
}

func attemptDetail(a query.Attempt) string {
	text := a.Error
	if text == "" && a.Status > 0 {
		text = fmt.Sprintf("status %d", a.Status)
	}
	if a.Sends > 1 {
		text = join(text, fmt.Sprintf("%d sends, same key", a.Sends))
	}
	if a.Elapsed > 0 {
		text = join(text, view.Millis(float64(a.Elapsed)/float64(time.Millisecond)))
	}
	return text
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + " · " + b
}

func (w *Web) transactionPage(c echo.Context, why query.Why, partial string) view.Transaction {
	t := why.Transaction
	s := stateWord(t.State)
	page := view.Transaction{
		Frame: w.frame(c, t.ID, "transactions", ""), ID: t.ID, Level: s.Level, Icon: s.Icon, Sentence: why.Sentence, Key: t.Key,
		Chips: chips(t.Attempts), Partial: partial,
	}
	if page.Sentence == "" {
		page.Sentence = sentenceOf(s.Word)
	}
	page.Frame.Command = "segue tx why " + t.ID
	page.Facts = txFacts(t, page.Frame.Prefs)
	if unknownState(t.State) {
		page.Decide = &view.Decide{
			Open: openOf(t, w.cfg.Now()), Action: "/transactions/" + url.PathEscape(t.ID), Request: rand.Text(),
			Command: "segue tx resolve " + t.ID + " --outcome … --evidence FILE --reason '…'",
			Outcomes: []view.Option{
				{Value: "", Label: "choose", Chosen: true}, {Value: "succeeded", Label: "it was executed"}, {Value: "declined", Label: "it was declined"},
				{Value: "not_sent", Label: "it was not executed, and will not be"},
			},
		}
	}
	if unknownState(t.State) || t.State == "intent" {
		page.Holds = "The outcome is open. It is recorded, it is sent nowhere else, and it is not repeated on a guess; the caller may ask again with the same key only."
	}
	for _, m := range why.Timeline {
		level := levelOf(m.Level)
		page.Timeline = append(page.Timeline, view.Moment{After: after(m.After), Level: level, Icon: momentIcon(level, m.Word), Word: m.Word, Text: m.Text})
	}
	for i, d := range why.Decisions {
		page.Decisions = append(page.Decisions, decision(d, i, len(why.Decisions)))
	}
	for i, a := range t.Attempts {
		page.Keys = append(page.Keys, view.Pair{Name: fmt.Sprintf("%d. %s", i+1, a.Provider), Value: orDash(a.ProviderKey)})
	}
	page.Stored = stored(t)
	return page
}

func txFacts(t query.Transaction, p view.Prefs) []string {
	list := []string{t.Service, t.Operation, "application " + t.App, t.Region, p.Full(t.Created)}
	if worth := t.Value.String(); worth != "" {
		list = append(list, worth)
	}
	if d := t.Updated.Sub(t.Created); d > 0 && t.State != "intent" && !unknownState(t.State) {
		list = append(list, "settled after "+view.Millis(float64(d)/float64(time.Millisecond)))
	}
	return list
}

func stored(t query.Transaction) []view.Pair {
	list := []view.Pair{{Name: "state", Value: stateWord(t.State).Word}}
	if t.Status > 0 {
		list = append(list, view.Pair{Name: "answer", Value: fmt.Sprintf("status %d, sealed", t.Status)})
	}
	for _, p := range []view.Pair{{Name: "provider’s id", Value: t.Object}, {Name: "session", Value: t.Session, Href: "/sessions/" + url.PathEscape(t.Session)}, {Name: "run", Value: t.Run}} {
		if p.Value != "" {
			list = append(list, p)
		}
	}
	for _, a := range t.Attempts {
		if a.Endpoint != "" {
			list = append(list, view.Pair{Name: "sent to", Value: a.Endpoint})
		}
	}
	return list
}

// decision is one choice; the chosen first, then in the order of the record.
func decision(d query.Decision, i, of int) view.Decision {
	out := view.Decision{Winner: d.Winner, Why: sentenceOf(d.Why), Sub: fmt.Sprintf("policy %d · %s", d.Revision, plural(len(d.Candidates), "candidate"))}
	if of > 1 {
		out.Sub = fmt.Sprintf("choice %d · ", i+1) + out.Sub
	}
	if out.Winner == "" {
		out.Winner = "nobody"
	}
	weighted := slices.ContainsFunc(d.Candidates, func(c query.Candidate) bool { return c.Weight > 0 })
	for _, c := range d.Candidates {
		row := view.Candidate{Provider: c.Provider, Gate: c.Gate, Weight: "–", Score: c.Score(), Why: c.Why, Chosen: c.Chosen, Level: view.Warn, Icon: "off"}
		if weighted {
			row.Weight = plain(c.Weight) + " %"
		}
		if c.Gate == "passed" {
			row.Level, row.Icon = view.OK, "ok"
		}
		out.Candidates = append(out.Candidates, row)
	}
	return out
}

// momentIcon keeps the question mark for what nobody knows.
func momentIcon(l view.Level, word string) string {
	switch l {
	case view.OK:
		return "ok"
	case view.Warn:
		if !strings.Contains(word, "unknown") {
			return "warn"
		}
		return "unknown"
	case view.Bad:
		return "bad"
	default:
		return "off"
	}
}

func after(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("+%.1f ms", ms)
	}
	return fmt.Sprintf("+%.0f ms", ms)
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}
