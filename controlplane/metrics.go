package controlplane

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/state"
)

// measures are what every control node shows of policy and agents, beside its replica's own gauges. Every node answers, a follower too: who
// scrapes one of them misses nothing.
type measures struct {
	server   *Server
	revision *prometheus.Desc
	age      *prometheus.Desc
	shift    *prometheus.Desc

	mu    sync.Mutex
	heard map[string]time.Time // region → when its agent that was silent longest was heard last
}

// viewFor bounds a scrape's question to the leader.
const viewFor = time.Second

// shiftToldFor is how long a shift that is over is told of: time for an alert.
const shiftToldFor = time.Hour

func newMeasures(s *Server) *measures {
	return &measures{
		server: s, heard: map[string]time.Time{},
		revision: prometheus.NewDesc("segue_policy_revision", "Revision of the policy in force in the region, as this node has it.", []string{"region"}, nil),
		age:      prometheus.NewDesc("segue_feed_age_seconds", "Time since the control plane heard of the region's agent that was silent longest.", []string{"region"}, nil),
		shift:    prometheus.NewDesc("segue_shift_ratio", "How far the newest shift of a service in a region has come, and its phase: while it is under way, and for an hour after its end.", []string{"service", "region", "phase"}, nil),
	}
}

// Describe names the measures.
func (m *measures) Describe(out chan<- *prometheus.Desc) {
	out <- m.revision
	out <- m.age
	out <- m.shift
}

// Collect reads them. Where no leader answers, what was known grows older: that is what it would show.
func (m *measures) Collect(out chan<- prometheus.Metric) {
	st := m.server.replica.State()
	if st.Current().Number == 0 { // no policy, so no region
		out <- prometheus.MustNewConstMetric(m.revision, prometheus.GaugeValue, 0, "")
	}
	m.shifts(st, out)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.look()
	for _, region := range st.Current().Policy.Regions.Names() {
		out <- prometheus.MustNewConstMetric(m.revision, prometheus.GaugeValue, float64(st.Current().Number), region)
		if at, ok := m.heard[region]; ok {
			age := max(m.server.cfg.Now().Sub(at), 0)
			out <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, age.Seconds(), region)
		}
	}
}

// shifts tells of one shift for each service and region: two would be one series.
func (m *measures) shifts(st *state.State, out chan<- prometheus.Metric) {
	newest := map[[2]string]*state.Shift{}
	for i := range st.Shifts {
		f := &st.Shifts[i]
		newest[[2]string{f.Service, f.Region}] = f
	}
	for _, f := range newest {
		if f.Phase.UnderWay() || m.server.cfg.Now().Sub(f.Changed) < shiftToldFor {
			out <- prometheus.MustNewConstMetric(m.shift, prometheus.GaugeValue, f.Way(), f.Service, f.Region, string(f.Phase))
		}
	}
}

func (m *measures) look() {
	ctx, cancel := context.WithTimeout(m.server.ends, viewFor)
	defer cancel()
	view, err := m.server.View(ctx)
	if err != nil {
		m.server.cfg.Log.Debug("no leader answered a scrape", "error", err)
		return
	}
	now, seen := m.server.cfg.Now(), map[string]bool{}
	for _, a := range view.World.Agents {
		at := now.Add(-time.Duration(a.AgeMS) * time.Millisecond)
		if !seen[a.Region] || at.Before(m.heard[a.Region]) {
			m.heard[a.Region] = at
		}
		seen[a.Region] = true
	}
}
