package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// TestAShiftReturns breaks the provider that gains in the middle of a shift: the weights from before come back without anybody, the audit says
// why, and no call fails.
func TestAShiftReturns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	l := newLoad(w, 4, 20*time.Millisecond)
	l.grows(50, 20*time.Second)
	var begun struct{ Shifts []shiftSeen }
	w.segue("shift", "begin", "payments", "local", "main=40", "backup=60", "--steps", "50,100", "--every", "2m", "--reason", "fees", "-o", "json").decode(t, &begun)
	id := begun.Shifts[0].ID
	w.shiftIs(id, "its first step", func(f shiftSeen) bool { return f.Taken == 1 && f.Set[backupProvider] == 30 })
	before := w.sessionsAt(backupProvider, "")
	eventually(t, 20*time.Second, "backup is called", func() error {
		if n := w.sessionsAt(backupProvider, ""); n < before+5 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	w.faults(backupProvider, sandbox.Fault{Kind: sandbox.Refuse})
	f := w.shiftIs(id, "it is back", func(f shiftSeen) bool { return f.Phase == "returned" })
	if !strings.Contains(f.Why, "backup") || f.Set[mainProvider] != 100 {
		t.Errorf("%+v", f)
	}
	ended := w.segue("shift", "show", id, "--wait")
	if ended.code != 1 || !strings.Contains(ended.err, "did not finish, it is returned: "+f.Why) {
		t.Errorf("exit %d: %s%s", ended.code, ended.out, ended.err)
	}
	eventually(t, 10*time.Second, "the audit tells it", func() error { // a command that reads for a moment; a busy control plane may tell later
		if said := w.segue("events").fine(t).out; !strings.Contains(said, "shift "+id+" went back after step 1 of 2: "+f.Why) {
			return fmt.Errorf("%s", said)
		}
		return nil
	})
	if text := w.segue("policy", "get").fine(t).out; !strings.Contains(text, "{main: 100, backup: 0, legacy: 0}") {
		t.Errorf("the policy: %s", text)
	}
	l.grows(50, 20*time.Second)
	l.reckon()
}

// shiftSeen is what is read of a shift.
type shiftSeen struct {
	ID    string             `json:"id"`
	Phase string             `json:"phase"`
	Why   string             `json:"why"`
	Taken int                `json:"taken"`
	Set   map[string]float64 `json:"set"`
}

// shiftIs waits until a shift is what is wanted.
func (w *world) shiftIs(id, what string, is func(shiftSeen) bool) (f shiftSeen) {
	w.t.Helper()
	eventually(w.t, 3*time.Minute, what, func() error {
		a := w.api(0, http.MethodGet, "/shifts/"+id, "", "", nil)
		f = shiftSeen{}
		if a.err != nil || a.status != http.StatusOK || json.Unmarshal(a.body, &f) != nil || !is(f) {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
	return f
}
