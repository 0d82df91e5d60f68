package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// How a provider's endpoints are reached, where it has several.
const (
	reachIn   = time.Second      // a connection to one that is not the last has to be had in
	firstAway = 5 * time.Second  // one that could not be reached is passed over for so long; each further time doubles it
	longAway  = 60 * time.Second // to this
)

// reach remembers which endpoints could not be reached. It knows connections alone: what a provider answers is judged elsewhere.
type reach struct {
	mu    sync.Mutex
	known map[string]*endpoint
}

// endpoint is one that could not be reached lately.
type endpoint struct {
	failed int
	why    string
	until  time.Time // passed over until then; a call that tries it moves that on, so that one alone tries
}

// order is a provider's endpoints as a call is to try them: the nearest that can be reached, then the others. left is one that is asked last
// of those that can be. tries: the call goes there, and one whose time is over is tried by it alone.
func (r *reach) order(p *policy.Candidate, left string, now time.Time, tries bool) []string {
	all := append([]string{p.Endpoint}, p.Further...)
	if len(all) == 1 {
		return all
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rank := func(e string) int {
		switch x := r.known[e]; {
		case x != nil && now.Before(x.until) && x.until.Sub(now) <= longAway:
			return 2
		case e == left:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b string) int { return rank(a) - rank(b) })
	if x := r.known[all[0]]; tries && x != nil {
		x.until = now.Add(firstAway)
	}
	return all
}

// showed takes down whether an endpoint could be reached. first: it could until now.
func (r *reach) showed(e string, reached bool, why string, now time.Time) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.known[e]
	if reached {
		delete(r.known, e)
		return x != nil
	}
	if x == nil {
		if r.known == nil || len(r.known) >= maxTargets {
			r.known = map[string]*endpoint{}
		}
		x = &endpoint{}
		r.known[e] = x
	}
	x.until = now.Add(min(firstAway<<min(x.failed, 6), longAway))
	x.failed++
	x.why = why
	return x.failed == 1
}

// Choose is the endpoint that a call should go to now that has to stay where it is sent.
func (c *Client) Choose(p *policy.Candidate, now time.Time) string {
	return c.reach.order(p, "", now, true)[0]
}

// Passed tells which of a provider's endpoints are passed over, why, and where calls go meanwhile: a sentence for each.
func (c *Client) Passed(p *policy.Candidate, now time.Time) []string {
	if len(p.Further) == 0 {
		return nil
	}
	to := c.reach.order(p, "", now, false)[0]
	c.reach.mu.Lock()
	defer c.reach.mu.Unlock()
	var list []string
	for _, e := range append([]string{p.Endpoint}, p.Further...) {
		x := c.reach.known[e]
		if x == nil || !now.Before(x.until) {
			continue
		}
		text := fmt.Sprintf("%s is passed over: no connection (%s), asked again in %v", e, strings.ReplaceAll(x.why, "_", " "), max(x.until.Sub(now), time.Second).Round(time.Second))
		if to != e {
			text += "; calls go to " + to
		}
		list = append(list, text)
	}
	return list
}

// nearest sends a call to the nearest endpoint that can be reached. It goes on to the next one only when no connection was to be had: nothing
// was sent. An effect does so only where a key is one key at all of them: its row says where it was sent, and another endpoint would not
// know the key when it is sent again.
func (c *Client) nearest(ctx context.Context, call *Call, to message.Reply, start time.Time) Result {
	p := call.Candidate
	if len(p.Further) == 0 {
		return c.send(ctx, call, to, start)
	}
	list := []string{call.Only}
	if call.Only == "" {
		list = c.reach.order(p, call.Leave, start, true)
	}
	if !call.Read && !p.Shares() {
		list = list[:1]
	}
	var r Result
	for i, e := range list {
		mine := *call
		mine.Candidate = p.Only(e)
		if i < len(list)-1 {
			mine.within = reachIn
		}
		now := c.now()
		r = c.send(ctx, &mine, to, now)
		r.Endpoint = e
		if !r.Unreached {
			if r.Sample.Class != health.None {
				c.turned(p, e, true, "")
			}
			return r
		}
		c.turned(p, e, false, r.Error)
		if ctx.Err() != nil {
			return r
		}
	}
	return r
}

// turned takes down whether an endpoint could be reached, and tells when that is news.
func (c *Client) turned(p *policy.Candidate, e string, reached bool, why string) {
	now := c.now()
	if !c.reach.showed(e, reached, why, now) || c.note == nil {
		return
	}
	if reached {
		c.note(health.Event{At: now, Kind: "endpoint", Level: "ok", Provider: p.Provider, Text: p.Provider + ": " + e + " can be reached again"})
		return
	}
	c.note(health.Event{At: now, Kind: "endpoint", Level: "warn", Provider: p.Provider, Text: p.Provider + ": " + e + " cannot be reached (" + why + "), calls go to its next endpoint"})
}

// unreachable ends a flight that has no connection yet.
func (f *flight) unreachable() {
	if f.gate.untried() {
		f.cancel(errLate)
	}
}

// untried seals a send of which no byte was given to a connection.
func (g *gate) untried() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wire != nil || g.writing || g.written > 0 {
		return false
	}
	g.sealed = true
	return true
}
