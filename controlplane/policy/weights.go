package policy

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// SetWeights changes the weights of one service in one region, in the text of a document: comments, order and everything else
// stay as their author wrote them. A provider of the region that w does not name keeps its place with 0 (fallback only).
// Weights that were written once for all regions are written out by region first. An error is Problems.
func SetWeights(src []byte, service, region string, w []Weight) ([]byte, error) {
	p, problems := Parse("", src)
	if problems != nil {
		return nil, problems
	}
	next, err := (Document{Policy: p, Source: src}).Reweigh(service, region, w)
	return next.Source, err
}

// Reweigh is SetWeights on a document that was read already. Every control node does this for each weight that is moved, so the
// text is not read again where its numbers can be replaced in place.
func (d Document) Reweigh(service, region string, w []Weight) (Document, error) {
	if found := weightsTarget(d.Policy, service, region, w); found != nil {
		return Document{}, found
	}
	d = d.located()
	full := withFallbacks(d.Policy.Service(service).WeightsIn(region), w)
	if next, ok := d.move(service, d.Policy.ownEntry(service, region), full); ok {
		return next, nil
	}
	text, ok := d.inPlace(service, d.Policy.ownEntry(service, region), full)
	if !ok {
		text = rewriteShares(d.Source, d.Policy, service, region, full)
	}
	next, problems := Read("", text)
	if problems != nil {
		return Document{}, problems.placeless()
	}
	return next, nil
}

// Recut is d, the cut of a region, after the weights of a service in that region became w. It is what CutDocument(p, region) gives for
// the policy p after the change.
func (d Document) Recut(p *Policy, service, region string) Document {
	if d = d.located(); d.Policy.Service(service) != nil {
		if next, ok := d.move(service, 0, p.Service(service).WeightsIn(region)); ok {
			return next
		}
	}
	return CutDocument(p, region).located()
}

// placeless takes the lines away: they are those of a document that nobody has seen.
func (ps Problems) placeless() Problems {
	for i := range ps {
		ps[i].Line, ps[i].Col = 0, 0
	}
	return ps
}

// weightsTarget tells whether there is something to set.
func weightsTarget(p *Policy, service, region string, w []Weight) Problems {
	s := p.Service(service)
	if s == nil {
		var names []string
		for i := range p.Services {
			names = append(names, p.Services[i].Name)
		}
		return Problems{{Path: "services", Message: fmt.Sprintf("there is no service %q", clip(service)), Fix: didYouMean(service, names)}}
	}
	path := join(join("services", service), "weights")
	if s.Strategy != Weighted {
		return Problems{{Path: path, Message: "service " + service + " goes by " + s.Strategy.String() + ", not by weights",
			Fix: "write strategy: weighted first"}}
	}
	if _, ok := p.Regions.Find(region); !ok {
		return Problems{{Path: path, Message: fmt.Sprintf("there is no region %q", clip(region)), Fix: didYouMean(region, p.Regions.Names())}}
	}
	for i := range w {
		if slices.ContainsFunc(w[:i], func(o Weight) bool { return o.Provider == w[i].Provider }) {
			return Problems{{Path: path, Message: "provider " + clip(w[i].Provider) + " is there twice", Fix: "give each one share"}}
		}
	}
	return nil
}

// withFallbacks keeps the order of the document; new providers come last.
func withFallbacks(old, w []Weight) []Weight {
	var full []Weight
	for _, o := range old {
		full = append(full, Weight{Provider: o.Provider})
	}
	for _, n := range w {
		i := slices.IndexFunc(full, func(o Weight) bool { return o.Provider == n.Provider })
		if i < 0 {
			full = append(full, n)
			continue
		}
		full[i].Percent = n.Percent
	}
	return full
}

// rewriteShares edits the nodes and writes the document anew: comments and order stay, blank lines do not.
func rewriteShares(src []byte, p *Policy, service, region string, full []Weight) []byte {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil || len(doc.Content) == 0 {
		return nil // Parse has read it before, and refuses what comes of this
	}
	_, services := entry(doc.Content[0], "services")
	_, s := entry(services, service)
	_, weights := entry(s, "weights")
	if flat(weights) {
		expand(weights, p)
	}
	if _, node := entry(weights, region); node != nil {
		setShares(node, full)
	} else {
		weights.Content = append(weights.Content, scalar(region), sharesNode(full))
	}
	return encode(&doc)
}

// expand writes weights for all regions out by region. What stood there is the first region's: its comments stay once.
func expand(weights *yaml.Node, p *Policy) {
	old := *weights
	old.HeadComment, old.LineComment, old.FootComment = "", "", ""
	weights.Content, weights.Style = nil, 0
	for i, r := range p.Regions {
		own := old
		own.Content = nil
		for _, n := range old.Content {
			if i == 0 {
				own.Content = append(own.Content, n)
				continue
			}
			own.Content = append(own.Content, plain(n.ShortTag(), n.Value))
		}
		weights.Content = append(weights.Content, scalar(r.Name), &own)
	}
}

// setShares gives each provider of a mapping its number; those that are not there come last.
func setShares(node *yaml.Node, full []Weight) {
	for _, w := range full {
		number := numberNode(w.Percent)
		if _, old := entry(node, w.Provider); old != nil {
			old.Tag, old.Value, old.Style = number.Tag, number.Value, 0
			continue
		}
		node.Content = append(node.Content, scalar(w.Provider), number)
	}
}

// entry finds a key of a mapping, and its value.
func entry(m *yaml.Node, key string) (k, v *yaml.Node) {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

// flat tells whether weights are written once for all regions.
func flat(weights *yaml.Node) bool {
	if weights == nil {
		return false
	}
	for i := 1; i < len(weights.Content); i += 2 {
		if weights.Content[i].Kind == yaml.MappingNode {
			return false
		}
	}
	return true
}
