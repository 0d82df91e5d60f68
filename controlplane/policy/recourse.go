package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Recourse is what a provider offers after an outcome that is not known. What is not stated counts as not there.
type Recourse struct {
	Lookup   Lookup
	Cancel   Cancel
	Refund   string        // the operation that gives back what was executed
	Settle   time.Duration // the longest time after a send in which it may still begin to execute
	Webhooks Webhooks
}

// Lookup is a read that finds a request by our reference.
type Lookup struct {
	Match   string // GET /v1/payments?reference={reference}
	By      Field  // where a request carries the reference
	Wins    Winner // whose word stands there when the caller uses the field himself; "": his, and then nothing is looked up
	Of      []string
	Horizon time.Duration // how long it finds what is there
	Strong  bool          // it shows each request as soon as that began to execute
	Found
}

// Found is how the answer of a lookup is read.
type Found struct {
	Items     string // where the list of what was found stands; "": the answer itself is the item
	Reference string // where an item names our reference; "": where the request does, in its body
	ID        string // where an item's id stands; "": where that of a created object does
	States    States
	Absent    []int // statuses that say that nothing is there; an empty list says so too
	Answer    int   // an item that succeeded is what the create answered, with this status; 0: it is not
}

// States say which words in an answer mean what. Where several fields decide, their words are joined by a space. What is not
// said means nothing.
type States struct {
	In         []string
	Succeeded  []string
	Declined   []string
	Voided     []string
	InProgress []string
}

// Winner says whose reference a request carries.
type Winner string

// The winners.
const (
	CallerWins Winner = "caller" // what the caller wrote stays, and the call cannot be looked up
	OursWins   Winner = "segue"  // our reference takes its place
)

func winners() []string { return []string{string(CallerWins), string(OursWins)} }

// Cancel is a call that ends a request by our reference, or by the id that a lookup finds.
type Cancel struct {
	Match   string // POST /v1/payments/{id}/cancel
	Body    string // with the same marks; JSON, or a form
	Of      []string
	State   CancelState
	Blocks  bool // a create that comes after it is refused
	Answers []CancelRule
}

// CancelState says what an answered cancel means.
type CancelState string

// What an answered cancel means.
const (
	CancelFinal  CancelState = "final"  // it is cancelled
	CancelQueued CancelState = "queued" // it will be tried
)

func cancelStates() []string { return []string{string(CancelFinal), string(CancelQueued)} }

// CancelRule maps answers of a cancel to what they mean. The first that matches counts. Without a rule a 2xx means what State says.
type CancelRule struct {
	From, To int
	In, Is   string // a field of the answer, and its word; "": the status says it
	Means    Shown
}

// Shown is what an answer of a lookup, a cancel or a webhook shows of a request.
type Shown string

// What can be shown. ShowsNothing is what no rule covers.
const (
	ShowsNothing    Shown = ""
	ShowsSucceeded  Shown = "succeeded"
	ShowsDeclined   Shown = "declined"
	ShowsVoided     Shown = "voided"
	ShowsInProgress Shown = "in_progress"
	ShowsAbsent     Shown = "absent"
	ShowsTooLate    Shown = "too_late"
	ShowsQueued     Shown = "queued"
)

// cancelMeanings are what an answered cancel can mean.
func cancelMeanings() []string {
	return []string{string(ShowsVoided), string(ShowsTooLate), string(ShowsQueued), string(ShowsAbsent)}
}

// ReferenceIn is where an item of a lookup names our reference.
func (l *Lookup) ReferenceIn() string {
	if l.Reference == "" && l.By.In == "body" {
		return l.By.Name
	}
	return l.Reference
}

func (s *States) say() bool {
	return len(s.In)+len(s.Succeeded)+len(s.Declined)+len(s.Voided)+len(s.InProgress) > 0
}

// lists are the words by what they mean, in the document's order.
func (s *States) lists() []struct {
	Means Shown
	Words []string
} {
	return []struct {
		Means Shown
		Words []string
	}{{ShowsSucceeded, s.Succeeded}, {ShowsDeclined, s.Declined}, {ShowsVoided, s.Voided}, {ShowsInProgress, s.InProgress}}
}

func (s *States) text() string {
	var parts []string
	for _, l := range s.lists() {
		if len(l.Words) > 0 {
			parts = append(parts, strings.Join(l.Words, ", ")+" = "+string(l.Means))
		}
	}
	return strings.Join(s.In, " and ") + ": " + strings.Join(parts, "; ")
}

func (l *Lookup) text() string {
	if l.Match == "" {
		return ""
	}
	text := l.Match + " by " + l.By.String()
	if l.Wins == OursWins {
		text += " (ours takes the caller's place)"
	}
	text += ofText(l.Of)
	if l.Horizon != 0 {
		text += ", for " + span(l.Horizon)
	}
	if l.Strong {
		text += ", at once"
	} else {
		text += ", later"
	}
	return text + l.Found.text()
}

// text is how an answer is read, each part after a semicolon.
func (f *Found) text() string {
	text := ""
	for _, part := range [][2]string{{"items in ", f.Items}, {"our reference in ", f.Reference}, {"id in ", f.ID}} {
		if part[1] != "" {
			text += "; " + part[0] + part[1]
		}
	}
	if f.States.say() {
		text += "; " + f.States.text()
	}
	for _, status := range f.Absent {
		text += "; " + strconv.Itoa(status) + " = " + string(ShowsAbsent)
	}
	if f.Answer != 0 {
		text += "; an item that succeeded is the answer, " + strconv.Itoa(f.Answer)
	}
	return text
}

func (c *Cancel) text() string {
	if c.Match == "" {
		return ""
	}
	text := c.Match
	if c.Body != "" {
		text += " with " + c.Body
	}
	text += ofText(c.Of) + ", " + string(c.State)
	if c.Blocks {
		text += ", blocks late creates"
	}
	for _, r := range c.Answers {
		text += "; " + r.text()
	}
	return text
}

func (r CancelRule) text() string {
	text := rangeText(r.From, r.To)
	if r.In != "" {
		text += " " + r.In + " " + r.Is
	}
	return text + " = " + string(r.Means)
}

func (r *Recourse) digest(d digest) {
	d.text("lookup", r.Lookup.text())
	d.states("lookup.states", &r.Lookup.States)
	d.text("cancel", r.Cancel.text())
	d.text("refund", r.Refund)
	d.number("settle", int64(r.Settle))
}

// states are written word by word: in a sentence, two lists could look alike.
func (d digest) states(name string, s *States) {
	if s.say() {
		d.text(name, fmt.Sprintf("%q %q %q %q %q", s.In, s.Succeeded, s.Declined, s.Voided, s.InProgress))
	}
}
