package simulator

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// plot is a picture with a table of the same numbers. Colours are classes, so that a page can have two modes and a strict policy.
type plot struct {
	title  string
	unit   string
	span   float64 // seconds
	bands  [][2]float64
	lines  []line
	wide   bool
	low    float64
	high   float64
	stacks bool // lines are parts of a whole, one on the other
}

// line is one row of numbers; NaN is a gap.
type line struct {
	name   string
	class  string
	values []float64
}

// Sizes of a plot, in its own units.
const (
	plotHeight = 200.0
	padLeft    = 46.0
	padRight   = 8.0
	padTop     = 8.0
	padBottom  = 22.0
)

func (p *plot) width() float64 {
	if p.wide {
		return 640
	}
	return 300
}

func (p *plot) x(i int) float64 {
	n := len(p.lines[0].values)
	return padLeft + (p.width()-padLeft-padRight)*(float64(i)+.5)/float64(n)
}

func (p *plot) y(v float64) float64 {
	share := (v - p.low) / (p.high - p.low)
	return padTop + (plotHeight-padTop-padBottom)*(1-min(max(share, 0), 1))
}

// svg draws it.
func (p *plot) svg() string {
	var b strings.Builder
	w := p.width()
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, w, plotHeight, html.EscapeString(p.title))
	inner := w - padLeft - padRight
	for _, band := range p.bands {
		from, to := padLeft+inner*band[0]/p.span, padLeft+inner*min(band[1], p.span)/p.span
		fmt.Fprintf(&b, `<rect class="fault" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, from, padTop, to-from, plotHeight-padTop-padBottom)
	}
	for i := range 5 {
		v := p.low + (p.high-p.low)*float64(i)/4
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="tick end" x="%.1f" y="%.1f">%s</text>`,
			padLeft, w-padRight, p.y(v), p.y(v), padLeft-5, p.y(v)+4, p.label(v))
	}
	for i := range 6 {
		if !p.wide && i == 4 { // no room beside the last
			continue
		}
		at := p.span * float64(i) / 5
		x := padLeft + inner*float64(i)/5
		anchor := "mid"
		if i == 5 {
			anchor = "end"
		}
		fmt.Fprintf(&b, `<text class="tick %s" x="%.1f" y="%.1f">%.0f s</text>`, anchor, x, plotHeight-6, at)
	}
	if p.stacks {
		p.areas(&b)
	} else {
		p.strokes(&b)
	}
	b.WriteString("</svg>")
	return b.String()
}

func (p *plot) label(v float64) string {
	if p.high-p.low < 5 {
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func (p *plot) strokes(b *strings.Builder) {
	for _, l := range p.lines {
		fmt.Fprintf(b, `<path class="%s" d="`, l.class)
		pen := false
		for i, v := range l.values {
			if math.IsNaN(v) {
				pen = false
				continue
			}
			command := "L"
			if !pen {
				command = "M"
			}
			fmt.Fprintf(b, "%s%.1f %.1f", command, p.x(i), p.y(v))
			pen = true
		}
		fmt.Fprintf(b, `"><title>%s</title></path>`, html.EscapeString(l.name))
	}
}

// areas puts each line on the ones before.
func (p *plot) areas(b *strings.Builder) {
	n := len(p.lines[0].values)
	floor := make([]float64, n)
	for _, l := range p.lines {
		fmt.Fprintf(b, `<path class="%s" d="`, l.class)
		top := make([]float64, n)
		for i, v := range l.values {
			if math.IsNaN(v) {
				v = 0
			}
			top[i] = floor[i] + v
			command := "L"
			if i == 0 {
				command = "M"
			}
			fmt.Fprintf(b, "%s%.1f %.1f", command, p.x(i), p.y(top[i]))
		}
		for i := n - 1; i >= 0; i-- {
			fmt.Fprintf(b, "L%.1f %.1f", p.x(i), p.y(floor[i]))
		}
		fmt.Fprintf(b, `Z"><title>%s</title></path>`, html.EscapeString(l.name))
		floor = top
	}
}

// rows are the numbers of the picture, at so many times.
func (p *plot) rows(at int) (head []string, rows [][]string) {
	head = append(head, "second")
	for _, l := range p.lines {
		head = append(head, l.name)
	}
	n := len(p.lines[0].values)
	for k := range at {
		i := k * n / at
		row := []string{fmt.Sprintf("%.0f", p.span*float64(i)/float64(n))}
		for _, l := range p.lines {
			cell := "–"
			if !math.IsNaN(l.values[i]) {
				cell = strconv.FormatFloat(l.values[i], 'f', 1, 64)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return head, rows
}
