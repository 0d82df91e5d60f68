package state

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
)

func provider(since time.Time) health.Verdict {
	return health.Verdict{Kind: health.ProviderFault, Service: "payments", Provider: "main", Since: since, Until: since.Add(time.Minute), Why: "alarmed in 2 of 3 regions", Eject: true}
}

func path(region string, since time.Time) health.Verdict {
	return health.Verdict{Kind: health.PathFault, Region: region, Service: "payments", Provider: "main", Since: since, Until: since.Add(time.Minute), Why: "alone"}
}

func verdicts(list ...health.Verdict) Command {
	return Command{Beside: Beside{SetVerdicts: &SetVerdicts{list}}, Ignorable: true}
}

// TestVerdictsGoDown: a change of them is a new position, agents of other regions do not hear of a path, and they end by themselves.
func TestVerdictsGoDown(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	before := w.s.Index
	w.must("v1", verdicts(provider(w.now), path("eu-west", w.now)))
	if w.s.Index != before+1 {
		t.Errorf("index %d after %d: who pulls would not hear of it", w.s.Index, before)
	}
	for region, want := range map[string]int{"eu-west": 2, "us-east": 1} {
		u, err := w.s.Update(region, w.now)
		if err != nil || len(u.Verdicts) != want || u.Revision != 1 {
			t.Errorf("%s: %v, %+v", region, err, u.Verdicts)
		}
	}
	if u, _ := w.s.Update("eu-west", w.now.Add(time.Minute)); len(u.Verdicts) != 0 {
		t.Errorf("after their ends: %+v", u.Verdicts)
	}
	index := w.s.Index
	if w.must("v2", verdicts(provider(w.now), path("eu-west", w.now))); w.s.Index != index {
		t.Error("the same again moved the position")
	}
	w.must("v3", verdicts())
	if len(w.s.Verdicts) != 0 || w.s.Index <= index {
		t.Errorf("none: %+v at %d", w.s.Verdicts, w.s.Index)
	}
}

// TestVerdictsAreNobodysChange: neither the audit nor the memory of request ids knows them, however many there are.
func TestVerdictsAreNobodysChange(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	audit, head, seen := len(w.s.Audit), w.s.Head, len(w.s.seen.list)
	for i := range 100 {
		w.now = w.now.Add(time.Second)
		w.must("same id", verdicts(provider(w.now), path(fmt.Sprint("r", i), w.now)))
	}
	if len(w.s.Audit) != audit || w.s.Head != head || len(w.s.seen.list) != seen {
		t.Errorf("%d audit entries after %d, %d request ids after %d", len(w.s.Audit), audit, len(w.s.seen.list), seen)
	}
}

func TestVerdictsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("v", verdicts(provider(w.now)))
	var many []health.Verdict
	for i := range health.MaxVerdicts + 1 {
		many = append(many, path(fmt.Sprint("r", i), w.now))
	}
	long, moon, endless, back, nowhere := provider(w.now), provider(w.now), provider(w.now), provider(w.now), path("", w.now)
	long.Why, moon.Kind = strings.Repeat("x", 1000), "moon"
	endless.Until, back.Until = w.now.Add(time.Hour), w.now.Add(-time.Hour)
	cases := []struct {
		says string
		list []health.Verdict
	}{
		{"at most 32", many}, {"longer", []health.Verdict{long}}, {"moon", []health.Verdict{moon}}, {"at most 2m", []health.Verdict{endless}},
		{"ends at", []health.Verdict{back}}, {"not what it is about", []health.Verdict{nowhere}}, {"twice", []health.Verdict{provider(w.now), provider(w.now)}},
	}
	for i, tc := range cases {
		w.refused(Invalid, tc.says, fmt.Sprint("bad", i), verdicts(tc.list...))
	}
	if len(w.s.Verdicts) != 1 {
		t.Errorf("%+v", w.s.Verdicts)
	}
}

// TestVerdictsAreSaved and go with the next change after their end; a backup's say nothing of now.
func TestVerdictsAreSaved(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("v", verdicts(provider(w.now)))
	saved := saveBytes(t, w.s)
	s, err := Load(bytes.NewReader(saved))
	if err != nil || len(s.Verdicts) != 1 || s.Verdicts[0] != w.s.Verdicts[0] || !bytes.Equal(saveBytes(t, s), saved) {
		t.Fatalf("%v: %+v", err, s)
	}
	back, result := s.Restored(w.s, Command{Request: "r", Actor: "ann", Reason: "lost", At: w.now, Beside: Beside{Restore: &Restore{Incarnation: "two", Sum: "s"}}}, 99)
	if result.Err != nil || len(back.Verdicts) != 0 {
		t.Errorf("restored: %v %+v", result.Err, back.Verdicts)
	}
	w.now = w.now.Add(time.Hour)
	w.must("d", drain("main", time.Hour))
	if len(w.s.Verdicts) != 0 {
		t.Errorf("an hour later: %+v", w.s.Verdicts)
	}
	text, err := Encode(Command{Version: 1, Request: "r", Actor: "c1", Reason: "why", At: w.now, Ignorable: true, Beside: Beside{SetVerdicts: &SetVerdicts{[]health.Verdict{provider(w.now)}}}})
	if err != nil {
		t.Fatal(err)
	}
	old := bytes.Replace(text, []byte("SetVerdicts"), []byte("SetVerdictz"), 1) // what a node of before reads
	if c, err := Decode(old); err != nil || !c.skipped() {
		t.Errorf("a node that does not know them: %v %+v", err, c)
	}
}
