package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind names a fault. The set is closed.
type Kind string

const (
	Refuse     Kind = "refuse"      // the listener is closed, open connections are reset: connection refused
	Flap       Kind = "flap"        // refuse, in turns: Up, then Down, and again
	Reset      Kind = "reset"       // RST after the request was read; Executed tells which side of the execution
	Status     Kind = "status"      // answers Code; Executed tells whether the work was done all the same
	Limit      Kind = "limit"       // 429 with Retry-After; never executes
	Hang       Kind = "hang"        // never answers; never executes unless Executed
	Slow       Kind = "slow"        // Factor times the usual latency, and Delay more
	Lose       Kind = "lose"        // executes, then ends the connection without a byte of the answer
	CutBody    Kind = "cut_body"    // executes, promises the whole body, ends midway in it
	CutHeaders Kind = "cut_headers" // executes, ends midway in the header block
	Fees       Kind = "fees"        // nothing fails; the call costs Factor times the usual fee, and the answer states that
)

// Scope says which operations a fault meets.
type Scope string

const (
	All     Scope = "all"
	Effects Scope = "effects"
	Reads   Scope = "reads"
)

// Ending is how a fault ends a connection.
type Ending string

const (
	Close Ending = "close" // FIN: the peer reads a clean end of the stream
	Abort Ending = "reset" // RST: the peer reads "connection reset"
)

// Warmth picks requests by the connection that they came on: the first request of a connection is cold, the later ones are warm.
type Warmth string

const (
	AnyConnection Warmth = "any"
	Warm          Warmth = "warm"
	Cold          Warmth = "cold"
)

// Fault is one way in which a provider fails. Zero values mean: every request, all operations, without end.
type Fault struct {
	Kind       Kind          `json:"kind"`
	Executed   bool          `json:"executed,omitempty"`    // Reset, Status, Hang: the work is done before the failure
	Code       int           `json:"code,omitempty"`        // Status; 500 if none is given
	RetryAfter time.Duration `json:"retry_after,omitempty"` // Limit; 1 s if none is given
	Factor     float64       `json:"factor,omitempty"`      // Slow, Fees
	Delay      time.Duration `json:"delay,omitempty"`       // Slow
	End        Ending        `json:"end,omitempty"`         // Lose, CutBody, CutHeaders; Close if none is given
	Connection Warmth        `json:"connection,omitempty"`  // any if none is given
	Up         time.Duration `json:"up,omitempty"`          // Flap
	Down       time.Duration `json:"down,omitempty"`        // Flap
	Share      float64       `json:"share,omitempty"`       // 0 < share ≤ 1; 0 means 1
	Operation  Scope         `json:"operation,omitempty"`   // all if none is given
	Count      int           `json:"count,omitempty"`       // the first N that match; 0 means no limit
	For        time.Duration `json:"for,omitempty"`         // ends by itself; 0 means never
}

// times is the part of a Fault that JSON writes as "1.5s" rather than as nanoseconds.
type times struct {
	RetryAfter string `json:"retry_after,omitempty"`
	Delay      string `json:"delay,omitempty"`
	Up         string `json:"up,omitempty"`
	Down       string `json:"down,omitempty"`
	For        string `json:"for,omitempty"`
}

// fields is Fault without its methods, one level deeper than times, so that in JSON the names in times win.
type fields struct{ plain }
type plain Fault

// MarshalJSON writes durations as people write them.
func (f Fault) MarshalJSON() ([]byte, error) {
	text := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	return json.Marshal(struct {
		fields
		times
	}{fields{plain(f)}, times{text(f.RetryAfter), text(f.Delay), text(f.Up), text(f.Down), text(f.For)}})
}

// UnmarshalJSON reads what MarshalJSON writes; a field that no fault has is an error.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var wire struct {
		fields
		times
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&wire); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	*f = Fault(wire.plain)
	for _, t := range []struct {
		text string
		to   *time.Duration
	}{
		{wire.times.RetryAfter, &f.RetryAfter}, {wire.times.Delay, &f.Delay},
		{wire.times.Up, &f.Up}, {wire.times.Down, &f.Down}, {wire.times.For, &f.For},
	} {
		if t.text == "" {
			continue
		}
		d, err := time.ParseDuration(t.text)
		if err != nil {
			return fmt.Errorf("fault: %w", err)
		}
		*t.to = d
	}
	return nil
}

// check says what is wrong with a fault, all at once, so that a typing error never looks like a provider that stays well.
func (f Fault) check() error {
	var errs []error
	bad := func(wrong bool, what string) {
		if wrong {
			errs = append(errs, fmt.Errorf("fault %q: %s", f.Kind, what))
		}
	}
	bad(!slices.Contains([]Kind{Refuse, Flap, Reset, Status, Limit, Hang, Slow, Lose, CutBody, CutHeaders, Fees}, f.Kind), "no such kind")
	bad(!slices.Contains([]Scope{"", All, Effects, Reads}, f.Operation), "operation is all, effects or reads")
	bad(!slices.Contains([]Warmth{"", AnyConnection, Warm, Cold}, f.Connection), "connection is any, warm or cold")
	bad(!slices.Contains([]Ending{"", Close, Abort}, f.End), "end is close or reset")
	bad(!(f.Share >= 0 && f.Share <= 1), "share is between 0 and 1")
	bad(f.Count < 0 || f.For < 0 || f.Delay < 0 || f.RetryAfter < 0, "counts and times are not negative")
	bad(f.Kind == Status && f.Code != 0 && (f.Code < 200 || f.Code > 599), "code is between 200 and 599")
	bad(f.Kind == Slow && f.Factor <= 0 && f.Delay == 0, "needs a factor or a delay")
	bad(f.Kind == Fees && f.Factor <= 0, "needs a factor")
	bad(f.Kind != Slow && f.Factor < 0 || !(f.Factor <= maxFactor), "factor is between 0 and 1000")
	bad(f.Kind == Flap && (f.Up < minTurn || f.Down < minTurn), "needs up and down, 1 ms or more each")
	bad(f.portFault() && (f.Share != 0 || f.Count != 0 || f.narrow()), "closes the port, so it takes no share, count, operation or connection")
	return errors.Join(errs...)
}

const (
	maxFactor = 1000             // a few ms become seconds; more is a hang
	minTurn   = time.Millisecond // shorter turns would only spin
)

// portFault is true for faults that are done by closing the port: no request is there that they could be chosen by.
func (f Fault) portFault() bool { return f.Kind == Refuse || f.Kind == Flap }

func (f Fault) narrow() bool {
	return (f.Operation != "" && f.Operation != All) || (f.Connection != "" && f.Connection != AnyConnection)
}

// meets is true if the fault is for such a request; the draw of its share comes after.
func (f Fault) meets(effect, warm bool) bool {
	switch {
	case f.Operation == Effects && !effect, f.Operation == Reads && effect:
		return false
	case f.Connection == Warm && !warm, f.Connection == Cold && warm:
		return false
	}
	return true
}
