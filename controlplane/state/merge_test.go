package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
)

func filed(base uint64, src string) Command {
	return Command{ApplyPolicy: &ApplyPolicy{Base: base, Source: []byte(src), Origin: FromFile}}
}

func back(base, to uint64) Command { return Command{ApplyPolicy: &ApplyPolicy{Base: base, Back: to}} }

func byHand(region string, main, backup float64) Command {
	c := weights(0, region, main, backup)
	c.SetWeights.Origin = FromWeights
	return c
}

const slower = "backup: 60}\n    attempts: {max: 3}"

func changed(t *testing.T, src string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(src, pairs[i]) {
			t.Fatalf("no %q", pairs[i])
		}
		src = strings.Replace(src, pairs[i], pairs[i+1], 1)
	}
	return src
}

// A file from git must not undo the weights that somebody set at 3 a.m., however often it is applied.
func TestAFileDoesNotUndoTheNight(t *testing.T) {
	w := newWorld(t)
	w.must("file 1", filed(0, document))
	w.must("night", byHand("eu-west", 5, 95))
	second := changed(t, document, "backup: 60}", slower)
	w.must("file 2", filed(0, second))
	want := changed(t, second, "main: 40, backup: 60", "main: 5, backup: 95")
	if got := string(w.s.Current().Source); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
	if f := w.s.Filed; f == nil || f.Revision != 3 || string(f.Source) != second {
		t.Fatalf("filed: %+v", f)
	}
	if r := w.must("file 2 again", filed(0, second)); r.Revision != 3 {
		t.Fatalf("the same file made revision %d", r.Revision)
	}
	w.must("file 3", filed(0, changed(t, second, "max: 3", "max: 4")))
	if p := w.s.Current().Policy; p.Services[0].Attempts.Max != 4 || p.Services[0].WeightsIn("eu-west")[0].Percent != 5 {
		t.Fatalf("%s", w.s.Current().Source)
	}
	for number, origin := range map[uint64]Origin{1: FromFile, 2: FromWeights, 3: FromFile, 4: FromFile} {
		if r, _ := w.s.Revision(number); r.Origin != origin {
			t.Errorf("revision %d is from %q, not %q", number, r.Origin, origin)
		}
	}
}

// The file takes over what the night set: from then on, the file's own word counts again.
func TestAFileThatSaysWhatIsInForceIsTheNextBase(t *testing.T) {
	w := newWorld(t)
	w.must("file 1", filed(0, document))
	w.must("night", byHand("eu-west", 5, 95))
	pulled := string(w.s.Current().Source)
	if r := w.must("pulled", filed(0, pulled)); r.Revision != 2 || r.Err != nil {
		t.Fatalf("%+v", r)
	}
	if w.s.Filed.Revision != 2 || w.s.Audit[len(w.s.Audit)-1].Text != "the file says what revision 2 says" {
		t.Fatalf("%+v %+v", w.s.Filed, w.s.Audit[len(w.s.Audit)-1])
	}
	w.must("back by file", filed(0, document))
	if got := w.s.Current().Policy.Services[0].WeightsIn("eu-west")[0].Percent; got != 40 {
		t.Fatalf("main %v", got)
	}
}

func TestAClashNamesFieldAndOwner(t *testing.T) {
	w := newWorld(t)
	w.must("file 1", filed(0, document))
	w.now = epoch.Add(3 * time.Hour)
	night := byHand("eu-west", 5, 95)
	night.Request, night.Actor, night.Reason, night.At = "night", "maria @ loopback", "main is slow", w.now
	if r := w.raw(night); r.Err != nil {
		t.Fatal(r.Err)
	}
	w.now = epoch.Add(4 * time.Hour)
	w.must("elsewhere", byHand("us-east", 60, 40))
	before := saveBytes(t, w.s)
	e := w.refused(Stale, "services.payments.weights.eu-west.main and 1 more fields", "file 2", filed(0, changed(t, document, "main: 40, backup: 60", "main: 50, backup: 50")))
	fields := e.Base.Fields
	if len(fields) != 2 || e.Base.Base != 1 || e.Base.Current != 3 || len(e.Base.Theirs) != 4 || len(e.Base.Yours) != 2 {
		t.Fatalf("%+v", e.Base)
	}
	want := Clash{policy.Conflict{Path: "services.payments.weights.eu-west.main", Base: "40", Theirs: "5", Yours: "50"},
		Owner{2, "maria @ loopback", epoch.Add(3 * time.Hour), "main is slow", FromWeights}}
	if fields[0] != want {
		t.Fatalf("got %+v\nwant %+v", fields[0], want)
	}
	after, _ := w.s.seen.find("file 2", w.now)
	if len(after.Result.Err.Base.Fields) != 2 || w.s.Current().Number != 3 || bytes.Equal(before, saveBytes(t, w.s)) {
		t.Fatal("the refusal is not remembered, or changed something")
	}
	again, err := Load(bytes.NewReader(saveBytes(t, w.s)))
	if err != nil || !bytes.Equal(saveBytes(t, again), saveBytes(t, w.s)) {
		t.Fatal("the clash does not survive a snapshot: ", err)
	}
	w.must("replace", Command{ApplyPolicy: &ApplyPolicy{Replace: true, Origin: FromFile, Source: []byte(changed(t, document, "main: 40, backup: 60", "main: 50, backup: 50"))}})
	if p := w.s.Current().Policy.Services[0]; p.WeightsIn("us-east")[0].Percent != 70 || w.s.Filed.Revision != 4 {
		t.Fatal("replace merged")
	}
}

func TestAnExplicitBase(t *testing.T) {
	w := newWorld(t)
	w.must("file 1", filed(0, document))
	w.must("night", byHand("eu-west", 5, 95))
	mine := changed(t, document, "main: 40, backup: 60", "main: 50, backup: 50")
	w.refused(Stale, "weights.eu-west", "from 1", filed(1, mine))
	w.must("from 2", filed(2, mine)) // its author saw revision 2, and wants other weights
	if got := w.s.Current().Policy.Services[0].WeightsIn("eu-west")[0].Percent; got != 50 {
		t.Fatalf("main %v", got)
	}
	w.refused(Stale, "revision 77 is not kept", "from 77", filed(77, document))
	edit := filed(0, document)
	edit.ApplyPolicy.Origin = FromEdit
	w.refused(Invalid, "names the revision", "edit", edit)
	edit.ApplyPolicy.Base = 3
	w.must("edit 3", edit)
	if r := w.s.Current(); r.Origin != FromEdit || w.s.Filed.Revision != 3 {
		t.Fatalf("an edit is no file: %+v %+v", r.Origin, w.s.Filed)
	}
	both := filed(3, changed(t, mine, "main: 70, backup: 30", "main: 1, backup: 99"))
	both.ApplyPolicy.Origin = FromEdit
	w.must("edit from 3", both)
	if p := w.s.Current().Policy.Services[0]; p.WeightsIn("us-east")[0].Percent != 1 || p.WeightsIn("eu-west")[0].Percent != 40 {
		t.Fatalf("%s", w.s.Current().Source)
	}
}

// Where nobody said where revisions come from, the newest document that was not merged is the base.
func TestTheBaseOfAnOlderLog(t *testing.T) {
	w := newWorld(t)
	w.must("a", apply(0, document))
	w.must("b", byHand("eu-west", 5, 95))
	if w.s.Filed != nil {
		t.Fatal("an old command filed something")
	}
	w.must("c", filed(0, changed(t, document, "backup: 60}", slower)))
	if p := w.s.Current().Policy.Services[0]; p.Attempts.Max != 3 || p.WeightsIn("eu-west")[0].Percent != 5 {
		t.Fatalf("%s", w.s.Current().Source)
	}
}

func TestWhatDoesNotFitTogether(t *testing.T) {
	w := newWorld(t)
	spare := document + "  spare: {contract: stripe/v1, credential: env:S, endpoint: \"https://c.example\"}\n"
	w.must("file 1", filed(0, spare))
	w.must("theirs", func() Command {
		c := filed(1, changed(t, spare, "main: 70, backup: 30", "main: 70, backup: 30, spare: 0"))
		c.ApplyPolicy.Origin = FromEdit
		return c
	}())
	e := w.refused(Stale, "do not fit together", "file 2", filed(0, document))
	if len(e.Problems) == 0 || !strings.Contains(e.Problems[0].Message, "spare") {
		t.Fatalf("%+v", e)
	}
}

func TestRollback(t *testing.T) {
	w := newWorld(t)
	w.refused(NotFound, "no policy is in force", "early", back(0, 1))
	w.must("file 1", filed(0, document))
	w.must("night", byHand("eu-west", 5, 95))
	w.refused(NotFound, "revision 9 is not kept; revisions 1 to 2 are", "nowhere", back(0, 9))
	w.refused(Stale, "based on revision 1", "stale", back(1, 1))
	if r := w.must("back", back(2, 1)); r.Revision != 3 {
		t.Fatalf("%+v", r)
	}
	r := w.s.Current()
	if string(r.Source) != document || r.Origin != FromRollback || r.Back != 1 || len(r.Summary) != 2 {
		t.Fatalf("%+v", r)
	}
	if u, err := w.s.Update("eu-west", epoch); err != nil || u.Revision != 3 || !strings.Contains(string(u.Policy), "main: 40") {
		t.Fatalf("the update: %v %s", err, u.Policy)
	}
	if r := w.must("again", back(0, 3)); r.Revision != 3 {
		t.Fatalf("to itself: %+v", r)
	}
	if w.s.Filed.Revision != 1 {
		t.Fatal("a rollback is no file")
	}
	old := *w.s
	old.Revisions = append([]Revision(nil), w.s.Revisions...)
	old.Revisions[1].Source = []byte("segue: v0\n")
	w.s = &old
	if e := w.refused(Invalid, "revision 2 does not fit any more", "unfit", back(0, 2)); len(e.Problems) == 0 {
		t.Fatal("no problems told")
	}
}

func TestOriginsAreChecked(t *testing.T) {
	w := newWorld(t)
	w.must("file 1", filed(0, document))
	for name, spoil := range map[string]func(*Command){
		"origin":      func(c *Command) { c.ApplyPolicy.Origin = "moon" },
		"weights":     func(c *Command) { c.ApplyPolicy.Origin = FromWeights },
		"no document": func(c *Command) { c.ApplyPolicy.Back = 1 },
		"weights come": func(c *Command) {
			*c = byHand("eu-west", 1, 99)
			c.SetWeights.Origin = FromFile
		},
	} {
		c := filed(1, document)
		spoil(&c)
		w.refused(Invalid, name, name, c)
	}
}

// An entry of a log that knew no origins does what it did, and its request id is still its own.
func TestOldCommandsAreAsTheyWere(t *testing.T) {
	c := apply(1, document)
	c.Request, c.Actor, c.Reason, c.At = "r", "ann", "why", epoch
	text, err := Encode(c)
	if err != nil || bytes.Contains(text, []byte("Origin")) || bytes.Contains(text, []byte("Back")) {
		t.Fatalf("%v %s", err, text)
	}
	seen := map[string]bool{}
	for _, c := range []Command{c, filed(1, document), back(1, 1), back(1, 2), back(2, 1)} {
		c.Actor = "ann"
		seen[c.digest()] = true
	}
	if len(seen) != 5 {
		t.Fatal("two changes have one digest")
	}
	w := newWorld(t)
	w.must("a", apply(0, document))
	line, err := json.Marshal(w.s.Current())
	if err != nil || bytes.Contains(line, []byte("Origin")) {
		t.Fatalf("%v %s", err, line)
	}
}

// Merges are the same on every node: one applies commands as they come, the other from their encoding and from snapshots.
func TestMergesAreDeterministic(t *testing.T) {
	w, other := newWorld(t), New("one")
	for i := range 60 {
		var c Command
		switch i % 5 {
		case 0:
			c = filed(0, changed(t, document, "backup: 60}", fmt.Sprintf("backup: 60}\n    attempts: {max: %d}", 1+i%9)))
		case 1, 2:
			c = byHand([]string{"us-east", "eu-west"}[i%2], float64(i), float64(100-i))
		case 3:
			c = filed(uint64(i/3), changed(t, document, "main: 70, backup: 30", fmt.Sprintf("main: %d, backup: %d", i, 100-i)))
		case 4:
			c = back(0, uint64(i/4))
		}
		c.Request, c.Actor, c.Reason, c.At = fmt.Sprint(i), "ann", "why", epoch.Add(time.Duration(i)*time.Minute)
		text, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		w.raw(c)
		other, _ = other.Apply(again, w.index)
		if i%7 == 0 {
			if other, err = Load(bytes.NewReader(saveBytes(t, other))); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(saveBytes(t, w.s), saveBytes(t, other)) {
			t.Fatalf("after command %d the nodes differ", i)
		}
	}
	if w.s.Current().Number < 20 {
		t.Fatalf("only %d revisions", w.s.Current().Number)
	}
}
