package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestReplayShowsItsTime draws nothing for what is done within a second, then how much of the time is gone, and leaves nothing behind.
func TestReplayShowsItsTime(t *testing.T) {
	draw := func(after ...time.Duration) string {
		var out bytes.Buffer
		began := time.Now()
		ticks, done, ended := make(chan time.Time), make(chan struct{}), make(chan struct{})
		go func() { defer close(ended); drawTime(&out, "agents decide again", began, ticks, done) }()
		for _, d := range after {
			ticks <- began.Add(d)
		}
		close(done)
		<-ended
		return out.String()
	}
	if got := draw(100*time.Millisecond, 900*time.Millisecond); got != "" {
		t.Errorf("something quick draws %q", got)
	}
	got := draw(2*time.Second, 4*time.Second, 20*time.Second)
	for _, want := range []string{"agents decide again", "25%", "50%", "99%"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if last := got[strings.LastIndex(strings.TrimRight(got, "\r"), "\r")+1:]; strings.TrimSpace(last) != "" {
		t.Errorf("it leaves %q on the terminal", last)
	}
}

// TestNoBarWithoutTerminal: a log has no use for one, and an error comes through.
func TestNoBarWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	want := errors.New("refused")
	if err := watched(&out, "x", true, func() error { return want }); !errors.Is(err, want) || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}
