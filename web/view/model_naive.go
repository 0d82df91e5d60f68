package view

import "time"

// Naive is the client that retries as many do, beside Segue.
type Naive struct {
	On             bool
	Ends           time.Time // while it is on
	Charges, Twice int
	Providers      string // where it charges
	Segue          *Band  // never nil: what the same books say of Segue
}

func (n *Naive) level() Level {
	switch {
	case n.Twice > 0:
		return Bad
	case n.On:
		return OK
	default:
		return Off
	}
}
