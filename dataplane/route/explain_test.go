package route

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
)

func TestExplain(t *testing.T) {
	const w, p = policy.Weighted, policy.Priority
	cases := []struct {
		name  string
		world *world
		bend  func(*world)
		lines []string
		why   string
	}{
		{"weights", newWorld(w, 0, 100), nil,
			[]string{"adyen won: the session's draw, at 100 % of new sessions", "stripe: weight 0, fallback only"},
			"the session's draw, at 100 % of new sessions"},
		{"circuit open", newWorld(p, 0, 0), func(w *world) { w.open(0, 3); w.now = w.now.Add(10 * time.Second) },
			[]string{"adyen won: first in the order that passed (2 of 2)", "stripe: circuit open, 3 failures in a row, asks again in 14 s"},
			"first in the order that passed (2 of 2); stripe: circuit open, 3 failures in a row, asks again in 14 s"},
		{"pinned", newWorld(p, 0, 0), func(w *world) { w.f.Pinned = 1 },
			[]string{"adyen won: the session is pinned there", "stripe: eligible"}, "the session is pinned there"},
		{"owner behind an open circuit", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 1; w.open(1, 1) },
			[]string{"adyen won: it owns the object, though its circuit is open", "stripe: another provider owns the object"},
			"it owns the object, though its circuit is open"},
		{"owner", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 1 },
			[]string{"adyen won: it owns the object", "stripe: another provider owns the object"}, "it owns the object"},
		{"fallback, drained, at capacity", newWorld(w, 0, 50, 50), func(w *world) { w.drain(1); w.full(2) },
			[]string{"stripe won: fallback: no provider with a weight passed", "adyen: drained for another 60 m 0 s", "checkout: at capacity, 2 in flight of 2"},
			"fallback: no provider with a weight passed; adyen: drained for another 60 m 0 s, checkout: at capacity, 2 in flight of 2"},
		{"rate, Retry-After and tried", newWorld(p, 0, 0, 0), func(w *world) {
			w.svc.Candidates[0].Limits.Rate = 2
			w.st.Rows[0].bucket = bucket{taken: w.now, over: 250 * time.Millisecond}
			w.st.Rows[1].closed = w.now.Add(3 * time.Hour)
			w.f.Tried = 4
		},
			[]string{"no provider was eligible", "stripe: its rate of 2 per second is used up for 250 ms", "adyen: it asked to be left alone for another 3 h 0 m", "checkout: this call was there already"},
			"no provider was eligible: stripe: its rate of 2 per second is used up for 250 ms, adyen: it asked to be left alone for another 3 h 0 m, checkout: this call was there already"},
		{"probe", newWorld(p, 0), func(w *world) { w.halfOpen(0) },
			[]string{"stripe won: the one probe of its half-open circuit"}, "the one probe of its half-open circuit"},
		{"last resort", newWorld(p, 0), func(w *world) { w.f.Read = true; w.open(0, 3) },
			[]string{"stripe won: last resort for a read: every provider was gated, it had 3 failures in a row"},
			"last resort for a read: every provider was gated, it had 3 failures in a row"},
		{"last resort, drained", newWorld(p, 0), func(w *world) { w.f.Read = true; w.drain(0) },
			[]string{"stripe won: last resort for a read: every provider was gated, and it is only drained"},
			"last resort for a read: every provider was gated, and it is only drained"},
		{"probing", newWorld(p, 0), func(w *world) { w.halfOpen(0); w.begin(); w.st.Rows[0].InFlight = 2 },
			[]string{"no provider was eligible", "stripe: circuit half-open, its one probe is out or was just now"},
			"no provider was eligible: stripe: circuit half-open, its one probe is out or was just now"},
		{"coming back", newWorld(p, 0, 0), func(w *world) { w.halfOpen(0); w.open(1, 1); w.begin() },
			[]string{"stripe won: last resort: nobody else passed, and it comes back: 1 good answer since it was asked again", "adyen: circuit open, 1 failure, asks again in 24 s"},
			"last resort: nobody else passed, and it comes back: 1 good answer since it was asked again; adyen: circuit open, 1 failure, asks again in 24 s"},
		{"no time", newWorld(p, 0), func(w *world) { w.f.Deadline = w.now },
			[]string{"no provider was eligible", "stripe: no time left for an attempt"}, "no provider was eligible: stripe: no time left for an attempt"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if tc.bend != nil {
				tc.bend(tc.world)
			}
			d := tc.world.decide()
			if got := d.Explain(tc.world.svc); !reflect.DeepEqual(got, tc.lines) {
				t.Errorf("got  %q\nwant %q", got, tc.lines)
			}
			if got := d.Why(tc.world.svc); got != tc.why {
				t.Errorf("why %q\nwant %q", got, tc.why)
			}
			if got := d.Reasons(tc.world.svc); len(got) != int(d.N) {
				t.Errorf("%d reasons of %d", len(got), d.N)
			}
		})
	}
}

func TestWhyFitsAHeaderWhateverItIsCalled(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0)
	w.svc.Candidates[0].Provider = "a\"b\\c\r\nX-Evil: 1\x00é" + strings.Repeat("x", 1000)
	w.open(0, 3)
	why := w.decide().Why(w.svc)
	if len(why) > MaxWhy {
		t.Errorf("%d bytes", len(why))
	}
	for _, b := range []byte(why) {
		if b < ' ' || b > '~' || b == '"' || b == '\\' {
			t.Fatalf("%q in %q", b, why)
		}
	}
}

// TestWhyIsShort: what several have in common is said once, and what is too long ends behind a word.
func TestWhyIsShort(t *testing.T) {
	w := newWorld(policy.Priority, 0, 0, 0, 0)
	for i := range 4 {
		w.open(i, 3)
	}
	want := "no provider was eligible: stripe and adyen and checkout and braintree: circuit open, 3 failures in a row, asks again in 24 s"
	if why := w.decide().Why(w.svc); why != want {
		t.Errorf("says %q, want %q", why, want)
	}
	for i, c := range w.svc.Candidates {
		c.Provider = strings.Repeat("long-", 10+i)
	}
	if why := w.decide().Why(w.svc); len(why) > MaxWhy || !strings.HasSuffix(why, " ...") || strings.HasSuffix(why, "long- ...") {
		t.Errorf("%d bytes: %q", len(why), why)
	}
}

func TestExplainSurvivesWhatItDoesNotKnow(t *testing.T) {
	svc := &policy.Service{}
	d := &Decision{Winner: 3, Reason: 99, N: 5}
	d.Scores[0].Gate, d.Scores[1].Gate = 99, AtCapacity
	for _, lines := range [][]string{d.Explain(svc), {d.Why(svc)}} {
		if len(lines) == 0 || lines[0] == "" {
			t.Error("nothing was said")
		}
	}
	if Gate(99).String() != "unknown" || Reason(99).String() != "unknown" {
		t.Error("a word for what is not known")
	}
}

func TestWords(t *testing.T) {
	for g := Absent; g <= NoTime; g++ {
		text, _ := g.MarshalText()
		var back Gate = 77
		if err := back.UnmarshalText(text); err != nil || back != g {
			t.Errorf("%s came back as %v: %v", text, back, err)
		}
	}
	for r := NoReason; r <= LastResort; r++ {
		text, _ := r.MarshalText()
		var back Reason = 77
		if err := back.UnmarshalText(text); err != nil || back != r {
			t.Errorf("%s came back as %v: %v", text, back, err)
		}
	}
}

func TestSpansAreRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0 s", 1: "1 ms", 250 * time.Millisecond: "250 ms", time.Second + 1: "2 s", 14 * time.Second: "14 s", 200 * time.Second: "3 m 20 s", 3 * time.Hour: "3 h 0 m",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
