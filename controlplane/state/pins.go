package state

import (
	"time"

	"segue/controlplane/policy"
)

// repin refuses a policy under which an operation could be sent to two places: where regions work without a quorum, or just did, the offline pins
// stay for one life of their keys. An agent that missed the change, or a caller who repeats an old key, would not know the new place.
func (s *State) repin(to *policy.Policy, at time.Time) *Error {
	current := s.Current()
	if current.Number == 0 {
		return nil
	}
	for i := range to.Services {
		name := to.Services[i].Name
		next, _ := policy.PinsOf(to, name)
		now, known := policy.PinsOf(current.Policy, name)
		if !known || now.Same(next) && (now.Offline || !next.Offline) {
			continue // a new service has no keys yet; and nothing begins
		}
		if err := s.settledPins(name, next, at); err != nil {
			return err
		}
	}
	return nil
}

// settledPins looks back for one life of the keys: no revision in force since may have sent a service's operations elsewhere without a quorum, and where
// that work begins, with one either.
func (s *State) settledPins(service string, next policy.Pins, at time.Time) *Error {
	for i := len(s.Revisions) - 1; i >= 0; i-- {
		then, known := policy.PinsOf(s.Revisions[i].Policy, service)
		life, now := next.KeyLife(then), i == len(s.Revisions)-1
		var ended time.Time // of the revision
		if !now {
			if ended = s.Revisions[i+1].At; at.Sub(ended) >= life {
				return nil
			}
		}
		switch {
		case !known, then.Same(next), !then.Offline && !next.Offline:
		case now && then.Offline:
			return refuse(Invalid, "services.%s: its offline pins cannot change while work without a quorum goes on: write without_quorum: refuse first, see that every agent has it, and wait one life of the keys (%s)", service, life)
		case now:
			return refuse(Invalid, "services.%s: its offline pins are not in force yet: put them in force with without_quorum: refuse, see that every agent has them, and wait one life of the keys (%s) before without_quorum: offline_pin", service, life)
		default:
			return refuse(Invalid, "services.%s: its offline pins changed, or work without a quorum ended, less than one life of the keys ago: wait until %s, and see that every agent has revision %d", service, ended.Add(life).UTC().Format(time.RFC3339), s.Current().Number)
		}
	}
	return nil
}
