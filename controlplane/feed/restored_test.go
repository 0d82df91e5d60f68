package feed

import (
	"errors"
	"testing"

	"segue/controlplane/state"
)

// After a restore, a node that has not heard of it must not lead agents back to what was replaced: whoever knows another incarnation is
// served there only once the node is sure that it is not behind.
func TestNobodyGoesBackBehindARestore(t *testing.T) {
	restored, old, l := newSource(), newSource(), &local{}
	restored.life = "i2"
	restored.set(2000, "restored")
	old.set(10, "replaced")
	old.refuse = errors.New("still replaying")
	newer, a := serve(t, restored)
	late, b := serve(t, old)
	join(t, l, "a1", a, b)
	eventually(t, "the restored policy", func() bool { u, _ := l.last(); return u.Incarnation == "i2" })

	old.with(func(s *source) {
		s.refuse, s.behind = nil, &state.Error{Code: state.NoLeader, Message: "this node is behind the leader"}
	})
	restored.with(func(s *source) { s.refuse = errors.New("gone") })
	newer.Drop()
	eventually(t, "the late node looks where it stands", func() bool {
		asked := 0
		old.with(func(s *source) { asked = s.asked })
		return asked > 1
	})
	if u, n := l.last(); u.Incarnation != "i2" || n != 1 || late.Attached() != 0 {
		t.Fatalf("the agent went back to %+v", u.Position)
	}
	var refused *state.Error
	if _, _, err := late.Pull(t.Context(), "eu", state.Position{Incarnation: "i2", Index: 2000}); !errors.As(err, &refused) || refused.Code != state.NoLeader {
		t.Fatalf("a pull at the late node: %v", err)
	}

	old.with(func(s *source) { s.life, s.behind = "i2", nil })
	old.set(2001, "caught up")
	eventually(t, "it is served once it has caught up", func() bool { u, _ := l.last(); return u.Index == 2001 })

	old.with(func(s *source) { s.life = "i3" }) // another restore, to fewer changes: sure, so it is followed
	old.set(40, "restored again")
	eventually(t, "a restore is followed", func() bool { u, _ := l.last(); return u.Incarnation == "i3" })
}
