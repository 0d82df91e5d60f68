package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// webhooks checks what a contract itself says of them.
func (c *checker) webhooks(path string, h *Webhooks) {
	if !h.say() {
		return
	}
	c.signature(path+".signature", &h.Signature)
	for _, f := range [][2]string{{"items", h.Items}, {"item", h.Item}, {"reference", h.Reference}, {"id", h.ID}} {
		if f[1] != "" && (Field{In: "body", Name: f[1]}).problem() != "" {
			c.problem(path+"."+f[0], "write where it stands in the notice, like data.reference", "%q is no field of a body", clip(f[1]))
		}
	}
	if h.Reference == "" {
		c.lacks(path+".reference", "write where a notice names our reference, like data.reference")
	}
	if h.Item != "" && h.Items == "" {
		c.problem(path+".item", "write items too, or leave it out", "does nothing without items")
	}
	if !h.States.say() {
		c.lacks(path+".states", "write which words mean what, like {in: type, succeeded: [payment_paid]}")
	} else {
		c.states(path+".states", &h.States)
	}
	if h.By != (Field{}) {
		c.carrier(path, h.By, h.Wins)
	}
}

// carrier checks where a request carries our reference.
func (c *checker) carrier(path string, by Field, wins Winner) {
	switch what := by.problem(); {
	case what != "":
		c.problem(path+".by", "write one like body.reference", "%q %s", clip(by.String()), what)
	case by.In == "path":
		c.problem(path+".by", "write one like body.reference", "the path is not ours to write into")
	case by.In == "header" && !putHeader(by.Name):
		c.problem(path+".by", "write one like header.X-Reference", "%q is no header that can be set", clip(by.Name))
	}
	c.oneOf(path+".wins", string(wins), winners())
}

func (c *checker) signature(path string, s *Signature) {
	c.oneOf(path+".scheme", string(s.Scheme), schemes())
	c.oneOf(path+".encoding", string(s.Encoding), encodings())
	c.oneOf(path+".secret", string(s.Secret), encodings())
	timed := s.Scheme == SignedTime || s.Scheme == SignedToken
	fields := s.Scheme == SignedFields
	for _, f := range []struct {
		field, example string
		is, want       bool
	}{
		{"header", "X-Signature", s.Header != "", !fields},
		{"in", "additionalData.signature", s.In != "", fields},
		{"fields", "[id, amount]", len(s.Fields) > 0, fields},
		{"encoding", "hex", s.Encoding != "", s.Scheme != SignedToken},
		{"tolerance", "5m", s.Tolerance != 0, timed},
		{"time", "t", s.Time != "", s.Scheme == SignedTime},
	} {
		switch {
		case f.want && !f.is:
			c.lacks(path+"."+f.field, "write "+f.field+": "+f.example)
		case f.is && !f.want:
			c.problem(path+"."+f.field, "leave it out", "does nothing with scheme: %s", s.Scheme)
		}
	}
	if s.Part != "" && s.Scheme != SignedTime {
		c.problem(path+".part", "leave it out", "does nothing with scheme: %s", s.Scheme)
	}
	if s.Header != "" && !token(s.Header) {
		c.problem(path+".header", "write one, like X-Signature", "%q is no header's name", clip(s.Header))
	}
	if s.Time != "" && !token(s.Time) {
		c.problem(path+".time", "write a header, or the name of a part, like t", "%q is neither", clip(s.Time))
	}
	if s.Part != "" && (!token(s.Part) || strings.Contains(s.Part, "=") || s.Part == s.Time) {
		c.problem(path+".part", "write the name of the signature's part, like v1", "%q cannot be one", clip(s.Part))
	}
	if s.Tolerance < 0 || s.Tolerance > maxTolerance {
		c.problem(path+".tolerance", "", "%s is not between 0 and %s", span(s.Tolerance), span(maxTolerance))
	}
	for i, f := range append(slices.Clone(s.Fields), s.In) {
		if f != "" && (Field{In: "body", Name: f}).problem() != "" {
			at := path + ".in"
			if i < len(s.Fields) {
				at = fmt.Sprintf("%s.fields[%d]", path, i)
			}
			c.problem(at, "write where it stands in the notice", "%q is no field of a body", clip(f))
		}
	}
}

// webhooksOf checks the whole: a reference has one place, and somebody puts it there.
func (c *checker) webhooksOf(path string, full *Contract, effects []string) {
	h, l := &full.Webhooks, &full.Recourse.Lookup
	for i, name := range h.Of {
		if !slices.Contains(effects, name) {
			c.problem(fmt.Sprintf("%s.webhooks.of[%d]", path, i), didYouMean(name, effects), "the contract has no effect called %q", clip(name))
		}
	}
	switch {
	case !h.say():
	case h.By == (Field{}) && (l.Match == "" || h.Wins != "" || len(h.Of) > 0):
		c.lacks(path+".webhooks.by", "write where a request carries our reference, like body.reference, or state a lookup by it")
	case h.By != (Field{}) && l.Match != "" && (h.By != l.By || h.Wins != l.Wins):
		c.problem(path+".webhooks.by", "write the lookup's, or leave it out", "is another place than the lookup's: a request carries our reference once")
	}
}

// maxTolerance is the longest time for which a signature is taken.
const maxTolerance = time.Hour
