package route

import (
	"reflect"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
)

// TestTheCalmHidesNothing: a row that is looked at only when its calm is over sees what a row sees that is looked at each time, at the same
// moment: while its limit grows and shrinks, its ramps go up and down, this process stands still and somebody sets the clock.
func TestTheCalmHidesNothing(t *testing.T) {
	turns := 0
	for seed := range uint64(24) {
		r := seeded(t, seed)
		rows, held := [2]*Standing{NewStanding("stripe"), NewStanding("stripe")}, [2][]Permit{}
		for k := range rows {
			rows[k].Circuit.Configure(breaker.Settings{Failures: 5, Successes: 2, Reset: time.Second, Lease: time.Second, Back: time.Second, Away: time.Second})
		}
		now, slow := t0, 20*time.Millisecond
		for step := range 4000 {
			now = now.Add(time.Duration(r.Int64N(int64(20 * time.Millisecond))))
			what, kind, latency, at := r.IntN(100), uint8(r.IntN(2)), time.Duration(r.Int64N(int64(2*slow))), r.Uint64()
			switch {
			case what == 0:
				slow = time.Duration(1+r.IntN(500)) * time.Millisecond
			case what == 1 && seed%2 == 0:
				now = now.Add(time.Duration(r.Int64N(int64(20*time.Second))) - 10*time.Second)
			}
			var turned [2]breaker.Transition
			for k, row := range rows {
				if k == 1 {
					row.calm = time.Time{} // this one is never sure
				}
				switch {
				case what == 2:
					row.Stall(30 * time.Millisecond)
				case what < 10:
					turned[k], _ = row.Tick(now)
				case what < 40 && len(held[k]) < 200:
					p := Permit{row: row, at: now, kind: kind}
					p.ticket, _, _ = row.Circuit.Enter(now, at)
					row.InFlight++
					p.Sent(now)
					held[k] = append(held[k], p)
				case what < 70 && len(held[k]) > 0: // what comes of a stream from here on is no age
					held[k][int(at%uint64(len(held[k])))].Answered()
				case what < 90 && len(held[k]) > 0:
					i := int(at % uint64(len(held[k])))
					turned[k], _ = held[k][i].End(health.Sample{Class: health.OK, Latency: latency}, now, at)
					held[k] = append(held[k][:i], held[k][i+1:]...)
				default:
					turned[k], _ = row.Watch(now)
				}
			}
			if turned[0] != turned[1] {
				t.Fatalf("step %d: %+v, and looked at each time: %+v", step, turned[0], turned[1])
			}
			if turned[0] != (breaker.Transition{}) {
				turns++
			}
			if step%50 != 0 {
				continue
			}
			for k := range kinds { // empty generations are passed over when somebody looks
				rows[0].ages[k].due(rows[0].since(now), time.Hour)
				rows[1].ages[k].due(rows[1].since(now), time.Hour)
			}
			same := *rows[1]
			if same.calm = rows[0].calm; !reflect.DeepEqual(*rows[0], same) {
				t.Fatalf("step %d: the rows are not the same any more", step)
			}
		}
	}
	if turns < 100 {
		t.Errorf("only %d turns", turns)
	}
}
