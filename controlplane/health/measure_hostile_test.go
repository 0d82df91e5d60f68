package health

import (
	"encoding/binary"
	"math"
	"testing"
	"time"
)

// FuzzMeasure: whatever times, latencies and classes come, in whatever order, the numbers stay sane, and afterwards an outage is still seen.
func FuzzMeasure(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x04\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x80\x91abcdefghijklmnop\x33qrstuvwxyzabcdef"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m lone
		now := time.Unix(1_800_000_000, 0)
		for ; len(data) >= 17; data = data[17:] {
			step, latency := int64(binary.LittleEndian.Uint64(data[1:])), int64(binary.LittleEndian.Uint64(data[9:]))
			if data[0]&0x80 != 0 { // a small step, the usual
				step %= int64(time.Minute)
			}
			now = now.Add(time.Duration(step))
			switch data[0] >> 3 & 7 {
			case 0:
				m.Overdue(int(latency), now)
			case 1:
				m.Arm(now)
			case 2:
				m.Clear(now)
			case 3:
				m.Take()
			default:
				m.Observe(Sample{Class: Class(data[0] & 7), Latency: time.Duration(latency)}, now)
			}
			saneMeasure(t, &m, now)
		}
		recovers(t, m, now)
	})
}

func saneMeasure(t *testing.T, m *lone, now time.Time) {
	mean, lower := m.Success(now)
	if !(mean >= 0 && mean <= 1 && lower >= 0 && lower <= mean) {
		t.Fatalf("success %v, at least %v", mean, lower)
	}
	if l := m.Limit(); l < LeastLimit || l > MostLimit {
		t.Fatalf("limit %v", l)
	}
	last := time.Duration(0)
	for _, q := range []float64{0, .5, .95, .999, 1} {
		d := m.Quantile(q)
		if d < last {
			t.Fatalf("quantile %v is %v after %v", q, d, last)
		}
		last = d
	}
	for _, tests := range [][]cusum{m.tests[:], m.slowing[:]} {
		for _, c := range tests {
			if !(c.s >= 0 && c.s < 40) || c.x > c.calls {
				t.Fatalf("a test at %+v", c)
			}
		}
	}
	e := m.Evidence()
	if !(e.Baseline >= 0 && e.Baseline <= 1) || e.Failed > e.Calls || e.Slow > e.Answers || m.Latency() < 0 {
		t.Fatalf("%+v, latency %v", e, m.Latency())
	}
	for _, n := range m.taken.Nats {
		if math.IsNaN(n) || math.IsInf(n, 0) {
			t.Fatalf("%v nats", n)
		}
	}
}

// recovers: nothing that has happened makes the tests deaf.
func recovers(t *testing.T, m lone, now time.Time) {
	m.Clear(now)
	p := newProvider(1, 50, 0)
	p.now = now.Add(time.Minute)
	p.run(&m, 1000)
	p.fails = 1
	if n, which := p.until(&m, 100); which != Failing || n > 30 {
		t.Fatalf("deaf: %q after %d failures", which, n)
	}
}
