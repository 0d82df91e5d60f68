package view

import "time"

// Sessions is the page of sessions in use: where they are, and who could go on elsewhere.
type Sessions struct {
	Frame
	Headline Headline
	Search   string
	Problem  string // why nothing was found
	Partial  string
	Services []SessionShare
	Fields   []DeclaredField
}

// SessionShare is one service's coverage.
type SessionShare struct {
	Name, InUse, Could, Share string
	Percent                   float64
	Level                     Level
	Providers                 []SessionShareAt
	Moved                     []Pair
}

// SessionShareAt is the part of it at one provider.
type SessionShareAt struct {
	Name, Href          string
	InUse, Could, Share string
	Percent             float64
	Level               Level
}

// DeclaredField is a field that a service's sessions may have.
type DeclaredField struct{ Service, Name, Class, Rule string }

// Session is the page of one.
type Session struct {
	Frame
	ID       string
	Level    Level
	Icon     string
	Sentence string
	Facts    []string
	Partial  string
	Services []SessionService
	Events   []SessionEvent
	Total    string // how many events its history has
	Problem  string // why its history is not whole
	Verify   string // address that holds it against its history
	Checks   []ProbeLine
}

// SessionService is what the session is for one service.
type SessionService struct {
	Name, ID   string // the name, and what it is called in the page
	Where      string
	Since      time.Time
	Level      Level
	Icon, Next string
	Fields     []SessionField
	Ways       []SessionWay
}

// SessionField is one field, without what it holds.
type SessionField struct {
	Name, Class, Rule string
	Level             Level
	Icon, Holds       string
	At                string // providers where it is known
	Written           time.Time
	Age, By           string
}

// SessionWay is whether it could go on at a provider.
type SessionWay struct {
	Provider, Href string
	Level          Level
	Icon, Word     string
	Why            string
}

// SessionEvent is one line of its history.
type SessionEvent struct {
	At                time.Time
	Service, Text, By string
}
