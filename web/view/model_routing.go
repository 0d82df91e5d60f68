package view

import "time"

// Routing is one service's steering.
type Routing struct {
	Frame
	Service    string
	Speaks     string
	Strategy   string
	Facts      []string
	Tabs       []Tab
	Regions    []RegionCard
	Review     *Review
	Rollout    *Rollout
	Conflict   *Conflict
	Try        *Try
	Steering   *Steering
	Base       uint64 // the revision that is shown
	Shifts     []Shift
	ByDocument *ByDocument // where the page cannot change it
}

// Tab leads to another service.
type Tab struct {
	Name, Href string
	Current    bool
}

// RegionCard is one region's weights, or its order.
type RegionCard struct {
	Region   string
	Rate     string
	Weighted bool
	Ordered  bool
	Rows     []WeightRow
	Sum      string
	Error    string
}

// WeightRow is one provider in one region's card.
type WeightRow struct {
	Provider string
	Color    int
	Percent  string // what the field holds
	Was      string // what is in force, where it differs
	Place    int    // in the order, from 1
	Share    float64
	Live     Effective
	Error    string
}

// inForce is what the policy gives now.
func (w WeightRow) inForce() string {
	if w.Was != "" {
		return w.Was
	}
	return w.Percent
}

// Effective is what a provider really gets, and how it stands.
type Effective struct {
	ID         string // of the element
	Color      int
	Percent    float64 // below 0: nothing measured
	Level      Level
	Icon, Word string
}

// Review is a change that was not applied yet.
type Review struct {
	Service, Region string
	Changes         []ReviewLine
	Effects         []Pair
	Problems        []string // with any, it cannot be applied
	Fields          []Pair   // of the form: name and value
	Reason          string
	ReasonError     string
	Request         string
	Command         string
	Discard         string
	WhatIf          *WhatIf // nil: nothing to replay
	InSteps         InSteps
}

// ReviewLine is one change by meaning.
type ReviewLine struct{ Provider, Old, New string }

// Pair is a name and a value.
type Pair struct {
	Name, Value string
	Href        string // where the value leads to; empty: nowhere
}

// Rollout is how a revision came into force.
type Rollout struct {
	Revision uint64
	At       time.Time
	Actor    string
	Reason   string
	Summary  []string
	Regions  []RolloutRegion
	Undo     *Undo
	Newer    bool // it is not the revision that the page was made from
}

// RolloutRegion is one region's acknowledgement.
type RolloutRegion struct {
	Region string
	Level  Level
	Text   string
}

// Undo brings back what was there before the revision.
type Undo struct {
	Action, Region, Request string
	Revision, Base          uint64
	Text                    string
}

// Conflict shows both sides of a change whose base has moved.
type Conflict struct {
	Base, Current uint64
	Theirs, Yours []string
	Fields        []ConflictField // what both changed
	Again         string          // the same change on the newest base
}

// ConflictField is a field that two sides changed: what it was, and what each wants.
type ConflictField struct{ Path, Base, Theirs, Yours, Who string }

// ByDocument is how a service is steered whose page changes nothing: what is changed, and the commands.
type ByDocument struct {
	What     string
	Commands []string
}
