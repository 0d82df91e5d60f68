package settle

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"segue/dataplane/ledger"
)

// rescanFor is how long what a fenced run left is looked for: a claim or an advance that it had under way may arrive late.
const rescanFor = time.Hour

// peers are the other runs, as this agent observes them: on its own clock, because nobody else's is asked.
type peers map[string]*peer

type peer struct {
	beat   uint64
	since  time.Duration // Boot when this beat was first seen
	fenced bool
	left   time.Duration // Boot when its rows are looked for next
	empty  time.Duration // Boot since when nothing was found; 0: never
	done   bool          // nothing of it can come any more
	old    bool          // it was fenced so long ago that one look is enough
}

// clocks are what a look is made at: boot measures how long a beat stands still; the store's time only spares looks.
type clocks struct {
	boot time.Duration
	wall time.Time
}

// observe notes what the store says of the runs, and returns those that stood still for too long. Runs that are gone are forgotten.
func (p peers) observe(runs []ledger.Run, own string, at clocks, fence time.Duration) (dead []ledger.Run) {
	now := at.boot
	known := make(map[string]bool, len(runs))
	for _, r := range runs {
		if known[r.ID] = true; r.ID == own {
			continue
		}
		q := p[r.ID]
		if q == nil || !q.fenced && q.beat != r.Beat {
			q = &peer{beat: r.Beat, since: now}
			p[r.ID] = q
		}
		switch {
		case !r.Fenced.IsZero():
			q.fenced, q.old = true, at.wall.Sub(r.Fenced) > 2*rescanFor
		case now-q.since >= fence:
			dead = append(dead, r)
		}
	}
	for id := range p {
		if !known[id] {
			delete(p, id)
		}
	}
	return dead
}

// orphan tells whether a run was fenced and no later one of its agent lives: nobody else cares for what it did.
func (p peers) orphan(run string) bool {
	if q := p[run]; q == nil || !q.fenced {
		return false
	}
	agent, _, _ := strings.Cut(run, "/")
	for id, q := range p {
		if name, _, _ := strings.Cut(id, "/"); name == agent && !q.fenced {
			return false
		}
	}
	return true
}

// lowest tells whether no living run has a name before this one: work that one of all agents does is its agent's.
func (p peers) lowest(own string) bool {
	for id, q := range p {
		if !q.fenced && id < own {
			return false
		}
	}
	return true
}

// found notes that a run which seemed to have left nothing has an open row: a claim that came late, or one that waited on a disk.
func (p peers) found(run string) {
	if q := p[run]; q != nil && q.fenced && q.done {
		q.done, q.empty, q.left = false, 0, 0
	}
}

// due returns the fenced runs whose rows are to be looked for now: those first that nobody looked through yet, and then the longest due.
func (p peers) due(now time.Duration) (ids []string) {
	for id, q := range p {
		if q.fenced && !q.done && now >= q.left {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(p[a].left, p[b].left), cmp.Compare(a, b)) })
	return ids
}

// scanned notes what a look for a run's rows came to.
func (p peers) scanned(id string, found int, now time.Duration) {
	q := p[id]
	if q == nil {
		return
	}
	if found > 0 || q.empty == 0 {
		q.empty = now
	}
	quiet := now - q.empty
	q.done = found == 0 && (quiet >= rescanFor || q.old)
	q.left = now + min(time.Minute, max(time.Second, quiet/4)) // often at first, later once a minute
}
