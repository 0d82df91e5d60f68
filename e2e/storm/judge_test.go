package storm

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// execution is one entry of a provider's books that moved money.
type execution struct {
	Provider, ID string
	At           time.Time
}

// row is what Segue says of an order.
type row struct {
	Known  bool
	ID     string
	State  string // intent | held | succeeded | declined | not_sent
	Object string
	Shown  bool // an operator finds it: it is in the list of those held
}

// trial is all that is known of one order.
type trial struct {
	*order
	Executions []execution
	Row        row
}

// verdict is what the judge found. All of it but the counts is wrong.
type verdict struct {
	Operations int
	Unknown    int            // told unknown, or nothing, and settled since
	Held       int            // with an operator
	Class      map[string]int // operations by class
	Twice      []string
	Lost       []string
	Guessed    []string
	Open       []string
	Strayed    []string // a follow-up was told that its object does not exist
}

func (v *verdict) wrongs() []string {
	var all []string
	for _, part := range []struct {
		name string
		list []string
	}{{"TWICE", v.Twice}, {"LOST", v.Lost}, {"GUESSED", v.Guessed}, {"OPEN", v.Open}, {"STRAYED", v.Strayed}} {
		for _, text := range part.list {
			all = append(all, part.name+" "+text)
		}
	}
	return all
}

func (v *verdict) String() string {
	return fmt.Sprintf("%d operations, %d twice, %d lost, %d guessed, %d open, %d with an operator", v.Operations, len(v.Twice), len(v.Lost), len(v.Guessed), len(v.Open), v.Held)
}

// judge holds what each customer was told against the books and against Segue's answers, after everything came to rest.
func judge(trials []*trial) *verdict {
	v := &verdict{Class: map[string]int{}}
	for _, t := range trials {
		v.Operations++
		v.Class[services[t.Service].class]++
		if t.Row.State == "held" {
			v.Held++
		}
		if n := len(t.Executions); n > 1 {
			v.Twice = append(v.Twice, t.describe(fmt.Sprintf("executed %d times", n)))
		}
		for _, c := range []struct {
			list *[]string
			find func() string
		}{{&v.Lost, t.lost}, {&v.Guessed, t.guessed}, {&v.Open, t.open}, {&v.Strayed, t.strayed}} {
			if text := c.find(); text != "" {
				*c.list = append(*c.list, t.describe(text))
			}
		}
	}
	return v
}

func (t *trial) describe(what string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s; Segue says %+v", t.Name, services[t.Service].name, what, t.Row)
	for _, s := range t.Sayings {
		fmt.Fprintf(&b, "\n    told %v", s)
	}
	for _, e := range t.Executions {
		fmt.Fprintf(&b, "\n    done %s by %s: %s", e.At.Format("05.000"), e.Provider, e.ID)
	}
	return b.String()
}

// lost says how an acknowledged success is gone.
func (t *trial) lost() string {
	var id string
	for _, s := range t.Sayings {
		if s.Word != succeeded {
			if id != "" && (s.Word == declined || s.Word == notExecuted) {
				return "told succeeded, and later otherwise"
			}
			continue
		}
		switch {
		case !t.has(s.ID):
			return "told succeeded with " + s.ID + ", and the books do not have it"
		case id != "" && s.ID != "" && s.ID != id:
			return "told " + id + ", and later " + s.ID
		case t.Row.State != "succeeded":
			return "told succeeded, and the ledger does not say so"
		}
		if s.ID != "" {
			id = s.ID
		}
	}
	if len(t.Executions) > 0 && !t.Row.Known {
		return "executed, and Segue does not know it"
	}
	return ""
}

func (t *trial) has(id string) bool {
	for _, e := range t.Executions {
		if e.ID == id || id == "" {
			return true
		}
	}
	return false
}

// guessed says where "not executed" or "declined" was said, though it was executed before anything more was asked.
func (t *trial) guessed() string {
	for i, s := range t.Sayings {
		var until time.Time // the next request under the key may execute
		if i+1 < len(t.Sayings) {
			until = t.Sayings[i+1].Sent
		}
		for _, e := range t.Executions {
			switch {
			case s.Word == declined:
				return "told declined, and executed"
			case s.Word == notExecuted && (until.IsZero() || e.At.Before(until)):
				return "told not executed, and executed"
			}
		}
	}
	switch {
	case (t.Row.State == "declined" || t.Row.State == "not_sent") && len(t.Executions) > 0:
		return "executed, and the ledger says that it was not"
	case t.Row.State == "succeeded" && len(t.Executions) == 0:
		return "the ledger says that it was executed, and no book has it"
	case t.Row.State == "succeeded" && t.Row.Object != "" && !t.has(t.Row.Object):
		return "the ledger names an object that no book has"
	}
	return ""
}

// open says what is neither resolved nor with an operator.
func (t *trial) open() string {
	switch {
	case t.Row.State == "intent":
		return "still under way"
	case t.Row.State == "held" && !t.Row.Shown:
		return "held, and in no operator's list"
	case !t.Row.Known && t.spoken():
		return "Segue said something of it, and does not know it"
	}
	return ""
}

// strayed says that a refund was sent to somebody who does not have the charge.
func (t *trial) strayed() string {
	for _, s := range t.Sayings {
		if t.Refund != "" && strings.Contains(s.Problem, "resource_missing") {
			return "its charge was told, and nobody was asked who has it"
		}
	}
	return ""
}

// spoken tells whether any answer was about an outcome.
func (t *trial) spoken() bool {
	for _, s := range t.Sayings {
		if s.Word == succeeded || s.Word == declined || s.Word == unknown && s.Problem == "outcome-unknown" {
			return true
		}
	}
	return false
}

// TestJudge holds the judge against every pair of word and truth.
func TestJudge(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(1000+n), 0) }
	say := func(n int, w word, id string) saying {
		return saying{Sent: at(n), Got: at(n + 1), Word: w, ID: id, Problem: "outcome-unknown"}
	}
	did := func(n int, id string) execution { return execution{"main", id, at(n)} }
	done := row{Known: true, State: "succeeded", Object: "ch_1"}
	state := func(s string) row { return row{Known: true, State: s, Shown: true} }
	for name, c := range map[string]struct {
		told []saying
		did  []execution
		row  row
		want string
	}{
		"done":                            {[]saying{say(0, succeeded, "ch_1")}, []execution{did(0, "ch_1")}, done, ""},
		"done, after unknown":             {[]saying{say(0, unknown, ""), say(5, succeeded, "ch_1")}, []execution{did(0, "ch_1")}, done, ""},
		"done, after not executed":        {[]saying{say(0, notExecuted, ""), say(5, succeeded, "ch_1")}, []execution{did(5, "ch_1")}, done, ""},
		"declined":                        {[]saying{say(0, declined, "")}, nil, state("declined"), ""},
		"unknown, held, not done":         {[]saying{say(0, unknown, "")}, nil, state("held"), ""},
		"unknown, held, done":             {[]saying{say(0, silent, "")}, []execution{did(0, "ch_1")}, state("held"), ""},
		"never heard of":                  {[]saying{say(0, silent, "")}, nil, row{}, ""},
		"twice":                           {[]saying{say(0, unknown, "")}, []execution{did(0, "ch_1"), did(2, "ch_2")}, done, "T"},
		"told done, in no book":           {[]saying{say(0, succeeded, "ch_1")}, nil, state("succeeded"), "LG"},
		"told another object":             {[]saying{say(0, succeeded, "ch_2")}, []execution{did(0, "ch_1")}, done, "L"},
		"told two objects":                {[]saying{say(0, succeeded, "ch_1"), say(5, succeeded, "ch_2")}, []execution{did(0, "ch_1"), did(1, "ch_2")}, done, "TL"},
		"told done, then not executed":    {[]saying{say(0, succeeded, "ch_1"), say(5, notExecuted, "")}, []execution{did(0, "ch_1")}, done, "LG"},
		"told done, the ledger is behind": {[]saying{say(0, succeeded, "ch_1")}, []execution{did(0, "ch_1")}, state("held"), "L"},
		"done, and forgotten":             {[]saying{say(0, silent, "")}, []execution{did(0, "ch_1")}, row{}, "L"},
		"told not executed, done":         {[]saying{say(0, notExecuted, "")}, []execution{did(0, "ch_1")}, done, "G"},
		"guessed, and right at last":      {[]saying{say(0, notExecuted, ""), say(5, succeeded, "ch_1")}, []execution{did(0, "ch_1")}, done, "G"},
		"told not executed, done later":   {[]saying{say(0, notExecuted, "")}, []execution{did(9, "ch_1")}, state("held"), "G"},
		"told declined, done":             {[]saying{say(0, declined, "")}, []execution{did(0, "ch_1")}, done, "G"},
		"the ledger guesses":              {[]saying{say(0, unknown, "")}, []execution{did(0, "ch_1")}, state("not_sent"), "G"},
		"the ledger guesses success":      {[]saying{say(0, unknown, "")}, nil, state("succeeded"), "G"},
		"the ledger has another object":   {[]saying{say(0, unknown, "")}, []execution{did(0, "ch_9")}, done, "G"},
		"under way for ever":              {[]saying{say(0, silent, "")}, nil, state("intent"), "O"},
		"held where nobody looks":         {[]saying{say(0, unknown, "")}, nil, row{Known: true, State: "held"}, "O"},
		"a refund elsewhere":              {[]saying{{Word: notExecuted, Problem: "{resource_missing}"}}, nil, state("declined"), "S"},
		"unknown, and forgotten":          {[]saying{say(0, unknown, "")}, nil, row{}, "O"},
	} {
		v := judge([]*trial{{&order{Name: "o", Sayings: c.told, Refund: "ch_0"}, c.did, c.row}})
		got := ""
		for _, w := range v.wrongs() {
			got += w[:1]
		}
		if got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}
