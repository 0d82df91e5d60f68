package view

import (
	"math"
	"strconv"
	"strings"
)

// Spark is a small line of history: SVG paths in a box of sparkWidth × sparkHeight.
type Spark struct {
	Line, Area string
	Label      string // says in words what the line shows
}

const (
	sparkWidth  = 120.0
	sparkHeight = 26.0
	youngest    = 24
	sparkRoom   = 2.0 // above and below, so that the stroke is not cut
)

// NewSpark draws values, oldest first, over the whole width; slots is how many there are at most. A young history stands at the right of
// at least youngest. Values below 0 are gaps. The box spans at least least, and a fifth of the highest value: small noise must not look like
// a storm.
func NewSpark(values []float64, slots int, least float64, label string) Spark {
	low, high, any := bounds(values)
	if !any {
		return Spark{Label: label + ": no history yet"}
	}
	if span := math.Max(math.Max(least, high/5), 1e-9); high-low < span {
		low = math.Max((low+high-span)/2, 0)
		high = low + span
	}
	var line, area strings.Builder
	slots = min(slots, max(len(values), youngest))
	start := max(0, slots-len(values))
	open := false
	var first, last string
	for i, v := range values {
		if v < 0 {
			closeArea(&area, open, first, last)
			open = false
			continue
		}
		x := number(sparkWidth * float64(start+i) / float64(max(slots-1, 1)))
		y := number(sparkRoom + (sparkHeight-2*sparkRoom)*(1-(v-low)/(high-low)))
		verb := "L"
		if !open {
			verb, first = "M", x
			area.WriteString("M" + x + " " + number(sparkHeight) + "L" + x + " " + y)
		} else {
			area.WriteString("L" + x + " " + y)
		}
		line.WriteString(verb + x + " " + y)
		open, last = true, x
	}
	closeArea(&area, open, first, last)
	return Spark{Line: line.String(), Area: area.String(), Label: label}
}

func closeArea(b *strings.Builder, open bool, first, last string) {
	if open {
		b.WriteString("L" + last + " " + number(sparkHeight) + "L" + first + " " + number(sparkHeight) + "Z")
	}
}

func bounds(values []float64) (low, high float64, any bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v >= 0 {
			low, high, any = math.Min(low, v), math.Max(high, v), true
		}
	}
	return low, high, any
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }
