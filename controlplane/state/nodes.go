package state

import (
	"slices"
	"strings"
)

// Node is a control node as the others reach it.
type Node struct {
	ID  string
	API string // host:port of its feed and API
}

// Node returns the node called id, if it announced itself.
func (s *State) Node(id string) (Node, bool) {
	i, ok := slices.BinarySearchFunc(s.Nodes, id, func(n Node, id string) int { return strings.Compare(n.ID, id) })
	if !ok {
		return Node{}, false
	}
	return s.Nodes[i], true
}

// announce takes down where a node listens. A node that comes back elsewhere replaces its entry.
func (s *State) announce(n Node) (done, *Error) {
	for _, text := range []struct{ name, value string }{{"id", n.ID}, {"api", n.API}} {
		if err := checkText(text.name, text.value, maxWord); err != nil {
			return done{}, err
		}
	}
	known, ok := s.Node(n.ID)
	if ok && known == n {
		return done{}, nil
	}
	if !ok && len(s.Nodes) >= MaxNodes {
		return done{}, refuse(Invalid, "%d control nodes are announced, the limit", len(s.Nodes))
	}
	nodes := slices.DeleteFunc(slices.Clone(s.Nodes), func(other Node) bool { return other.ID == n.ID })
	s.Nodes = append(nodes, n)
	slices.SortFunc(s.Nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	return done{text: "control node " + n.ID + " listens at " + n.API}, nil
}
