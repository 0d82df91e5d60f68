package controlplane

import (
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/state"
)

// reporters are two regions' agents that report once per virtual second to whichever node lives.
type reporters struct {
	c     *cluster
	ahead *atomic.Int64 // of the nodes' clocks
	seq   uint64
	down  bool // main fails from both
	open  bool // backup's circuit, in eu
	deaf  bool // nobody in eu reports
}

func (r *reporters) second() {
	r.ahead.Add(int64(time.Second))
	r.seq++
	for _, region := range []string{"eu", "us"} {
		if r.deaf && region == "eu" {
			continue
		}
		report := health.Report{Agent: region + "-1", Region: region, Run: "r", Seq: r.seq, At: r.c.configs[0].Now()}
		for _, name := range []string{"main", "backup"} {
			row := health.Row{Service: "payments", Provider: name, Condition: health.Condition{Breaker: "closed"}}
			if row.Calls = 5; r.down && name == "main" {
				row.Failed = 5
			}
			if r.open && name == "backup" && region == "eu" {
				row.Breaker = "open"
			}
			report.Rows = append(report.Rows, row)
		}
		for _, s := range r.c.nodes {
			if s != nil {
				report.Revision = s.State().Current().Number
				s.Reported(report)
				break
			}
		}
	}
	r.heard()
}

// heard waits until the leader has the reports, or there is none for a moment.
func (r *reporters) heard() {
	moment, want := 300*time.Millisecond, 2
	if r.deaf {
		want = 1
	}
	for begun := time.Now(); time.Since(begun) < moment; {
		for _, s := range r.c.nodes {
			if s == nil || s.tenure.Load() == nil {
				continue
			}
			moment = 3 * time.Second // a busy machine takes longer to tell it
			view, err := s.View(within(r.c.t))
			fresh := 0
			for _, a := range view.World.Agents {
				if a.AgeMS < 1000 {
					fresh++
				}
			}
			if err == nil && len(view.World.Agents) == 2 && fresh >= want {
				return
			}
		}
	}
}

// until lets seconds pass until is holds.
func (r *reporters) until(what string, is func() bool) {
	r.c.t.Helper()
	eventually(r.c.t, what, func() bool { r.second(); return is() })
}

func (c *cluster) verdicts(region string) []health.Verdict {
	for _, s := range c.nodes {
		if s == nil {
			continue
		}
		if u, err := s.Update(region); err == nil {
			return u.Verdicts
		}
	}
	return nil
}

func blames(list []health.Verdict, name string) bool {
	for _, v := range list {
		if v.Named() == name {
			return true
		}
	}
	return false
}

// TestVerdictsSurviveTheirLeader: what the regions report becomes a verdict in the log and goes down to agents; the audit does not know it; a
// new leader takes it over and keeps it while it holds, and ends it when it is over.
func TestVerdictsSurviveTheirLeader(t *testing.T) {
	var ahead atomic.Int64
	c := newClusterAt(t, 3, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	leader := c.leader()
	if _, err := c.nodes[leader].Propose(within(t), state.Command{Request: "p", Actor: "ann", Reason: "first", ApplyPolicy: &state.ApplyPolicy{Source: []byte(document)}}); err != nil {
		t.Fatal(err)
	}
	r := &reporters{c: c, ahead: &ahead}
	for range 35 {
		r.second()
	}
	audit := len(c.nodes[leader].State().Audit)
	r.down = true
	r.until("main is blamed", func() bool { return blames(c.verdicts("eu"), "provider main") })
	first := c.verdicts("us")[0]
	if !first.Eject || !first.Until.After(first.Since) {
		t.Errorf("%+v", first)
	}
	dead := c.leader()
	if err := c.nodes[dead].Kill(); err != nil {
		t.Fatal(err)
	}
	c.nodes[dead] = nil
	r.until("another node leads", func() bool {
		view, err := c.nodes[(dead+1)%3].View(within(t))
		return err == nil && blames(view.World.Verdicts, "provider main")
	})
	for range 40 { // over the new leader's first window, and over the verdict's first end
		r.second()
	}
	r.until("it holds on", func() bool {
		got := c.verdicts("us")
		return blames(got, "provider main") && got[0].Since.Equal(first.Since) && got[0].Until.After(first.Until)
	})
	r.down = false
	r.until("it is over", func() bool { return len(c.verdicts("eu")) == 0 })
	for _, s := range c.nodes {
		if s != nil && len(s.State().Audit) > audit+3 { // nodes announce themselves; nothing else was changed
			t.Errorf("%d audit entries, %d before", len(s.State().Audit), audit)
		}
	}
}
