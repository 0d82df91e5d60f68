package policy

import (
	"bytes"
	"math"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Document is a policy beside the text that says it. It is immutable: a change makes the next one.
type Document struct {
	Policy   *Policy
	Source   []byte
	numerals []numeral // of every weight's number, in the order of Policy; nil until somebody needs them
}

// numeral is where a weight's number stands in the text.
type numeral struct{ at, size int }

// nowhere is the numeral of a number that cannot be replaced in place: a quoted one, or one behind line breaks that are read otherwise here.
var nowhere = numeral{-1, 0}

// Read parses a document and keeps its text beside it.
func Read(file string, src []byte) (Document, Problems) {
	p, problems := Parse(file, src)
	if problems != nil {
		return Document{}, problems
	}
	return Document{Policy: p, Source: src}, nil
}

// CutDocument is what the agents of a region need of a policy, in its canonical form.
func CutDocument(p *Policy, region string) Document {
	cut := Cut(p, region)
	return Document{Policy: cut, Source: Marshal(cut)}
}

// ownEntry is the place in a service's weights of those that hold in the region and in no other; -1 where there are none.
func (p *Policy) ownEntry(service, region string) int {
	entries := p.Service(service).Weights
	if len(p.Regions) == 1 && len(entries) == 1 && entries[0].Region == "" {
		return 0
	}
	return slices.IndexFunc(entries, func(e RegionWeights) bool { return e.Region == region })
}

// move gives an entry of a service's weights new numbers, in the text and in what it says, where that is sure to give a good policy: the
// same providers, each with a share, which add up to 100. It says no where reading the text anew must tell.
func (d Document) move(service string, entry int, w []Weight) (Document, bool) {
	if !fair(w) {
		return Document{}, false
	}
	text, moved, ok := d.replace(service, entry, w)
	if !ok {
		return Document{}, false
	}
	p := *d.Policy
	p.Services = slices.Clone(p.Services)
	s := p.Service(service)
	s.Weights = slices.Clone(s.Weights)
	s.Weights[entry].Weights = slices.Clone(w)
	return Document{Policy: &p, Source: text, numerals: moved}, true
}

// fair tells whether Validate finds nothing wrong with the numbers.
func fair(w []Weight) bool {
	sum := 0.0
	for _, x := range w {
		if !(x.Percent >= 0 && x.Percent <= 100) || math.Signbit(x.Percent) {
			return false
		}
		sum += x.Percent
	}
	return math.Abs(sum-100) <= 0.01
}

// inPlace is the text with new numbers in an entry of a service's weights, whatever it then says.
func (d Document) inPlace(service string, entry int, w []Weight) ([]byte, bool) {
	text, _, ok := d.replace(service, entry, w)
	return text, ok
}

// replace writes w over the numbers of an entry that has the same providers in the same order. Not even a blank moves.
func (d Document) replace(service string, entry int, w []Weight) ([]byte, []numeral, bool) {
	first, ok := d.firstNumeral(service, entry, w)
	if !ok {
		return nil, nil, false
	}
	text := make([]byte, 0, len(d.Source)+16*len(w))
	numerals := slices.Clone(d.numerals)
	from, shift := 0, 0
	for i := range w {
		old := d.numerals[first+i]
		text = append(text, d.Source[from:old.at]...)
		numerals[first+i] = numeral{at: len(text)}
		text = appendPercent(text, w[i].Percent)
		numerals[first+i].size = len(text) - numerals[first+i].at
		from = old.at + old.size
		shift += numerals[first+i].size - old.size
	}
	for i := first + len(w); i < len(numerals) && shift != 0; i++ {
		if numerals[i] != nowhere {
			numerals[i].at += shift
		}
	}
	return append(text, d.Source[from:]...), numerals, true
}

// firstNumeral is the place in numerals of an entry's first number. It says no unless each of w has its numeral, in the order of w.
func (d Document) firstNumeral(service string, entry int, w []Weight) (int, bool) {
	first := 0
	for i := range d.Policy.Services {
		s := &d.Policy.Services[i]
		for k, e := range s.Weights {
			if s.Name != service || k != entry {
				first += len(e.Weights)
				continue
			}
			same := slices.EqualFunc(e.Weights, w, func(a, b Weight) bool { return a.Provider == b.Provider })
			if !same || first+len(w) > len(d.numerals) || slices.Contains(d.numerals[first:first+len(w)], nowhere) {
				return 0, false
			}
			return first, true
		}
	}
	return 0, false
}

// located is d with the numerals of its numbers.
func (d Document) located() Document {
	if d.numerals == nil {
		d.numerals = locate(d.Source, d.Policy)
	}
	return d
}

// locate finds where each weight stands. Empty, not nil, where the text is not laid out as p says: then nothing is replaced in place.
func locate(src []byte, p *Policy) []numeral {
	numerals := []numeral{}
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil || len(doc.Content) == 0 {
		return numerals
	}
	lines := lineStarts(src)
	_, services := entry(doc.Content[0], "services")
	for i := range p.Services {
		s := &p.Services[i]
		_, node := entry(services, s.Name)
		_, weights := entry(node, "weights")
		for k, e := range s.Weights {
			shares := weights
			if !flat(weights) {
				shares = value0(weights, k)
			}
			for j, w := range e.Weights {
				numerals = append(numerals, numeralOf(src, lines, shares, j, w.Provider))
			}
		}
	}
	return numerals
}

// value0 is the value of a mapping's entry k, nil where there is none.
func value0(m *yaml.Node, k int) *yaml.Node {
	if m == nil || 2*k+1 >= len(m.Content) {
		return nil
	}
	return m.Content[2*k+1]
}

// numeralOf finds the number of entry j of a mapping of shares, which must be the provider's.
func numeralOf(src []byte, lines []int, shares *yaml.Node, j int, provider string) numeral {
	number := value0(shares, j)
	if number == nil || shares.Content[2*j].Value != provider || number.Style != 0 || number.Line > len(lines) {
		return nowhere
	}
	at := lines[number.Line-1]
	for range number.Column - 1 {
		_, size := utf8.DecodeRune(src[at:])
		at += size
	}
	if !bytes.HasPrefix(src[at:], []byte(number.Value)) {
		return nowhere
	}
	return numeral{at, len(number.Value)}
}

// lineStarts are the offsets at which lines begin.
func lineStarts(src []byte) []int {
	starts := []int{0}
	for i, c := range src {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}
