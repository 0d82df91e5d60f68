package breaker

import "fmt"

// String is the word that people and reports read.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	default:
		return "unknown"
	}
}

// MarshalText writes the word into a record.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it back; a word that is none of the states is refused.
func (s *State) UnmarshalText(text []byte) error {
	for _, k := range []State{Closed, Open, HalfOpen} {
		if k.String() == string(text) {
			*s = k
			return nil
		}
	}
	return fmt.Errorf("breaker: %q is no state of a circuit", text)
}
