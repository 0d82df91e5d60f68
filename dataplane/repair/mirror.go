package repair

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Mirror is another agent that keeps this one's hints too. A hint is acknowledged when both have it.
type Mirror interface {
	// Keep returns when the copy is on the other agent's disk.
	Keep(c Copy) error
	// Beat says that this agent lives, and which of its hints are over.
	Beat(b Beat) error
}

// Beat is what an agent tells its mirror now and then.
type Beat struct {
	Ended []ID `json:"ended,omitempty"`
	// Whole beats name all hints from before a time that are still wanted: what else the mirror has of then is over. The first beat is one, and
	// each after one that got lost.
	Whole  bool      `json:"whole,omitempty"`
	Wanted []ID      `json:"wanted,omitempty"`
	Before time.Time `json:"before,omitzero"`
}

const (
	beatEvery  = time.Second
	wholeLag   = 10 * time.Second // a copy may still be on its way
	mostEnded  = 1 << 16          // ids that wait for a beat; more, and the next is a whole one
	mostWanted = 1 << 17
)

// ended are the hints that ended since the last beat.
type ended struct {
	kept bool // there is a mirror to tell
	mu   sync.Mutex
	ids  []ID
	lost bool // some were not told: a whole beat is due
}

func (e *ended) add(id ID) {
	if !e.kept {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.ids) >= mostEnded {
		e.ids, e.lost = nil, true
	}
	e.ids = append(e.ids, id)
}

func (e *ended) take() (ids []ID, lost bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids, lost = e.ids, e.lost
	e.ids, e.lost = nil, false
	return ids, lost
}

func (e *ended) lose() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost = true
}

// beats tells the mirror that this agent lives, for as long as it does.
func (r *Repair) beats(ctx context.Context) {
	r.ended.lose() // what the mirror has from an earlier life is not known
	t := time.NewTicker(beatEvery)
	defer t.Stop()
	told := true
	for {
		err := r.beat()
		if told != (err == nil) {
			told = err == nil
			r.opts.Log.Warn("the mirror of the hints", "answers", told, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (r *Repair) beat() error {
	ids, whole := r.ended.take()
	b := Beat{Ended: ids, Whole: whole}
	if whole {
		b.Before = r.opts.Now().Add(-wholeLag)
		for _, e := range r.log.waiting(mostWanted+1, func(e *entry) bool { return e.At.Before(b.Before) }) {
			b.Wanted = append(b.Wanted, e.ID)
		}
		if len(b.Wanted) > mostWanted { // then the mirror keeps what it has: to replay it is no harm
			b.Whole, b.Wanted = false, nil
		}
	}
	if err := r.opts.Mirror.Beat(b); err != nil {
		r.ended.lose()
		return err
	}
	return nil
}

// EncodeCopy writes a copy as it goes to the mirror: as the log writes it.
func EncodeCopy(c Copy) []byte {
	b, _ := appendHint(nil, &c.Hint, c.Sealed)
	return b
}

// DecodeCopy reads one. It never panics.
func DecodeCopy(b []byte) (c Copy, err error) {
	n := 0
	err = decode(b, func(r record) error {
		if n++; r.hint == nil || n > 1 {
			return errRecord
		}
		c = Copy{*r.hint, b[r.payload : r.payload+r.size]}
		return nil
	})
	if err == nil && n == 0 {
		err = errRecord
	}
	if err != nil {
		return Copy{}, fmt.Errorf("repair: the copy of a hint: %w", err)
	}
	return c, nil
}

// errForeign refuses a copy that nobody here could replay.
var errForeign = errors.New("repair: a mirror must have the keys of those whose hints it keeps")
