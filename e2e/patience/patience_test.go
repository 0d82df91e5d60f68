package patience

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestADeadlineEnds(t *testing.T) {
	complaint := errors.New("not yet")
	asked := 0
	if err := Promise(20*time.Millisecond, time.Millisecond, func() error { asked++; return complaint }); !errors.Is(err, complaint) || asked < 2 {
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

// What the disk stole is given back, and the deadline begins anew: it has long passed, and the wait goes on.
func TestADeadlineWaitsForTheDisk(t *testing.T) {
	began := time.Now()
	err := Promise(40*time.Millisecond, time.Millisecond, func() error {
		if time.Since(began) < 200*time.Millisecond {
			disk.past.Add(int64(time.Millisecond))
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A deadline that passes in the first moment of a standstill has not passed.
func TestAStandstillThatHasJustBegun(t *testing.T) {
	d := begin(time.Hour)
	d.from = time.Now().Add(-2 * time.Hour)
	disk.mu.Lock() // the look that is to come cannot end
	over := make(chan bool)
	go func() { over <- d.over() }()
	select {
	case <-over:
		disk.mu.Unlock()
		t.Fatal("it gave up without a look at the disk")
	case <-time.After(20 * time.Millisecond):
	}
	disk.past.Add(int64(time.Minute)) // such was the look
	disk.mu.Unlock()
	if <-over {
		t.Error("the time is up, though the disk stood still")
	}
}

// What happened during a standstill is excused, and what comes shortly after; nothing before it, nothing later.
func TestExcuses(t *testing.T) {
	disk.begin()
	disk.add(time.Minute)
	now := time.Now()
	if !Excuses(now) || !Excuses(now.Add(-time.Hour)) {
		t.Error("a standstill excuses nothing")
	}
	if Excuses(now.Add(echo + time.Second)) {
		t.Error("a standstill excuses what comes much later")
	}
}

// An event has half a minute at least; a context ends with its parent and by its own end.
func TestAContextEnds(t *testing.T) {
	parent, stop := context.WithCancel(t.Context())
	ctx, cancel := Context(parent, time.Millisecond)
	defer cancel()
	select {
	case <-ctx.Done():
		t.Error("an event has half a minute at least")
	case <-time.After(2 * every):
	}
	stop()
	<-ctx.Done()
	ctx, cancel = Context(t.Context(), time.Minute)
	cancel()
	<-ctx.Done()
}

// A test's directories are its own, each another, and gone after it, later than what was put to its end after the first of them.
func TestDir(t *testing.T) {
	var first, second string
	t.Run("one", func(t *testing.T) {
		first = Dir(t)
		t.Cleanup(func() {
			if _, err := os.Stat(second); err != nil {
				t.Error("gone too soon: ", err)
			}
		})
		second = Dir(t)
		if first == second || os.WriteFile(filepath.Join(second, "a"), nil, 0o600) != nil {
			t.Error(first, second)
		}
	})
	for _, dir := range []string{first, second} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}
