package view

import (
	"bytes"
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPercentNeverRoundsUpToAll(t *testing.T) {
	for x, want := range map[float64]string{100: "100", 99.999: "99.99", 99.95: "99.95", 97.06: "97.1", 0: "0", 0.04: "0", 33.333: "33.3", -1: "–", math.NaN(): "–"} {
		if got := Percent(x); got != want {
			t.Errorf("%v: %q, want %q", x, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Number(1234567, 0), "1,234,567"}, {Number(999, 0), "999"}, {Number(1.25, 1), "1.2"}, {Number(-1, 0), "–"}, {Number(math.Inf(1), 0), "–"},
		{Count(61204), "61,204"}, {Count(-1200), "-1,200"}, {Count(uint64(7)), "7"},
		{Millis(0.42), "0.4 ms"}, {Millis(184.4), "184 ms"}, {Millis(1840), "1.8 s"}, {Millis(12000), "12 s"}, {Millis(-1), "–"},
		{Span(-time.Second), "0 s"}, {Span(4100 * time.Millisecond), "4.1 s"}, {Span(75 * time.Second), "75 s"}, {Span(3 * time.Minute), "3 min"}, {Span(5 * time.Hour), "5 h"}, {Span(72 * time.Hour), "3 days"},
		{Middle("order-88121", 19), "order-88121"}, {Middle("o8fxxs-dn0v003wobi7-318", 11), "o8fxx…7-318"}, {Middle("éééééé", 5), "éé…éé"},
		{width(140), "100.00%"}, {width(-3), "0%"}, {width(math.NaN()), "0%"},
		{(Prefs{}).Clock(time.Unix(0, 0)), "00:00:00"}, {Prefs{Zone: time.FixedZone("X", 7200)}.Clock(time.Unix(0, 0)), "02:00:00"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestSpark(t *testing.T) {
	s := NewSpark([]float64{10, -1, 20, 20}, 4, 0, "calls")
	if strings.Count(s.Line, "M") != 2 || strings.Count(s.Area, "Z") != 2 {
		t.Errorf("a gap is drawn over: %+v", s)
	}
	if !strings.HasPrefix(NewSpark([]float64{1, 2}, 180, 0, "").Line, "M114.8") {
		t.Error("a young history does not stand at the right")
	}
	quiet := NewSpark([]float64{100, 100.1}, 2, 0, "")
	if ys := strings.FieldsFunc(quiet.Line, func(r rune) bool { return r == 'M' || r == 'L' }); ys[0][:3] != "0.0" || strings.Contains(quiet.Line, " 24.0") {
		t.Errorf("noise looks like a storm: %s", quiet.Line)
	}
	for _, none := range [][]float64{nil, {-1, -1}} {
		if s := NewSpark(none, 4, 0, "calls"); s.Line != "" || !strings.Contains(s.Label, "no history") {
			t.Errorf("%+v", s)
		}
	}
	if s := NewSpark([]float64{0}, 1, 0, ""); strings.Contains(s.Line, "NaN") {
		t.Errorf("%+v", s)
	}
}

func TestStatusLevels(t *testing.T) {
	for _, c := range []struct {
		age  int64
		want Level
	}{{0, OK}, {StaleMS, OK}, {StaleMS + 1, Warn}, {OldMS + 1, Bad}} {
		if got := (Status{Known: true, AgeMS: c.age}).ageLevel(); got != c.want {
			t.Errorf("%d ms: %q", c.age, got)
		}
	}
	if (Status{}).ageLevel() != Bad || (Status{In: 2, Of: 3}).policyLevel() != Warn || (Status{In: 3, Of: 3}).policyLevel() != OK || (Status{}).policyLevel() != Off {
		t.Error("levels")
	}
}

// Each level has its own sign: colour alone says nothing.
func TestSigns(t *testing.T) {
	drawn := map[string]string{}
	for _, name := range []string{"ok", "warn", "bad", "off", "half", "unknown", "under-way", "lock", "undo", "search", "sun", "moon", "system"} {
		var b strings.Builder
		if err := Icon(name).Render(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		inner := b.String()[strings.Index(b.String(), ">"):]
		if other, twice := drawn[inner]; twice {
			t.Errorf("%s looks like %s", name, other)
		}
		drawn[inner] = name
	}
}

// The generated code is what the templates say: they are generated again, elsewhere.
func TestGeneratedCodeIsFresh(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(t.TempDir(), "web", "view")
	files, err := filepath.Glob("*.templ")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	if err := os.MkdirAll(there, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		copyFile(t, f, filepath.Join(there, f))
	}
	generate := exec.Command("go", "tool", "templ", "generate", "-path", there)
	generate.Dir = root
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f, ".templ") + "_templ.go"
		want, err := os.ReadFile(filepath.Join(there, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: go tool templ generate -path web/view", name)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	body, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, body, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
