package state

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMembershipIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.must("a", Command{Announce: &Announce{Node{ID: "c4", API: "127.0.0.1:7073"}}})
	for i, row := range []struct {
		m    Membership
		says string
	}{
		{Membership{Kind: AddNode, Node: "c4", Raft: "127.0.0.1:7083"}, "c4 at 127.0.0.1:7083 was added"},
		{Membership{Kind: Promote, Node: "c4"}, "c4 has caught up and votes"},
		{Membership{Kind: Transfer, Node: "c4"}, "handed to c4"},
		{Membership{Kind: Transfer}, "was handed on"},
		{Membership{Kind: RemoveNode, Node: "c4"}, "c4 was removed"},
	} {
		w.must(strings.Repeat("m", i+1), Command{Membership: &row.m, Ignorable: true})
		if last := w.s.Audit[len(w.s.Audit)-1]; last.Kind != "Membership" || !strings.Contains(last.Text, row.says) {
			t.Errorf("%+v", last)
		}
	}
	if _, known := w.s.Node("c4"); known {
		t.Error("where a removed node listened is still known")
	}
	w.refused(Invalid, "raft", "x", Command{Membership: &Membership{Kind: AddNode, Node: "c5"}})
	w.refused(Invalid, "node", "y", Command{Membership: &Membership{Kind: RemoveNode}})
	w.refused(Invalid, "divide", "z", Command{Membership: &Membership{Kind: "divide", Node: "c1"}})
	w.refused(Unsupported, "unknown", "restore", Command{Beside: Beside{Restore: &Restore{Incarnation: "i", Sum: "s"}}})
}

// A node that does not know a membership's fields skips it and goes on.
func TestAMembershipOfANewerVersionIsSkipped(t *testing.T) {
	c, err := Decode([]byte(`{"Version":1,"Request":"r","Actor":"a","Reason":"b","At":"2026-11-21T14:00:00Z","Ignorable":true,"Membership":{"Kind":"add","Node":"c4","Zone":"a"}}`))
	if err != nil || !c.skipped() {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestRepeated(t *testing.T) {
	w := newWorld(t)
	c := Command{Membership: &Membership{Kind: Transfer, Node: "c2"}}
	w.must("r", c)
	c.Request, c.Actor, c.Reason, c.At = "r", w.actor(), "because", w.s.Audit[len(w.s.Audit)-1].At.Add(time.Minute)
	if got, ok := w.s.Repeated(c); !ok || got.Err != nil || got.Index == 0 {
		t.Errorf("%+v, %v", got, ok)
	}
	other := c
	other.Membership = &Membership{Kind: Transfer, Node: "c3"}
	if got, ok := w.s.Repeated(other); !ok || got.Err == nil || got.Err.Code != Invalid {
		t.Errorf("another change under the same id: %+v, %v", got, ok)
	}
	c.Request = "s"
	if _, ok := w.s.Repeated(c); ok {
		t.Error("an id that was never used")
	}
}

func (w *world) actor() string { return w.s.Audit[len(w.s.Audit)-1].Actor }

func TestRestored(t *testing.T) {
	w := newWorld(t)
	w.must("first", Command{ApplyPolicy: &ApplyPolicy{Source: []byte(document)}})
	var saved bytes.Buffer
	if err := w.s.Save(&saved); err != nil {
		t.Fatal(err)
	}
	kept := w.s
	w.must("n", Command{Announce: &Announce{Node{ID: "c1", API: "127.0.0.1:7070"}}})
	w.must("w", Command{ApplyPolicy: &ApplyPolicy{Base: 1, Source: []byte(document + "# more\n")}})
	backup, err := Load(bytes.NewReader(saved.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	c := Command{Request: "back", Actor: "ann", Reason: "lost", At: w.now.Add(time.Hour), Beside: Beside{Restore: &Restore{Incarnation: "next", Sum: "abc"}}}
	got, result := backup.Restored(w.s, c, 5000)
	if result.Err != nil || result.Index != 5000 || got.Incarnation != "next" || got.Current().Number != 1 || len(got.Nodes) != 1 {
		t.Fatalf("%+v: incarnation %s, revision %d, nodes %v", result, got.Incarnation, got.Current().Number, got.Nodes)
	}
	if last := got.Audit[len(got.Audit)-1]; last.Kind != "Restore" || last.Actor != "ann" || !strings.Contains(last.Text, "in place of") || got.VerifyAudit() != nil {
		t.Errorf("%+v, %v", last, got.VerifyAudit())
	}
	c.Restore = &Restore{Incarnation: "another", Sum: "abc"}
	if _, again := got.Repeated(c); !again {
		t.Error("a repeat is not known")
	}
	u, err := got.Update("us-east", c.At)
	if err != nil || u.Index != 5000 || u.Revision != 1 || len(u.Policy) == 0 {
		t.Errorf("%+v, %v", u.Position, err)
	}
	if backup.Incarnation != kept.Incarnation || len(backup.Audit) != len(kept.Audit) {
		t.Error("the backup itself was changed")
	}
	if _, result := backup.Restored(w.s, Command{Request: "x", Beside: c.Beside}, 1); result.Err == nil {
		t.Error("restored for nobody, for no reason")
	}
}

func TestANewerSavedStateSaysSo(t *testing.T) {
	for text, newer := range map[string]bool{
		`{"Format":"segue-state","Version":2,"Elsewhere":1}` + "\n": true,
		`{"Format":"segue-state","Version":0}` + "\n":               false,
		`{"Format":"something","Version":2}` + "\n":                 false,
	} {
		if _, err := Load(strings.NewReader(text)); err == nil || errors.Is(err, ErrNewer) != newer {
			t.Errorf("%s: %v", text, err)
		}
	}
}
