package sandbox

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

func TestDeadProviderExecutesNothingLater(t *testing.T) {
	p := one(t, Ignored)
	if err := p.SetFaults(Fault{Kind: Slow, Delay: 400 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	const n = 20
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			c := dial(t, p.URL())
			if g, err := c.try(context.Background(), "POST", "/v1/charges", "", pay(fmt.Sprint("o-", i))...); err == nil {
				t.Errorf("answered %d", g.status)
			}
		})
	}
	until(t, "all are in", func() bool { return p.Books().Totals().Received["POST /v1/charges slow"] == n })
	p.Kill()
	p.Kill() // once dead, that changes nothing
	calls.Wait()
	equal(t, "alive", p.Alive(), false)
	if !refused(p.Addr()) {
		t.Error("a dead provider accepts connections")
	}
	p.ClearFaults()
	if !refused(p.Addr()) {
		t.Error("ending the faults revived it")
	}
	p.Revive()
	p.Revive()
	equal(t, "alive", p.Alive(), true)
	dial(t, p.URL()).charge("", "o-after")
	equal(t, "executed", p.Books().Totals().Executed[OpCharge], 1)
}

func TestKillResetsIdleConnections(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	c.want(200, "GET", "/v1/balance", "")
	p.Kill()
	if g, err := c.try(context.Background(), "POST", "/v1/charges", "", pay("o")...); err == nil {
		t.Errorf("answered %d", g.status)
	}
}

func TestWorkGoesOnWhenTheClientLeaves(t *testing.T) {
	p := one(t, Enforced)
	if err := p.SetFaults(Fault{Kind: Slow, Delay: 200 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := dial(t, p.URL()).try(ctx, "POST", "/v1/charges", "", pay("o-1")...); err == nil {
		t.Fatal("answered too soon")
	}
	until(t, "it is executed all the same", func() bool { return p.Books().Executed("o-1") == 1 })
}

func TestPortStaysReservedThroughManyRestarts(t *testing.T) {
	p := one(t, Enforced)
	var load sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for range 4 {
		load.Go(func() {
			c := dial(t, p.URL())
			for ctx.Err() == nil {
				_, _ = c.try(ctx, "POST", "/v1/charges", "", pay("o")...)
			}
		})
	}
	addr := p.Addr()
	for i := range 100 {
		if i%2 == 0 {
			p.Kill()
			p.Revive()
		} else {
			if err := p.SetFaults(Fault{Kind: Refuse}); err != nil {
				t.Fatal(err)
			}
			p.ClearFaults()
		}
	}
	cancel()
	load.Wait()
	equal(t, "address", p.Addr(), addr)
	dial(t, p.URL()).charge("", "o-last")
}

func TestPortThatSomebodyTookIsOpenedOnceItIsFree(t *testing.T) {
	p := one(t, Enforced)
	p.Kill()
	thief, err := net.Listen("tcp", p.Addr())
	if err != nil {
		t.Skip("the system keeps even this from happening:", err)
	}
	p.Revive()
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is open", func() bool { return !refused(p.Addr()) })
	dial(t, p.URL()).charge("", "o-1")
}

func TestReservedPortIsNotHandedOut(t *testing.T) {
	p := one(t, Enforced)
	p.Kill()
	for range 200 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if l.Addr().String() == p.Addr() {
			t.Error("the port of a dead provider was given to somebody else")
		}
		defer l.Close()
	}
}

func TestStopEndsWhatHangs(t *testing.T) {
	s, err := New(Config{Providers: []ProviderConfig{{Name: "n", Latency: Latency{Median: -1}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	p := s.Provider("n")
	if err := p.SetFaults(Fault{Kind: Hang}); err != nil {
		t.Fatal(err)
	}
	var call sync.WaitGroup
	call.Go(func() {
		_, _ = dial(t, p.URL()).try(context.Background(), "GET", "/v1/balance", "")
	})
	until(t, "it hangs", func() bool { return p.Faults()[0].Hits == 1 })
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	call.Wait()
	p.Revive()
	if !refused(p.Addr()) || !refused(s.BooksAddr()) {
		t.Error("something still listens")
	}
}

func TestSandboxThatNeverStartedStops(t *testing.T) {
	s, err := New(Config{Providers: []ProviderConfig{{Name: "n"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestWrongConfigurationsAreRefused(t *testing.T) {
	taken := one(t, Enforced)
	var port int
	fmt.Sscanf(taken.Addr(), "127.0.0.1:%d", &port)
	for name, c := range map[string]Config{
		"not loopback": {Host: "0.0.0.0"}, "a name": {Host: "localhost"},
		"no name": {Providers: []ProviderConfig{{}}}, "slash": {Providers: []ProviderConfig{{Name: "a/b"}}},
		"twice": {Providers: []ProviderConfig{{Name: "a"}, {Name: "a"}}}, "keys": {Providers: []ProviderConfig{{Name: "a", Keys: "some"}}},
		"port taken": {Port: port}, "provider's port taken": {Port: port - 1, Providers: []ProviderConfig{{Name: "a"}}},
	} {
		if s, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
			_ = s.Stop(context.Background())
		}
	}
}

func TestLatencyIsSeededAndSpread(t *testing.T) {
	draw := func(l Latency, f Fault) (total time.Duration) {
		p := newPace(l, 3)
		for range 1000 {
			before, after := p.next(f)
			total += before + after
		}
		return total / 1000
	}
	usual := draw(Latency{}, Fault{})
	if usual < 11*time.Millisecond || usual > 17*time.Millisecond {
		t.Errorf("mean %v", usual)
	}
	equal(t, "same seed", draw(Latency{}, Fault{}), usual)
	equal(t, "none", draw(Latency{Median: -1}, Fault{}), 0)
	if slow := draw(Latency{}, Fault{Kind: Slow, Factor: 3, Delay: time.Second}); slow < time.Second+33*time.Millisecond {
		t.Errorf("slow: %v", slow)
	}
}
