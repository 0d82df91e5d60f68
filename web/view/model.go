package view

import (
	"time"

	"github.com/a-h/templ"
)

// Component is something that can be rendered: a page, or a moving part of one.
type Component = templ.Component

// Level says how a thing stands. It is always shown as an icon, a word and a colour together.
type Level string

// The levels. The zero value is Off: nothing is known, or it takes no part.
const (
	Off  Level = ""
	OK   Level = "ok"
	Warn Level = "warn"
	Bad  Level = "bad"
)

// Assets are the addresses of the static files.
type Assets struct{ CSS, JS, Icon, Font string }

// Prefs are what a person chose to see.
type Prefs struct {
	Theme string         // light | dark | "": as the system says
	Zone  *time.Location // nil: UTC
	Local bool
}

// Frame is what every page shows around its own part.
type Frame struct {
	Title   string
	Active  string // overview | routing | transactions
	Path    string // the page's address, the way back after a change of preferences
	Live    string // address of the page's stream; empty: it does not move
	Command string // shows the same on the command line
	Assets  Assets
	Prefs   Prefs
	Status  Status
}

// Status is the strip at the top: who leads, which policy is where, how old what is seen is.
type Status struct {
	Env      string
	Leader   string // empty: nobody leads
	Term     uint64
	Revision uint64
	In, Of   int    // regions in which it is in force
	Lagging  string // which regions it is not in force in, or why an agent refused it
	Known    bool   // figures have come at all
	AgeMS    int64  // of the figures, by their producer's clock
	Figures  int64  // which figures: new ones of the same age are not the old ones
	Alarm    string // a sentence: nothing can be changed now, and what goes on
}

// StaleMS and OldMS are the ages from which figures are shown in amber, and from which nothing may be steered by them.
const (
	StaleMS = 5_000
	OldMS   = 15_000
)

// Frozen tells whether the controls are disabled.
func (s Status) Frozen() bool { return s.Alarm != "" }

func (s Status) ageLevel() Level {
	switch {
	case !s.Known || s.AgeMS > OldMS:
		return Bad
	case s.AgeMS > StaleMS:
		return Warn
	default:
		return OK
	}
}

func (s Status) policyLevel() Level {
	switch {
	case s.Of == 0:
		return Off
	case s.In < s.Of:
		return Warn
	default:
		return OK
	}
}

// Part is a piece of a sentence, coloured by its level.
type Part struct {
	Text  string
	Level Level
}

// Overview is the first page.
type Overview struct {
	Frame
	Headline Headline
	Tiles    []Tile
	Band     *Band
	Matrix   Matrix
	Break    Break
	Naive    *Naive // nil: no simulated providers
	Happened []Happening
}

// Headline is the one sentence, one line that explains it, and whose fault it is.
type Headline struct {
	Level  Level
	Parts  []Part
	More   string
	Blames []Blame
}

// Blame is one verdict: whose fault a trouble is, since when, and what becomes of it.
type Blame struct {
	Level           Level
	Text, Since, Do string
}

// Tile is one figure with its history.
type Tile struct {
	Name, Value, Unit, Note string
	Level                   Level
	Spark                   Spark
}

// Band is what the providers' own books say.
type Band struct {
	Twice, Lost, Unknown, Guessed, Operations int
	Error                                     string
}

func (b *Band) level() Level {
	if b.Error != "" {
		return Warn
	}
	if b.Twice+b.Lost+b.Guessed > 0 {
		return Bad
	}
	return OK
}

// Matrix is service·provider × region.
type Matrix struct {
	Regions  []RegionHead
	Services []ServiceRows
}

// RegionHead is a column's head.
type RegionHead struct {
	Name, Rate string
	Level      Level // Off: no agent is heard there
}

// ServiceRows are one service's providers.
type ServiceRows struct {
	Name      string
	Strategy  string
	Providers []ProviderRow
}

// ProviderRow is one provider in each region, in the order of the heads.
type ProviderRow struct {
	Name  string
	Cells []Cell
}

// Cell is one provider in one region.
type Cell struct {
	Region       string
	Absent       bool // the service does not use it there
	Level        Level
	Icon         string
	Word, Since  string
	Share        string  // configured
	Effective    float64 // percent; below 0: no new session was measured
	Success, P99 string
	Note         string
}

// quiet tells that nothing is the matter, so that one line says it all.
func (c Cell) quiet() bool { return c.Level == OK || c.Level == Off }

// Happening is one line of what happened.
type Happening struct {
	At         time.Time
	Level      Level
	Text       string
	Who        string
	Link, Word string
}

// Break is the panel of faults.
type Break struct {
	Real      bool // simulated providers and processes; otherwise drills that agents inject
	Providers []string
	Faults    []Fault // at a provider
	Processes []Fault
	Running   []Running
	Command   string // the same on the command line
	Request   string // id of the next request, so that a form sent twice does nothing twice
	Error     string
}

// Fault is one thing that can be broken.
type Fault struct{ Name, Label, Explain, Command string }

// Running is a fault that runs.
type Running struct {
	ID, Label, Where string
	Ends             time.Time
	Left             string
	Action           string // where its end is asked for
}
