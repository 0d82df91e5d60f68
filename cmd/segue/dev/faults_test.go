package dev

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/e2e/patience"
)

// Faults end by themselves, a later one at the same provider takes the earlier one's place, and the list is there while one is done.
func TestFaultsEndByThemselves(t *testing.T) {
	t.Parallel()
	d := live(t, config(t, patience.Dir(t)))
	defer end(t, d)
	p := d.sandbox.Provider(main)
	run := func(name, provider string, length time.Duration) Fault {
		t.Helper()
		f, err := d.faults.Run(context.Background(), name, provider, length)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	run("slow", main, time.Second)
	run("unavailable", main, time.Hour)
	run(killed, main, 3*time.Second) // over the end of the fault that was replaced
	if p.Alive() || len(d.faults.Running()) != 2 {
		t.Fatalf("alive %v, running %+v", p.Alive(), d.faults.Running())
	}
	eventually(t, "it lives again", p.Alive)
	if left := d.faults.Running(); len(left) != 1 || left[0].Name != "unavailable" || len(p.Faults()) != 1 {
		t.Errorf("running %+v, at the provider %+v", left, p.Faults())
	}
	if err := d.faults.Stop(d.faults.Running()[0].ID); err != nil || len(p.Faults()) != 0 {
		t.Errorf("stopped: %v, left %+v", err, p.Faults())
	}
	_, before := d.nodes.Leader()
	run("kill-leader", "", 300*time.Millisecond)
	eventually(t, "somebody leads in a later term, and the killed one is back", func() bool { // it may be the killed one: it has the log
		now, term := d.nodes.Leader()
		return now != "" && term > before && len(d.faults.Running()) == 0
	})
	stopped := run("stop-control", "", time.Hour)
	if status, _ := get(t, "http://"+d.Addr()+"/readyz", ""); status != 503 {
		t.Errorf("readyz without a control plane: %d", status)
	}
	if status, body := charge(t, d.Service("eu-west", payments), "no-control"); status != 200 {
		t.Errorf("a call without a control plane: %d %s", status, body)
	}
	if err := d.faults.Stop(stopped.ID); err != nil {
		t.Error(err)
	}
	eventually(t, "the control plane is back", func() bool {
		_, err := d.nodes.Read(within(t))
		return err == nil
	})
}

func TestFaultsThatAreRefused(t *testing.T) {
	t.Parallel()
	d := live(t, config(t, patience.Dir(t)))
	for _, c := range []struct {
		name, provider string
		length         time.Duration
		says           string
	}{
		{"nothing", main, time.Second, "not known"}, {"slow", "nobody", time.Second, "no simulated provider"}, {killed, "", time.Second, "no simulated provider"},
		{"slow", main, 0, "for:"}, {"slow", main, 2 * time.Hour, "for:"},
	} {
		if _, err := d.faults.Run(context.Background(), c.name, c.provider, c.length); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := d.faults.Stop("f9"); err == nil {
		t.Error("a fault that does not run was stopped")
	}
	end(t, d)
	if _, err := d.faults.Run(context.Background(), "slow", main, time.Second); err == nil {
		t.Error("a fault began after the end")
	}
}

// The end waits for a fault that is being undone: a node that comes back then must not outlive the assembly (the leak test sees it).
func TestStopWhileAFaultEnds(t *testing.T) {
	t.Parallel()
	cfg := config(t, patience.Dir(t))
	d := live(t, cfg)
	if _, err := d.faults.Run(context.Background(), "stop-control", "", 30*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the undoing has begun", func() bool { return len(d.faults.Running()) == 0 })
	end(t, d)
	if !free(cfg.Ports.Control, 3) || !free(cfg.Ports.Raft, 3) {
		t.Error("a control node listens still")
	}
}

// A restart of the agents takes seconds when calls are under way; pages list the faults meanwhile.
func TestTheListOfFaultsDoesNotWait(t *testing.T) {
	t.Parallel()
	d := live(t, config(t, patience.Dir(t)))
	defer end(t, d)
	d.faults.one.Lock() // as a long fault holds it
	listed := make(chan int, 1)
	go func() { listed <- len(d.faults.Running()) }()
	select {
	case <-listed:
	case <-time.After(time.Minute):
		t.Error("the list waits for a fault")
	}
	d.faults.one.Unlock()
	if _, err := d.faults.Run(context.Background(), "restart-agents", "", time.Second); err != nil {
		t.Fatal(err)
	}
	if status, body := charge(t, d.Service("ap-south", payments), "after-restart"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

// A start that is interrupted ends what it began, whenever that is.
func TestStopDuringStart(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 400 * time.Millisecond, 1200 * time.Millisecond} {
		cfg := config(t, patience.Dir(t))
		cfg.Rate = 2
		d, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), after)
		err = d.Start(ctx)
		cancel()
		if err == nil {
			end(t, d)
		}
		if !free(cfg.Ports.Control, 3) || !free(cfg.Ports.Raft, 3) || !free(cfg.Ports.UI, 1) || !free(cfg.Ports.Agent, 3) || !free(cfg.Ports.Sandbox, 3) {
			t.Errorf("interrupted after %v: something listens still", after)
		}
	}
}

// Whatever port is taken: the start ends soon, names the address, and leaves nothing behind.
func TestPortsInUse(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(Ports) int{
		"pages": func(p Ports) int { return p.UI }, "control": func(p Ports) int { return p.Control + 1 }, "raft": func(p Ports) int { return p.Raft + 2 },
		"agent": func(p Ports) int { return p.Agent + 1 }, "sandbox": func(p Ports) int { return p.Sandbox + 1 }, "service": func(p Ports) int { return p.Services + 7201 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, patience.Dir(t))
			l, err := net.Listen("tcp", loopback(at(cfg.Ports)))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			began := time.Now()
			d, err := New(cfg)
			if err == nil {
				err = d.Start(within(t))
			}
			if err == nil {
				end(t, d)
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), "--port-offset") || name != "service" && !strings.Contains(err.Error(), l.Addr().String()) {
				t.Errorf("said: %v", err)
			}
			if took := time.Since(began); took > 90*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAPolicyThatIsNotValid(t *testing.T) {
	t.Parallel()
	cfg := config(t, patience.Dir(t))
	cfg.File, cfg.Policy = "p.yaml", []byte(strings.Replace(own, "weights:", "wieghts:", 1))
	_, err := New(cfg)
	if err == nil || !strings.Contains(err.Error(), `p.yaml:7:5`) || !strings.Contains(err.Error(), "did you mean weights") {
		t.Errorf("said: %v", err)
	}
}

// A policy in force without the service that the shopper calls does not keep segue dev from starting again.
func TestTheShopperStaysAwayFromWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	cfg := config(t, patience.Dir(t))
	first := live(t, cfg)
	r, err := http.NewRequest(http.MethodPut, "http://"+first.Addr()+"/api/v1/policy", strings.NewReader(strings.Replace(string(first.source), "  payments:", "  payouts:", 1)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Segue-Reason", "another name")
	if status, body := send(t, r); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	end(t, first)
	cfg.Rate = 5
	second := live(t, cfg)
	defer end(t, second)
	if second.load() != nil || second.Service("us-east", "payouts") == "" {
		t.Errorf("load %v, payouts at %q", second.load(), second.Service("us-east", "payouts"))
	}
}
