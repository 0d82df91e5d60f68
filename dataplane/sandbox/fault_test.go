package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func faulty(t *testing.T, keys Keys, f ...Fault) (*Provider, *client) {
	t.Helper()
	p := one(t, keys)
	if err := p.SetFaults(f...); err != nil {
		t.Fatal(err)
	}
	return p, dial(t, p.URL())
}

// seen names what the client of a failed call saw.
func seen(g got, err error) string {
	switch {
	case err == nil:
		return "answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, io.ErrUnexpectedEOF) && g.status != 0:
		return "cut body"
	case strings.Contains(err.Error(), "EOF"):
		return "eof"
	}
	return err.Error()
}

// Each fault does what it says: to the client on the wire, and to the books.
func TestEachFaultIsHonest(t *testing.T) {
	for name, tc := range map[string]struct {
		fault    Fault
		seen     string
		status   int
		executed int
	}{
		"refuse":                  {Fault{Kind: Refuse}, "refused", 0, 0},
		"reset before":            {Fault{Kind: Reset}, "reset", 0, 0},
		"reset after":             {Fault{Kind: Reset, Executed: true}, "reset", 0, 1},
		"503":                     {Fault{Kind: Status, Code: 503}, "answer", 503, 0},
		"500 by default":          {Fault{Kind: Status}, "answer", 500, 0},
		"500 executed":            {Fault{Kind: Status, Executed: true}, "answer", 500, 1},
		"429":                     {Fault{Kind: Limit, RetryAfter: 1500 * time.Millisecond}, "answer", 429, 0},
		"hang":                    {Fault{Kind: Hang}, "timeout", 0, 0},
		"hang after executing":    {Fault{Kind: Hang, Executed: true}, "timeout", 0, 1},
		"slow":                    {Fault{Kind: Slow, Delay: 20 * time.Millisecond}, "answer", 200, 1},
		"reply lost by close":     {Fault{Kind: Lose}, "eof", 0, 1},
		"reply lost by reset":     {Fault{Kind: Lose, End: Abort}, "reset", 0, 1},
		"cut in the body":         {Fault{Kind: CutBody}, "cut body", 200, 1},
		"cut in the headers":      {Fault{Kind: CutHeaders}, "eof", 0, 1},
		"headers cut by a reset":  {Fault{Kind: CutHeaders, End: Abort}, "eof or reset", 0, 1},
		"only reads are affected": {Fault{Kind: Reset, Operation: Reads}, "answer", 200, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := faulty(t, Ignored, tc.fault)
			length := time.Minute
			if tc.seen == "timeout" {
				length = 2 * time.Second
			}
			ctx, cancel := context.WithTimeout(context.Background(), length)
			defer cancel()
			g, err := c.try(ctx, "POST", "/v1/charges", "k", pay("o-1")...)
			if s := seen(g, err); !strings.Contains(tc.seen, s) {
				t.Errorf("seen: %q, want %q", s, tc.seen)
			}
			equal(t, "status", g.status, tc.status)
			equal(t, "executed", p.Books().Executed("o-1"), tc.executed)
			if tc.fault.Kind == Limit {
				equal(t, "Retry-After, rounded up", g.header.Get("Retry-After"), "2")
			}
			p.ClearFaults()
			c.charge("k-2", "o-2")
			equal(t, "healed", p.Books().Executed("o-2"), 1)
			equal(t, "and nothing came later", p.Books().Executed("o-1"), tc.executed)
		})
	}
}

func TestStreamsMeetFaultsToo(t *testing.T) {
	for _, f := range []Fault{{Kind: Lose}, {Kind: Reset}, {Kind: Reset, Executed: true}, {Kind: CutHeaders}, {Kind: CutBody}} {
		_, c := faulty(t, Enforced, f)
		for _, path := range []string{"/v1/files/f/contents?bytes=1000", "/v1/stream?events=4"} {
			if g, err := c.try(context.Background(), "GET", path, ""); err == nil {
				t.Errorf("%s under %s: %d", path, f.Kind, g.status)
			}
		}
	}
	_, c := faulty(t, Enforced, Fault{Kind: Status, Executed: true, Code: 502})
	c.want(502, "GET", "/v1/stream?events=4", "")
	_, c = faulty(t, Enforced, Fault{Kind: Hang, Executed: true})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.try(ctx, "GET", "/v1/stream?events=4", ""); err == nil {
		t.Error("no hang")
	}
}

func TestLostReplyOnWarmAndColdConnections(t *testing.T) {
	for _, warmth := range []Warmth{Warm, Cold} {
		p, c := faulty(t, Enforced, Fault{Kind: Lose, Connection: warmth, Operation: Effects, Count: 1})
		c.want(200, "GET", "/v1/balance", "") // makes the connection warm
		if warmth == Cold {
			c.http.CloseIdleConnections()
		}
		if g, err := c.try(context.Background(), "POST", "/v1/charges", "k", pay("o-1")...); err == nil {
			t.Errorf("%s: answered %d", warmth, g.status)
		}
		equal(t, "executed", p.Books().Executed("o-1"), 1)
		again := c.charge("k", "o-1")
		equal(t, "replayed", again.header.Get("Idempotent-Replayed"), "true")
		equal(t, "executed still", p.Books().Executed("o-1"), 1)
	}
}

func TestColdFaultSparesWarmConnections(t *testing.T) {
	p, c := faulty(t, Enforced)
	c.want(200, "GET", "/v1/balance", "")
	if err := p.SetFaults(Fault{Kind: Lose, Connection: Cold}); err != nil {
		t.Fatal(err)
	}
	c.want(200, "GET", "/v1/balance", "")
	if _, err := dial(t, p.URL()).try(context.Background(), "GET", "/v1/balance", ""); err == nil {
		t.Error("a cold connection was spared")
	}
}

func TestShareAndCountAndExpiry(t *testing.T) {
	var clock struct {
		sync.Mutex
		time.Time
	}
	clock.Time = time.Now()
	now := func() time.Time { clock.Lock(); defer clock.Unlock(); return clock.Time }
	s := newFaultSet(7)
	s.set([]Fault{{Kind: Reset, Share: 0.3}}, now())
	hits := 0
	for range 10_000 {
		if s.strike(true, false, now()).Kind == Reset {
			hits++
		}
	}
	if hits < 2850 || hits > 3150 { // 3 sigma
		t.Errorf("%d of 10000, want about 3000", hits)
	}
	again := newFaultSet(7)
	again.set([]Fault{{Kind: Reset, Share: 0.3}}, now())
	for range 10_000 {
		again.strike(true, false, now())
	}
	equal(t, "same seed, same draws", again.list(now())[0].Hits, hits)

	s.set([]Fault{{Kind: Hang, Count: 2}, {Kind: Limit, For: time.Minute}}, now())
	kinds := []Kind{}
	for range 3 {
		kinds = append(kinds, s.strike(true, false, now()).Kind)
	}
	if !reflect.DeepEqual(kinds, []Kind{Hang, Hang, Limit}) {
		t.Error(kinds)
	}
	equal(t, "after its end", s.strike(true, false, now().Add(time.Minute)).Kind, "")
	equal(t, "on", len(s.list(now())), 1)
}

func TestRefuseEndsByItself(t *testing.T) {
	p, _ := faulty(t, Enforced, Fault{Kind: Refuse, For: 50 * time.Millisecond})
	if !refused(p.Addr()) {
		t.Error("not refused")
	}
	until(t, "the port is open again", func() bool { return !refused(p.Addr()) })
	dial(t, p.URL()).charge("k", "o-1")
}

func TestFlapTurns(t *testing.T) {
	on := Fault{Kind: Flap, Up: 2 * time.Second, Down: 3 * time.Second}
	for at, down := range map[time.Duration]bool{0: false, 1999: false, 2000: true, 4999: true, 5000: false, 7000: true} {
		is, left := on.turn(at * time.Millisecond)
		if is != down || left <= 0 || left > 3*time.Second {
			t.Errorf("at %d ms: down %v, %v left", at, is, left)
		}
	}
	p, _ := faulty(t, Enforced, Fault{Kind: Flap, Up: 20 * time.Millisecond, Down: 20 * time.Millisecond})
	for range 3 {
		until(t, "down", func() bool { return refused(p.Addr()) })
		until(t, "up", func() bool { return !refused(p.Addr()) })
	}
}

func TestWrongFaultsAreRefused(t *testing.T) {
	p := one(t, Enforced)
	for _, f := range []Fault{
		{}, {Kind: "flop"}, {Kind: Reset, Share: 1.1}, {Kind: Reset, Share: -1}, {Kind: Reset, Operation: "write"}, {Kind: Reset, Count: -1},
		{Kind: Status, Code: 99}, {Kind: Slow}, {Kind: Slow, Factor: -1}, {Kind: Flap}, {Kind: Refuse, Share: 0.5}, {Kind: Refuse, Operation: Reads},
		{Kind: Flap, Up: 1, Down: 1}, {Kind: Lose, End: "bang"}, {Kind: Lose, Connection: "hot"}, {Kind: Refuse, For: -1},
	} {
		if err := p.SetFaults(f); err == nil {
			t.Errorf("taken: %+v", f)
		}
	}
	equal(t, "on", len(p.Faults()), 0)
}

func TestFaultAsJSON(t *testing.T) {
	f := Fault{Kind: Flap, Up: time.Second, Down: 1500 * time.Millisecond, For: time.Minute}
	text, err := json.Marshal(f)
	if err != nil || string(text) != `{"kind":"flap","up":"1s","down":"1.5s","for":"1m0s"}` {
		t.Errorf("%s %v", text, err)
	}
	var back Fault
	if err := json.Unmarshal(text, &back); err != nil || back != f {
		t.Errorf("%+v %v", back, err)
	}
	for _, bad := range []string{`{"kind":"hang","four":"1s"}`, `{"kind":"hang","for":"soon"}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("taken: %s", bad)
		}
	}
}

// The reply is lost after the charge, 100 times each on warm and cold connections, and the customer asks again with the same key.
func TestTwoHundredLostReplies(t *testing.T) {
	for _, keys := range []Keys{Enforced, Ignored} {
		for _, end := range []Ending{Close, Abort} {
			p, c := faulty(t, keys, Fault{Kind: Lose, End: end, Operation: Effects, Count: 100})
			for i := range 100 {
				if i%2 == 0 {
					c.http.CloseIdleConnections()
				} else {
					c.want(200, "GET", "/v1/balance", "")
				}
				order := fmt.Sprint("o-", i)
				if g, err := c.try(context.Background(), "POST", "/v1/charges", order, pay(order)...); err == nil {
					t.Errorf("%s: answered %d", order, g.status)
				}
				if n := p.Books().Executed(order); n != 1 {
					t.Errorf("%s: %d", order, n)
				}
			}
			for i := range 100 {
				c.charge(fmt.Sprint("o-", i), fmt.Sprint("o-", i))
			}
			again := map[Keys]int{Enforced: 0, Ignored: 100}[keys]
			equal(t, string(keys)+": twice", len(Twice(p.Books())), again)
		}
	}
}

func TestFaultsAreCountedByWhatTheyMet(t *testing.T) {
	p, c := faulty(t, Enforced, Fault{Kind: Status, Code: 503, Operation: Effects})
	c.want(503, "POST", "/v1/charges", "", pay("o-1")...)
	c.want(200, "GET", "/v1/charges", "")
	c.want(503, "POST", "/v1/nothing", "")
	received := p.Books().Totals().Received
	want := map[string]uint64{"POST /v1/charges status": 1, "GET /v1/charges -": 1, "POST other status": 1}
	if !reflect.DeepEqual(received, want) {
		t.Errorf("%v, want %v", received, want)
	}
	equal(t, "hits", p.Faults()[0].Hits, 2)
}
