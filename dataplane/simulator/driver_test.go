package simulator

import (
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/provider"
	"segue/dataplane/settle"
)

// TestItSettlesAsAgentsDo: what settle waits for, and the simulator too, is one figure.
func TestItSettlesAsAgentsDo(t *testing.T) {
	if pausedSender != settle.SendBy+provider.UserTimeout {
		t.Errorf("a sender that was paused is over after %v here, and after %v in settle", pausedSender, settle.SendBy+provider.UserTimeout)
	}
}

// held is a run in which one effect of the first provider has no answer, and nothing will say what became of it.
func held(t *testing.T) (*sim, *driver, *call) {
	t.Helper()
	scene, _ := Find("black-hole")
	s := &sim{Config: Config{Scenario: scene, Rate: 50, Streams: streams(1)}}
	s.build()
	p, err := newPlayer(Segue, s)
	if err != nil {
		t.Fatal(err)
	}
	d := p.(*driver)
	s.player, s.tally = p, newTally(s, Segue)
	s.turn(&s.faults[0])
	c := s.take()
	c.value = 40
	s.open(c)
	d.begin(s, c)
	return s, d, c
}

// TestLooksAreTheLedgers: the background looks at what is unknown when ledger.NextCheck says, time after time, and resolves it when the provider answers
// again: by two looks, with the settle window between them.
func TestLooksAreTheLedgers(t *testing.T) {
	s, d, c := held(t)
	looks := 0
	for looks < 6 {
		e, ok := s.pop()
		if !ok {
			t.Fatalf("nothing is planned after %d looks", looks)
		}
		if looking := e.kind == wakes && c.then == toCheck && c.wakeAt == e.at; looking {
			looks++
			want := ledger.NextCheck(c.tx, d.circumstances(s, c))
			if got := at(e.at); !got.Equal(want) || e.at <= s.now {
				t.Errorf("look %d is at %v, the ledger says %v", looks, time.Duration(e.at), want.Sub(epoch))
			}
		}
		s.now = e.at
		s.happen(e)
		if s.err != nil {
			t.Fatal(s.err)
		}
	}
	if c.heldAt == 0 || c.tx.State != ledger.Held {
		t.Fatalf("it is %v, held since %v", c.tx.State, c.heldAt)
	}
	s.now = int64(s.faults[0].To)
	s.turn(&s.faults[0])
	for c.heldAt != 0 {
		e, ok := s.pop()
		if !ok {
			t.Fatal("nobody looks any more")
		}
		s.now = e.at
		s.happen(e)
	}
	if after := time.Duration(s.now - int64(s.faults[0].To)); after > 3*time.Minute {
		t.Errorf("resolved %v after the provider answered again", after)
	}
}
