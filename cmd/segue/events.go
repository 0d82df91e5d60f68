package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Times of the stream of events.
const (
	eventsQuiet = 5 * time.Second  // without --follow: a node that knows nothing of the leader does not say that all has come
	eventsAgain = time.Second      // until a stream that broke is asked for again
	eventsHeld  = 30 * time.Second // a stream that says nothing for so long, not even that the line holds, is dead
)

// eventsKnown is the stream's comment behind what was known when it began.
const eventsKnown = ": known"

// occurrence is one event as the API tells it.
type occurrence struct {
	ID          string    `json:"id"`
	At          time.Time `json:"at"`
	Kind        string    `json:"kind"`
	Level       string    `json:"level"`
	Text        string    `json:"text"`
	Actor       string    `json:"actor,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Region      string    `json:"region,omitempty"`
	Service     string    `json:"service,omitempty"`
	Provider    string    `json:"provider,omitempty"`
	Transaction string    `json:"transaction,omitempty"`
}

func newEvents(s *settings) *cobra.Command {
	var follow bool
	var since string
	c := &cobra.Command{
		Use: "events", Short: "What happens: circuits, failovers, checks, and who changed what", Args: cobra.NoArgs,
		Long: `Prints what is known of what happened, oldest first. With --follow it goes on with each event
as it comes, and when the connection breaks it comes back and goes on where it was.
-o json gives one document a line.`,
		Example: "  segue events --since 15m\n  segue events --follow\n  segue events --follow -o json | jq -r 'select(.level==\"bad\").text'",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkSince(since); err != nil {
				return err
			}
			return s.events(c.Context(), since, follow)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until interrupted")
	c.Flags().StringVar(&since, "since", "", "begin so long ago (15m), or at a time (2026-11-21T14:02:31Z)")
	return c
}

func checkSince(since string) error {
	if since == "" {
		return nil
	}
	if d, err := time.ParseDuration(since); err == nil && d >= 0 {
		return nil
	}
	if _, err := time.Parse(time.RFC3339, since); err != nil {
		return usageError{fmt.Errorf("--since %q: want a length of time like 15m, or a time like 2026-11-21T14:02:31Z", since)}
	}
	return nil
}

// events prints the stream. The first connection must come; later ones are waited for.
func (s *settings) events(ctx context.Context, since string, follow bool) error {
	last, connected := "", false
	for {
		err := s.stream(ctx, since, follow, &last, &connected)
		var out *printError
		switch {
		case ctx.Err() != nil, err == nil && !follow:
			return nil
		case errors.As(err, &out):
			return out.error
		case !connected:
			return err
		}
		fmt.Fprintln(s.io.err, "segue: the stream of events broke; it is asked for again")
		timer := time.NewTimer(eventsAgain)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// printError tells that the output is closed: nobody reads any more.
type printError struct{ error }

// stream reads one connection to its end, or without follow to the end of what is known.
func (s *settings) stream(ctx context.Context, since string, follow bool, last *string, connected *bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := url.Values{}
	if since != "" {
		query.Set("since", since)
	}
	body, err := s.openEvents(ctx, call{method: http.MethodGet, path: "/events?" + query.Encode()}, *last)
	if err != nil {
		return err
	}
	defer body.Close()
	*connected = true
	patience := eventsHeld
	if !follow {
		patience = eventsQuiet
	}
	quiet := time.AfterFunc(patience, cancel)
	defer quiet.Stop()
	err = readEvents(body, func(line string) {
		if quiet.Reset(patience); !follow && line == eventsKnown {
			cancel()
		}
	}, func(id, kind, data string) error {
		*last = id
		return s.tellEvent(kind, data)
	})
	if !follow && ctx.Err() != nil {
		return nil
	}
	return err
}

// openEvents asks for the stream, behind the event that was last told.
func (s *settings) openEvents(ctx context.Context, c call, last string) (io.ReadCloser, error) {
	if err := s.checkAPI(); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, c.method, c.address(s.api), nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("--api: %w", err)}
	}
	r.Header.Set("Accept", "text/event-stream")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, unanswered(c, s.api, err)
	}
	if answer.StatusCode >= 300 {
		defer answer.Body.Close()
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		if err != nil {
			return nil, unanswered(c, s.api, err)
		}
		return nil, problem(answer.Status, body)
	}
	return answer.Body, nil
}

// readEvents parses server-sent events. alive is called with each line.
func readEvents(r io.Reader, alive func(line string), each func(id, kind, data string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var id, kind, data string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		alive(lines.Text())
		switch {
		case lines.Text() == "" && data != "":
			if err := each(id, kind, data); err != nil {
				return err
			}
			kind, data = "", ""
		case field == "id":
			id = value
		case field == "event":
			kind = value
		case field == "data":
			data += value
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	return io.ErrUnexpectedEOF
}

func (s *settings) tellEvent(kind, data string) error {
	if kind == "reset" {
		var reset struct{ Lost []string }
		if json.Unmarshal([]byte(data), &reset) == nil {
			fmt.Fprintln(s.io.err, "segue: some events are not told:", strings.Join(reset.Lost, "; "))
		}
		return nil
	}
	var e occurrence
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return fmt.Errorf("an event does not parse: %w", err)
	}
	var err error
	switch s.output {
	case "json":
		err = json.NewEncoder(s.io.out).Encode(e)
	case "yaml":
		if _, err = fmt.Fprintln(s.io.out, "---"); err == nil {
			err = s.printYAML(e)
		}
	default:
		_, err = fmt.Fprintln(s.io.out, eventLine(s, e))
	}
	if err != nil {
		return &printError{fmt.Errorf("output: %w", err)}
	}
	return nil
}

func eventLine(s *settings, e occurrence) string {
	line := fmt.Sprintf("%s %-4s ", e.At.Local().Format("2006-01-02 15:04:05"), e.Level)
	if e.Region != "" {
		line += e.Region + " · "
	}
	line += s.coloured(e.Level, e.Text)
	if e.Actor != "" {
		line += " · " + e.Actor
	}
	if e.Reason != "" {
		line += ": " + e.Reason
	}
	if e.Transaction != "" {
		line += " · segue tx why " + e.Transaction
	}
	return line
}
