package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/query"
	"segue/controlplane/state"
)

func newSession(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "session", Short: "See where a session is, what its fields are, and where it could go on",
		Long: `A session is known by its Session-Id. The agents keep it: with the embedded store each agent
knows those that it served. What fields hold is sealed, and is never shown.`,
	}
	group.AddCommand(newSessionShow(s), newSessionVerify(s))
	return group
}

// sessionShown is a session as the API tells it.
type sessionShown struct {
	Region  string        `json:"region"`
	Agent   string        `json:"agent"`
	Session query.Session `json:"session"`
	Partial string        `json:"partial,omitempty"`
}

func newSessionShow(s *settings) *cobra.Command {
	limit := 50
	c := &cobra.Command{
		Use: "show ID", Short: "One session: its pins, fields, ways and history", Args: cobra.ExactArgs(1),
		Long: `Prints per service where the session is pinned, what happens when that provider fails now,
each field with its class and where it is known, each provider with what keeps the session away
from it, and the newest of its history.`,
		Example: "  segue session show ses_01J9W2K7QH\n  segue session show ses_01J9W2K7QH --limit 500 -o json",
		RunE: func(c *cobra.Command, args []string) error {
			var shown sessionShown
			err := s.request(c.Context(), call{method: http.MethodGet, path: "/sessions/" + url.PathEscape(args[0]) + "?limit=" + strconv.Itoa(limit)}, &shown)
			if err != nil {
				return explain(err)
			}
			if shown.Partial != "" {
				fmt.Fprintln(s.io.err, "segue: not all agents told:", shown.Partial)
			}
			return s.print(shown, func() { s.tellSession(&shown) })
		},
	}
	c.Flags().IntVar(&limit, "limit", 50, "at most so many events of its history, up to 500")
	return c
}

func (s *settings) tellSession(shown *sessionShown) {
	one := &shown.Session
	fmt.Fprintf(s.io.out, "%s · application %s · began %s · last written %s · told by %s (%s)\n", one.ID, one.App,
		one.Created.Local().Format(time.DateTime), one.Updated.Local().Format(time.DateTime), shown.Agent, shown.Region)
	for i := range one.Services {
		s.tellSessionService(&one.Services[i])
	}
	fmt.Fprintf(s.io.out, "\nhistory: %s\n", counted(one.Events, "event"))
	if one.Problem != "" {
		fmt.Fprintln(s.io.out, one.Problem)
	}
	rows := [][]string{{"AT", "SERVICE", "WHAT", "BY"}}
	for _, e := range one.History {
		rows = append(rows, []string{e.At.Local().Format(time.DateTime), e.Service, e.Text, e.By})
	}
	if len(rows) > 1 {
		s.table(rows)
	}
}

func (s *settings) tellSessionService(svc *query.SessionService) {
	at := "not pinned yet"
	if svc.Provider != "" {
		at = "at " + svc.Provider + " since " + svc.Since.Local().Format(time.DateTime)
	}
	fmt.Fprintf(s.io.out, "\n%s: %s\n", svc.Service, at)
	if svc.Provider != "" {
		fmt.Fprintf(s.io.out, "if %s fails now: %s\n", svc.Provider, svc.Next)
	} else {
		fmt.Fprintln(s.io.out, svc.Next)
	}
	if len(svc.Fields) > 0 {
		rows := [][]string{{"FIELD", "CLASS", "HOLDS", "KNOWN AT", "WRITTEN", "RULE"}}
		for i := range svc.Fields {
			f := &svc.Fields[i]
			rows = append(rows, []string{f.Name, orDash(f.Class), holds(f), orDash(strings.Join(f.At, ", ")), written(f.Written), f.Rule})
		}
		s.table(rows)
	}
	if len(svc.Ways) > 0 {
		rows := [][]string{{"PROVIDER", "COULD GO ON", "WHY"}}
		for i := range svc.Ways {
			rows = append(rows, wayRow(&svc.Ways[i]))
		}
		s.table(rows)
	}
}

// holds says how much a field holds, and never what.
func holds(f *query.SessionField) string {
	switch {
	case !f.Set:
		return "nothing"
	case f.Kind == "counter" && f.Floor != nil:
		return fmt.Sprintf("%d, never below %d", f.Sum, *f.Floor)
	case f.Kind == "counter":
		return strconv.FormatInt(f.Sum, 10)
	case f.Kind == "set":
		return counted(f.Items, "item") + ", sealed"
	case f.Kind == "tokens":
		return tokensHeld(f)
	case f.Bytes == 0:
		return "names at providers" + fetched(f)
	default:
		return counted(f.Bytes, "byte") + ", sealed" + fetched(f)
	}
}

// fetched says from where a value is, and whether it is old.
func fetched(f *query.SessionField) string {
	text := ""
	if f.Fetched == nil {
		return text
	}
	if f.Fetched.From != "" {
		text = ", fetched from " + f.Fetched.From + " " + written(f.Fetched.At)
	}
	if f.Fetched.Old {
		text += ", changed there since"
	}
	return text
}

// tokensHeld says until when tokens live, and never what they are.
func tokensHeld(f *query.SessionField) string {
	list := make([]string, len(f.Tokens))
	for i, t := range f.Tokens {
		list[i] = t.Provider + " for ever"
		if !t.Until.IsZero() {
			list[i] = t.Provider + " until " + written(t.Until)
		}
	}
	return "tokens, sealed: " + strings.Join(list, ", ")
}

// counted is a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func written(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.Local().Format(time.DateTime)
}

func wayRow(w *query.SessionWay) []string {
	var why []string
	if w.Here {
		why = append(why, "it is here")
	}
	if w.Why != "" {
		why = append(why, w.Why)
	}
	if len(w.Carries) > 0 {
		why = append(why, "brings "+strings.Join(w.Carries, ", "))
	}
	if len(w.Loses) > 0 {
		why = append(why, "leaves "+strings.Join(w.Loses, ", ")+" behind")
	}
	return []string{w.Provider, map[bool]string{true: "yes", false: "no"}[w.Can && w.Open], orDash(strings.Join(why, "; "))}
}

// sessionChecks are what the agents found.
type sessionChecks struct {
	Checks  []sessionChecked `json:"checks"`
	Same    bool             `json:"same"`
	Partial string           `json:"partial,omitempty"`
}

type sessionChecked struct {
	Region string `json:"region"`
	Agent  string `json:"agent"`
	query.SessionCheck
}

func newSessionVerify(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "verify ID", Short: "Hold a session against its history, at every agent that has it", Args: cobra.ExactArgs(1),
		Long: `Replays the history of the session at every agent that has it, compares what comes of it with
what is stored, and opens each field with the agent's keys. Nothing is written. Exit code 1 if
something differs or cannot be opened, 75 if the session was written to all the while or an agent
did not tell.`,
		Example: "  segue session verify ses_01J9W2K7QH",
		RunE: func(c *cobra.Command, args []string) error {
			var checks sessionChecks
			if err := s.request(c.Context(), call{method: http.MethodGet, path: "/sessions/" + url.PathEscape(args[0]) + "/verify"}, &checks); err != nil {
				return explain(err)
			}
			if err := s.print(checks, func() { s.tellSessionChecks(&checks) }); err != nil {
				return err
			}
			return checks.verdict()
		},
	}
}

func (s *settings) tellSessionChecks(checks *sessionChecks) {
	rows := [][]string{{"AGENT", "REGION", "EVENTS", "FIELDS", "COPY", "STANDS"}}
	for i := range checks.Checks {
		one := &checks.Checks[i]
		rows = append(rows, []string{one.Agent, one.Region, strconv.Itoa(one.Events), strconv.Itoa(one.Fields), one.Version, stands(&one.SessionCheck)})
	}
	s.table(rows)
	for i := range checks.Checks {
		one := &checks.Checks[i]
		for _, d := range one.Differs {
			fmt.Fprintf(s.io.out, "%s: %s: stored %s, by its history %s\n", one.Agent, d.What, d.Stored, d.History)
		}
		for _, name := range one.Sealed {
			fmt.Fprintf(s.io.out, "%s: %s cannot be opened with its keys\n", one.Agent, name)
		}
	}
	if !checks.Same {
		fmt.Fprintln(s.io.out, "the agents' copies are not the same: each has its own store, or one is cut off from the store that they share")
		fmt.Fprintln(s.io.out, "what one that is cut off wrote waits on its disk and goes to the store by itself: segue hint list shows it, segue hint replay asks for it now")
	}
	if checks.Partial != "" {
		fmt.Fprintln(s.io.out, checks.Partial)
	}
}

func stands(c *query.SessionCheck) string {
	switch {
	case c.Moving:
		return "was written to all the while"
	case len(c.Differs) > 0:
		return "differs from its history"
	case len(c.Sealed) > 0:
		return "cannot be opened"
	default:
		return "is what its history says"
	}
}

// verdict is the exit code in words.
func (c *sessionChecks) verdict() error {
	moving := false
	for i := range c.Checks {
		one := &c.Checks[i]
		switch {
		case one.Moving:
			moving = true
		case len(one.Differs) > 0 || len(one.Sealed) > 0:
			return fmt.Errorf("%s: the session %s", one.Agent, stands(&one.SessionCheck))
		}
	}
	switch {
	case moving:
		return &state.Error{Code: state.Unknown, Message: "the session was written to all the while: ask again"}
	case c.Partial != "":
		return &state.Error{Code: state.Unknown, Message: "not all agents told: " + c.Partial}
	}
	return nil
}
