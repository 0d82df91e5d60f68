package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/web/view"
)

// hintRows is how many hints the page shows of each kind.
const hintRows = 12

// hintsPage is what waits for the store.
func (w *Web) hintsPage(c echo.Context) error {
	logs, err := w.askHints(c.Request().Context(), query.Question{Kind: query.Hints, Limit: shownHints})
	if err != nil && wantsJSON(c) {
		return err
	}
	return w.answer(c, http.StatusOK, logs, view.HintsPage(w.hintsView(c, logs, err)))
}

func (w *Web) hintsView(c echo.Context, logs hintLogs, err error) view.Hints {
	f := w.frame(c, "Hints and repair", "hints", "/live/hints")
	f.Path, f.Command = "/hints", "segue hint list"
	page := view.Hints{Frame: f, Request: rand.Text(), Done: hintsDone(c.QueryParam("done"))}
	w.fillHints(&page, logs, err)
	s := w.scene()
	for _, o := range s.State.InForce(s.Now) {
		if o.Kind == policy.HintThrottle {
			page.Throttles = append(page.Throttles, view.HintThrottle{
				ID: o.ID, Text: throttleText(&o), Actor: o.Actor, Reason: o.Reason, Ends: o.Ends(), Left: view.Span(o.Ends().Sub(s.Now).Truncate(time.Second)),
				Action: "/hints/unthrottle", Request: "unthrottle-" + s.State.Incarnation + "-" + o.ID, Command: "segue hint throttle none",
			})
		}
	}
	return page
}

func hintsDone(word string) string {
	switch word {
	case "throttled":
		return "The replay is held back."
	case "unthrottled":
		return "The replay goes on by itself."
	default:
		return ""
	}
}

func throttleText(o *policy.Order) string {
	where := "every region"
	if len(o.Regions) > 0 {
		where = enumerate(o.Regions)
	}
	if o.Hints.Pause {
		return "Paused in " + where
	}
	return fmt.Sprintf("At most %g a second in %s", o.Hints.Rate, where)
}

// fillHints fills the moving part.
func (w *Web) fillHints(page *view.Hints, logs hintLogs, err error) {
	now := w.cfg.Now()
	page.Partial = logs.Partial
	if err != nil {
		page.Partial = sentenceOf(w.describe(err).Detail)
	}
	page.Headline = hintHeadline(logs, err)
	for i := range logs.Agents {
		l := &logs.Agents[i]
		page.Logs = append(page.Logs, hintLogRow(l, now))
		for _, h := range l.Hints {
			row := view.HintRow{Number: strconv.FormatUint(h.Number, 10), Agent: l.Agent, Kind: h.Kind, About: h.About, At: h.At, Age: view.Span(now.Sub(h.At)), Why: h.Why}
			switch {
			case h.Why != "" && len(page.Held) < hintRows:
				page.Held = append(page.Held, row)
			case h.Why == "" && len(page.Waiting) < hintRows:
				page.Waiting = append(page.Waiting, row)
			}
		}
	}
}

func hintHeadline(logs hintLogs, err error) view.Headline {
	waiting, held, kept := 0, 0, 0
	var full, away []string
	for _, l := range logs.Agents {
		waiting, held = waiting+l.Waiting, held+l.Held
		if l.Kept {
			kept++
		}
		if l.Away {
			away = append(away, l.Agent)
		}
		if l.Refused != "" {
			full = append(full, l.Agent)
		}
	}
	more := "What an agent cannot tell the store is kept on its own disk, and goes to the store when that is back: events of sessions, and outcomes of what was sent. A claim is never hinted."
	switch {
	case err != nil || len(logs.Agents) == 0:
		return view.Headline{Level: view.Off, Parts: say("No agent tells how its hints stand."), More: more}
	case len(full) > 0:
		return view.Headline{Level: view.Bad, Parts: []view.Part{{Text: enumerate(full) + " takes nothing new: there is no room for its hints.", Level: view.Bad}}, More: more}
	case len(away) > 0:
		return view.Headline{Level: view.Bad, Parts: []view.Part{{Text: enumerate(away) + " cannot reach the store; ", Level: view.Bad}, {Text: plural(waiting, "hint") + " wait."}}, More: more}
	case held > 0:
		return view.Headline{Level: view.Warn, Parts: []view.Part{{Text: plural(held, "hint") + " for a person to look at.", Level: view.Warn}}, More: more}
	case waiting > 0:
		return view.Headline{Level: view.Warn, Parts: []view.Part{{Text: plural(waiting, "hint") + " on the way to the store.", Level: view.Warn}}, More: more}
	case kept == 0:
		return view.Headline{Level: view.OK, Parts: say("No agent needs hints: each has its store on its own disk."), More: more}
	default:
		return view.Headline{Level: view.OK, Parts: say("Nothing waits for the store."), More: more}
	}
}

func hintLogRow(l *hintLog, now time.Time) view.HintLog {
	row := view.HintLog{Agent: l.Agent, Region: l.Region, Kept: l.Kept, Level: view.OK, Icon: "ok", Word: "reaches the store", Oldest: "–", Rate: "–", Left: "–", Mirror: "none"}
	if !l.Kept {
		row.Level, row.Icon, row.Word, row.Waiting, row.Held, row.Room = view.Off, "off", "keeps none: its store is its own", "–", "–", "–"
		return row
	}
	row.Waiting, row.Held = view.Count(l.Waiting), view.Count(l.Held)
	row.Room = fmt.Sprintf("%s of %s", mebibytes(l.Bytes), mebibytes(l.Limit))
	if !l.Oldest.IsZero() {
		row.Oldest = view.Span(now.Sub(l.Oldest))
	}
	if l.Waiting > 0 {
		row.Rate = view.Number(l.Rate, 1) + "/s"
		if l.Left > 0 {
			row.Left = view.Span(l.Left)
		}
	}
	if l.Mirror != "" {
		row.Mirror = l.Mirror
	}
	if l.Mirrored > 0 {
		row.Note = "keeps " + plural(l.Mirrored, "hint") + " of others"
	}
	switch {
	case l.Refused != "":
		row.Level, row.Icon, row.Word, row.Note = view.Bad, "bad", "takes nothing new", l.Refused
	case l.Away:
		row.Level, row.Icon, row.Word = view.Bad, "bad", "cannot reach the store"
	case l.Paused:
		row.Level, row.Icon, row.Word = view.Warn, "under-way", "paused by a person"
	case l.Held > 0:
		row.Level, row.Icon, row.Word = view.Warn, "warn", "a person must look"
	case l.Waiting > 0:
		row.Level, row.Icon, row.Word = view.Warn, "under-way", "replays"
	}
	return row
}

func mebibytes(n int64) string { return view.Number(float64(n)/(1<<20), 1) + " MiB" }

// hintsParts asks the agents every other beat.
func (w *Web) hintsParts(ctx context.Context, p view.Prefs) func(int) []part {
	return func(beat int) []part {
		parts := w.statusParts(w.scene())
		if beat%listEvery != 0 {
			return parts
		}
		page := view.Hints{Frame: view.Frame{Prefs: p}}
		logs, err := w.askHints(ctx, query.Question{Kind: query.Hints, Limit: shownHints})
		w.fillHints(&page, logs, err)
		return append(parts, part{"headline", view.HeadlinePart(page.Headline)}, part{"hints", view.HintsPart(page)})
	}
}

// hintsReplayPost shows what a replay came to, or would come to. It is the answer to its own form: sent again, it replays nothing twice.
func (w *Web) hintsReplayPost(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	h := hintOrder{Held: c.FormValue("held") == "true", Old: c.FormValue("old") == "true", DryRun: c.FormValue("dry") == "true"}
	done, err := w.replayNow(c.Request().Context(), a, h)
	if err != nil {
		return err
	}
	logs, err := w.askHints(c.Request().Context(), query.Question{Kind: query.Hints, Limit: shownHints})
	page := w.hintsView(c, logs, err)
	page.Replay = replayShown(done, h, w.cfg.Now())
	return w.answer(c, http.StatusOK, done, view.HintsPage(page))
}

func replayShown(done hintReplay, h hintOrder, now time.Time) *view.HintReplay {
	shown := &view.HintReplay{Dry: h.DryRun, Silent: done.Silent, Command: replayCommand(h)}
	for _, r := range done.Results {
		line := view.ProbeLine{Where: r.Region + " · " + r.Agent, Level: view.OK, Icon: "ok", Word: plural(r.Ended, "hint") + " replayed", Detail: r.Problem}
		switch {
		case h.DryRun:
			line.Word = fmt.Sprintf("%s would be replayed, %d held", plural(r.Ended, "hint"), r.Held)
		case !r.Done:
			line.Level, line.Icon, line.Word = view.Warn, "under-way", fmt.Sprintf("goes on; %d left", r.Left)
		case r.Held > 0:
			line.Level, line.Icon, line.Word = view.Warn, "warn", fmt.Sprintf("%s replayed, %d for a person", plural(r.Ended, "hint"), r.Held)
		}
		if r.Problem != "" {
			line.Level, line.Icon = view.Bad, "bad"
		}
		shown.Lines = append(shown.Lines, line)
		for _, x := range r.Hints {
			if len(shown.Hints) < hintRows {
				shown.Hints = append(shown.Hints, view.HintRow{
					Number: strconv.FormatUint(x.Number, 10), Agent: r.Agent, Kind: x.Kind, About: x.About, At: x.At, Age: view.Span(now.Sub(x.At)), Why: strings.TrimSpace("would be: " + x.Replays + " " + x.Why),
				})
			}
		}
	}
	return shown
}

func replayCommand(h hintOrder) string {
	text := "segue hint replay"
	if h.Held {
		text += " --held"
	}
	if h.Old {
		text += " --old"
	}
	if h.DryRun {
		text += " --dry-run"
	}
	return text
}

// hintsThrottlePost holds the replay back from the page.
func (w *Web) hintsThrottlePost(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	h := hintOrder{Pause: c.FormValue("pause") == "true", For: c.FormValue("for")}
	if !h.Pause {
		if h.Rate, err = strconv.ParseFloat(strings.TrimSpace(c.FormValue("rate")), 64); err != nil {
			return refusal(state.Invalid, fmt.Sprintf("rate: %.20q is no number of hints a second; write one, like 50", c.FormValue("rate")))
		}
	}
	o, err := throttleOrder(h)
	if err != nil {
		return err
	}
	if _, err := w.order(c.Request().Context(), a, o); err != nil {
		return err
	}
	return seeOther(c, "/hints?done=throttled")
}

// hintsUnthrottlePost ends one throttle early. One that has ended by itself is what was asked for.
func (w *Web) hintsUnthrottlePost(c echo.Context) error {
	id := c.FormValue("order")
	if id == "" {
		return refusal(state.Invalid, "order: name the throttle that is to end")
	}
	a := author{actor: localOperator + " @ loopback", reason: "ended from the page of hints", request: requestID(c)}
	if a.request == "" {
		a.request = rand.Text()
	}
	if _, err := w.propose(c.Request().Context(), a, state.Command{EndOrder: &state.EndOrder{ID: id}}); err != nil && !gone(err) {
		return err
	}
	return seeOther(c, "/hints?"+url.Values{"done": {"unthrottled"}}.Encode())
}
