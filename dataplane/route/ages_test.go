package route

import (
	"testing"
	"time"
)

// TestAgesAgainstAList: what the ring tells is what a list of all calls in flight would tell, as long as no call is older than twice
// the limit.
func TestAgesAgainstAList(t *testing.T) {
	type call struct {
		at     time.Duration
		serial uint32
		told   bool
	}
	for seed := range uint64(40) {
		r, a := seeded(t, seed), &ages{}
		limit := time.Duration(1+r.IntN(200)) * time.Millisecond
		var open []call
		told, late := 0, 0
		at := time.Duration(0)
		for range 20_000 {
			at += time.Duration(r.Int64N(int64(limit) / 8))
			switch r.IntN(3) {
			case 0:
				open = append(open, call{at: at, serial: a.begin(at, limit)})
			case 1:
				if len(open) == 0 {
					continue
				}
				k := r.IntN(len(open))
				c := open[k]
				if judged := a.end(c.serial); judged != c.told {
					t.Fatalf("a call of age %v at limit %v ended as judged: %v, want %v", at-c.at, limit, judged, c.told)
				}
				open = append(open[:k], open[k+1:]...)
			default:
				got := a.overdue(at, limit)
				told += got
				for k := range open {
					c := &open[k]
					if !c.told && at-c.at >= limit+limit/32 { // by so much it may come late
						c.told = true
						late++
						continue
					}
					if !c.told && int32(a.tail-c.serial) > 0 {
						if at-c.at < limit {
							t.Fatalf("a call of %v was told at limit %v", at-c.at, limit)
						}
						c.told = true
						late++
					}
				}
				if told != late {
					t.Fatalf("%d told, %d are late", told, late)
				}
				for k := len(open) - 1; k >= 0; k-- { // nothing stays for ever
					if at-open[k].at > 3*limit/2 {
						a.end(open[k].serial)
						open = append(open[:k], open[k+1:]...)
					}
				}
			}
		}
		if told < 100 {
			t.Errorf("seed %d: only %d calls came late", seed, told)
		}
	}
}

// TestACallThatOutlivesTheRing ends without harm to the generation that has its place now.
func TestACallThatOutlivesTheRing(t *testing.T) {
	a, limit := &ages{}, 16*time.Millisecond
	old := a.begin(0, limit)
	at := time.Duration(0)
	for range 2 * generations {
		at += time.Millisecond
		a.overdue(at, limit)
		a.end(a.begin(at, limit))
	}
	young := a.begin(at, limit)
	if !a.end(old) {
		t.Error("it was not known to be judged")
	}
	if n := a.overdue(at+limit, limit); n != 1 {
		t.Errorf("%d overdue, want the young one", n)
	}
	if !a.end(young) || a.overdue(at+9*limit, limit) != 0 {
		t.Error("told twice")
	}
}

func TestOlderTellsWhatIsOpenStill(t *testing.T) {
	a, limit := &ages{}, 160*time.Millisecond
	var held []uint32
	for k := range 10 {
		held = append(held, a.begin(time.Duration(k)*20*time.Millisecond, limit))
	}
	at := 250 * time.Millisecond
	if n := a.older(at, limit); n != 5 { // begun at 0 … 80 ms
		t.Errorf("%d are older", n)
	}
	a.overdue(at, limit)
	a.end(held[0])
	if n := a.older(at, limit); n != 4 {
		t.Errorf("%d are older after one ended", n)
	}
}
