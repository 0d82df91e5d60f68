package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of passages.
const (
	maxPassages = 16                  // of one contract
	maxExport   = MaxTree             // bytes of an answer that a field is fetched from
	maxCopy     = 30 * 24 * time.Hour // that a fetched copy may count
	maxEarly    = time.Hour
)

// What counts where a contract does not say it.
const (
	DefaultExport = 64 << 10
	DefaultEarly  = time.Minute
)

// Passage is how a session's field comes to a provider, and from it.
type Passage struct {
	Map    string // the name that fields ask for it by: vault/cards
	Import Import
	Export Export
	Tokens Tokens
}

// Import is a call that brings a session's field to a provider, and what it is called there.
type Import struct {
	Match string // POST /v1/vault/cards
	Put   Field  // where the value goes in its body
	Form  string // form: as a web form; "": JSON
	ID    string // where the answer says what it is called there
}

const importForm = "form"

// Export is a read that fetches a session's field from a provider.
type Export struct {
	Match  string        // GET /v1/vault/cards/{id}: {id} is what the field is called there, {session} the session
	Answer string        // jq: the answer → what the field says
	After  []string      // operations that change the field there
	ID     string        // where an answer of those says what the field is called there; "": it does not
	Absent []int         // statuses that say that there is nothing
	Life   time.Duration // how long a fetched copy counts; 0: until an operation changes the field
	Max    int           // bytes of the answer; 0: DefaultExport
}

// Tokens are what a provider lets a conversation in by. Each provider has its own.
type Tokens struct {
	Put     Field  // where calls carry the token: a header, or a name in their body
	Value   string // with {access} in it; "": the token alone
	Answer  string // jq: the answer of issue and of refresh → {access, refresh, life}
	Issue   TokenCall
	Refresh TokenCall
	Early   time.Duration // how long before its end a token is refreshed; 0: DefaultEarly
}

// TokenCall is a call that is answered with tokens: {session}, {account} and, of a refresh, {refresh} are filled in.
type TokenCall struct{ Match, Body string }

// The marks of a passage's calls, beside {id} and {account}.
const (
	markSession = "session"
	markRefresh = "refresh"
	markAccess  = "access"
)

func (p *Passage) empty() bool {
	return p.Import == Import{} && !p.Export.say() && p.Tokens == Tokens{}
}

func (e *Export) say() bool {
	return e.Match != "" || e.Answer != "" || len(e.After) > 0 || e.ID != "" || len(e.Absent) > 0 || e.Life != 0 || e.Max != 0
}

// Import returns the candidate's call for a map.
func (c *Candidate) Import(name string) (Import, bool) {
	p := passageOf(c.Contract.Session, name)
	if p == nil || p.Import.Match == "" {
		return Import{}, false
	}
	return p.Import, true
}

func passageOf(list []Passage, name string) *Passage {
	for i := range list {
		if list[i].Map == name {
			return &list[i]
		}
	}
	return nil
}

// passagesOver lays passages over those of the contract underneath, name by name and part by part.
func passagesOver(under, over []Passage) []Passage {
	kept := slices.Clone(under)
	for _, o := range over {
		mine := passageOf(kept, o.Map)
		if mine == nil {
			kept = append(kept, o)
			continue
		}
		set(&mine.Import, o.Import)
		set(&mine.Tokens, o.Tokens)
		if o.Export.say() {
			mine.Export = o.Export
		}
	}
	return kept
}

// Call is the method and path of an import.
func (i *Import) Call() (method, path string) {
	method, path, _ = strings.Cut(i.Match, " ")
	return method, path
}

// Room is how large an answer of an export may be.
func (e *Export) Room() int {
	if e.Max == 0 {
		return DefaultExport
	}
	return e.Max
}

// Ahead is how long before its end a token is refreshed.
func (t *Tokens) Ahead() time.Duration {
	if t.Early == 0 {
		return DefaultEarly
	}
	return t.Early
}

func (i *Import) text() string {
	if i.Match == "" {
		return ""
	}
	form := ""
	if i.Form != "" {
		form = " as a " + i.Form
	}
	return fmt.Sprintf("%s takes it in %s%s and names it in %s", i.Match, i.Put, form, i.ID)
}

func (e *Export) text() string {
	if !e.say() {
		return ""
	}
	text := e.Match + " gives it by " + programText1(e.Answer)
	if len(e.After) > 0 {
		text += ", fetched after " + strings.Join(e.After, ", ")
	}
	if e.ID != "" {
		text += ", which name it in " + e.ID
	}
	for _, s := range e.Absent {
		text += ", " + strconv.Itoa(s) + " = absent"
	}
	if e.Life != 0 {
		text += ", a copy counts for " + span(e.Life)
	}
	return text + fmt.Sprintf(", up to %d bytes", e.Room())
}

func (t *Tokens) text() string {
	if (*t == Tokens{}) {
		return ""
	}
	text := "tokens go into " + t.Put.String()
	if t.Value != "" {
		text += " as " + t.Value
	}
	for _, c := range []struct {
		word string
		call TokenCall
	}{{"issued", t.Issue}, {"refreshed", t.Refresh}} {
		if c.call.Match == "" {
			continue
		}
		text += ", " + c.word + " by " + c.call.Match
		if c.call.Body != "" {
			text += " with " + c.call.Body
		}
	}
	if t.Refresh.Match != "" {
		text += " " + span(t.Ahead()) + " before their end"
	}
	return text + ", read by " + programText1(t.Answer)
}

// programText1 is a program that fits a line, or the print of one that does not.
func programText1(text string) string {
	if len(text) <= 80 && !strings.Contains(text, "\n") {
		return text
	}
	return "a program " + programPrint(text)
}

func passagesText(list []Passage) string {
	var texts []string
	for i := range list {
		for _, text := range []string{list[i].Import.text(), list[i].Export.text(), list[i].Tokens.text()} {
			if text != "" {
				texts = append(texts, list[i].Map+": "+text)
			}
		}
	}
	return strings.Join(texts, "; ")
}

// digestPassages adds what passages say. Their programs are told whole: a print is short.
func digestPassages(d digest, list []Passage) {
	d.text("session", passagesText(list))
	for i := range list {
		for _, program := range []string{list[i].Export.Answer, list[i].Tokens.Answer} {
			if program != "" {
				d.text("session.answer", program)
			}
		}
	}
}
