package policy

import (
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// maxEndpoints bounds the endpoints of a provider in one region.
const maxEndpoints = 4

// EndpointsIn returns the provider's own base URLs in a region, the nearest first; nil where it has none.
func (p *ProviderSpec) EndpointsIn(region string) []string {
	return strings.Fields(valueIn(p.Endpoint, region))
}

// EndpointIn returns the nearest of them, "" where there is none.
func (p *ProviderSpec) EndpointIn(region string) string {
	if all := p.EndpointsIn(region); len(all) > 0 {
		return all[0]
	}
	return ""
}

// endpoints reads a base URL or a list of them, for all regions or by region. A region's are one text, with spaces between: no URL has any.
func (r *reader) endpoints(v value) []RegionValue {
	one := func(v value) string {
		if v.node.Kind != yaml.SequenceNode {
			return r.endpoint(v)
		}
		var list []string
		for _, e := range r.list(v, maxEndpoints) {
			list = append(list, r.endpoint(e))
		}
		if len(v.node.Content) == 0 {
			r.problem(v, "is an empty list", "name an endpoint, or leave it out")
		}
		return strings.Join(list, " ")
	}
	if v.node.Kind != yaml.MappingNode {
		return []RegionValue{{Value: one(v)}}
	}
	var found []RegionValue
	for _, p := range r.pairs(v, maxRegions+1) {
		found = append(found, RegionValue{Region: orDefault(p.name), Value: one(p.value)})
	}
	return found
}

func (r *reader) endpoint(v value) string {
	text := r.text(v)
	if strings.ContainsFunc(text, unicode.IsSpace) {
		r.problem(v, "holds a space", "write one base URL, or a list: [https://near.example, https://far.example]")
		return ""
	}
	return text
}

func writeEndpoints(w writer, values []RegionValue) {
	write := func(w writer, key, text string) {
		if list := strings.Fields(text); len(list) > 1 {
			w.texts(key, list)
			return
		}
		w.text(key, text)
	}
	if len(values) == 1 && values[0].Region == "" {
		write(w, "endpoint", values[0].Value)
		return
	}
	if len(values) > 0 {
		m := w.below("endpoint", 0)
		for _, v := range values {
			write(m, regionKey(v.Region), v.Value)
		}
	}
}

// endpointsProblem is what is wrong with a region's endpoints.
func endpointsProblem(text string) (what, fix string) {
	list := strings.Fields(text)
	if len(list) == 0 || len(list) > maxEndpoints {
		return endpointProblem(text)
	}
	for i, e := range list {
		if what, fix = endpointProblem(e); what != "" {
			return what, fix
		}
		if slices.Contains(bare(list[:i]), strings.TrimRight(e, "/")) {
			return "names " + clip(e) + " twice", "name each endpoint once"
		}
	}
	return "", ""
}

// bare are endpoints without a slash at their end.
func bare(list []string) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = strings.TrimRight(e, "/")
	}
	return out
}

// At tells whether an endpoint is one of the provider's here.
func (c *Candidate) At(endpoint string) bool {
	return c.Endpoint == endpoint || slices.Contains(c.Further, endpoint)
}

// Shares tells whether a key is one key at all of its endpoints: then what was sent to one may be sent to another under the same key.
func (c *Candidate) Shares() bool {
	return c.Contract.Keys.Enforced && c.Contract.Keys.Scope == PerAccount
}

// Only is the provider at one of its endpoints.
func (c *Candidate) Only(endpoint string) *Candidate {
	if len(c.Further) == 0 && c.Endpoint == endpoint {
		return c
	}
	one := *c
	one.Endpoint, one.Further = endpoint, nil
	return &one
}
