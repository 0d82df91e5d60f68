package main

import (
	"fmt"
	"strings"
	"time"

	"segue/controlplane/health"
)

// tellLanes lists what Segue itself asks a provider. None of it opens or closes a circuit.
func (s *settings) tellLanes(cells []health.Cell) {
	rows := [][]string{{"LANE", "CHECK", "REGION", "STANDS", "SINCE", "LAST", "TOOK", "NEXT", "WHY"}}
	for _, c := range cells {
		for i := range c.Lanes {
			l := &c.Lanes[i]
			took := nothing
			if !l.At.IsZero() {
				took = millis(l.MS)
			}
			rows = append(rows, []string{l.Kind, l.Name, c.Region, levelWord(l.Level), clock(l.Since), clock(l.At), took, clock(l.Next), laneWhy(l, time.Now())})
		}
	}
	if len(rows) > 1 {
		fmt.Fprintln(s.io.out)
		s.table(rows)
	}
}

func levelWord(level string) string {
	if level == "" {
		return "not run yet"
	}
	return level
}

func laneWhy(l *health.Lane, now time.Time) string {
	var parts []string
	if l.Why != "" {
		parts = append(parts, l.Why)
	}
	if l.Yields.After(now) {
		parts = append(parts, "yielding: it asked to be left alone until "+clock(l.Yields))
	}
	if l.Left > 0 {
		parts = append(parts, fmt.Sprintf("what %d runs made is not taken away yet", l.Left))
	}
	return strings.Join(parts, "; ")
}
