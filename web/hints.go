package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// The times of orders about hints. That of a replay lives a little longer than anybody waits; the replay itself goes on at the agents.
const (
	replayFor     = 20 * time.Second
	replayWithin  = 9 * time.Second
	replayEvery   = 150 * time.Millisecond
	throttleFor   = 30 * time.Minute
	shownHints    = 50
	mostHints     = 500
	noHintsReason = "it keeps no hints: its store is its own"
)

// hintLog is an agent's log of hints.
type hintLog struct {
	Region string `json:"region"`
	Agent  string `json:"agent"`
	query.HintLog
}

// hintLogs are those of all agents.
type hintLogs struct {
	Agents  []hintLog `json:"agents"`
	Partial string    `json:"partial,omitempty"` // who did not answer
}

// hintReplay is what a replay came to, or with dry_run would come to, agent by agent.
type hintReplay struct {
	Order   string         `json:"order,omitempty"` // none of a dry run
	Results []hintReplayed `json:"results"`
	Silent  []string       `json:"silent"` // regions and agents that told nothing, and why
}

// hintReplayed is one agent's part of it.
type hintReplayed struct {
	Region  string       `json:"region"`
	Agent   string       `json:"agent"`
	Done    bool         `json:"done"` // false: it goes on
	Ended   int          `json:"ended"`
	Held    int          `json:"held"`
	Left    int          `json:"left"`
	Problem string       `json:"problem,omitempty"`
	Hints   []query.Hint `json:"hints,omitempty"` // of a dry run: the oldest, and what each would do
}

// hintOrder is what may be asked about hints.
type hintOrder struct {
	Regions []string `json:"regions"`
	Held    bool     `json:"held"`
	Old     bool     `json:"old"`
	From    uint64   `json:"from"`
	To      uint64   `json:"to"`
	DryRun  bool     `json:"dry_run"`
	Rate    float64  `json:"rate"`
	Pause   bool     `json:"pause"`
	For     string   `json:"for"`
}

// hints are the logs of all agents.
func (w *Web) hints(c echo.Context) error {
	limit, err := hintLimit(c)
	if err != nil {
		return err
	}
	logs, err := w.askHints(c.Request().Context(), query.Question{Kind: query.Hints, Limit: limit})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, logs)
}

func hintLimit(c echo.Context) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return shownHints, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostHints {
		return 0, refusal(state.Invalid, fmt.Sprintf("limit: %.20q is not between 1 and %d", text, mostHints))
	}
	return n, nil
}

// askHints asks every agent, and puts the answers in order.
func (w *Web) askHints(ctx context.Context, q query.Question) (hintLogs, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	logs := hintLogs{Agents: []hintLog{}}
	answers, err := w.cfg.Control.Ask(ctx, q)
	if err != nil {
		return logs, fmt.Errorf("web: asking agents: %w", err)
	}
	var silent []string
	for _, a := range answers {
		one := hintLog{Region: a.Region, Agent: a.Agent}
		if why := a.read(&one.HintLog); why != "" {
			silent = append(silent, a.Agent+": "+why)
			continue
		}
		one.Hints = orEmpty(one.Hints)
		logs.Agents = append(logs.Agents, one)
	}
	slices.SortFunc(logs.Agents, func(a, b hintLog) int { return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Agent, b.Agent)) })
	logs.Partial = partial(len(answers), silent)
	return logs, nil
}

// replayHints has agents replay hints now, or tells what that would do.
func (w *Web) replayHints(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var body hintOrder
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Rate != 0 || body.Pause || body.For != "" {
		return refusal(state.Invalid, "rate, pause and for belong to a throttle; leave them out")
	}
	done, err := w.replayNow(c.Request().Context(), a, body)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, done)
}

// replayNow gives the order and collects what it led to; a dry run only asks.
func (w *Web) replayNow(ctx context.Context, a author, h hintOrder) (hintReplay, error) {
	o := policy.Order{
		Kind: policy.HintReplay, Regions: h.Regions, For: replayFor, Hints: &policy.Hints{Held: h.Held, Old: h.Old, From: h.From, To: h.To},
	}
	s := w.fresh(ctx)
	if h.DryRun {
		if err := o.Check(s.State.Current().Policy); err != nil {
			return hintReplay{}, refusal(state.Invalid, err.Error())
		}
		return w.wouldReplay(ctx, h)
	}
	given, err := w.order(ctx, a, o)
	if err != nil {
		return hintReplay{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, replayWithin)
	defer cancel()
	in := h.Regions
	if len(in) == 0 {
		in = s.State.Current().Policy.Regions.Names()
	}
	tick := time.NewTicker(replayEvery)
	defer tick.Stop()
	done := hintReplay{Order: given.Order, Results: []hintReplayed{}, Silent: []string{}}
	for {
		answers, err := w.cfg.Control.Ask(ctx, query.Question{Kind: query.HintReplay, Order: given.Order})
		if err == nil {
			var waiting bool
			if done.Results, done.Silent, waiting = gatherReplays(answers, in); !waiting {
				return done, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return done, nil
		}
	}
}

// gatherReplays puts the agents' answers together. waiting: somebody that can be heard has not ended.
func gatherReplays(answers []Answer, in []string) (results []hintReplayed, silent []string, waiting bool) {
	results, silent = []hintReplayed{}, []string{}
	for _, region := range in {
		agents := 0
		for _, a := range answers {
			if a.Region != region {
				continue
			}
			agents++
			var told query.HintReplayed
			switch why := a.read(&told); {
			case why != "":
				silent = append(silent, a.Agent+": "+why)
			case !told.Kept:
				silent = append(silent, a.Agent+": "+noHintsReason)
			case !told.Known:
				waiting = true
				silent = append(silent, a.Agent+": the order has not come to it")
			default:
				waiting = waiting || !told.Done
				results = append(results, hintReplayed{Region: region, Agent: a.Agent, Done: told.Done, Ended: told.Ended, Held: told.Held, Left: told.Left, Problem: told.Problem})
			}
		}
		if agents == 0 {
			silent = append(silent, region+": no agent is attached")
		}
	}
	slices.SortStableFunc(results, func(a, b hintReplayed) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Agent, b.Agent))
	})
	return results, silent, waiting
}

// wouldReplay asks every agent what a replay of its oldest hints would do.
func (w *Web) wouldReplay(ctx context.Context, h hintOrder) (hintReplay, error) {
	done := hintReplay{Results: []hintReplayed{}, Silent: []string{}}
	logs, err := w.askHints(ctx, query.Question{
		Kind: query.Hints, Limit: mostHints, Which: &query.Which{Held: h.Held, Old: h.Old, From: h.From, To: h.To, DryRun: true},
	})
	if err != nil {
		return done, err
	}
	if logs.Partial != "" {
		done.Silent = append(done.Silent, logs.Partial)
	}
	for _, l := range logs.Agents {
		switch {
		case len(h.Regions) > 0 && !slices.Contains(h.Regions, l.Region):
		case !l.Kept:
			done.Silent = append(done.Silent, l.Agent+": "+noHintsReason)
		default:
			one := hintReplayed{Region: l.Region, Agent: l.Agent, Done: l.Problem == "", Left: l.Waiting, Problem: l.Problem, Hints: l.Hints}
			for _, hint := range l.Hints {
				if hint.Replays == "held" {
					one.Held++
				} else {
					one.Ended++
				}
			}
			done.Results = append(done.Results, one)
		}
	}
	return done, nil
}

// throttleHints holds the replay back for a while.
func (w *Web) throttleHints(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var body hintOrder
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Held || body.Old || body.From > 0 || body.To > 0 || body.DryRun {
		return refusal(state.Invalid, "held, old, from, to and dry_run belong to a replay; leave them out")
	}
	o, err := throttleOrder(body)
	if err != nil {
		return err
	}
	done, err := w.order(c.Request().Context(), a, o)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, done)
}

func throttleOrder(h hintOrder) (policy.Order, error) {
	length, err := span("for", h.For, throttleFor)
	if err != nil {
		return policy.Order{}, err
	}
	return policy.Order{Kind: policy.HintThrottle, Regions: h.Regions, For: length, Hints: &policy.Hints{Pause: h.Pause, Rate: h.Rate}}, nil
}

// unthrottleHints ends every throttle.
func (w *Web) unthrottleHints(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	result, err := w.propose(c.Request().Context(), a, state.Command{EndOrder: &state.EndOrder{Throttles: true}})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"ended": orEmpty(strings.Fields(result.Order))})
}
