package simulator

import (
	"strings"
	"testing"
)

// mustHold are the bars that every test run holds Segue to.
func mustHold() []string {
	return []string{nameSeen, nameFalse, nameSteady, nameBack, nameFlapping, nameGrey, nameDeclines, nameEgress, nameStorm, nameRoom, nameTwice}
}

// TestSmallStudy plays the stories that bars speak of, with few seeds. What breaks a promise is told with the command that plays it again.
func TestSmallStudy(t *testing.T) {
	if testing.Short() {
		t.Skip("the plain run plays it")
	}
	jobs := Jobs(Small(), []string{Segue, "priority-breaker", Oracle}, 1)
	tallies := make([]*Tally, len(jobs))
	for i, j := range jobs {
		x, err := Play(j, streams(j.Seed))
		if err != nil {
			t.Fatalf("%v; %s", err, j.Replay())
		}
		tallies[i] = x
	}
	study := NewStudy(1, jobs, tallies)
	for _, f := range study.Failing {
		t.Errorf("%s: %s", f.What, f.Replay)
	}
	held := map[string]bool{}
	for _, b := range study.Bars {
		t.Logf("held %v: %s: %s (want %s)", b.Held, b.Name, b.Got, b.Want)
		held[b.Name] = b.Held
	}
	for _, name := range mustHold() {
		if !held[name] {
			t.Errorf("missed: %s", name)
		}
	}
}

// TestBarsCanBeMissed shows that the bars see what they are for: a player that always takes the first provider misses them.
func TestBarsCanBeMissed(t *testing.T) {
	var cases []Case
	for _, name := range []string{"brownout-30", "black-hole", "grey", "egress", "retry-storm"} {
		cases = append(cases, Case{name, 50, 1})
	}
	jobs := Jobs(append(cases, Case{"outage", 2, 1}), []string{"priority", Oracle}, 1)
	var tallies []*Tally
	for _, j := range jobs {
		x, err := Play(j, streams(j.Seed))
		if err != nil {
			t.Fatal(err)
		}
		if x.Player == "priority" {
			x.Player = Segue
		}
		tallies = append(tallies, x)
	}
	for i := range jobs {
		if jobs[i].Player == "priority" {
			jobs[i].Player = Segue
		}
	}
	study := NewStudy(1, jobs, tallies)
	missed := map[string]bool{}
	for _, b := range study.Bars {
		missed[b.Name] = !b.Held
	}
	for _, name := range []string{nameSeen, nameOff, nameBrownout, nameBack, nameGrey, nameEgress, nameStorm, nameTwice} {
		if !missed[name] {
			t.Errorf("nobody who always takes the first provider should hold: %s", name)
		}
	}
	if len(study.Failing) == 0 || !strings.Contains(study.Failing[0].Replay, "segue simulate --scenario") {
		t.Errorf("no failing run is told: %+v", study.Failing)
	}
}
