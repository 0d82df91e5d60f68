package simulator

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"slices"
)

//go:embed report.html
var page string

//go:embed report.css
var style string

// HTML is the study as one page that needs nothing else: no script, no font, no picture from elsewhere. Its own policy forbids them.
func (s *Study) HTML() ([]byte, error) {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return nil, fmt.Errorf("simulator: the report's page: %w", err)
	}
	sum := sha256.Sum256([]byte(style))
	var b bytes.Buffer
	err = t.Execute(&b, view{
		Style: template.CSS(style), Hash: template.HTMLAttr(`content="default-src 'none'; style-src 'sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `'"`),
		Study: s, Legend: Legend(), Matrix: s.matrix(), Stories: s.stories(), Rivals: Rivals(),
	})
	if err != nil {
		return nil, fmt.Errorf("simulator: the report's page: %w", err)
	}
	return b.Bytes(), nil
}

// view is what the page shows.
type view struct {
	Style   template.CSS
	Hash    template.HTMLAttr
	Study   *Study
	Legend  string
	Matrix  matrix
	Stories []story
	Rivals  []Rival
}

// matrix is the loss above the oracle's, every story by every player.
type matrix struct {
	Players []string
	Rows    []matrixRow
}

type matrixRow struct {
	Story string
	Rate  float64
	Cells []matrixCell
}

type matrixCell struct {
	Text string
	Best bool
}

// story is one group on the page.
type story struct {
	ID, Title, What string
	Heads           []string
	Rows            [][]string
	Lines           []picture
	Shares          []picture
}

// picture is a plot that is drawn, and its table.
type picture struct {
	Title string
	SVG   template.HTML
	Keys  []key
	Head  []string
	Rows  [][]string
}

// key is an entry of a legend.
type key struct{ Class, Name string }

func (s *Study) matrix() matrix {
	m := matrix{}
	for _, g := range s.groups {
		if len(g.Tallies) > len(m.Players) {
			m.Players = m.Players[:0]
			for _, t := range g.Tallies {
				m.Players = append(m.Players, t.Player)
			}
		}
	}
	for _, g := range s.groups {
		row, best, at := matrixRow{Story: g.Scenario.Name, Rate: g.Rate}, math.Inf(1), -1
		for i, p := range m.Players {
			r := s.find(g.Scenario.Name, g.Rate, p)
			if r == nil {
				row.Cells = append(row.Cells, matrixCell{Text: "–"})
				continue
			}
			if p != Oracle && r.Loss < best {
				best, at = r.Loss, i
			}
			row.Cells = append(row.Cells, matrixCell{Text: r.regret()})
		}
		if at >= 0 {
			row.Cells[at].Best = true
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

// stories are the groups; those at 50 a second have plots, or all if there are few.
func (s *Study) stories() []story {
	var out []story
	for i, t := range s.Tables() {
		g := s.groups[i]
		one := story{ID: fmt.Sprintf("%s-%v", g.Scenario.Name, g.Rate), Title: fmt.Sprintf("%s, %v/s", g.Scenario.Name, g.Rate), What: t.Title, Heads: t.Rows[0], Rows: t.Rows[1:]}
		if (g.Rate == 50 || len(s.groups) <= len(Scenarios())) && len(g.Tallies) > 0 {
			one.Lines = s.curves(g)
			one.Shares = g.shares()
		}
		out = append(out, one)
	}
	return out
}

// curves are success and fees over time: Segue, the oracle, the rival that lost least, and the others behind.
func (s *Study) curves(g *Group) []picture {
	best := s.closest(g)
	var order []*Tally
	for _, t := range g.Tallies {
		if t.Player != best && t.Player != Segue && t.Player != Oracle {
			order = append(order, t)
		}
	}
	for _, name := range []string{best, Oracle, Segue} {
		if t := g.Tally(name); t != nil {
			order = append(order, t)
		}
	}
	success := plot{title: "Success, % of the calls that ended", unit: "%"}
	fees := plot{title: "Fees for 1,000 calls that ended", unit: "money"}
	for _, t := range order {
		class := "other"
		switch t.Player {
		case best:
			class = "rival"
		case Oracle:
			class = "oracle"
		case Segue:
			class = "segue"
		}
		x, y := line{t.Player, class, nil}, line{t.Player, class, nil}
		for i := 0; i < Bins; i += 2 {
			b := t.Series[i]
			b.merge(&t.Series[i+1])
			x.values, y.values = append(x.values, part(float64(b.Good), b.Calls, 100)), append(y.values, part(b.Fees, b.Calls, 1000))
		}
		success.lines, fees.lines = append(success.lines, x), append(fees.lines, y)
	}
	var out []picture
	for _, p := range []*plot{&success, &fees} {
		p.wide, p.span, p.bands = true, g.Tallies[0].Span.Seconds(), g.bands()
		p.fit()
		pic := p.picture(20)
		for _, k := range []key{{"segue", Segue}, {"oracle", Oracle}, {"rival", best}, {"other", "the other players"}} {
			if k.Name != "" && (k.Class == "other" || g.Tally(k.Name) != nil) {
				pic.Keys = append(pic.Keys, k)
			}
		}
		out = append(out, pic)
	}
	return out
}

func part(x float64, of uint32, times float64) float64 {
	if of == 0 {
		return math.NaN()
	}
	return times * x / float64(of)
}

// closest is the rival with the least loss; "": none played.
func (s *Study) closest(g *Group) string {
	best, least := "", math.Inf(1)
	for _, r := range Rivals() {
		if x := s.find(g.Scenario.Name, g.Rate, r.Name); x != nil && x.Loss < least {
			best, least = r.Name, x.Loss
		}
	}
	return best
}

// fit chooses what the axis shows: a little beyond the middle 96 % of the numbers, so that one outlier does not flatten all the rest.
func (p *plot) fit() {
	var every []float64
	for _, l := range p.lines {
		for _, v := range l.values {
			if !math.IsNaN(v) {
				every = append(every, v)
			}
		}
	}
	if len(every) == 0 {
		p.low, p.high = 0, 1
		return
	}
	slices.Sort(every)
	p.low, p.high = every[len(every)/50], every[len(every)-1-len(every)/50]
	room := max((p.high-p.low)/10, .01)
	p.low, p.high = max(0, p.low-room), p.high+room
	if p.unit == "%" {
		p.high = 100
	}
}

// shares are the parts of the providers in the first choices, a picture for each player.
func (g *Group) shares() []picture {
	var out []picture
	for _, t := range g.Tallies {
		p := plot{title: t.Player, unit: "%", span: t.Span.Seconds(), bands: g.bands(), stacks: true, high: 100}
		for i, provider := range providers() {
			l := line{provider.Name, fmt.Sprintf("area p%d", i), nil}
			for k := 0; k+2 < Bins; k += 3 {
				b := t.Series[k]
				b.merge(&t.Series[k+1])
				b.merge(&t.Series[k+2])
				every := uint32(0)
				for _, n := range b.First {
					every += n
				}
				l.values = append(l.values, part(float64(b.First[i]), every, 100))
			}
			p.lines = append(p.lines, l)
		}
		pic := p.picture(10)
		for i, provider := range providers() {
			pic.Keys = append(pic.Keys, key{fmt.Sprintf("p%d", i), provider.Name})
		}
		out = append(out, pic)
	}
	return out
}

func (p *plot) picture(rows int) picture {
	head, body := p.rows(rows)
	return picture{Title: p.title, SVG: template.HTML(p.svg()), Head: head, Rows: body}
}

// bands are when something ails the world.
func (g *Group) bands() [][2]float64 {
	unit := float64(unitOf(g.Rate)) / 1e9
	var out [][2]float64
	for _, f := range g.Scenario.Faults {
		band := [2]float64{f.From * unit, f.To * unit}
		if !slices.Contains(out, band) {
			out = append(out, band)
		}
	}
	return out
}
