package breaker

import "fmt"

// Reason is why a circuit turned.
type Reason uint8

// The reasons.
const (
	NoReason    Reason = iota
	InARow             // so many failures in a row
	Percent            // so many of the calls in the window failed
	Detected           // a detector's alarm: it fails or hangs
	TooSlow            // a detector's alarm: it is slow; or its probes were
	ProbeFailed        // a probe failed
	TimeOver           // the time of the opening is over: it is asked again
	ProbesGood         // enough probes in a row succeeded
	RampOver           // all of its share is back
)

var (
	states  = [...]string{Closed: "closed", Open: "open", HalfOpen: "half-open", Ramp: "ramp"}
	reasons = [...]string{
		InARow: "failures in a row", Percent: "share of failures", Detected: "detector", TooSlow: "slow",
		ProbeFailed: "probe failed", TimeOver: "time over", ProbesGood: "probes succeeded", RampOver: "share is back",
	}
)

// String is the word that people and reports read.
func (s State) String() string { return word(states[:], int(s)) }

// String is the word that people and reports read; "" for none.
func (r Reason) String() string { return word(reasons[:], int(r)) }

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return "unknown"
}

// MarshalText writes the word into a record.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it back; a word that is none of the states is refused.
func (s *State) UnmarshalText(text []byte) error {
	for k, w := range states {
		if w == string(text) {
			*s = State(k)
			return nil
		}
	}
	return fmt.Errorf("breaker: %q is no state of a circuit", text)
}

// MarshalText writes the word into a record.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads it back; a word that is none of the reasons is refused.
func (r *Reason) UnmarshalText(text []byte) error {
	for k, w := range reasons {
		if w == string(text) {
			*r = Reason(k)
			return nil
		}
	}
	return fmt.Errorf("breaker: %q is no reason of a circuit", text)
}

// Why is the evidence in words: "3 failures in a row", "12 of the last 40 calls failed".
func (t Transition) Why() string {
	switch t.Reason {
	case InARow:
		return inARow(t.Failures)
	case Percent:
		return fmt.Sprintf("%d of the last %d calls failed", t.Failures, t.Calls)
	case ProbeFailed:
		return "the probe failed, " + inARow(t.Failures)
	case Detected:
		return "the detector's alarm"
	case TooSlow:
		return "it is slow"
	case TimeOver:
		return "its time is over"
	case ProbesGood:
		return "its probes succeeded"
	case RampOver:
		return "all of its share is back"
	default:
		return ""
	}
}

func inARow(failures int) string {
	if failures == 1 {
		return "1 failure"
	}
	return fmt.Sprintf("%d failures in a row", failures)
}
