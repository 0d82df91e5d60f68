package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func sample() Command {
	c := weights(3, "eu-west", 40, 60)
	c.Request, c.Actor, c.Reason, c.At = "r", "ann", "why", epoch
	return c
}

func TestCommandsSurviveTheLog(t *testing.T) {
	for _, change := range []Command{
		apply(3, document), weights(0, "eu-west", 1.5, 98.5), drain("main", time.Hour, "eu-west"), drill(time.Minute),
		{EndOrder: &EndOrder{ID: "o"}}, {Init: &Init{Incarnation: "x"}},
	} {
		change.Version, change.Request, change.Actor, change.Reason = 1, "r", "ann", "why"
		change.At = epoch.Add(123456789)
		text, err := Encode(change)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, change) {
			t.Errorf("%+v became %+v", change, got)
		}
	}
}

func TestUnknownCommandsAreNotGuessed(t *testing.T) {
	text, err := json.Marshal(sample()) // as it stood in the log before
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(map[string]any){
		"kind":          func(m map[string]any) { delete(m, "SetWeights"); m["Evacuate"] = map[string]any{"Region": "x"} },
		"field":         func(m map[string]any) { m["Urgent"] = true },
		"nested field":  func(m map[string]any) { m["SetWeights"].(map[string]any)["Until"] = 5 },
		"version":       func(m map[string]any) { m["Version"] = 2 },
		"no change":     func(m map[string]any) { delete(m, "SetWeights") },
		"two changes":   func(m map[string]any) { m["EndOrder"] = map[string]any{"ID": "x"} },
		"another shape": func(m map[string]any) { m["SetWeights"] = "all of it" },
	} {
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		edit(m)
		changed, _ := json.Marshal(m)
		if _, err := Decode(changed); !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("%s: %v", name, err)
		}
		m["Ignorable"] = true
		changed, _ = json.Marshal(m)
		c, err := Decode(changed)
		if err != nil || !c.skipped() {
			t.Errorf("%s, ignorable: %+v %v", name, c, err)
		}
	}
}

// The same of the packed form.
func TestUnknownChangesAreNotGuessed(t *testing.T) {
	c := sample()
	type later struct {
		SetWeights
		Until int
	}
	for name, made := range map[string]func() ([]byte, error){
		"kind":      func() ([]byte, error) { return pack(&c, "Evacuate", map[string]string{"Region": "x"}) },
		"no change": func() ([]byte, error) { return pack(&c, "", nil) },
		"field":     func() ([]byte, error) { return pack(&c, "SetWeights", later{*c.SetWeights, 5}) },
		"version":   func() ([]byte, error) { d := c; d.Version = 2; return pack(&d, "SetWeights", d.SetWeights) },
		"shape":     func() ([]byte, error) { return pack(&c, "SetWeights", "all of it") },
	} {
		c.Version, c.Ignorable = format, false
		text, err := made()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(text); !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		c.Ignorable = true
		text, _ = made()
		if got, err := Decode(text); err != nil || !got.skipped() {
			t.Errorf("%s, ignorable: %+v %v", name, got, err)
		}
	}
}

// Logs of the time before hold JSON alone.
func TestOldLogsAreRead(t *testing.T) {
	c := sample()
	c.Version = format
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	old, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := Decode(packed); err != nil || !reflect.DeepEqual(old, now) {
		t.Errorf("%+v and %+v, %v", old, now, err)
	}
}

// What is not UTF-8 is in the log what it would be in a snapshot.
func TestTextsAreTheSameInLogAndSnapshot(t *testing.T) {
	c := sample()
	c.Actor = "ann\xff"
	text, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(text); err != nil || got.Actor != "ann\ufffd" {
		t.Errorf("%q %v", got.Actor, err)
	}
}

// A change that has no name in the log could be proposed, and would be lost.
func TestEachChangeHasItsName(t *testing.T) {
	of := reflect.TypeOf(Command{})
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Type.Kind() != reflect.Pointer {
			continue
		}
		var c Command
		made := c.allot(f.Name)
		if made == nil || reflect.ValueOf(c).Field(i).Interface() != made || c.Kind() != f.Name {
			t.Errorf("%s is not in changes", f.Name)
		}
	}
}

func TestDecodeRefusesWhatIsNoCommand(t *testing.T) {
	text, _ := Encode(sample())
	for name, bad := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "cut": text[:len(text)/2], "more": append(append([]byte{}, text...), "{}"...),
		"long": bytes.Repeat([]byte(" "), MaxCommand+1), "null": []byte("null"), "deep": []byte(strings.Repeat("[", 20000)),
	} {
		if c, err := Decode(bad); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	for n := range text {
		if c, err := Decode(text[:n]); err == nil {
			t.Errorf("the first %d bytes: %+v", n, c)
		}
	}
}

func TestEncodeRefusesWhatTheLogCannotCarry(t *testing.T) {
	c := sample()
	c.SetWeights.Weights[0].Percent = math.NaN()
	if _, err := Encode(c); err == nil {
		t.Error("not a number")
	}
	c = apply(0, strings.Repeat("x", MaxCommand))
	if _, err := Encode(c); err == nil {
		t.Error("too long")
	}
	c = apply(0, strings.Repeat("\"", 1<<20))
	if _, err := Encode(c); err != nil {
		t.Error("the longest policy does not fit: ", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range []Command{sample(), apply(1, document), drill(time.Minute), {EndOrder: &EndOrder{}}, {Ignorable: true}} {
		text, err := Encode(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"Ignorable":true,"New":1}`))
	w := newWorld(f)
	w.must("p", apply(0, document))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Decode(text)
		if err != nil {
			return
		}
		next, result := w.s.Apply(c, 99)
		if result.Err != nil && next.Index != w.s.Index {
			t.Fatal("refused, and the index moved")
		}
		if c.skipped() {
			return
		}
		again, err := Encode(c)
		if err != nil {
			return // a time that Go reads and does not write
		}
		d, err := Decode(again)
		if err != nil || !reflect.DeepEqual(c, d) {
			t.Fatalf("%+v became %+v: %v", c, d, err)
		}
	})
}

func TestSnapshotHoldsEverything(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("w", weights(0, "eu-west", 1, 99))
	first := w.must("o", drain("main", time.Hour))
	w.refused(Invalid, "", "bad", drain("x", time.Hour))
	text := saveBytes(t, w.s)
	s, err := Load(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, saveBytes(t, s)) {
		t.Fatal("a restored State saves other bytes")
	}
	w.s = s
	if r := w.must("o", drain("main", time.Hour)); !reflect.DeepEqual(r, first) {
		t.Fatalf("a restored State does not know a repeat: %+v", r)
	}
	if u, err := s.Update("eu-west", epoch); err != nil || len(u.Policy) == 0 || len(u.Orders) != 1 {
		t.Fatalf("%+v %v", u, err)
	}
	if s.Revisions[0].Policy == nil || len(s.Current().Policy.Services) != 1 {
		t.Fatal("the policies are not parsed")
	}
	w.must("more", weights(0, "eu-west", 2, 98))
	if empty, err := Load(bytes.NewReader(saveBytes(t, New("")))); err != nil || empty.Index != 0 {
		t.Fatal(err)
	}
}

func TestCorruptSnapshotIsAnError(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("o", drain("main", time.Hour))
	text := saveBytes(t, w.s)
	for i := range text { // every single byte counts, except those of JSON's blanks, of which there are none
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if _, err := Load(bytes.NewReader(bad)); err == nil {
			t.Fatalf("byte %d of %d (%q) changed unseen", i, len(text), text[max(0, i-20):i+1])
		}
		if _, err := Load(bytes.NewReader(text[:i])); err == nil && i < len(text)-1 {
			t.Fatalf("cut at %d of %d unseen", i, len(text))
		}
	}
	if _, err := Load(bytes.NewReader(append(bytes.Clone(text), "{}\n"...))); err == nil {
		t.Fatal("text after the end")
	}
	for _, huge := range []string{
		`{"Format":"segue-state","Version":1,"Audit":1000000000}`, `{"Format":"segue-state","Version":1,"Seen":-1}`,
		`{"Format":"segue-state","Version":2}`, `{"Format":"other"}`, strings.Repeat("x", maxLine+1),
	} {
		if _, err := Load(strings.NewReader(huge + "\n")); err == nil {
			t.Errorf("%.60s", huge)
		}
	}
}

func FuzzLoad(f *testing.F) {
	w := newWorld(f)
	f.Add(saveBytes(f, w.s))
	w.must("p", apply(0, document))
	w.must("o", drain("main", time.Hour))
	f.Add(saveBytes(f, w.s))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Load(bytes.NewReader(text))
		if err == nil && s.VerifyAudit() != nil {
			t.Fatal("loaded with a broken chain")
		}
	})
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestSaveTellsAFailedWrite(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	for _, n := range []int{0, 100, 1000} {
		if err := w.s.Save(&failing{n}); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestNoClockNoChance: whatever differs from node to node must come with the command.
func TestNoClockNoChance(t *testing.T) {
	forbidden := regexp.MustCompile(`time\.(Now|Since|Until|After|Tick|Sleep|NewTimer|NewTicker)\b|"math/rand|"crypto/rand"|"os"|"net|\bgo func|"sync"|for [^\n]* range [a-z.]*cuts`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
}
