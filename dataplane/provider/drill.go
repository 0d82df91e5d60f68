package provider

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"segue/controlplane/policy"
)

// maxDrills bounds the drills that are in force at once; what is over it is ignored, with a warning.
const maxDrills = 64

// drills are the faults that orders inject.
type drills struct {
	region string
	seed   uint64
	log    *slog.Logger

	mu     sync.Mutex // guards the making of a new list
	active atomic.Pointer[[]*drill]
}

// drill is one order in force. It ends by this process's own clock, whatever becomes of the control plane.
type drill struct {
	id, provider string
	fault        policy.Fault
	ends         time.Time
	seed         uint64
	calls        atomic.Uint64
}

// Drills puts the drills among the orders in force, and ends those that are not there any more. One that is in force already
// keeps its end: orders come again with each update.
func (c *Client) Drills(orders []policy.Order) { c.drills.set(orders, c.now()) }

func (d *drills) set(orders []policy.Order, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []*drill
	for i := range orders {
		o := &orders[i]
		if !d.concerns(o) {
			continue
		}
		if len(list) == maxDrills {
			d.log.Warn("too many drills; the rest is ignored", "limit", maxDrills)
			break
		}
		list = append(list, d.take(o, now))
	}
	if list == nil {
		d.active.Store(nil)
		return
	}
	d.active.Store(&list)
}

func (d *drills) concerns(o *policy.Order) bool {
	return o.Kind == policy.Drill && (len(o.Regions) == 0 || slices.Contains(o.Regions, d.region))
}

// take returns the drill of an order: the one in force, or a new one for the time that is left. A wall clock that is behind the
// leader's cannot make a drill longer than it was asked for.
func (d *drills) take(o *policy.Order, now time.Time) *drill {
	if old := d.find(o.ID); old != nil {
		return old
	}
	left := min(o.Ends().Sub(now), o.For)
	return &drill{id: o.ID, provider: o.Provider, fault: o.Fault, ends: now.Add(left), seed: d.seed ^ hashText(o.ID)}
}

func (d *drills) find(id string) *drill {
	list := d.active.Load()
	if list == nil {
		return nil
	}
	for _, x := range *list {
		if x.id == id {
			return x
		}
	}
	return nil
}

// draw says which fault, if any, hits this call.
func (d *drills) draw(provider string, now time.Time) policy.Fault {
	list := d.active.Load()
	if list == nil {
		return policy.Fault{}
	}
	for _, x := range *list {
		if x.provider == provider && now.Before(x.ends) && x.hit() {
			return x.fault
		}
	}
	return policy.Fault{}
}

// hit draws for the next call: the same seed and order hit the same calls in every run.
func (x *drill) hit() bool {
	n := mix(x.seed + x.calls.Add(1)*0x9e3779b97f4a7c15)
	return float64(n>>11)/(1<<53) < x.fault.Share
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// hashText is FNV-1a.
func hashText(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
