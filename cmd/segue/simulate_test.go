package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"segue/dataplane/simulator"
)

const nobody = "http://127.0.0.1:1" // simulate needs no control plane

func TestSimulate(t *testing.T) {
	dir := t.TempDir()
	report, summary := filepath.Join(dir, "report.html"), filepath.Join(dir, "summary.md")
	segue(t, nobody, "", "simulate", "--scenario", "black-hole", "--rate", "5", "--seeds", "2", "--seed", "9", "--out", report, "--summary", summary).
		want(t, exitFine, "PLAYER", "segue-weighted", "peak-ewma", "oracle", "black-hole at 5/s, 2 runs", "seeds 9 to 10", report)
	page, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"<svg", "<title>segue</title>", "As a table", "default-src 'none'", "prefers-color-scheme:dark", "Content-Security-Policy"} {
		if !strings.Contains(string(page), part) {
			t.Errorf("the report has no %s", part)
		}
	}
	for _, part := range []string{"<script", "style=\"", "http://", "https://", "NaN"} {
		if strings.Contains(string(page), part) {
			t.Errorf("the report has %s", part)
		}
	}
	if md, err := os.ReadFile(summary); err != nil || !strings.Contains(string(md), "| segue | ") {
		t.Errorf("the summary: %v\n%s", err, md)
	}
}

// TestSimulateIsTheSameOnAnyNumberOfCores wants the same bytes from one core and from four.
func TestSimulateIsTheSameOnAnyNumberOfCores(t *testing.T) {
	play := func(cores int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		return segue(t, nobody, "", "simulate", "--scenario", "ambiguous,outage", "--rate", "5", "--seeds", "3", "-o", "json").want(t, exitFine).out
	}
	one, four := play(1), play(4)
	if one != four {
		t.Error("one core and four do not come to the same")
	}
	var study simulator.Study
	if err := json.Unmarshal([]byte(one), &study); err != nil || len(study.Results) != 2*len(simulator.Players()) || study.Results[0].Calls == 0 {
		t.Errorf("%v: %d results", err, len(study.Results))
	}
}

func TestSimulateRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--scenario", "blackhole"}, "did you mean black-hole?"},
		{[]string{"--scenario", "steady,steady"}, "is there twice"},
		{[]string{"--players", "nginx"}, "there are segue"},
		{[]string{"--rate", "fast"}, "like 50"},
		{[]string{"--rate", "NaN"}, "like 50"},
		{[]string{"--rate", "-1"}, "like 50"},
		{[]string{"--rate", "0"}, "like 50"},
		{[]string{"--rate", "1e300"}, "like 50"},
		{[]string{"--rate", ""}, "--rate: name at least one"},
		{[]string{"--scenario", ""}, "--scenario: name at least one"},
		{[]string{"--players", ""}, "--players: name at least one"},
		{[]string{"--rate", "50,50"}, "is there twice"},
		{[]string{"--seeds", "0"}, "want 1 to"},
		{[]string{"--seeds", "100000"}, "want 1 to"},
		{[]string{"--seeds", "10000"}, "play fewer"},
		{[]string{"--seed", "18446744073709551615"}, "want a smaller one"},
		{[]string{"--full", "--rate", "5"}, "leave out --scenario and --rate"},
		{[]string{"--out", "/nowhere/at/all.html"}, "there is no directory"},
		{[]string{"--out", t.TempDir()}, "is a directory"},
		{[]string{"steady"}, "unknown command"},
	} {
		segue(t, nobody, "", append([]string{"simulate"}, c.args...)...).want(t, exitUsage, c.want)
	}
}
