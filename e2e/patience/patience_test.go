package patience

import (
	"errors"
	"testing"
	"time"
)

func TestADeadlineEnds(t *testing.T) {
	complaint := errors.New("not yet")
	asked := 0
	if err := Await(20*time.Millisecond, time.Millisecond, func() error { asked++; return complaint }); !errors.Is(err, complaint) || asked < 2 {
		t.Fatalf("%v after %d questions", err, asked)
	}
	if err := Await(time.Minute, time.Millisecond, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// A standstill is counted while it goes on and after it, and a quick write is none.
func TestAStandstillIsCountedOnce(t *testing.T) {
	before := Stood()
	disk.past.Add(int64(time.Minute))
	if d := Stood() - before; d < time.Minute || d > time.Minute+30*time.Second {
		t.Fatalf("a minute's standstill counts as %v", d)
	}
	disk.past.Add(-int64(time.Minute))
}

// What the disk stole is given back: the deadline has long passed, and the wait goes on.
func TestADeadlineWaitsForTheDisk(t *testing.T) {
	began := time.Now()
	err := Await(time.Millisecond, time.Millisecond, func() error {
		if time.Since(began) < 50*time.Millisecond {
			disk.past.Store(int64(time.Hour))
			return errors.New("not yet")
		}
		return nil
	})
	disk.past.Store(0)
	if err != nil {
		t.Fatal(err)
	}
}
