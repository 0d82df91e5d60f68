package probe

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"segue/controlplane/health"
)

// maxAsked is how many orders' results are kept: an order lives a minute at most, and people wait for the newest.
const maxAsked = 32

// The words for what a check showed.
const (
	Good   = health.Good
	Warned = health.Warned // good, but not for long: a certificate that ends soon
	Bad    = health.Bad
	Busy   = "busy" // a 429: neither good nor bad
	Cut    = "cut"  // it was not waited for: it says nothing
)

// Result is what one check showed.
type Result struct {
	Service, Provider string
	Kind, Name        string // of its lane
	Word, Why         string
	At                time.Time // when it ended
	Elapsed           time.Duration
}

// asked is the checks of one order.
type asked struct {
	order   string
	left    int
	results []Result
}

// Ask runs a provider's active checks once, now, whatever their period, or its synthetics; the board hears of them as of any other. The same order again does
// nothing: an Update that brings it comes more than once. Results are kept until maxAsked newer orders have come.
func (p *Prober) Ask(order, provider string, synthetic bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.find(order) != nil {
		return
	}
	a := &asked{order: order}
	for t, l := range p.running {
		if t.provider != provider || synthetic != (t.kind == health.Synthetic) {
			continue
		}
		a.left++
		p.lanes.Add(1)
		go func() { // awaited by Stop
			defer p.lanes.Done()
			r := p.send(l.ctx, t, l, Timeout)
			p.tell(t, r, time.Time{})
			p.mu.Lock()
			defer p.mu.Unlock()
			a.left--
			a.results = append(a.results, r)
		}()
	}
	if p.asked = append(p.asked, a); len(p.asked) > maxAsked {
		p.asked = slices.Delete(p.asked, 0, 1)
	}
}

// Asked tells what an order's checks showed so far. known: the order has come; done: all its checks have ended.
func (p *Prober) Asked(order string) (results []Result, done, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.find(order)
	if a == nil {
		return nil, false, false
	}
	results = slices.Clone(a.results)
	slices.SortFunc(results, func(a, b Result) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return results, a.left == 0, true
}

func (p *Prober) find(order string) *asked {
	for _, a := range p.asked {
		if a.order == order {
			return a
		}
	}
	return nil
}
