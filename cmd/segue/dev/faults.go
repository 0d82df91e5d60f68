package dev

import (
	"cmp"
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
	Region   string    `json:"region,omitempty"` // of what happens to an agent
	Ends     time.Time `json:"ends"`
}

// longestFault bounds a fault: whoever set it may have gone home.
const longestFault = time.Hour

// faults are the faults that run. Each has a timer that undoes it.
type faults struct {
	dev *Dev
	one sync.Mutex // held while a fault is done or undone: some take seconds, and one at a time is easier to think about

	mu      sync.Mutex // of what follows; never held for long: pages list the faults
	next    int
	running map[string]*running
	closed  bool
}

type running struct {
	Fault
	undo  func() error
	timer *time.Timer
}

// killed is the fault that is beside a provider's other faults: the process is gone.
const killed = "kill-provider"

// deed does a fault and returns how to undo it.
type deed func(d *Dev, provider string, length time.Duration) (undo func() error, err error)

// deeds are the faults by name.
func deeds() map[string]deed {
	return map[string]deed{
		killed:         killProvider,
		"lost-reply":   atProvider(sandbox.Fault{Kind: sandbox.Lose, Operation: sandbox.Effects}),
		"hang":         atProvider(sandbox.Fault{Kind: sandbox.Hang}),
		"slow":         atProvider(sandbox.Fault{Kind: sandbox.Slow, Factor: 6, Delay: 500 * time.Millisecond}),
		"unavailable":  atProvider(sandbox.Fault{Kind: sandbox.Status, Code: 503}),
		"reset":        atProvider(sandbox.Fault{Kind: sandbox.Reset}),
		"fees":         atProvider(sandbox.Fault{Kind: sandbox.Fees, Factor: 1.3}),
		"limit":        atProvider(sandbox.Fault{Kind: sandbox.Limit}),
		"flap":         atProvider(sandbox.Fault{Kind: sandbox.Flap, Up: 3 * time.Second, Down: 3 * time.Second}),
		"kill-leader":  killLeader,
		"stop-control": stopControl,
		cutStore:       cutLink,
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

// Run does a fault for length at a provider, or at a region's agent; it ends by itself.
func (f *faults) Run(_ context.Context, name, at string, length time.Duration) (Fault, error) {
	do, ok := deeds()[name]
	if !ok {
		return Fault{}, fmt.Errorf("fault: %q is not known; there are %s", name, strings.Join(FaultNames(), ", "))
	}
	if length <= 0 || length > longestFault {
		return Fault{}, fmt.Errorf("for: %v is not over 0 and at most %v", length, longestFault)
	}
	f.one.Lock()
	defer f.one.Unlock()
	if f.stopping() {
		return Fault{}, errors.New("segue dev is stopping")
	}
	undo, err := do(f.dev, at, length)
	if err != nil {
		return Fault{}, err
	}
	fault := Fault{Name: name, Provider: at, Ends: time.Now().Add(length)}
	if name == cutStore {
		fault.Provider, fault.Region = "", at
	}
	return f.keep(fault, undo, length), nil
}

func (f *faults) stopping() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// keep lists a fault and sets its timer. A provider has one fault of its own at a time, beside its death: the earlier one is over, and its
// end must not end the new one.
func (f *faults) keep(fault Fault, undo func() error, length time.Duration) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	r := &running{Fault: fault, undo: undo}
	r.ID = fmt.Sprintf("f%d", f.next)
	if undo == nil { // done at once
		r.Ends = time.Now()
		return r.Fault
	}
	for id, old := range f.running {
		if old.Provider+old.Region != "" && old.Provider == r.Provider && old.Region == r.Region && (old.Name == killed) == (r.Name == killed) {
			old.timer.Stop()
			delete(f.running, id)
		}
	}
	r.timer = time.AfterFunc(length, func() { f.expire(r.ID) })
	f.running[r.ID] = r
	return r.Fault
}

// expire ends a fault whose time is over, unless somebody was faster.
func (f *faults) expire(id string) {
	if err := f.end(id); err != nil {
		f.dev.cfg.Log.Error("a fault did not end well", "fault", id, "error", err)
	}
}

// Running lists the faults that run, oldest first.
func (f *faults) Running() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Fault
	for _, r := range f.running {
		list = append(list, r.Fault)
	}
	slices.SortFunc(list, func(a, b Fault) int { return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), strings.Compare(a.ID, b.ID)) }) // f10 follows f9
	return list
}

// Stop ends a fault early.
func (f *faults) Stop(id string) error {
	f.mu.Lock()
	_, runs := f.running[id]
	f.mu.Unlock()
	if !runs {
		return fmt.Errorf("no fault %s runs", id)
	}
	return f.end(id)
}

// end undoes a fault, if it runs still.
func (f *faults) end(id string) error {
	f.one.Lock()
	defer f.one.Unlock()
	f.mu.Lock()
	r := f.running[id]
	delete(f.running, id)
	f.mu.Unlock()
	if r == nil {
		return nil
	}
	r.timer.Stop()
	return r.undo()
}

// close ends every fault without undoing it: the assembly stops. What is being done or undone is awaited: else a node that comes back
// would outlive the assembly.
func (f *faults) close() {
	f.mu.Lock()
	f.closed = true
	for id, r := range f.running {
		r.timer.Stop()
		delete(f.running, id)
	}
	f.mu.Unlock()
	f.one.Lock()
	defer f.one.Unlock() // nothing begins any more: whoever waited finds the list closed or empty
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
