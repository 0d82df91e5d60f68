package contract

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/sandbox"
)

// Specimen is what has to be known of an API to drive it: requests that mean something there, and what its vendor says that its answers
// mean. It shares nothing with the contracts, which are held against it.
type Specimen struct {
	Contract string // of the catalogue, that speaks of this API
	API      sandbox.API
	Secret   string // a credential that the simulator is given
	Effect   func(n string) Request
	Known    []Request // one for each operation that an application calls
	Cases    []Case
	Told     []Told
	Rounds   []Round // what applications say to it, for providers of another API that stand in
	NoCodes  bool    // the errors are in no dialect, so that no code is read from them

	KeyHeader string                    // where it takes keys, if not in the usual header
	ComesBack bool                      // a 429 says when to come back
	Refund    func(made string) Request // its body; nil: there is none
	Priced    func(n string) Request    // an effect whose answer tells what it cost; nil: none does
	Refunded  string                    // where the answer of a refund names what was given back
	Recourse
}

// Request is a request as an application writes it, without credential and key.
type Request struct {
	Method, Path, Type, Body string
	Extra                    [][2]string // further headers
	Follows                  bool        // it is about an object that is there
	Read                     bool        // it changes nothing, whatever its method
}

func (r Request) reads() bool { return r.Read || r.Method == "GET" }

func (r Request) header() message.Header {
	h := message.Header{{Name: "Accept", Value: "application/json"}}
	if r.Type != "" {
		h.Set("Content-Type", r.Type)
	}
	for _, e := range r.Extra {
		h.Set(e[0], e[1])
	}
	return h
}

// Case is an answer that the API can be made to give.
type Case struct {
	Name           string
	Change         func(Request) Request // what is wrong with the request
	Fail           int                   // or: the simulator is made to answer so
	Executed       bool
	Status         int
	Class, Outcome string // what it proves, by the vendor's pages
	Code           string // the error's code, where the API's dialect has one
}

// Request is the case's request, made from one that would succeed.
func (c Case) Request(r Request) Request { return c.Change(r) }

// Letting is what has to be known of an API to hold a conversation's tokens against it.
type Letting struct {
	Who   func() Request // says whose token it carries; nil: no such call is known
	Whose string         // where its answer says that
}

// Recourse is what has to be known of an API to drive its lookup, its cancel and its webhooks.
type Recourse struct {
	Anonymous  func(Request) Request // takes the application's own reference out of an effect
	Declines   func(Request) Request // makes an effect one that is declined
	Cancelled  policy.CancelState    // what an answered cancel means
	TooLate    func(made string) Request
	Item       func(reference, word string) string                 // a lookup's answer, by the vendor's pages
	Words      []Event                                             // what an item can say there
	Carries    string                                              // where a request carries what webhooks name
	Hook       func(secret string, n Notice, at time.Time) Request // a webhook as the vendor sends it; nil: none that are taken
	HookSecret string
	Dated      bool // its signature has a time
	Events     []Event
	Letting
}

// Event is one that webhooks tell of, and what it shows of the request.
type Event struct {
	Event string
	Shows policy.Shown
}

// Notice is what a webhook is to say.
type Notice struct{ Reference, ID, Event string }

// Told is an answer that only the vendor's pages tell of.
type Told struct {
	Name           string
	Status         int
	Body           string
	Class, Outcome string
}

// Specimens are the APIs that can be driven.
func Specimens() []Specimen {
	return []Specimen{payments(), messages(), chat(), claude(), mail(), mailgun(), adyen(), checkout(), paypal(), vonage()}
}

// SpecimenFor finds the API that a contract speaks of: that of the contract which it is like, or of its dialect.
func SpecimenFor(doc *policy.Policy, name string) (Specimen, bool) {
	all := Specimens()
	for next, seen := name, []string{}; next != "" && !slices.Contains(seen, next); {
		if i := slices.IndexFunc(all, func(s Specimen) bool { return s.Contract == next }); i >= 0 {
			return all[i], true
		}
		seen = append(seen, next)
		c, err := doc.Contract(next)
		if err != nil {
			return Specimen{}, false
		}
		next = c.Like
	}
	c, err := doc.Contract(name)
	if err != nil {
		return Specimen{}, false
	}
	for _, s := range all {
		if builtin, _ := policy.Builtin(s.Contract); c.Dialect != policy.Plain && builtin.Dialect == c.Dialect {
			return s, true
		}
	}
	return Specimen{}, false
}

// fails are the statuses that an API answers by itself: refused before it did anything, and broken down after it did it.
func fails(refused, broken []int) []Case {
	var list []Case
	for _, status := range refused {
		list = append(list, Case{Name: refusal(status), Fail: status, Status: status, Class: policy.ClassOK, Outcome: policy.OutcomeDeclined})
	}
	for _, status := range broken {
		list = append(list, Case{Name: breakdown(status), Fail: status, Executed: true, Status: status, Class: policy.ClassFailure, Outcome: policy.OutcomeUnknown})
	}
	return list
}

func refusal(status int) string   { return "a refusal, " + text(status) }
func breakdown(status int) string { return "a breakdown after the work, " + text(status) }

func limited(status int) Case {
	return Case{Name: "too many requests, " + text(status), Fail: status, Status: status, Class: policy.ClassLimited, Outcome: policy.OutcomeNotSent}
}

func declined(name string, status int, code string, change func(Request) Request) Case {
	return Case{Name: name, Change: change, Status: status, Class: policy.ClassOK, Outcome: policy.OutcomeDeclined, Code: code}
}

const formType = "application/x-www-form-urlencoded"

func form(method, path string, pairs ...string) Request {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return Request{Method: method, Path: path, Type: formType, Body: v.Encode()}
}

// with sets one field of a form, and without takes one out.
func with(name, value string) func(Request) Request {
	return func(r Request) Request {
		v, _ := url.ParseQuery(r.Body) // of our own making
		if v.Set(name, value); value == "" {
			v.Del(name)
		}
		r.Body = v.Encode()
		return r
	}
}

func to(path string) func(Request) Request {
	return func(r Request) Request {
		r.Path = path
		return r
	}
}

// replaced changes a text in a body.
func replaced(old, new string) func(Request) Request {
	return func(r Request) Request {
		r.Body = strings.ReplaceAll(r.Body, old, new)
		return r
	}
}

func get(path string) Request { return Request{Method: "GET", Path: path} }

func about(r Request) Request {
	r.Follows = true
	return r
}
