package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/web/view"
)

// Bounds of streams.
const (
	maxStreams  = 128
	writeWithin = 5 * time.Second // a browser that does not read is let go; it comes back
	listEvery   = 2               // agents are asked for their transactions every so many beats
)

// part is a moving part of a page: the id of its element, and what belongs there now.
type part struct {
	id   string
	show view.Component
}

// live is a page's stream: each second the parts whose bytes changed.
func (w *Web) live(c echo.Context) error {
	parts, err := w.partsOf(c)
	if err != nil {
		return err
	}
	s, err := w.stream(c)
	if err != nil {
		return err
	}
	defer s.end()
	last := map[string]string{}
	for beat := 0; ; beat++ {
		changed := w.watch.wait()
		text, err := render(c.Request().Context(), parts(beat), last)
		if err != nil {
			return nil // the page left, or a part cannot be drawn: the browser asks again
		}
		if err := s.send("", text); err != nil {
			return nil
		}
		if !s.next(changed) {
			return nil
		}
	}
}

// partsOf returns what moves on a page.
func (w *Web) partsOf(c echo.Context) (func(beat int) []part, error) {
	p := prefs(c)
	switch c.Param("page") {
	case "overview":
		return func(int) []part { return w.overviewParts(w.scene(), p) }, nil
	case "regions", "providers", "changes":
		return w.placeParts(c, p), nil
	case "cluster":
		return w.clusterParts(c.Request().Context(), p), nil
	case "cost":
		return func(int) []part {
			s := w.scene()
			return append(w.statusParts(s), part{"cost", view.CostPart(costView(view.Frame{Prefs: p}, s, costsOf(s)))})
		}, nil
	case "sessions":
		return w.sessionsParts(c.Request().Context(), p), nil
	case "hints":
		return w.hintsParts(c.Request().Context(), p), nil
	case "routing":
		return w.routingParts(c, p), nil
	case "verified":
		return w.verifiedParts(c, p), nil
	case "transactions":
		return w.transactionsParts(c, p)
	default:
		return nil, echo.ErrNotFound
	}
}

func (w *Web) statusParts(s scene) []part {
	st := statusOf(s, w.cfg.Env)
	return []part{{"status", view.StatusStrip(st)}, {"alarm", view.Alarm(st)}}
}

func (w *Web) overviewParts(s scene, p view.Prefs) []part {
	running, band := view.Break{Running: w.running(s)}, w.band()
	parts := append(w.statusParts(s),
		part{"headline", view.HeadlinePart(overviewHeadline(s, p))},
		part{"tiles", view.TilesPart(tiles(s))},
		part{"band", view.BandPart(band)},
		part{"matrix", view.MatrixPart(matrix(s, p), p)},
		part{"running", view.RunningPart(running, p)},
		part{"happened", view.HappenedPart(happened(s), p)},
	)
	if naive := w.naiveCard(band); naive != nil {
		parts = append(parts, part{"naive-switch", view.NaiveSwitch(naive, p)}, part{"naive-counts", view.NaiveCounts(naive)})
	}
	return parts
}

// routingParts are the effective shares and the acknowledgements: nothing that is typed into.
func (w *Web) routingParts(c echo.Context, p view.Prefs) func(int) []part {
	service, review := c.Param("service"), c.QueryParam("review") != ""
	base, _ := strconv.ParseUint(c.QueryParam("base"), 10, 64)
	return func(int) []part {
		s := w.scene()
		parts := w.statusParts(s)
		doc := s.State.Current().Policy
		svc := doc.Service(service)
		if svc == nil {
			return parts
		}
		for _, region := range doc.Regions.Names() {
			for _, row := range regionCard(s, svc, region, p).Rows {
				parts = append(parts, part{row.Live.ID, view.EffectivePart(row.Live)})
			}
		}
		parts = append(parts, part{"shifts", view.ShiftsPart(shiftCards(s, svc), p, statusOf(s, w.cfg.Env))})
		if review {
			return parts
		}
		r := rolloutOf(s, service)
		r.Newer = base != 0 && r.Revision != base
		return append(parts, part{"rollout", view.RolloutPart(r)})
	}
}

func (w *Web) transactionsParts(c echo.Context, p view.Prefs) (func(int) []part, error) {
	q, err := wishOf(c)
	if err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	return func(beat int) []part {
		parts := w.statusParts(w.scene())
		if q.search != "" || beat%listEvery != 0 { // a search shows what it found: it does not move under the reader
			return parts
		}
		page := view.Transactions{Frame: view.Frame{Prefs: p}}
		got, err := w.find(ctx, q)
		w.fillList(&page, q, got, err)
		return append(parts, part{"list", view.TransactionsPart(page)})
	}, nil
}

// render draws the parts that differ from the last ones.
func render(ctx context.Context, parts []part, last map[string]string) (string, error) {
	var out strings.Builder
	for _, p := range parts {
		var b bytes.Buffer
		if err := view.Partial(p.id, p.show).Render(ctx, &b); err != nil {
			return "", fmt.Errorf("web: part %s: %w", p.id, err)
		}
		if text := b.String(); text != last[p.id] {
			last[p.id] = text
			out.WriteString(text)
		}
	}
	return out.String(), nil
}

// stream is one open answer of server-sent events.
type stream struct {
	web  *Web
	c    echo.Context
	rc   *http.ResponseController
	done func()
}

// stream begins one. There is a bound: each holds a connection, and is drawn for each second.
func (w *Web) stream(c echo.Context) (*stream, error) {
	if w.streams.Add(1) > maxStreams {
		w.streams.Add(-1)
		return nil, refusal(overloaded, fmt.Sprintf("%d pages are open, the limit: close one", maxStreams))
	}
	h := c.Response().Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s := &stream{web: w, c: c, rc: http.NewResponseController(c.Response())}
	s.done = func() { w.streams.Add(-1) }
	c.Response().WriteHeader(http.StatusOK)
	return s, nil
}

func (s *stream) end() { s.done() }

// send writes one message. Nothing to say is a comment: it shows that the line holds.
func (s *stream) send(event, data string) error {
	var b strings.Builder
	if event != "" {
		b.WriteString("event: " + event + "\n")
	}
	for line := range strings.SplitSeq(data, "\n") {
		b.WriteString("data: " + line + "\n")
	}
	text := b.String() + "\n"
	if data == "" {
		text = ": \n\n"
	}
	return s.write(text)
}

// write sends text as it stands.
func (s *stream) write(text string) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("web: stream: %w", err)
	}
	if _, err := s.c.Response().Write([]byte(text)); err != nil {
		return fmt.Errorf("web: stream: %w", err)
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("web: stream: %w", err)
	}
	return nil
}

// next waits for something new; false at the end.
func (s *stream) next(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	case <-s.c.Request().Context().Done():
		return false
	case <-s.web.ends.Done():
		return false
	}
}
