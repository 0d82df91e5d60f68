package route

import (
	"errors"
	"fmt"
	"time"

	"segue/controlplane/policy"
)

// Why a recorded decision cannot be made again under another policy.
var (
	ErrRetry     = errors.New("a further attempt: whether the call would have needed one is not known")
	ErrGoneOwner = errors.New("the provider that owns its object is not in the policy any more")
)

// Again decides old's request under another policy, by the code that decides live calls: its facts and what was seen of the providers
// are carried over by name. Of a provider that was no candidate then nothing was seen: it stands as on its first day. What follows from
// an earlier choice (a further attempt, and in flight, rates and circuits, which the new shares would have moved) stays as recorded.
func (d *Decision) Again(old *Decision, was, is *policy.Service) error {
	if int(old.N) != len(was.Candidates) || len(is.Candidates) > policy.MaxCandidates {
		return fmt.Errorf("route: a decision among %d providers does not belong to a service with %d", old.N, len(was.Candidates))
	}
	if old.Facts.Tried != 0 {
		return ErrRetry
	}
	var to [policy.MaxCandidates]int8 // place then → place now, -1: gone
	for i := range old.N {
		to[i] = place(is, was.Candidates[i].Provider)
	}
	f := old.Facts
	if f.Owner >= 0 {
		if f.Owner >= old.N || to[f.Owner] < 0 {
			return ErrGoneOwner
		}
		f.Owner = to[f.Owner]
	}
	if f.Pinned >= 0 && f.Pinned < old.N {
		f.Pinned = to[f.Pinned]
	} else {
		f.Pinned = -1
	}
	f.Barred, f.Unmapped = moved(f.Barred, to[:old.N]), moved(f.Unmapped, to[:old.N])
	d.reset(len(is.Candidates), &f, old.At)
	for i, c := range is.Candidates {
		if from := place(was, c.Provider); from >= 0 {
			d.Seen[i] = old.Seen[from]
			continue
		}
		d.Seen[i] = fresh(c.Provider, kindOf(f.Read), old.At)
	}
	d.Past = old.Past
	d.price(is)
	d.choose(is)
	return nil
}

// fresh is how a provider stands of which nothing is known.
func fresh(provider string, kind uint8, at time.Time) Seen {
	row := NewStanding(provider)
	var s Seen
	row.look(&s, 0, kind, 0, at)
	return s
}

func place(svc *policy.Service, provider string) int8 {
	for i, c := range svc.Candidates {
		if c.Provider == provider {
			return int8(i)
		}
	}
	return -1
}

func moved(s policy.Set, to []int8) policy.Set {
	var out policy.Set
	for i, at := range to {
		if at >= 0 && s.Has(i) {
			out = out.With(int(at))
		}
	}
	return out
}
