package main

import (
	"fmt"
	"time"

	"segue/controlplane/health"
)

// nothing stands where nothing was measured.
const nothing = "–"

func percentText(p float64) string {
	switch {
	case p < 0:
		return nothing
	case p == float64(int64(p)):
		return fmt.Sprintf("%.0f %%", p)
	default:
		return fmt.Sprintf("%.2f %%", p)
	}
}

func millis(ms float64) string {
	switch {
	case ms < 0:
		return nothing
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.2f s", ms/1000)
	}
}

// clock is a time of day as this machine's people read it.
func clock(t time.Time) string {
	if t.IsZero() {
		return nothing
	}
	return t.Local().Format(time.TimeOnly)
}

// breakerText is a circuit in words, with what led to it.
func breakerText(c health.Cell) string {
	text := standWord(c)
	if c.Breaker == "closed" || c.Breaker == "" {
		return text
	}
	if !c.Since.IsZero() {
		text += " since " + clock(c.Since)
	}
	if c.Probes != "" {
		text += ", " + c.Probes + " probes good"
	}
	if c.Why != "" {
		text += ": " + c.Why
	}
	return text
}
