package breaker

import (
	"encoding/binary"
	"testing"
	"time"
)

// FuzzCircuit: whatever clocks, draws, settings and events come, no share leaves 0 … 1, and a circuit that is left alone for long enough
// lets good calls in until it is closed.
func FuzzCircuit(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff\x7f\x02\x00\x00\x00\x00\x00\x00\x00\x80\x05abcdefgh\x03\x00\x00\x00\x00\x00\x00\x00\x80"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Circuit
		now, held := t0, []Ticket{}
		for ; len(data) >= 9; data = data[9:] {
			x := binary.LittleEndian.Uint64(data[1:])
			if data[0]&0x80 != 0 {
				now = now.Add(time.Duration(x)) // forward, back, out of range
			} else {
				now = now.Add(time.Duration(x % uint64(time.Second)))
			}
			switch data[0] >> 4 & 7 {
			case 0:
				d := time.Duration(x)
				c.Configure(Settings{Failures: int(int8(x)), Successes: int(x >> 8 & 3), Reset: d, Lease: -d, Percent: float64(d), Window: d, Back: d, Away: d << 1, Calls: int(d)})
			case 1:
				c.Configure(Settings{Failures: 3, Successes: 2, Lease: time.Second, Back: DefaultBack, Away: time.Second, Percent: 50, Calls: 1})
			case 2:
				c.Settle(now)
			case 3, 4:
				ticket, _, _ := c.Enter(now, x)
				held = append(held, ticket)
			default:
				ticket := Outside
				if len(held) > 0 {
					ticket = held[x%uint64(len(held))]
				}
				c.Step(Event(data[0]&15), ticket, now, x)
			}
			if s, g := c.Share(now), c.Gate(now, x); !(s >= 0 && s <= 1) || !(g.Share >= 0 && g.Share <= 1) || g.Wait < 0 && g.Pass {
				t.Fatalf("a share of %v, %+v", s, g)
			}
		}
		closes(t, &c)
	})
}

// closes goes on with a clock that behaves, from wherever the other one was.
func closes(t *testing.T, c *Circuit) {
	c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second, Back: DefaultBack, Away: time.Second})
	now := t0
	for range 400 { // 200 days: longer than any setting
		if c.State() == Closed {
			return
		}
		held, _, _ := c.Enter(now, 0)
		c.Step(Success, held, now, 0)
		now = now.Add(12 * time.Hour)
	}
	t.Fatalf("wedged: %v, until %v", c.State(), c.Until())
}

// TestAClockThatWasSetBack: what waits for a time that is far ahead waits no longer.
func TestAClockThatWasSetBack(t *testing.T) {
	past := t0.Add(-365 * 24 * time.Hour)
	c := opened(t)
	if g := c.Gate(past, 0); !g.Pass || !g.Probe {
		t.Errorf("open: %+v", g)
	}
	c.Enter(t0.Add(time.Minute), 0)
	if g := c.Gate(past, 0); !g.Pass || !g.Probe {
		t.Errorf("half-open with a lease of next year: %+v", g)
	}
	s := settings
	s.Back = DefaultBack
	c, _ = onRamp(t, s)
	if g := c.Gate(past, 0); !g.Pass {
		t.Errorf("on a ramp: %+v", g)
	}
	c = opened(t)
	if g := c.Gate(t0.Add(-time.Millisecond), 0); g.Pass {
		t.Error("a call that took the lock a millisecond late passed an open circuit")
	}
}
