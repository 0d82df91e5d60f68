package repair

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector shows a Repair's figures as metrics, as they are when somebody asks.
type Collector struct {
	repair                                                                          *Repair
	hints, held, journal, oldest, bytes, limit, left, expires, rate, ended, missing *prometheus.Desc
}

// NewCollector makes the collector of a region's agent. Without a Repair it has nothing that waits, and says so: an alert on a figure that is not
// there is silent.
func NewCollector(r *Repair, region string) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, prometheus.Labels{"region": region})
	}
	return &Collector{
		repair:  r,
		hints:   desc("segue_hints", "Hints of this agent that wait for the store."),
		held:    desc("segue_hints_held", "Hints of this agent that wait for a person."),
		journal: desc("segue_hints_journal", "Hints of this agent that were replayed, and not looked for in the store since."),
		oldest:  desc("segue_hint_oldest_seconds", "Age of the oldest hint that is not in the store."),
		bytes:   desc("segue_hint_bytes", "Size of the hint log on the disk."),
		limit:   desc("segue_hint_limit_bytes", "Size at which the hint log takes nothing new."),
		left:    desc("segue_hint_left_seconds", "Time until the backlog is gone at the present rate; 0 where nothing waits or nothing moves."),
		expires: desc("segue_hint_expires_seconds", "Time until the oldest hint is past its age and nothing new is taken; 0 too where there is no hint."),
		rate:    desc("segue_hint_rate", "Hints replayed a second, in the last ten seconds."),
		ended:   prometheus.NewDesc("segue_hints_replayed_total", "Replays of hints by result; failed ones are tried again.", []string{"result"}, nil),
		missing: desc("segue_hints_missing_total", "Replayed hints that the background sync did not find in the store."),
	}
}

// Describe names the metrics.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.hints, c.held, c.journal, c.oldest, c.bytes, c.limit, c.left, c.expires, c.rate, c.ended, c.missing} {
		to <- d
	}
}

// Collect sends the figures.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	s, n, now := Stats{}, &counts{}, time.Now
	if r := c.repair; r != nil {
		s, n, now = r.Stats(), &r.counts, r.opts.Now
	}
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(c.hints, float64(s.Pending))
	gauge(c.held, float64(s.Held))
	gauge(c.journal, float64(s.Journal))
	age := time.Duration(0)
	if !s.Oldest.IsZero() {
		age = max(0, now().Sub(s.Oldest))
	}
	gauge(c.oldest, age.Seconds())
	gauge(c.bytes, float64(s.Bytes))
	gauge(c.limit, float64(s.Limit))
	gauge(c.left, s.Left.Seconds())
	gauge(c.expires, s.Expires.Seconds())
	gauge(c.rate, s.Replays)
	count := func(d *prometheus.Desc, v int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	count(c.ended, n.applied.Load(), "applied")
	count(c.ended, n.superseded.Load(), "superseded")
	count(c.ended, n.discarded.Load(), "discarded")
	count(c.ended, n.held.Load(), "held")
	count(c.ended, n.failed.Load(), "failed")
	count(c.missing, n.missing.Load())
}
