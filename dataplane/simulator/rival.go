package simulator

import (
	"time"

	"segue/controlplane/policy"
)

// rival is one way to choose, as its authors describe it. There is one of each per region, as there would be one proxy.
type rival interface {
	pick(tried policy.Set, now int64) int // -1: nobody is left
	start(p int, now int64)
	end(p int, now, took int64, ok bool)
}

// gater is a rival that keeps away from providers for a while.
type gater interface {
	gated(p int, now int64) bool
}

// rivals play one rival in each region. What they do with a failure is what proxies are set up to do: a connection that was refused, a 5xx
// and a time-out are tried at another provider while there is time, with the caller's key. They know no ledger.
type rivals struct {
	regions [MaxRegions]rival
	was     [MaxRegions][MaxProviders]bool
}

func (r *rivals) begin(s *sim, c *call) { r.next(s, c) }

func (r *rivals) next(s *sim, c *call) {
	p := r.regions[c.region].pick(c.tried, s.now)
	if p < 0 {
		s.answer(c, failed)
		return
	}
	r.regions[c.region].start(p, s.now)
	c.times++
	s.send(c, p)
}

func (r *rivals) ended(s *sim, c *call) {
	ok := c.shown.status == 200 || c.shown.status == 402 || c.shown.status == 409
	r.regions[c.region].end(int(c.at), s.now, s.now-c.sentAt, ok)
	s.tally.showed(s, c, !ok, false)
	r.watch(s, int(c.region))
	switch {
	case ok && c.shown.status != 409:
		s.answer(c, good)
	case int(c.times) < maxTries && s.left(c) > 0:
		c.tried = c.tried.With(int(c.at))
		if !c.read && !c.shown.refused {
			s.tally.Blind++
		}
		r.next(s, c)
	default:
		s.answer(c, failed)
	}
}

// watch tells the tally which gates have shut.
func (r *rivals) watch(s *sim, region int) {
	g, ok := r.regions[region].(gater)
	if !ok {
		return
	}
	for p := range s.world.places {
		shut := g.gated(p, s.now)
		if shut && !r.was[region][p] {
			s.tally.gate(s, region, p)
		}
		if !shut && r.was[region][p] {
			s.tally.returned(s, region, p)
		}
		r.was[region][p] = shut
	}
}

func (r *rivals) pulse(*sim) {}

func (r *rivals) woke(*sim, *call) {}

func (r *rivals) tick(s *sim) {
	for i := range s.Scenario.Regions {
		r.watch(s, i)
	}
}

// Rival says who a rival is, and by whose description it was written.
type Rival struct {
	Name, What, Source string
	make               func(n int, chance Source) rival
}

// Rivals are the rivals, in the order of the report.
func Rivals() []Rival {
	return []Rival{
		{"round-robin", "Each in turn.", "nginx, ngx_http_upstream_module: the default method, with max_fails=1 fail_timeout=10s as it comes", newRoundRobin},
		{"priority", "Always the first; the next one after a failure.", "HAProxy, backup servers without checks", newPriority},
		{"priority-breaker", "The first whose breaker is closed: open after more than five failures in a row, for 60 s, closed again by one success.",
			"sony/gobreaker v2, its default Settings", newPriorityBreaker},
		{"p2c-outlier", "The less loaded of two drawn; five errors in a row eject for 30 s times the ejections so far, one provider at a time.",
			"Envoy, least-request balancer and outlier detection (consecutive_5xx 5, interval 10 s, base_ejection_time 30 s, max_ejection_percent 10)", newOutlier},
		{"least-time", "The lowest mean latency times calls under way; one failure keeps away for 10 s.",
			"NGINX Plus, least_time last_byte inflight, with max_fails=1 fail_timeout=10s", newLeastTime},
		{"peak-ewma", "Of two drawn the one with the lower peak-sensitive latency times calls under way; five failures in a row, or a success rate below 80 % in 30 s, mark it dead for 5 s and more.",
			"Twitter Finagle, PeakEwma (decay 10 s) and FailureAccrualPolicy hybrid (0.8 in 30 s, 5 in a row, equal jittered 5 s to 300 s)", newPeakEWMA},
		{"prequal", "Of 16 pooled looks the fastest among those with few calls under way (below the 84th percentile), otherwise the one with the fewest; errors count as slow.",
			"Wydrowski and others, Load is not what you should balance: Introducing Prequal, NSDI 2024; looks are the client's own, for a foreign API answers no probes", newPrequal},
		{"bandit", "A draw from what is believed of each provider's success rate, the highest wins; what was seen loses half its weight in 30 s.",
			"Raj and Kalyani, Taming Non-stationary Bandits, 2017 (discounted Thompson sampling); Juspay and Hyperswitch route payments by success rate", newBandit},
	}
}

const second = float64(time.Second)
