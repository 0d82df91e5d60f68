package policy

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
)

// What stands for a secret in a slot's value, and for its user in a slot's path.
const (
	secretMark = "{credential}"
	basicMark  = "{basic}"
	slotUser   = "user"
)

// Fill returns the value of the slot's header for a secret.
func (s Slot) Fill(secret string) string {
	switch {
	case s.Value == "":
		return "Bearer " + secret
	case strings.Contains(s.Value, basicMark):
		return strings.ReplaceAll(s.Value, basicMark, base64.StdEncoding.EncodeToString([]byte(secret)))
	default:
		return strings.ReplaceAll(s.Value, secretMark, secret)
	}
}

// parseSlotPath compiles the pattern of the paths that name the user. Before {user} stands nothing of open length: it is found by its place.
func parseSlotPath(path string) (pattern, error) {
	p, err := parsePattern("GET " + path)
	if err != nil {
		return pattern{}, err
	}
	place := p.place(slotUser)
	if place < 0 || p.segments[place].suffix != "" {
		return pattern{}, errors.New("has no segment {user}")
	}
	for _, s := range p.segments[:place] {
		if s.kind == many {
			return pattern{}, errors.New("has a ** before {user}")
		}
	}
	return p, nil
}

// Path is a call's path as the provider wants it from user: where the slot's pattern fits, with user in its place, otherwise as it came.
func (c *Candidate) Path(path, user string) string {
	if c.users == nil || !safePath(path) {
		return path
	}
	if _, ok := c.users.match(path, -1); !ok {
		return path
	}
	rest := path[1:]
	for range c.users.place(slotUser) {
		_, rest, _ = strings.Cut(rest, "/")
	}
	_, behind, more := strings.Cut(rest, "/")
	path = path[:len(path)-len(rest)] + url.PathEscape(user)
	if more {
		path += "/" + behind
	}
	return path
}
