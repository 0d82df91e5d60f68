package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/state"
)

// sceneOf is a scene with so many changes, and events of one term.
func sceneOf(changes int, term uint64, from, to uint64) scene {
	at := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	s := scene{State: state.New("inc.1"), Seen: true, Now: at.Add(time.Hour)}
	for i := range changes {
		s.State.Audit = append(s.State.Audit, state.Entry{Index: uint64(10 * (i + 1)), At: at.Add(time.Duration(i) * time.Second), Kind: "SetWeights", Text: fmt.Sprint("change ", i)})
	}
	s.View.Term, s.View.World.Told = term, to
	for seq := to; seq >= from && seq > 0; seq-- { // newest first, as a World has them
		s.View.World.Events = append(s.View.World.Events, health.Event{Seq: seq, At: at.Add(time.Duration(seq)*time.Second + time.Millisecond), Text: fmt.Sprint("event ", seq), Level: "ok"})
	}
	return s
}

func saying(list []told) (all []string) {
	for _, t := range list {
		all = append(all, t.what.Text)
	}
	return all
}

// From whichever event a caller comes back, it gets exactly what it does not have, in the same order.
func TestEachPlaceOfTheStreamResumes(t *testing.T) {
	s := sceneOf(6, 7, 1, 8)
	start := mark{incarnation: "inc.1", term: 7}
	all, end, lost := behind(start, s, time.Time{})
	if len(all) != 14 || len(lost) != 0 || end.index != 60 || end.heard != 8 {
		t.Fatalf("%d events, lost %v, end %+v", len(all), lost, end)
	}
	if all[0].what.Text != "change 0" || all[1].what.Text != "change 1" || all[2].what.Text != "event 1" {
		t.Errorf("not by time: %v", saying(all))
	}
	for i := range all {
		from, err := parseMark(all[i].mark.String())
		if err != nil || from != all[i].mark {
			t.Fatalf("%q is read as %+v: %v", all[i].mark, from, err)
		}
		rest, now, lost := behind(from, s, time.Time{})
		if !slices.Equal(saying(rest), saying(all[i+1:])) || now != end || len(lost) != 0 {
			t.Errorf("behind %q: %v, lost %v", all[i].what.Text, saying(rest), lost)
		}
	}
	if rest, now, _ := behind(end, s, time.Time{}); len(rest) != 0 || now != end {
		t.Errorf("behind the end: %v", saying(rest))
	}
}

// What cannot be told any more is said, and nothing else is.
func TestWhatTheStreamCannotTell(t *testing.T) {
	for name, c := range map[string]struct {
		from  mark
		scene scene
		says  string // "": nothing is lost
		tells int
	}{
		"another leader":             {mark{60, 7, 3, "inc.1"}, sceneOf(6, 8, 1, 2), "in term 8", 2},
		"a node that knows it later": {mark{60, 8, 3, "inc.1"}, sceneOf(6, 7, 1, 9), "", 0},
		"too many events":            {mark{60, 7, 3, "inc.1"}, sceneOf(6, 7, 10, 12), "6 events", 3},
		"a restored cluster":         {mark{900, 7, 2, "inc.0"}, sceneOf(6, 7, 1, 2), "restored", 6},
		"a node that is behind":      {mark{90, 7, 2, "inc.1"}, sceneOf(6, 7, 1, 2), "", 0},
		"changes that are kept":      {mark{10, 7, 2, "inc.1"}, sceneOf(state.MaxAudit, 7, 1, 2), "", state.MaxAudit - 1},
		"changes that are not kept":  {mark{5, 7, 2, "inc.1"}, sceneOf(state.MaxAudit, 7, 1, 2), "not kept", state.MaxAudit},
	} {
		list, now, lost := behind(c.from, c.scene, time.Time{})
		if said := strings.Join(lost, "; "); (c.says == "") != (said == "") || !strings.Contains(said, c.says) || len(list) != c.tells {
			t.Errorf("%s: %d told, lost: %q", name, len(list), said)
		}
		if now.index < c.from.index && now.incarnation == c.from.incarnation || now.term < c.from.term {
			t.Errorf("%s: the stream went back to %+v", name, now)
		}
	}
}

func TestWhereAStreamBegins(t *testing.T) {
	s := sceneOf(100, 7, 1, 100)
	if list, _, lost := behind(mark{}, s, time.Time{}); len(list) != 2*maxHappened || len(lost) != 0 {
		t.Errorf("a new stream tells %d", len(list))
	}
	since := s.State.Audit[90].At
	list, now, lost := behind(mark{}, s, since)
	if len(list) != 10+11 || len(lost) != 0 {
		t.Errorf("since %v: %v %v", since, saying(list), lost)
	}
	if rest, _, _ := behind(list[3].mark, s, since); !slices.Equal(saying(rest), saying(list[4:])) {
		t.Errorf("behind the fourth: %v", saying(rest))
	}
	if rest, _, _ := behind(now, s, since); len(rest) != 0 {
		t.Errorf("told twice: %v", saying(rest))
	}
	site := newSite(t, options{})
	for _, query := range []string{"?since=yesterday", "?since=-5m", "?last-event-id=7", "?last-event-id=1.2.x.inc", "?last-event-id=1.2.3."} {
		var p problem
		site.json(http.MethodGet, "/api/v1/events"+query, "", 422, &p, "Accept", "text/event-stream")
	}
}

// received reads n messages of a stream: id, event and data.
func received(t *testing.T, url, last string, n int) (list [][3]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", last)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var m [3]string
	for lines := bufio.NewScanner(answer.Body); len(list) < n && lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		if name == "" && value == "known" {
			list = append(list, [3]string{"", "known", ""})
		}
		if i := slices.Index([]string{"id", "event", "data"}, name); i >= 0 {
			m[i] = value
		}
		if lines.Text() == "" && m[2] != "" {
			list, m = append(list, m), [3]string{}
		}
	}
	return list
}

// known leaves out the word that what was known has been told.
func known(list [][3]string) [][3]string {
	return slices.DeleteFunc(list, func(m [3]string) bool { return m[1] == "known" })
}

// TestEventsOverTheWire breaks a stream off and comes back, and is told when another node leads.
func TestEventsOverTheWire(t *testing.T) {
	s := newSite(t, options{})
	url := s.serve() + "/api/v1/events"
	first := received(t, url, "", 5) // a change and three events of an agent, and that this was all
	if first[4][1] != "known" {
		t.Errorf("behind what was known: %v", first[4])
	}
	first = first[:4]
	s.plane.apply(t, weight(30, 60, 10))
	s.web.look()
	next := known(received(t, url, first[1][0], 4))
	if next[0] != first[2] || next[1] != first[3] || !strings.Contains(next[2][2], "main 40 → 30 %") {
		t.Errorf("behind %v: %v", first[1], next)
	}
	w, err := witness()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range append(first, next...) {
		if err := w.Schema("Event", []byte(m[2])); err != nil || m[1] != "happened" {
			t.Errorf("%v: %v", m, err)
		}
	}
	s.plane.set(func(p *plane) { p.view.Term = 8; p.view.World.Told, p.view.World.Events = 0, nil })
	s.web.look()
	s.plane.apply(t, weight(20, 70, 10))
	again := known(received(t, url, next[2][0], 3))
	var told struct{ Lost []string }
	if err := json.Unmarshal([]byte(again[0][2]), &told); err != nil || again[0][1] != "reset" || len(told.Lost) != 1 || w.Schema("Reset", []byte(again[0][2])) != nil {
		t.Errorf("another leader: %v", again)
	}
	if !strings.Contains(again[1][2], "main 30 → 20 %") {
		t.Errorf("after it: %v", again[1])
	}
}
