package route

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// TestFeesAreLearned: answers that state 1.3 times what the policy says teach that, and nobody else is touched.
func TestFeesAreLearned(t *testing.T) {
	w := adaptive(2)
	w.f.Value = 10 * euro
	for i, fixed := range []policy.Money{euro / 10, euro * 11 / 100} {
		w.costs(i, fixed, 10_000_000)
	}
	for k := range 300 {
		d := w.decide()
		if k < feesEnough && (d.Winner != 0 || d.Seen[0].Fees.Ratio != 0) {
			t.Fatalf("call %d went to %d, of fees %+v: too few have told", k, d.Winner, d.Seen[0].Fees)
		}
		d.Winner = 0
		p := w.st.Begin(d, w.svc, w.now)
		said, known := p.Cost()
		if !known || said != euro/5 {
			t.Fatalf("call %d costs %v by the policy, want %v", k, said, euro/5)
		}
		p.End(health.Sample{Class: health.OK, Latency: 50 * time.Millisecond, Told: true, Stated: said * 13 / 10}, w.now, w.f.Draw)
		w.f.Draw++
	}
	d := w.decide()
	if got := d.Seen[0].Fees; math.Abs(float64(got.Ratio)-1.3) > 1e-6 || got.Answers != 300 {
		t.Errorf("learned %+v, want 1.3 by 300", got)
	}
	if d.Seen[0].Cost != euro*26/100 || d.Seen[1].Cost != euro*21/100 || d.Winner != 1 {
		t.Errorf("stripe costs %v, adyen %v, and %d won", d.Seen[0].Cost, d.Seen[1].Cost, d.Winner)
	}
	lines := d.Explain(w.svc)
	if !slices.Contains(lines, "fees of stripe are 1.3 x what the policy says, by 300 answers") {
		t.Errorf("not told: %s", strings.Join(lines, "; "))
	}
	if back, err := Replay(d.Record(w.svc)); err != nil || back.Winner != d.Winner || back.Scores != d.Scores {
		t.Errorf("the record replays to %d: %v", back.Winner, err)
	}
	w.st.Rows[0].Reprice()
	if d := w.decide(); d.Winner != 0 {
		t.Errorf("the policy asks something else now, and what was learned of the old fee counts still")
	}
}

// TestWhatOneAnswerCanSay: a single absurd fee moves little, and no number of them leads out of the bounds.
func TestWhatOneAnswerCanSay(t *testing.T) {
	for name, c := range map[string]struct {
		stated policy.Money
		want   float32
	}{"absurd": {policy.MaxMoney, feesMost}, "nothing": {0, feesLeast}, "below nothing": {-euro, feesLeast}} {
		var f fees
		for range 1000 {
			if counts := f.told(euro, c.stated); counts < 0 || counts > feesWorst*euro {
				t.Fatalf("%s: %v counts", name, counts)
			}
		}
		if f.learned.Ratio != c.want {
			t.Errorf("%s: %v times, want %v", name, f.learned.Ratio, c.want)
		}
		for range 2000 {
			f.told(euro, euro)
		}
		if math.Abs(float64(f.learned.Ratio)-1) > .02 {
			t.Errorf("%s: after 2,000 right ones still %v times", name, f.learned.Ratio)
		}
	}
	var f fees
	for range 100 {
		f.told(euro, euro)
	}
	f.told(euro, policy.MaxMoney)
	if f.learned.Ratio > 1.2 {
		t.Errorf("one absurd answer after a hundred makes it %v times", f.learned.Ratio)
	}
	if f.told(0, euro); f.learned.Answers != 101 {
		t.Errorf("an answer about a call that costs nothing by the policy was counted")
	}
}

// TestTheBudgetTakesWhatAnswersState: what a call cost is charged, not what it was expected to.
func TestTheBudgetTakesWhatAnswersState(t *testing.T) {
	w := newWorld(policy.Priority, 0)
	w.costs(0, euro, 0)
	w.svc.Spend = policy.Spend{Limit: 10 * euro, Per: time.Hour}
	w.st.Past = NewCalls()
	p, _ := w.begin()
	p.End(health.Sample{Class: health.OK, Told: true, Stated: euro * 3 / 2}, w.now, w.f.Draw)
	if spent, _ := w.st.Past.Spent(w.svc, w.now); spent != euro*3/2 {
		t.Errorf("%v were charged, want %v", spent, euro*3/2)
	}
}

// TestLearnedUnderAnotherPolicy: where the new policy asks what answers state, nothing is left to learn.
func TestLearnedUnderAnotherPolicy(t *testing.T) {
	l := Learned{Ratio: 1.25, Answers: 40}
	if got := l.under(4*euro, 5*euro); got.Ratio != 1 || got.of(5*euro) != l.of(4*euro) {
		t.Errorf("%+v", got)
	}
}
