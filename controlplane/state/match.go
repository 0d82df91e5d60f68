package state

import (
	"fmt"

	"segue/controlplane/policy"
)

// elsewhere refuses a change whose author looked at another revision than the one in force. It says what others changed since.
func (s *State) elsewhere(match uint64) *Error {
	current := s.Current()
	e := &Error{Code: Stale, Base: &Conflict{Base: match, Current: current.Number}}
	e.Message = fmt.Sprintf("made for revision %d, but revision %d is in force", match, current.Number)
	from, ok := s.Revision(match)
	if !ok {
		e.Message += fmt.Sprintf("; revision %d is not kept", match)
		return e
	}
	e.Base.Theirs = lines(policy.Diff(from.Policy, current.Policy))
	return e
}
