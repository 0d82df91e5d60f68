package policy

import (
	"maps"
	"slices"
	"strings"
)

// Spoken is how a contract's provider carries out calls of another API, so that it can stand in for one of that API: what applications
// speak is mapped into the provider's words, and the answers back.
type Spoken struct {
	API        string   // the contract that applications speak: openai/v1
	Headers    []string // of calls and of answers, that programs see
	Tables     []Table
	Define     string // definitions that stand before each program
	Error      string // for operations without one of their own
	Operations []Mapping
}

// Mapping is one operation of the API that is spoken. Its programs are jq.
type Mapping struct {
	Operation string // of the API that is spoken
	To        string // the operation of this contract that carries it out
	Request   string // the call → the provider's
	Answer    string // the provider's answer to what succeeded → one of the API that is spoken
	Error     string // any other answer
	Event     string // one event of a stream → events of the API that is spoken; none: answers do not stream
}

// Table is a list of words and what stands for them: a model's name, a currency.
type Table struct {
	Name    string
	Entries []TableEntry
}

// TableEntry is one word of a table.
type TableEntry struct{ From, To string }

// tree is a table as programs see it.
func (t *Table) tree() map[string]any {
	m := make(map[string]any, len(t.Entries))
	for _, e := range t.Entries {
		m[e.From] = e.To
	}
	return m
}

// spoken finds how the contract maps an API.
func (c *Contract) spoken(api string) *Spoken {
	for i := range c.Speaks {
		if c.Speaks[i].API == api {
			return &c.Speaks[i]
		}
	}
	return nil
}

// mapping finds an operation.
func (s *Spoken) mapping(operation string) *Mapping {
	if s == nil {
		return nil
	}
	for i := range s.Operations {
		if s.Operations[i].Operation == operation {
			return &s.Operations[i]
		}
	}
	return nil
}

// operation finds an operation of the contract.
func (c *Contract) operation(name string) *OperationSpec {
	for i := range c.Operations {
		if c.Operations[i].Name == name {
			return &c.Operations[i]
		}
	}
	return nil
}

// spokenOver lays mappings over those that like brings along: operation by operation, table entry by table entry, so that one's own
// contract can add a model or mend one program.
func spokenOver(under, over []Spoken) []Spoken {
	if len(over) == 0 {
		return under
	}
	list := slices.Clone(under)
	for _, s := range over {
		i := slices.IndexFunc(list, func(u Spoken) bool { return u.API == s.API })
		if i < 0 {
			list = append(list, s)
			continue
		}
		list[i] = list[i].under(&s)
	}
	return list
}

func (s Spoken) under(over *Spoken) Spoken {
	if len(over.Headers) > 0 {
		s.Headers = over.Headers
	}
	set(&s.Define, over.Define)
	set(&s.Error, over.Error)
	s.Operations = slices.Clone(s.Operations)
	for _, m := range over.Operations {
		if i := slices.IndexFunc(s.Operations, func(u Mapping) bool { return u.Operation == m.Operation }); i >= 0 {
			set(&s.Operations[i].To, m.To)
			set(&s.Operations[i].Request, m.Request)
			set(&s.Operations[i].Answer, m.Answer)
			set(&s.Operations[i].Error, m.Error)
			set(&s.Operations[i].Event, m.Event)
		} else {
			s.Operations = append(s.Operations, m)
		}
	}
	s.Tables = slices.Clone(s.Tables)
	for _, t := range over.Tables {
		if i := slices.IndexFunc(s.Tables, func(u Table) bool { return u.Name == t.Name }); i >= 0 {
			s.Tables[i] = s.Tables[i].under(&t)
		} else {
			s.Tables = append(s.Tables, t)
		}
	}
	return s
}

func (t Table) under(over *Table) Table {
	t.Entries = slices.Clone(t.Entries)
	for _, e := range over.Entries {
		if i := slices.IndexFunc(t.Entries, func(u TableEntry) bool { return u.From == e.From }); i >= 0 {
			t.Entries[i].To = e.To
		} else {
			t.Entries = append(t.Entries, e)
		}
	}
	return t
}

// mappingEngine names what runs programs. It is part of the digest of a contract that maps: what writes other bytes for the same call is
// another contract, so that nothing is sent again under it.
const mappingEngine = "1"

func (c *Contract) digestSpoken(d digest) {
	for i := range c.Speaks {
		s := &c.Speaks[i]
		d.text("speaks", s.API)
		d.text("speaks.engine", mappingEngine)
		d.text("speaks.headers", strings.Join(s.Headers, " "))
		d.text("speaks.define", s.Define)
		d.text("speaks.error", s.Error)
		for _, t := range s.Tables {
			entries := t.tree()
			for _, from := range slices.Sorted(maps.Keys(entries)) {
				d.text("speaks.tables", t.Name+" "+from)
				d.text("speaks.entry", entries[from].(string))
			}
		}
		for _, m := range s.Operations {
			d.text("speaks.operation", m.Operation)
			d.text("speaks.to", m.To)
			d.text("speaks.request", m.Request)
			d.text("speaks.answer", m.Answer)
			d.text("speaks.error", m.Error)
			d.text("speaks.event", m.Event)
		}
	}
}
