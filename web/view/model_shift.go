package view

import "time"

// Shift is a move of weights in steps: how far it is, how both sides do, and what may be done to it.
type Shift struct {
	ID, Service, Region string
	Level               Level
	Icon, Word          string // of its phase
	Why                 string
	At                  time.Time
	By, Reason          string
	Steps               []ShiftStep
	Next                string // "step 3 of 4 in 1 min 20 s"
	Sides               []ShiftSide
	Acts                []ShiftAct
}

// ShiftStep is one of its steps.
type ShiftStep struct {
	Percent string // of the way
	Taken   bool
}

// ShiftSide is one provider whose share changes.
type ShiftSide struct {
	Provider   string
	Color      int
	From, To   string // percent
	Now        string
	Success    string // of the last minute
	Level      Level
	Icon, Word string // of its circuit
}

// ShiftAct is what a person may do to it.
type ShiftAct struct{ Action, Request, Text string }

// InSteps are the fields by which a change of weights is made in steps.
type InSteps struct {
	Action                  string
	Steps, Every, OnTrouble string
	Error                   string
	Open                    bool
}
