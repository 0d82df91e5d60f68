package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/query"
	"segue/controlplane/state"
)

func newHint(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "hint", Short: "See what waits for the store; replay it, or hold the replay back",
		Long: `What an agent cannot tell a store that it shares is kept on its own disk and goes there when
the store is back: events of sessions, outcomes of what was sent, owners of objects. A claim
is never hinted. An agent whose store is its own keeps no hints.`,
	}
	group.AddCommand(newHintList(s), newHintReplay(s), newHintThrottle(s))
	return group
}

// hintLog is an agent's log of hints as the API shows it.
type hintLog struct {
	Region string `json:"region"`
	Agent  string `json:"agent"`
	query.HintLog
}

func newHintList(s *settings) *cobra.Command {
	limit := 50
	c := &cobra.Command{
		Use: "list", Short: "How each agent's hints stand, and the oldest of them", Args: cobra.NoArgs,
		Example: "  segue hint list\n  segue hint list --limit 500 -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			var found struct {
				Agents  []hintLog `json:"agents"`
				Partial string    `json:"partial"`
			}
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/hints?limit=" + strconv.Itoa(limit)}, &found); err != nil {
				return explain(err)
			}
			if found.Partial != "" {
				fmt.Fprintln(s.io.err, "segue: not all is shown:", found.Partial)
			}
			return s.print(found.Agents, func() { s.tellHints(found.Agents) })
		},
	}
	c.Flags().IntVar(&limit, "limit", 50, "at most so many hints of each agent, up to 500")
	return c
}

func (s *settings) tellHints(logs []hintLog) {
	rows := [][]string{{"AGENT", "REGION", "STORE", "WAITING", "HELD", "OLDEST", "RATE", "LEFT", "DISK", "MIRROR"}}
	for i := range logs {
		l := &logs[i]
		if !l.Kept {
			rows = append(rows, []string{l.Agent, l.Region, "its own", "-", "-", "-", "-", "-", "-", "-"})
			continue
		}
		oldest, left, mirror := "-", "-", "-"
		if !l.Oldest.IsZero() {
			oldest = l.Oldest.Local().Format(time.DateTime)
		}
		if l.Left > 0 {
			left = l.Left.Truncate(time.Second).String()
		}
		if l.Mirror != "" {
			mirror = l.Mirror
		}
		rows = append(rows, []string{
			l.Agent, l.Region, reach(l), strconv.Itoa(l.Waiting), strconv.Itoa(l.Held), oldest, fmt.Sprintf("%.1f/s", l.Rate), left,
			fmt.Sprintf("%.1f of %.0f MiB", float64(l.Bytes)/(1<<20), float64(l.Limit)/(1<<20)), mirror,
		})
	}
	s.table(rows)
	s.tellEachHint(logs, "STANDS", func(h query.Hint) string {
		if h.Why != "" {
			return "for a person: " + h.Why
		}
		return "waits"
	})
}

func reach(l *hintLog) string {
	switch {
	case l.Refused != "":
		return "takes nothing new: " + l.Refused
	case l.Away:
		return "away"
	case l.Paused:
		return "reached; the replay is paused"
	default:
		return "reached"
	}
}

func (s *settings) tellEachHint(logs []hintLog, last string, word func(query.Hint) string) {
	rows := [][]string{{"NUMBER", "AGENT", "KIND", "ABOUT", "SINCE", last}}
	for i := range logs {
		for _, h := range logs[i].Hints {
			rows = append(rows, []string{strconv.FormatUint(h.Number, 10), logs[i].Agent, h.Kind, h.About, h.At.Local().Format(time.DateTime), word(h)})
		}
	}
	if len(rows) > 1 {
		fmt.Fprintln(s.io.out)
		s.table(rows)
	}
}

// hintReplay is what a replay came to.
type hintReplay struct {
	Order   string         `json:"order,omitempty"`
	Results []hintReplayed `json:"results"`
	Silent  []string       `json:"silent"`
}

type hintReplayed struct {
	Region  string       `json:"region"`
	Agent   string       `json:"agent"`
	Done    bool         `json:"done"`
	Ended   int          `json:"ended"`
	Held    int          `json:"held"`
	Left    int          `json:"left"`
	Problem string       `json:"problem,omitempty"`
	Hints   []query.Hint `json:"hints,omitempty"`
}

// hintFlags say which hints are meant.
type hintFlags struct {
	Regions []string `json:"regions,omitempty"`
	Held    bool     `json:"held,omitempty"`
	Old     bool     `json:"old,omitempty"`
	From    uint64   `json:"from,omitempty"`
	To      uint64   `json:"to,omitempty"`
	Dry     bool     `json:"dry_run,omitempty"`
}

func newHintReplay(s *settings) *cobra.Command {
	f := hintFlags{}
	c := &cobra.Command{
		Use: "replay", Short: "Bring hints into the store now", Args: cobra.NoArgs,
		Long: `Hints go to the store by themselves, paced and in the order of each key. This asks for it at
once, and for those that do not go by themselves: with --held those that a person must look at,
with --old those past their age, which could bring back what was deleted since. --dry-run tells
what each of an agent's oldest 500 would do, and writes nothing. Exit code 1 if hints are held or
an agent could not go on, 75 if an agent did not tell, or is not done yet.`,
		Example: "  segue hint replay --dry-run\n  segue hint replay --held --region eu-west --reason 'the provider confirmed it'",
		RunE: func(c *cobra.Command, _ []string) error {
			body, err := json.Marshal(f)
			if err != nil {
				return err
			}
			var done hintReplay
			if err := s.request(c.Context(), call{method: http.MethodPost, path: "/hints/replay", body: body, kind: "application/json", reason: s.because("hints replayed by command")}, &done); err != nil {
				return explain(err)
			}
			if err := s.print(done, func() { s.tellReplay(done, f.Dry) }); err != nil {
				return err
			}
			return done.verdict(f.Dry)
		},
	}
	flags := c.Flags()
	flags.BoolVar(&f.Dry, "dry-run", false, "only tell what it would do")
	flags.BoolVar(&f.Held, "held", false, "those too that a person must look at")
	flags.BoolVar(&f.Old, "old", false, "those too that are past their age")
	flags.Uint64Var(&f.From, "from", 0, "from this number on")
	flags.Uint64Var(&f.To, "to", 0, "up to this number (default: to the last)")
	s.regionsFlag(c, &f.Regions)
	return c
}

func (s *settings) tellReplay(done hintReplay, dry bool) {
	ended := "REPLAYED"
	if dry {
		ended = "WOULD BE REPLAYED"
	}
	rows := [][]string{{"AGENT", "REGION", ended, "HELD", "LEFT", "STANDS"}}
	var logs []hintLog
	for _, r := range done.Results {
		stands := "done"
		switch {
		case r.Problem != "":
			stands = r.Problem
		case !r.Done:
			stands = "goes on"
		}
		rows = append(rows, []string{r.Agent, r.Region, strconv.Itoa(r.Ended), strconv.Itoa(r.Held), strconv.Itoa(r.Left), stands})
		logs = append(logs, hintLog{Region: r.Region, Agent: r.Agent, HintLog: query.HintLog{Hints: r.Hints}})
	}
	s.table(rows)
	s.tellEachHint(logs, "WOULD", func(h query.Hint) string { return strings.TrimSpace(h.Replays + " " + h.Why) })
	for _, text := range done.Silent {
		fmt.Fprintln(s.io.out, text)
	}
}

// verdict is the exit code in words. An agent that keeps no hints has none to tell of.
func (r hintReplay) verdict(dry bool) error {
	held, going := 0, 0
	for _, one := range r.Results {
		held += one.Held
		switch {
		case one.Problem != "":
			return fmt.Errorf("%s: %s", one.Agent, one.Problem)
		case !one.Done:
			going++
		}
	}
	switch {
	case held > 0 && !dry:
		return fmt.Errorf("%d hints are for a person: segue hint list says why", held)
	case going > 0:
		return &state.Error{Code: state.Unknown, Message: fmt.Sprintf("%d agents are not done yet: segue hint list shows what is left", going)}
	case len(r.Results) == 0 && len(r.Silent) > 0 && !strings.Contains(strings.Join(r.Silent, " "), "keeps no hints"):
		return &state.Error{Code: state.Unknown, Message: "no agent told: " + strings.Join(r.Silent, "; ")}
	}
	return nil
}

func newHintThrottle(s *settings) *cobra.Command {
	var regions []string
	var length time.Duration
	c := &cobra.Command{
		Use: "throttle N/s|pause|none", Short: "Hold the replay of hints back, for a while", Args: cobra.ExactArgs(1),
		Long: `Bounds the replay to so many hints a second in each agent, or pauses it. Hints are taken on
meanwhile. It ends by itself; none ends every throttle now.`,
		Example: "  segue hint throttle 50/s --for 30m\n  segue hint throttle pause --region eu-west --for 10m\n  segue hint throttle none",
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "none" {
				return s.unthrottle(c, regions)
			}
			body, err := throttleBody(args[0], regions, length)
			if err != nil {
				return usageError{err}
			}
			var done ordered
			if err := s.request(c.Context(), call{method: http.MethodPost, path: "/hints/throttle", body: body, kind: "application/json", reason: s.because("hints throttled by command")}, &done); err != nil {
				return explain(err)
			}
			return s.print(done, func() {
				fmt.Fprintf(s.io.out, "the replay of hints is held back (%s) until %s; segue hint throttle none ends it early\n", args[0], done.Ends.Local().Format(time.TimeOnly))
			})
		},
	}
	c.Flags().DurationVar(&length, "for", 30*time.Minute, "how long")
	s.regionsFlag(c, &regions)
	return c
}

// throttleBody reads 50/s, 50 or pause.
func throttleBody(text string, regions []string, length time.Duration) ([]byte, error) {
	body := map[string]any{"regions": regions, "for": length.String()}
	if text == "pause" {
		body["pause"] = true
		return json.Marshal(body)
	}
	rate, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
	if err != nil || !(rate > 0 && rate <= 1e6) {
		return nil, fmt.Errorf("%q is no rate: write hints a second, like 50/s, or pause, or none", text)
	}
	body["rate"] = rate
	return json.Marshal(body)
}

func (s *settings) unthrottle(c *cobra.Command, regions []string) error {
	if len(regions) > 0 {
		return usageError{fmt.Errorf("--region: none ends every throttle; leave it out")}
	}
	var done struct {
		Ended []string `json:"ended"`
	}
	if err := s.request(c.Context(), call{method: http.MethodDelete, path: "/hints/throttle", reason: s.because("throttle of hints ended by command")}, &done); err != nil {
		return explain(err)
	}
	return s.print(done, func() {
		if len(done.Ended) == 0 {
			fmt.Fprintln(s.io.out, "nothing held the replay back")
			return
		}
		fmt.Fprintln(s.io.out, "the replay of hints goes on by itself")
	})
}
