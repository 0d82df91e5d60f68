package view

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

func (p Prefs) zone() *time.Location {
	if p.Zone == nil {
		return time.UTC
	}
	return p.Zone
}

// Clock is a moment of today, in the reader's zone.
func (p Prefs) Clock(t time.Time) string { return t.In(p.zone()).Format(time.TimeOnly) }

// Day is a moment that may lie days back.
func (p Prefs) Day(t time.Time) string { return t.In(p.zone()).Format("2 Jan 15:04:05") }

// Full is a moment with its day.
func (p Prefs) Full(t time.Time) string { return t.In(p.zone()).Format("2006-01-02 15:04:05 MST") }

// ZoneName is what the switch shows.
func (p Prefs) ZoneName() string {
	if p.Local {
		return "local"
	}
	return "UTC"
}

// Number is a figure that people read: no more digits than say something.
func Number(x float64, digits int) string {
	if x < 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return "–"
	}
	return group(strconv.FormatFloat(x, 'f', digits, 64))
}

// Count groups thousands.
func Count[T int | int64 | uint64](n T) string { return group(strconv.FormatInt(int64(n), 10)) }

func group(digits string) string {
	whole, rest, dot := strings.Cut(digits, ".")
	var b strings.Builder
	for i, r := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 && r != '-' && whole[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	if dot {
		b.WriteString("." + rest)
	}
	return b.String()
}

// Percent shows a share. What is below all but not all is never shown as 100.
func Percent(x float64) string {
	switch {
	case x < 0 || math.IsNaN(x):
		return "–"
	case x == 100:
		return "100"
	case x > 99.9:
		return strconv.FormatFloat(math.Floor(x*100)/100, 'f', 2, 64)
	default:
		return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
	}
}

// Millis shows milliseconds as people say them.
func Millis(ms float64) string {
	switch {
	case ms < 0 || math.IsNaN(ms):
		return "–"
	case ms >= 10_000:
		return strconv.FormatFloat(ms/1000, 'f', 0, 64) + " s"
	case ms >= 1000:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	case ms >= 10:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	default:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	}
}

// Span shows a time left or gone, rounded to what matters.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return strconv.FormatFloat(float64(d)/float64(time.Second), 'f', 1, 64) + " s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// Middle shortens a long id in its middle: mostly its end tells it from others.
func Middle(id string, most int) string {
	r := []rune(id)
	if len(r) <= most {
		return id
	}
	head := (most - 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(most-1-head):])
}

// width is a share as an SVG attribute: the content policy allows no style attributes.
func width(percent float64) string {
	if !(percent > 0) {
		return "0%"
	}
	return strconv.FormatFloat(math.Min(percent, 100), 'f', 2, 64) + "%"
}
