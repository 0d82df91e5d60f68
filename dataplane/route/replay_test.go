package route

import (
	"encoding/binary"
	"math"
	"os"
	"strconv"
	"testing"
)

// print is a number over every bit of what was decided.
func (d *Decision) print() uint64 {
	h := mix(uint64(uint8(d.Winner))<<16 | uint64(d.Reason)<<8 | uint64(d.N))
	flags := uint64(0)
	if d.Probe {
		flags |= 1
	}
	if d.Moved {
		flags |= 2
	}
	h = mix(h ^ flags)
	if d.beyond {
		flags |= 4
	}
	h = mix(h ^ flags<<8)
	for i := range d.N {
		s := &d.Scores[i]
		for _, x := range [...]uint64{
			uint64(s.Gate)<<8 | uint64(s.Circuit), math.Float64bits(s.Weight), math.Float64bits(s.Rank), uint64(s.InFlight)<<32 | uint64(uint32(s.Failures)), uint64(s.Wait),
		} {
			h = mix(h ^ x)
		}
	}
	return h
}

// recorded makes decision k of a log: the world that it was made in is made again by whoever reads it, for the policy alone.
func recorded(t *testing.T, n int, to func(d *Decision, log []byte)) {
	r, log := seeded(t, 20261122), make([]byte, 0, 4096)
	for range n {
		d := arbitrary(r).decide()
		log = binary.LittleEndian.AppendUint64(d.Append(log[:0]), d.print())
		to(d, log)
	}
}

// replayed reads such a log and decides everything again.
func replayed(t *testing.T, n int, log []byte) {
	r := seeded(t, 20261122)
	var d Decision
	for k := range n {
		w := arbitrary(r)
		rest, err := d.Restore(log, w.svc)
		if err != nil || len(rest) < 8 {
			t.Fatalf("decision %d of the log does not read: %v", k, err)
		}
		want := binary.LittleEndian.Uint64(rest)
		log = rest[8:]
		winner, reason := d.Winner, d.Reason
		d.Winner, d.Reason, d.Probe, d.Moved, d.beyond = -1, NoReason, false, false, false
		if d.choose(w.svc); d.Winner != winner || d.Reason != reason || d.print() != want {
			t.Fatalf("decision %d was %d by %v, and is %d by %v: %+v", k, winner, reason, d.Winner, d.Reason, d)
		}
	}
	if len(log) != 0 {
		t.Errorf("%d bytes are left over", len(log))
	}
}

// TestReplayOfALog: decisions in the compact form, decided again from what it holds. `make replay` does a million, and has the log that
// one processor wrote read by another: SEGUE_REPLAY_WRITE and SEGUE_REPLAY_READ name it.
func TestReplayOfALog(t *testing.T) {
	n := 100_000
	if testing.Short() { // beside the race detector
		n = 5000
	}
	if text := os.Getenv("SEGUE_REPLAY"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	if name := os.Getenv("SEGUE_REPLAY_READ"); name != "" {
		log, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		replayed(t, n, log)
		t.Logf("%d decisions replayed bit for bit, by the log of another run", n)
		return
	}
	var log []byte
	recorded(t, n, func(_ *Decision, one []byte) { log = append(log, one...) })
	replayed(t, n, log)
	t.Logf("%d decisions replayed bit for bit, %d bytes each", n, len(log)/n)
	if name := os.Getenv("SEGUE_REPLAY_WRITE"); name != "" {
		if err := os.WriteFile(name, log, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
