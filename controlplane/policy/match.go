package policy

import (
	"slices"
	"strings"
)

// Service returns the service called name.
func (s *Snapshot) Service(name string) (*Service, bool) {
	for _, svc := range s.Services {
		if svc.Name == name {
			return svc, true
		}
	}
	return nil, false
}

// Listening returns the service that owns a port and a host name (as the Host header says it: case and a port do not matter). A
// service without a host name has its port to itself.
func (s *Snapshot) Listening(port int, host string) (*Service, bool) {
	host = bareHost(host)
	for _, svc := range s.Services {
		if svc.Listen.Port == port && (svc.Listen.Host == "" || strings.EqualFold(svc.Listen.Host, host)) {
			return svc, true
		}
	}
	return nil, false
}

// bareHost takes the port and the last dot of a host name away.
func bareHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

// Match returns the first operation that fits. The path is the escaped one, without a query. A path that two readers could read
// differently (.., //, %2F) fits nothing.
func (s *Service) Match(method, path string) (*Operation, bool) {
	if !safePath(path) {
		return nil, false
	}
	escaped := strings.IndexByte(path, '%') >= 0
	for _, op := range s.Operations {
		if op.pattern.method != method || !escaped && !strings.HasPrefix(path, op.pattern.prefix) {
			continue
		}
		if _, ok := op.pattern.match(path, -1); ok {
			return op, true
		}
	}
	return nil, false
}

// Param returns the decoded segment of the path that stands where the pattern says {name}.
func (o *Operation) Param(path, name string) (string, bool) {
	place := o.pattern.place(name)
	if place < 0 || !safePath(path) {
		return "", false
	}
	raw, ok := o.pattern.match(path, place)
	return strings.TrimSuffix(decoded(raw), o.pattern.segments[place].suffix), ok
}

// ObjectIDs returns the segments of the path that may name the object which the call belongs to: the one at {id}, or, where the
// pattern has none (GET /v1/**), every segment after the pattern's fixed beginning, the last first.
func (o *Operation) ObjectIDs(path string) []string {
	if id, ok := o.Param(path, "id"); ok {
		return []string{id}
	}
	if !safePath(path) {
		return nil
	}
	var ids []string
	at := cursor{path[1:], true}
	for i := 0; at.left; i++ {
		var head string
		head, at = at.cut()
		if i >= o.pattern.fixed() {
			ids = append(ids, decoded(head))
		}
	}
	slices.Reverse(ids)
	return ids
}

// fixed counts the literal segments that the pattern begins with.
func (p *pattern) fixed() int {
	for i, s := range p.segments {
		if s.kind != literal {
			return i
		}
	}
	return len(p.segments)
}

// Nearest says which operation a call that fits none probably meant: "nearest: POST /v1/charges (charge)"; "" if there are none.
func (s *Service) Nearest(method, path string) string {
	asked := method + " " + path
	var best *Operation
	least := 0
	for _, op := range s.Operations {
		if d := editDistance(asked, op.Match); best == nil || d < least {
			best, least = op, d
		}
	}
	if best == nil {
		return ""
	}
	return "nearest: " + best.Match + " (" + best.Name + ")"
}
