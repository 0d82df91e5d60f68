package proxy

import (
	"testing"
	"time"

	"segue/dataplane/ledger"
)

func TestDeclinesAreBounded(t *testing.T) {
	var l declines
	now := time.Unix(1_790_000_000, 0)
	for i := range uint64(3 * declinesKept) {
		if l.note(i, "main", ledger.Declined, now) != "" {
			t.Fatal("a decline accuses nobody")
		}
	}
	if len(l.by) != declinesKept {
		t.Errorf("%d are kept", len(l.by))
	}
	if l.note(1, "backup", ledger.Succeeded, now) != "" {
		t.Error("what was let go is known")
	}
	const last = 3*declinesKept - 1
	if l.note(last-1, "backup", ledger.Succeeded, now.Add(declinesFor+1)) != "" {
		t.Error("an hour later it is another wish")
	}
	if l.note(last, "backup", ledger.Unknown, now) != "" || l.note(last, "backup", ledger.Succeeded, now) != "main" || l.note(last, "backup", ledger.Succeeded, now) != "" {
		t.Error("a false decline counts once, when another accepts it")
	}
	for i := range uint64(declinesKept) { // places are used again though their declines are gone
		l.note(i, "main", ledger.Declined, now)
		l.note(i, "main", ledger.Succeeded, now)
	}
	if len(l.by) > declinesKept {
		t.Errorf("%d are kept", len(l.by))
	}
}
