package probe

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// TestAsk: an order runs a provider's check at once and once, whatever its period, and keeps what it showed by the order's id.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &far{}
		p, b := running(t, end, snapshot(time.Hour, "main", "backup"))
		p.Ask("o1", "main", false)
		p.Ask("o1", "main", false) // the Update came again
		synctest.Wait()
		if n := len(end.times("main")); n != 1 || len(end.times("backup")) != 0 {
			t.Errorf("main was asked %d times", n)
		}
		results, done, known := p.Asked("o1")
		if !done || !known || len(results) != 1 || results[0].Word != Good || results[0].Service != "payments" {
			t.Errorf("%+v, done %v, known %v", results, done, known)
		}
		if rows := b.Report(time.Now()).Rows; rows[0].CheckOK != 1 {
			t.Errorf("the board was not told: %+v", rows[0].Condition)
		}
		end.answer(health.Sample{Class: health.Failure}, errors.New("answered 500"))
		p.Ask("o2", "main", false)
		end.answer(health.Sample{Class: health.Limited, RetryAfter: time.Minute}, errors.New("answered 429"))
		p.Ask("o3", "backup", false)
		p.Ask("o4", "nobody", false)
		synctest.Wait()
		for order, want := range map[string]string{"o1": Good, "o3": Busy} {
			if r, done, _ := p.Asked(order); !done || len(r) != 1 || r[0].Word != want {
				t.Errorf("%s: %+v, want %s", order, r, want)
			}
		}
		if r, done, known := p.Asked("o4"); len(r) != 0 || !done || !known {
			t.Errorf("nobody: %+v", r)
		}
		if _, _, known := p.Asked("o5"); known {
			t.Error("an order that never came is known")
		}
	})
}

// TestAskOfOneThatHangs: it ends after Timeout, and at once when the agent stops.
func TestAskOfOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &far{does: func(ctx context.Context, _ *policy.Candidate) (health.Sample, error) {
			<-ctx.Done()
			return health.Sample{Class: health.Failure}, ctx.Err()
		}}
		p, _ := running(t, end, snapshot(time.Hour, "main"))
		p.Ask("o1", "main", false)
		time.Sleep(Timeout - 1)
		if _, done, _ := p.Asked("o1"); done {
			t.Error("done before its time-out")
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		if r, done, _ := p.Asked("o1"); !done || r[0].Word != Bad || r[0].Why != "no answer in 5s" {
			t.Errorf("%+v", r)
		}
		p.Ask("o2", "main", false)
		synctest.Wait()
		p.Stop()
		if r, done, _ := p.Asked("o2"); !done || r[0].Word != Cut {
			t.Errorf("%+v", r)
		}
		p.Ask("o3", "main", false)
		if _, _, known := p.Asked("o3"); known {
			t.Error("a prober that has stopped took an order")
		}
	})
}

// TestAskedIsBounded: the oldest orders are forgotten.
func TestAskedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := running(t, &far{}, snapshot(time.Hour, "main"))
		for i := range maxAsked + 1 {
			p.Ask(string(rune('A'+i)), "main", false)
		}
		synctest.Wait()
		if _, _, known := p.Asked("A"); known || len(p.asked) != maxAsked {
			t.Errorf("%d orders are kept", len(p.asked))
		}
	})
}
