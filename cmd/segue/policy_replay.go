package main

import (
	"fmt"
	"strings"
)

// whatIf is what recorded traffic would have come to under a planned policy, as the API says it.
type whatIf struct {
	Text      string          `json:"text"`
	Window    string          `json:"window"`
	Decisions uint64          `json:"decisions"`
	Stand     uint64          `json:"stand_for"`
	Moves     uint64          `json:"moves"`
	PerMinute float64         `json:"moves_per_minute"`
	Success   *float64        `json:"success_pp,omitempty"`
	Cost      *float64        `json:"cost_percent,omitempty"`
	Services  []whatIfService `json:"services"`
	Left      []whatIfLeft    `json:"left_out"`
	Silent    []string        `json:"silent"`
	Cut       bool            `json:"cut"`
}

type whatIfService struct {
	Service   string           `json:"service"`
	Region    string           `json:"region"`
	Stand     uint64           `json:"stand_for"`
	Moves     uint64           `json:"moves"`
	Served    uint64           `json:"served"`
	Refused   uint64           `json:"refused"`
	Providers []whatIfProvider `json:"providers"`
}

type whatIfProvider struct {
	Provider       string  `json:"provider"`
	Before         float64 `json:"before"`
	After          float64 `json:"after"`
	SessionsBefore float64 `json:"sessions_before"`
	SessionsAfter  float64 `json:"sessions_after"`
	Load           float64 `json:"load"`
}

type whatIfLeft struct {
	Region  string `json:"region"`
	Service string `json:"service"`
	Why     string `json:"why"`
	Stand   uint64 `json:"stand_for"`
}

// tellWhatIf prints the line, then each service and region where something moves, then what is missing.
func (s *settings) tellWhatIf(f *whatIf) {
	fmt.Fprintln(s.io.out, "  "+f.Text)
	for _, v := range f.Services {
		if v.Moves+v.Served+v.Refused == 0 {
			continue
		}
		line := fmt.Sprintf("  %s / %s: of %d calls", v.Service, v.Region, v.Stand)
		for _, p := range v.Providers {
			line += fmt.Sprintf("   %s %s → %s", p.Provider, percentText(p.Before), percentText(p.After))
		}
		if v.Served > 0 {
			line += fmt.Sprintf("   %d more are served", v.Served)
		}
		if v.Refused > 0 {
			line += fmt.Sprintf("   %d more are refused", v.Refused)
		}
		fmt.Fprintln(s.io.out, line)
	}
	for _, l := range f.Left {
		fmt.Fprintf(s.io.out, "  not replayed: %d of %s / %s: %s\n", l.Stand, l.Service, l.Region, l.Why)
	}
	if len(f.Silent) > 0 {
		fmt.Fprintln(s.io.err, "segue: not all were asked:", strings.Join(f.Silent, "; "))
	}
}
