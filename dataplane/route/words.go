package route

import "fmt"

var gates = [...]string{
	Absent: "absent", Passed: "passed", Tried: "tried", NotOwner: "not-owner", NoState: "no-state", Drained: "drained", NoWeight: "no-weight",
	CircuitOpen: "circuit-open", CircuitProbing: "circuit-probing", AtCapacity: "at-capacity", AtRate: "at-rate", NoTime: "no-time",
	Unmapped: "unmapped", Ruled: "rule", Ramping: "ramping", Spent: "budget-spent", Careful: "high-value", Dearer: "dearer", Shed: "shed",
	NoRetry: "no-retry",
}

// String is the word in problem documents and records.
func (g Gate) String() string { return word(gates[:], int(g)) }

// MarshalText writes the word into a record.
func (g Gate) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads it back.
func (g *Gate) UnmarshalText(text []byte) error {
	i, err := index(gates[:], string(text))
	*g = Gate(i)
	return err
}

var reasons = [...]string{
	NoReason: "none", ByOwner: "owner", ByPin: "pin", ByWeight: "weight", ByPriority: "priority", ByFallback: "fallback",
	ByProbe: "probe", LastResort: "last-resort", ByNearness: "nearest", ByValue: "value", BySpread: "spread", ByRamp: "ramp", BySpill: "spill",
}

// String is the word in records.
func (r Reason) String() string { return word(reasons[:], int(r)) }

// MarshalText writes the word into a record.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads it back.
func (r *Reason) UnmarshalText(text []byte) error {
	i, err := index(reasons[:], string(text))
	*r = Reason(i)
	return err
}

func word(words []string, i int) string {
	if i >= len(words) {
		return "unknown"
	}
	return words[i]
}

func index(words []string, w string) (int, error) {
	for i := range words {
		if words[i] == w {
			return i, nil
		}
	}
	return 0, fmt.Errorf("route: unknown word %q", w)
}
