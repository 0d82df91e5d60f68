package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/dataplane/sandbox"
)

// Fault is a real fault that runs: at a simulated provider, or at a process of this assembly. It always ends.
type Fault struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Provider string    `json:"provider,omitempty"`
	Ends     time.Time `json:"ends"`
}

// longestFault bounds a fault: whoever set it may have gone home.
const longestFault = time.Hour

// faults are the faults that run. Each has a timer that undoes it.
type faults struct {
	dev *Dev

	mu      sync.Mutex
	next    int
	running map[string]*running
	closed  bool
}

type running struct {
	Fault
	undo  func() error
	timer *time.Timer
}

// deed does a fault and returns how to undo it.
type deed func(d *Dev, provider string, length time.Duration) (undo func() error, err error)

// deeds are the faults by name.
func deeds() map[string]deed {
	return map[string]deed{
		"kill-provider": killProvider,
		"lost-reply":    atProvider(sandbox.Fault{Kind: sandbox.Lose, Operation: sandbox.Effects}),
		"hang":          atProvider(sandbox.Fault{Kind: sandbox.Hang}),
		"slow":          atProvider(sandbox.Fault{Kind: sandbox.Slow, Factor: 6, Delay: 500 * time.Millisecond}),
		"unavailable":   atProvider(sandbox.Fault{Kind: sandbox.Status, Code: 503}),
		"reset":         atProvider(sandbox.Fault{Kind: sandbox.Reset}),
		"limit":         atProvider(sandbox.Fault{Kind: sandbox.Limit}),
		"flap":          atProvider(sandbox.Fault{Kind: sandbox.Flap, Up: 3 * time.Second, Down: 3 * time.Second}),
		"kill-leader":   killLeader,
		"stop-control":  stopControl,
		"restart-agents": func(d *Dev, _ string, _ time.Duration) (func() error, error) {
			return nil, d.restartAgents()
		},
	}
}

// FaultNames lists the faults that Run knows.
func FaultNames() []string {
	var names []string
	for name := range deeds() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Run does a fault for length; it ends by itself.
func (f *faults) Run(_ context.Context, name, provider string, length time.Duration) (Fault, error) {
	do, ok := deeds()[name]
	if !ok {
		return Fault{}, fmt.Errorf("fault: %q is not known; there are %s", name, strings.Join(FaultNames(), ", "))
	}
	if length <= 0 || length > longestFault {
		return Fault{}, fmt.Errorf("for: %v is not over 0 and at most %v", length, longestFault)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return Fault{}, errors.New("segue dev is stopping")
	}
	undo, err := do(f.dev, provider, length)
	if err != nil {
		return Fault{}, err
	}
	f.next++
	r := &running{Fault: Fault{ID: fmt.Sprintf("f%d", f.next), Name: name, Provider: provider, Ends: time.Now().Add(length)}, undo: undo}
	if undo == nil { // done at once
		r.Ends = time.Now()
		return r.Fault, nil
	}
	r.timer = time.AfterFunc(length, func() {
		if err := f.Stop(r.ID); err != nil {
			f.dev.cfg.Log.Error("a fault did not end well", "fault", name, "error", err)
		}
	})
	f.running[r.ID] = r
	return r.Fault, nil
}

// Running lists the faults that run, oldest first.
func (f *faults) Running() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Fault
	for _, r := range f.running {
		list = append(list, r.Fault)
	}
	slices.SortFunc(list, func(a, b Fault) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Stop ends a fault early.
func (f *faults) Stop(id string) error {
	f.mu.Lock()
	r := f.running[id]
	delete(f.running, id)
	f.mu.Unlock()
	if r == nil {
		return fmt.Errorf("no fault %s runs", id)
	}
	r.timer.Stop()
	return r.undo()
}

// close ends every fault without undoing it: the assembly stops.
func (f *faults) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for id, r := range f.running {
		r.timer.Stop()
		delete(f.running, id)
	}
}

// atProvider sets a fault at a simulated provider, in place of one that was there.
func atProvider(fault sandbox.Fault) deed {
	return func(d *Dev, name string, length time.Duration) (func() error, error) {
		p, err := d.provider(name)
		if err != nil {
			return nil, err
		}
		fault.For = length
		if err := p.SetFaults(fault); err != nil {
			return nil, err
		}
		return func() error { return p.SetFaults() }, nil
	}
}

func killProvider(d *Dev, name string, _ time.Duration) (func() error, error) {
	p, err := d.provider(name)
	if err != nil {
		return nil, err
	}
	p.Kill()
	return func() error { p.Revive(); return nil }, nil
}

func killLeader(d *Dev, _ string, _ time.Duration) (func() error, error) {
	i, ok := d.nodes.leader()
	if !ok {
		return nil, errors.New("no control node leads")
	}
	if err := d.nodes.kill(i); err != nil {
		return nil, err
	}
	return func() error { return d.nodes.start(i) }, nil
}

// stopControl kills every control node that lives.
func stopControl(d *Dev, _ string, _ time.Duration) (func() error, error) {
	var killed []int
	for i := range d.nodes.configs {
		if err := d.nodes.kill(i); err == nil {
			killed = append(killed, i)
		}
	}
	if len(killed) == 0 {
		return nil, errors.New("no control node is running")
	}
	return func() error {
		var err error
		for _, i := range killed {
			err = errors.Join(err, d.nodes.start(i))
		}
		return err
	}, nil
}

// provider finds a simulated provider by name.
func (d *Dev) provider(name string) (*sandbox.Provider, error) {
	if d.sandbox != nil {
		if p := d.sandbox.Provider(name); p != nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("provider: there is no simulated provider %q", name)
}
