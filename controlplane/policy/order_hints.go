package policy

import (
	"fmt"
	"math"
	"time"
)

// The orders about agents' logs of hints. They name no provider.
const (
	HintReplay   OrderKind = "hint-replay"   // agents replay the hints that Hints names, now
	HintThrottle OrderKind = "hint-throttle" // agents replay no faster than Hints says, as long as the order holds
)

// Hints is what an order asks of a log of hints: of a replay, which ones; of a throttle, how fast at the most.
type Hints struct {
	Held  bool    `json:",omitempty"` // replay: those too that a person must look at
	Old   bool    `json:",omitempty"` // replay: those too that are past their age
	From  uint64  `json:",omitempty"` // replay: from this number on
	To    uint64  `json:",omitempty"` // replay: up to this number; 0: to the last
	Pause bool    `json:",omitempty"` // throttle: none at all
	Rate  float64 `json:",omitempty"` // throttle: hints a second, in each agent
}

// maxReplay bounds a replay's order: it is for agents that are attached now. The replay itself may take longer.
const maxReplay = time.Minute

// maxHintRate is more than any store takes.
const maxHintRate = 1e6

func (o *Order) aboutHints() bool { return o.Kind == HintReplay || o.Kind == HintThrottle }

func (o *Order) checkHints() error {
	h := o.Hints
	switch {
	case o.Provider != "":
		return orderError("provider", "an order about hints is about no provider", "leave it out")
	case o.Fault != (Fault{}):
		return orderError("fault", "an order about hints has no fault", "leave it out")
	case o.Kind == HintThrottle && (h.Held || h.Old || h.From > 0 || h.To > 0):
		return orderError("hints", "a throttle is for all hints", "leave held, old, from and to out")
	case o.Kind == HintThrottle && h.Pause != (h.Rate == 0):
		return orderError("hints.rate", "a throttle has a rate, or it is a pause", "write hints a second, like 50, or pause")
	case o.Kind == HintThrottle && !h.Pause && !(h.Rate > 0 && h.Rate <= maxHintRate):
		return orderError("hints.rate", fmt.Sprintf("%v is not above 0 and at most %d", h.Rate, int(maxHintRate)), "write hints a second, like 50")
	case o.Kind == HintReplay && (h.Pause || h.Rate != 0 || math.IsNaN(h.Rate)):
		return orderError("hints", "a replay has no rate", "give a throttle for that")
	case o.Kind == HintReplay && o.For > maxReplay:
		return orderError("for", fmt.Sprintf("%s is longer than %s", span(o.For), span(maxReplay)), "a replay is for agents that are attached now")
	case o.Kind == HintReplay && h.To > 0 && h.To < h.From:
		return orderError("hints.to", fmt.Sprintf("%d is before %d", h.To, h.From), "give the lower number first")
	}
	return nil
}
